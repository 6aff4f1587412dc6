"""The keys of release.yaml about the commits of a release: what their messages carry."""

from __future__ import annotations

from orchestrator.config import validators as rules
from orchestrator.config.schema import Key, Text

SIGNOFF = Key(
    name="signoff",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether picks and release commit carry the `Signed-off-by:` of who commits them, where `cherry-pick -s -x`"
    " puts it, for servers that want the Developer Certificate of Origin.",
    default="false",
)

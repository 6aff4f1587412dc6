"""What release.yaml says of telling people about a release, as values.  No secret is here: only names of variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orchestrator.core.results import Place

WEBHOOKS: Final = ("slack", "mattermost", "teams", "generic")
ASSETS: Final = ("record", "report", "sbom")
PLACEHOLDERS: Final = ("tag", "version", "previous", "branch", "summary", "image", "digest", "url")
USUAL_TEXT: Final = "{tag} is released: {summary} {url}"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """One entry of `notify:`.  The address is a secret, and is read from the variable `url_env`."""

    place: Place = field(compare=False)
    kind: str  # of WEBHOOKS
    url_env: str
    text: str = USUAL_TEXT


@dataclass(frozen=True, kw_only=True)
class ForgeReleaseSpec:
    """`forge-release:`: a release on the forge, with notes and these of ASSETS."""

    place: Place = field(compare=False)
    assets: tuple[str, ...] = ("record", "report")

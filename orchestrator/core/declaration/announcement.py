"""What release.yaml says of telling people and programs about a release, as values.

No secret is here: only names of variables.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from orchestrator.core.results import Place

WEBHOOKS: Final = ("slack", "mattermost", "teams", "generic")
ASSETS: Final = ("record", "report", "sbom")
PLACEHOLDERS: Final = ("tag", "version", "previous", "branch", "summary", "image", "digest", "url")
USUAL_TEXT: Final = "{tag} is released: {summary} {url}"

HOOKED_BEFORE: Final = ("pick", "verify", "tag", "build", "smoke", "upload", "sign", "land")  # nothing is public yet
HOOKED_AFTER: Final = (*HOOKED_BEFORE, "promote", "record", "annotate")


@dataclass(frozen=True, kw_only=True)
class StepHook:
    """One entry of `hooks:`: a command run by `/bin/sh -c` before or after a step."""

    place: Place = field(compare=False)
    when: str  # before, after
    step: str  # of HOOKED_BEFORE, HOOKED_AFTER
    run: str
    timeout: float = 600.0  # seconds

    @property
    def name(self) -> str:
        return f"hook {self.when} {self.step}"


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
    comment_on_fixes: bool = False  # "released in v2.7.1" on the requests that they came with

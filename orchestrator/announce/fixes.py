"""`released in v2.7.1`, as a comment on the pull or merge requests that the fixes of a version came with."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ReleaseError
from orchestrator.core.tag_message import shipped
from orchestrator.core.text import code
from orchestrator.forges.comments import keep_comment

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.declaration import Config
    from orchestrator.core.record import Record
    from orchestrator.forges import Forge

_LIMITED: Final = "forge-rate-limit"


@dataclass(frozen=True, kw_only=True)
class Announced:
    """One part: what was done, or why it was not."""

    what: str
    message: str
    remedy: str = ""
    failed: bool = False
    code: str = ""  # of the error


class Released(Protocol):
    """What is asked of a released version."""

    version: str
    record: Record
    url: str

    @property
    def config(self) -> Config: ...

    @property
    def forge(self) -> Forge: ...


def tried(what: str, part: Callable[[], str]) -> Announced:
    """What one part did.  Nothing that goes wrong in it may end the others, or the command that released."""
    try:
        return Announced(what=what, message=part())
    except ReleaseError as error:
        return Announced(what=what, message=error.message, remedy=error.remedy, failed=True, code=error.code)
    except Exception as error:  # a fault of ours, or of a library: the version is released all the same
        return Announced(what=what, message=f"failed: {type(error).__name__}", failed=True)


def fix_comments(release: Released) -> list[Announced]:
    """A part for each request; a forge that wants to be left in peace is."""
    numbers: set[int] = set()
    found = tried("requests of the fixes", partial(_ask, release, numbers))
    done = [found] if found.failed else []
    for number in sorted(numbers):
        if any(each.code == _LIMITED for each in done):
            break
        done.append(tried(f"comment on {number}", partial(_comment, release, number)))
    return done


def _ask(release: Released, numbers: set[int]) -> str:
    """Fill in the requests: those that release.yaml names, and those that the forge knows of a commit."""
    entry = release.config.release(release.version)
    named = {fix.commit: fix.pr for fix in (entry.fixes if entry else ()) if fix.pr}
    numbers |= set(named.values())
    for pick in shipped(release.record.picks):
        if pick.source not in named:
            found = release.forge.merged_with(pick.source)
            numbers |= {each.number for each in found if each.target in release.config.source}
    return ""


def _comment(release: Released, number: int) -> str:
    mark = f"<!-- release: released in {release.version} -->"
    return keep_comment(release.forge, number, mark, f"Released in {code(release.version)}: {release.url}\n")

"""One comment on a pull or merge request, found again by a hidden mark and kept up to date in place.

Only a comment of this login's own is ever edited: a mark can be copied by anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from orchestrator.forges import Forge

_LONGEST: Final = 60_000  # characters; GitHub takes 65,536
_CUT: Final = "\n\n*The rest is left out: a comment may not be longer.*\n"


def keep_comment(forge: Forge, number: int, mark: str, text: str, *, make: bool = True) -> str:
    """Have one comment with this mark on a request; what was done, "" where there is none and none is to be made.

    Raises RefusedError where a comment with the mark may be this login's own, and nothing tells.
    """
    body = fitting(f"{mark}\n{text}")
    marked = [each for each in forge.comments(number) if each.body.startswith(mark)]
    mine = next((each for each in marked if each.is_mine), None)
    if mine is None and any(each.is_mine is None for each in marked):
        raise RefusedError(
            f"request {number} has a comment with this mark, and the token does not tell whether it is its own",
            remedy="use the token of a person, or the GITHUB_TOKEN of GitHub Actions",
            code="comment-whose",
            state="nothing was written",
        )
    if mine is None:
        return f"made: {forge.comment(number, body, None)}" if make else ""
    if mine.body.strip() == body.strip():
        return f"is as it was: {mine.url}"
    return f"written anew: {forge.comment(number, body, mine)}"


def fitting(text: str) -> str:
    """The text, cut at the end of a line where it is too long for a comment."""
    if len(text) <= _LONGEST:
        return text
    return text[: text.rindex("\n", 0, _LONGEST - len(_CUT))] + _CUT


def open_request(forge: Forge, number: int) -> None:
    """Raises UsageError for what is no request that is open."""
    found = forge.request(number)
    if found is None or found.is_issue:
        what = "an issue" if found else "not there"
        raise UsageError(f"request {number} is {what}", remedy="give the number of the request", code="no-request")
    if found.state != "open":
        raise UsageError(f"request {number} is {found.state}", remedy="open it again", code="request-not-open")

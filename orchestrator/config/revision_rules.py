"""What a revision, a range and the number of a request may hold, as `validators` has it for everything else."""

from __future__ import annotations

import re

from orchestrator.config.validators import BadTextError, not_an_option
from orchestrator.core.declaration import STRATEGY_OPTIONS


def revision(text: str) -> str:
    """Anything that names one commit; whether it exists is for the planner to see."""
    not_an_option(text)
    if text.startswith(":/"):  # refused where it is looked up, with the id to paste
        return text
    if re.fullmatch(r"[#!][0-9]+", text):
        raise BadTextError("config-bad-revision", "is the number of a request", f"declare it as `pr: {text[1:]}`")
    if ".." in text:
        raise BadTextError("config-bad-revision", "is a range", f"declare it as `range: {text}`")
    if bad := re.search(r"\s", text) or re.match(r"\^", text):
        held = "white space" if bad[0].isspace() else "a '^' in front"
        raise BadTextError("config-bad-revision", f"has {held}", "name one commit, such as 4f1c2d9a")
    return text


def revision_range(text: str) -> str:
    """`A..B`, both ends given."""
    not_an_option(text)
    remedy = "write A..B (without A) or A^..B (with A)"
    ends = text.split("..")
    if "..." in text:
        raise BadTextError("config-bad-range", "holds '...', which also names the other side", remedy)
    if len(ends) != 2:
        raise BadTextError("config-bad-range", "is not a range", f"{remedy}; one commit goes under `commit:`")
    if not all(ends):
        raise BadTextError("config-bad-range", "has an open end", remedy)
    for end in ends:
        revision(end)
    return text


def request_number(text: str) -> int:
    """The number of a pull or merge request, with or without the sign that forges put before it."""
    if not re.fullmatch(r"[#!]?[1-9][0-9]{0,8}", text):
        raise BadTextError("config-bad-request", "is not the number of a request", "write it as 412")
    return int(text.lstrip("#!"))


def strategy_option(text: str) -> str:
    """One of git's, as `git cherry-pick -X` takes it; a number of find-renames is a percentage."""
    if found := re.fullmatch(r"find-renames=(100|[1-9][0-9]?)%?", text):
        return f"find-renames={found[1]}%"
    if text not in STRATEGY_OPTIONS:
        known = ", ".join((*STRATEGY_OPTIONS, "find-renames=N"))
        raise BadTextError("config-bad-word", "is not known here", f"one of: {known} (N is 1 to 100)")
    return text


def parent_number(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text):
        remedy = "1 is the branch that was merged into"
        raise BadTextError("config-bad-mainline", "is not a parent's number (1 or more)", remedy)
    return int(text)

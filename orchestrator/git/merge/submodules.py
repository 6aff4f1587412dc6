"""Submodules that both sides of a pick moved: git takes the side that contains the other, where it can tell.

git merges no submodule.  Where the commits on both sides come after the one before them, and one side contains the
other, the result is that side (a fast-forward); else it is a conflict.  For that it needs the submodule's own objects,
which a clone may lack and a server never has.  So the result is always one of two: what the branch has, or what is
picked.  Who only judges a merge that was made takes either of these for right where nothing tells more, and any other
for wrong.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.pick import Conflict, Submodule
from orchestrator.core.text import word
from orchestrator.git.isolation import isolated
from orchestrator.git.merge.result import LINK
from orchestrator.git.process import Git
from orchestrator.git.trees import entry_at, put

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.git.merge.result import Link, Merge
    from orchestrator.git.trees import TreeStore

UNKNOWN: Final = "submodule not initialized"  # git's words for a submodule whose commits it cannot see
DIVERGED: Final = "submodule"


class Submodules:
    """The submodules of a clone, None for a repository without a work tree; looked for when the first one conflicts."""

    def __init__(self, common_dir: Path | None = None, top: Path | None = None) -> None:
        self._common_dir = common_dir
        self._top = top

    @cached_property
    def _places(self) -> list[Path]:
        return directories(self._common_dir) if self._common_dir else []

    def forward(self, link: Link) -> str | None:
        """The commit of the side that contains the other; "" where neither does, None where nobody here can tell."""
        own = own_directory(self._top, link.path) if self._top else None
        answers = (_forward(place, link) for place in dict.fromkeys((*([own] if own else []), *self._places)))
        return next((each for each in answers if each is not None), None)

    def fetched_by(self, path: str) -> str:
        """What is typed at the top of the clone to have the commits of a submodule here."""
        here = own_directory(self._top, path) if self._top else None
        if here is None:
            return f"git submodule update --init -- {word(path)}"
        return f"git -C {word(path)} fetch {'--unshallow ' if (here / 'shallow').exists() else ''}origin"

    def settled(self, store: TreeStore, merge: Merge) -> Merge:
        """The merge as git makes it of a clone that has these submodules."""
        if not merge.links:
            return merge
        answers = {link.path: self.forward(link) for link in merge.links}
        taken = {path: sha for path, sha in answers.items() if sha}
        conflicts = (_named(each, answers) for each in merge.conflicts if each.path not in taken)
        return replace(
            merge,
            tree=_with_links(store, merge.tree, taken),
            conflicts=tuple(conflicts),
            links=tuple(link for link in merge.links if answers[link.path] is None),
            forwarded=tuple(Submodule(path=path, commit=sha) for path, sha in taken.items()),
        )


def _named(conflict: Conflict, answers: dict[str, str | None]) -> Conflict:
    if conflict.path not in answers:
        return conflict
    return replace(conflict, kind=UNKNOWN if answers[conflict.path] is None else DIVERGED)


def _with_links(store: TreeStore, tree: str, links: dict[str, str]) -> str:
    return put(store, tree, {path: (LINK, sha) for path, sha in links.items()}) if links else tree


@dataclass(frozen=True, kw_only=True)
class Held:
    """A merge held against what was made of it; `unproved` are the submodules of which that was taken as it is."""

    merge: Merge
    unproved: tuple[str, ...] = ()


def held_to(store: TreeStore, merge: Merge, made: str) -> Held:
    """The merge with each submodule that nobody here can tell of as tree `made` has it.

    That must be what one of the two sides has; else, and where anything else conflicts, the merge stays as it is.
    """
    taken: dict[str, str] = {}
    for link in merge.links:
        item = entry_at(store, made, link.path)
        if item and item.mode == LINK and item.sha in (link.ours, link.theirs):
            taken[link.path] = item.sha
    if not taken or {each.path for each in merge.conflicts} != taken.keys():
        return Held(merge=merge)
    forwarded = (*merge.forwarded, *(Submodule(path=path, commit=sha) for path, sha in taken.items()))
    tree = _with_links(store, merge.tree, taken)
    return Held(merge=replace(merge, tree=tree, conflicts=(), links=(), forwarded=forwarded), unproved=tuple(taken))


# ------------------------------------------------------------------ asking


def _forward(place: Path, link: Link) -> str | None:
    """As `Submodules.forward`, of one git directory.  One that was cut off cannot tell that neither side contains the
    other.
    """
    git = Git(place, env={**isolated(place), "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"})
    unknown = None if (place / "shallow").exists() else ""
    for one, other in ((link.base, link.ours), (link.base, link.theirs)):
        status = git.attempt("merge-base", "--is-ancestor", one, other).status
        if status:
            return unknown if status == 1 else None
    if git.attempt("merge-base", "--is-ancestor", link.ours, link.theirs).status == 0:
        return link.theirs
    return link.ours if git.attempt("merge-base", "--is-ancestor", link.theirs, link.ours).status == 0 else unknown


def directories(common_dir: Path) -> list[Path]:
    """The git directories of submodules below that of a clone, and of its worktrees, those inside others too."""
    found = []
    for top in (common_dir / "modules", *sorted(common_dir.glob("worktrees/*/modules"))):
        for folder, names, files in os.walk(top):
            if "HEAD" in files and "objects" in names:
                found.append(common_dir / folder)
                names[:] = [name for name in names if name == "modules"]
    return sorted(found)


def own_directory(top: Path, path: str) -> Path | None:
    """The git directory that the folder of a submodule in a work tree has, or names; None where there is none."""
    if {"", "..", ".git"} & {*path.split("/")}:  # no tree that git made has such a path
        return None
    place = top / path / ".git"
    with contextlib.suppress(OSError, ValueError):
        if place.is_file():
            place = top / path / place.read_text().removeprefix("gitdir: ").rstrip("\n")
    return place.resolve() if (place / "objects").is_dir() else None

"""Which commits did a pull or merge request become?  By git alone: messages first, then patch-ids of its head.

Forges write the number of a request into what they make of it: `Fix it (#412)` for a squash, `Merge pull request #412
from ...` and `See merge request group/project!412` for a merge; bots and people write trailers.  What says nothing is
found by the head of the request, which servers keep as `refs/pull/412/head` or `refs/merge-requests/412/head`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import reverted
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import DecisionError
from orchestrator.git import changes
from orchestrator.git.batch import outside
from orchestrator.picks.equivalents import match

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Fix
    from orchestrator.git.scratch import Scratch

_TRAILER = (
    r"(?:PR-URL|Pull[- ]Request(?:-URL| resolved)?|Merge-Request|Reviewed-on): *"
    r"(?:[#!]|\S*/(?:pull|pulls|merge_requests)/){}"
)
_MOST = 500  # commits of one request
HEADS = ("refs/pull/{}/head", "refs/merge-requests/{}/head")  # where servers keep the head of a request


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """The commits of a request, as release.yaml would name them; `first` and `last` are full ids.

    `first` is the parent of the oldest one where they are several, else "".
    """

    last: str
    first: str = ""
    mainline: int = 0

    @property
    def keys(self) -> dict[str, str]:
        """The keys of its entry in release.yaml."""
        if self.first:
            return {"range": f"{self.first}..{self.last}"}
        return {"commit": self.last} | ({"mainline": str(self.mainline)} if self.mainline else {})

    def of(self, fix: Fix) -> Fix:
        """The fix with its commits."""
        if self.first:
            return replace(fix, range=f"{self.first}..{self.last}")
        return replace(fix, commit=self.last, mainline=self.mainline)


def written(number: int, text: str) -> bool:
    """Whether a message says that its commit is what a request became; a revert of it says nothing of the kind."""
    subject, _, body = text.strip().partition("\n")
    if re.search(rf"\([#!]{number}\)$", subject.strip()):
        return True
    if re.match(rf"Merge pull request #{number} from ", subject):
        return True
    if re.search(rf"^See merge request \S*!{number}$", body, re.MULTILINE):
        return True
    named = re.search(rf"^{_TRAILER.format(number)}(?![0-9/])", body, re.MULTILINE | re.IGNORECASE)
    return bool(named) and not reverted(text)


def frozen(scratch: Scratch, number: int, tips: Sequence[str], head: str = "", landed: str = "") -> Frozen | None:
    """The commits of a request on the branches with these tips; None where nothing tells.

    `head` is the request's own head where it is here, `landed` the commit that the forge says it became.  Raises
    DecisionError where several commits say that they are it.
    """
    if landed:
        return _form(scratch, landed, head, tips)
    found = _by_message(scratch, number, tips)
    chain = _chain(scratch, found)
    if len(found) > 1 and not chain:
        raise _twice(scratch, number, found)
    if chain and len(chain) > 1:
        return Frozen(first=scratch.commit(chain[0]).parents[0], last=chain[-1])
    if found:
        return _form(scratch, found[0], head, tips)
    return _by_head(scratch, head, tips) if head else None


def _twice(scratch: Scratch, number: int, found: Sequence[str]) -> DecisionError:
    named = ", ".join(f"{sha[:12]} {scratch.commit(sha).subject!r}" for sha in found[:3])
    return DecisionError(
        f"request #{number} was merged {len(found)} times: {named}",
        remedy=f"say which: `commit: {found[0]}` beside the `pr:`",
        code="request-twice",
    )


def _by_message(scratch: Scratch, number: int, tips: Sequence[str]) -> list[str]:
    """The commits that say so, oldest first; of several that make the same change, on several branches, the first."""
    if not tips:
        return []
    output = scratch.git.run(
        "log", "--topo-order", "--reverse", "--encoding=UTF-8", "-z", "--format=%H%x00%B", "--extended-regexp",
        f"--grep=[#!/]{number}([^0-9]|$)", *tips, "--",
    )  # fmt: skip
    fields = output.fields()
    rows = dict(zip(fields[::2], fields[1::2], strict=False))
    found = [sha for sha, text in rows.items() if written(number, text)]
    if len(found) < 2:
        return found
    found = _merging(scratch, found)
    same = changes.patch_ids(scratch, {sha: _parent(scratch, sha) for sha in found}, context=3)
    seen: dict[str, str] = {}
    for sha in found:
        seen.setdefault(same.get(sha, sha), sha)
    return list(seen.values())


def _merging(scratch: Scratch, found: Sequence[str]) -> list[str]:
    """Without those that another of them merges: both say the number where a squash of the topic was merged."""
    merges = [sha for sha in found if len(scratch.commit(sha).parents) > 1]
    inside = {
        sha for merge in merges for sha in scratch.rev_list(merge, f"^{scratch.commit(merge).parents[0]}", "--")
    } - set(merges)
    return [sha for sha in found if sha not in inside]


def _chain(scratch: Scratch, found: Sequence[str]) -> list[str]:
    """The commits where each is the only parent of the next: what a rebase made."""
    for before, after in pairwise(found):
        if scratch.commit(after).parents != (before,):
            return []
    return [*found] if found and len(scratch.commit(found[0]).parents) == 1 else []


def _parent(scratch: Scratch, sha: str) -> str:
    return next(iter(scratch.commit(sha).parents), "")


def _form(scratch: Scratch, landed: str, head: str, tips: Sequence[str]) -> Frozen:
    """What stands behind one commit: a merge of a line of commits, a merge of more, the last of several, or itself."""
    commit = scratch.commit(landed)
    if len(commit.parents) > 1:
        rows = scratch.rev_list("--parents", f"--max-count={_MOST}", landed, f"^{commit.parents[0]}", "--")
        brought = [row.split() for row in rows if not row.startswith(landed)]
        is_line = brought and all(len(row) == 2 for row in brought) and len(commit.parents) == 2
        if not is_line:
            return Frozen(last=landed, mainline=1)
        if len(brought) == 1:
            return Frozen(last=brought[0][0])
        ids = {row[0] for row in brought}
        base = next(parent for _, parent in brought if parent not in ids)
        return Frozen(first=base, last=commit.parents[1])
    by_head = _by_head(scratch, head, tips) if head else None
    return by_head if by_head and by_head.last == landed else Frozen(last=landed)


def _by_head(scratch: Scratch, head: str, tips: Sequence[str]) -> Frozen | None:
    """By the head of the request: the merge that brought it, else commits that make the same changes."""
    for tip in tips:
        if not outside(scratch, [head], [tip]):
            return _merge_of(scratch, head, tip)
        base = scratch.git.attempt("merge-base", head, tip).text.strip()
        if base and (found := _same_changes(scratch, head, base, tip)):
            return found
    return None


def _merge_of(scratch: Scratch, head: str, tip: str) -> Frozen | None:
    """The merge on the way from the head to the tip whose other side it is; None for a branch that just moved on."""
    rows = scratch.rev_list("--merges", "--ancestry-path", "--parents", tip, f"^{head}", "--")
    merge = next((row.split()[0] for row in rows if head in row.split()[2:]), "")
    return _form(scratch, merge, "", ()) if merge else None


def _same_changes(scratch: Scratch, head: str, base: str, tip: str) -> Frozen | None:
    """What was rebased, commit for commit, or squashed to one."""
    ids = scratch.rev_list("--reverse", "--topo-order", "--no-merges", f"--max-count={_MOST}", head, f"^{base}", "--")
    if not ids:
        return None
    whole = scratch.write_commit(
        tree=scratch.tree_of(head), parents=(base,), author=scratch.commit(head).author,
        committer=scratch.commit(head).author, message=b"all of it\n",
    )  # fmt: skip
    wanted = changes.of(scratch, {sha: _parent(scratch, sha) for sha in ids} | {whole: base})
    near = changes.log(scratch, tip, f"^{base}", paths=sorted({path for change in wanted for path in change.paths}))
    twins = match(scratch, wanted, [], near)
    if all(sha in twins for sha in ids):
        rebased = [twins[sha].sha for sha in ids]
        if len(rebased) == 1:
            return Frozen(last=rebased[0])
        if _chain(scratch, rebased):
            return Frozen(first=scratch.commit(rebased[0]).parents[0], last=rebased[-1])
    return Frozen(last=twins[whole].sha) if whole in twins else None


def with_frozen(
    scratch: Scratch, fixes: Sequence[Fix], tips: Sequence[str], refs: Mapping[str, str] | None = None
) -> tuple[Fix, ...]:
    """The fixes with the commits of those named by a request alone, as git tells; `refs` may have their heads."""
    return tuple(fix if fix.is_frozen else _told(scratch, fix, tips, refs or {}) for fix in fixes)


def _told(scratch: Scratch, fix: Fix, tips: Sequence[str], refs: Mapping[str, str]) -> Fix:
    head = next((sha for each in HEADS if (sha := refs.get(each.format(fix.pr)))), "")
    try:
        found = frozen(scratch, fix.pr, tips, head)
    except DecisionError:
        return fix
    return found.of(fix) if found else fix

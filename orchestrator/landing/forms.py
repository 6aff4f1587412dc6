"""What a forge made of proposed commits: found in the history of a branch, and proved by trees.

The proposed commits stand on the branch as it was, and each landed one must have the tree of its own.  As they begin at
the same commit, equal trees make equal patches, of each commit and of all together.  Nothing else is believed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import origins
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError
from orchestrator.core.plan import Landing, LandingForm
from orchestrator.core.tag_message import tagged_account
from orchestrator.git.batch import outside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.plan import Plan
    from orchestrator.git.scratch import Scratch

_MOST = 2000  # commits that one release may propose
_NAMED = 5  # files named in a message


class LandedOtherwiseError(MismatchError):
    """Something of a proposed release is on its branch, and it is not what was proposed."""

    default_code = "landed-otherwise"


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A release as it was proposed: its commits on `base`, oldest first, the last of them the release commit."""

    version: str
    branch: str
    base: str
    commits: tuple[str, ...]
    config_path: str = "release.yaml"

    @property
    def head(self) -> str:
        return self.commits[-1]


def proposed(plan: Plan) -> Proposed:
    """What a plan proposes."""
    commits = [pick.result for pick in plan.picks if pick.result]
    return Proposed(
        version=plan.version, branch=plan.branch, base=plan.base, commits=(*commits, plan.head),
        config_path=plan.config_path,
    )  # fmt: skip


def line(scratch: Scratch, base: str, head: str) -> list[str]:
    """The commits from `base` to `head`, oldest first; empty where they are no line of single commits on it."""
    rows = scratch.rev_list("--parents", f"--max-count={_MOST + 1}", head, f"^{base}", "--") if base else []
    parents = {sha: above for sha, *above in (row.split() for row in rows)}
    found: list[str] = []
    while head != base and len(parents.get(head, ())) == 1 and len(found) <= _MOST:
        found.append(head)
        head = parents[head][0]
    return found[::-1] if head == base else []


def below(scratch: Scratch, head: str, number: int) -> list[str]:
    """`head` and the commits below it, `number` in all, oldest first; empty where they are not here or no line."""
    found: list[str] = []
    while len(found) < number and scratch.is_commit(head):
        found.append(head)
        above = scratch.commit(head).parents
        head = above[0] if len(above) == 1 else ""
    return found[::-1] if len(found) == number else []


def chain(scratch: Scratch, head: str, message: str) -> list[str]:
    """The commits that a release with this release commit and tag message made, oldest first; empty where one is not
    here."""
    return below(scratch, head, 1 + sum(1 for row in tagged_account(message) if row.made)) if head else []


def squash_fault(scratch: Scratch, commit: str, planned: Sequence[str]) -> str:
    """Why a commit is not the squash of these, as the end of a sentence; "" where it is."""
    made, wanted, first = scratch.commit(commit), scratch.commit(planned[-1]), scratch.commit(planned[0])
    if made.parents != first.parents:
        return f"does not stand where {planned[-1][:12]} was proposed"
    if made.tree == wanted.tree:
        return ""
    return f"differs from {planned[-1][:12]} in {_files(scratch, made.tree, wanted.tree)}"


def rebase_fault(scratch: Scratch, landed: Sequence[str], planned: Sequence[str]) -> str:
    """Why commits are not the proposed ones under other ids, as a sentence; "" where they are."""
    for one, other in zip(landed, planned, strict=True):
        made, wanted = scratch.commit(one), scratch.commit(other)
        faults = [
            *([f"files ({_files(scratch, made.tree, wanted.tree)})"] if made.tree != wanted.tree else []),
            *(["author"] if made.author != wanted.author else []),
            *(["message"] if made.message != wanted.message else []),
        ]
        if faults:
            return f"{one[:12]} {made.subject!r} is not {other[:12]} as it was proposed: another {' and '.join(faults)}"
    return ""


def find(scratch: Scratch, wanted: Proposed, tip: str) -> Landing | None:
    """How the proposed release landed, None where nothing of it has.

    Raises LandedOtherwiseError where something of it is there, and it is not what was proposed.
    """
    if tip == wanted.base or outside(scratch, [wanted.base], [tip]):
        return None
    onto = scratch.rev_list("--first-parent", "--reverse", tip, f"^{wanted.base}", "--")
    inner = _merged(scratch, wanted, onto[0])
    commits = inner or onto
    form = _form(scratch, wanted, commits, merged=bool(inner))
    if form is None:
        if fault := _stranger(scratch, wanted, commits):
            raise _otherwise(wanted, fault)
        return None
    number = 1 if form is LandingForm.SQUASH else len(wanted.commits)
    if inner and len(inner) > number:
        raise _otherwise(wanted, f"{_named(scratch, inner[number])} came with it, and is not in the plan")
    if form is LandingForm.REBASE and (fault := rebase_fault(scratch, commits[:number], wanted.commits)):
        raise _otherwise(wanted, fault)
    rest = onto[1:] if inner else onto[number:]
    if twice := next((sha for sha in rest if _brings(scratch, wanted, sha)), ""):
        raise _otherwise(wanted, f"it was merged twice, as {commits[number - 1][:12]} and as {_named(scratch, twice)}")
    return Landing(form=form, planned=wanted.head, commit=commits[number - 1], tip=tip)


def _form(scratch: Scratch, wanted: Proposed, commits: Sequence[str], *, merged: bool) -> LandingForm | None:
    number = len(wanted.commits)
    if tuple(commits[:number]) == wanted.commits:
        return LandingForm.MERGE if merged else LandingForm.FAST_FORWARD
    trees = [scratch.tree_of(sha) for sha in wanted.commits]
    if [scratch.tree_of(sha) for sha in commits[:number]] == trees:
        retold = number == 1 and rebase_fault(scratch, commits[:1], wanted.commits)
        return LandingForm.SQUASH if retold else LandingForm.REBASE
    return LandingForm.SQUASH if scratch.tree_of(commits[0]) == trees[-1] else None


def _merged(scratch: Scratch, wanted: Proposed, first: str) -> list[str]:
    """What the first new commit merges onto the branch as it was; empty where it is no such merge.

    The merge itself must add nothing.
    """
    commit = scratch.commit(first)
    if len(commit.parents) != 2 or commit.parents[0] != wanted.base:
        return []
    inner = line(scratch, wanted.base, commit.parents[1])
    if inner and scratch.tree_of(inner[-1]) != commit.tree and _brings(scratch, wanted, first):
        files = _files(scratch, scratch.tree_of(inner[-1]), commit.tree)
        raise _otherwise(wanted, f"the merge {first[:12]} holds what neither side has, in {files}")
    return inner


def _stranger(scratch: Scratch, wanted: Proposed, commits: Sequence[str]) -> str:
    """What is wrong with commits of which some are of this release; "" where none is."""
    own = next((at for at, sha in enumerate(commits) if _brings(scratch, wanted, sha)), None)
    if own is None:
        return ""
    if own and not _brings(scratch, wanted, commits[0]):
        return f"{_named(scratch, commits[0])} landed before it, and is not in the plan"
    for at, sha in enumerate(commits):
        planned = wanted.commits[at] if at < len(wanted.commits) else ""
        if not planned or scratch.tree_of(sha) != scratch.tree_of(planned):
            break
    else:
        left = wanted.commits[len(commits)]
        return f"{_named(scratch, left)} of the plan did not land"
    if not _same(scratch, wanted, sha):
        return f"{_named(scratch, sha)} came with it, and is not in the plan"
    other = wanted.head if len(commits) == 1 else planned
    files = _files(scratch, scratch.tree_of(other), scratch.tree_of(sha))
    return f"{_named(scratch, sha)} differs from what was proposed, {other[:12]}, in {files}"


def _same(scratch: Scratch, wanted: Proposed, sha: str) -> bool:
    """Whether a commit says that it is one of those proposed, or is all of them."""
    return _brings(scratch, wanted, sha) or scratch.commit(sha).subject in {
        scratch.commit(each).subject for each in wanted.commits
    }


def _brings(scratch: Scratch, wanted: Proposed, sha: str) -> bool:
    """Whether a commit is something of this release: one of its commits, of its sources, or its release.yaml."""
    commit = scratch.commit(sha)
    if sha in wanted.commits or set(commit.parents[1:]) & set(wanted.commits):
        return True
    if _titled(commit.subject, scratch.commit(wanted.head).subject) and "revert" not in commit.subject.lower():
        return True
    named = {name for each in wanted.commits for name in origins(scratch.commit(each).text)[-1:]}
    if named & set(origins(commit.text)):
        return True
    before = scratch.tree_of(commit.parents[0]) if commit.parents else ""
    return _declares(scratch, wanted, before, commit.tree)


def _titled(subject: str, wanted: str) -> bool:
    """Whether a subject is this one, perhaps with ` (#12)` behind it: v2.7.1 is neither v2.7.10 nor v2.7.1-rc.1."""
    return subject.startswith(wanted) and not re.match(r"[\w.+-]", subject[len(wanted) :])


def _declares(scratch: Scratch, wanted: Proposed, before: str, tree: str) -> bool:
    """Whether a commit brings the release.yaml that the release commit brings, where it changes that at all."""
    path, head = wanted.config_path, scratch.tree_of(wanted.head)
    new = scratch.file(head, path)
    old = scratch.file(before, path) if before else None
    return new is not None and scratch.file(tree, path) == new != old


def _otherwise(wanted: Proposed, fault: str) -> LandedOtherwiseError:
    version = wanted.version
    return LandedOtherwiseError(
        f"{version} landed on {wanted.branch} in another way than it was planned: {fault}",
        where=wanted.branch,
        remedy=f"release abort {version}, then release what is there: `release check` names the entries to add,"
        f" `release cut {version}` what to allow",
        state="nothing is tagged, and no image is public",
    )


def _named(scratch: Scratch, sha: str) -> str:
    return f"{sha[:12]} {scratch.commit(sha).subject[:60]!r}"


def _files(scratch: Scratch, one: str, other: str) -> str:
    paths = scratch.git.run("diff-tree", "-r", "--name-only", "-z", one, other).fields()
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more

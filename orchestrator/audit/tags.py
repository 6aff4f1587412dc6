"""Version tags of a release line: read all at once, and checked against what a release tag must be."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import picked
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit
from orchestrator.core.pick import PickState
from orchestrator.core.results import Problem
from orchestrator.core.tag_message import terms_fault
from orchestrator.core.text import word
from orchestrator.core.versions import in_use, line_of_branch, parse_tag
from orchestrator.git.batch import blobs
from orchestrator.git.objects import EMPTY_TREE
from orchestrator.picks.classify import question, written
from orchestrator.picks.resolutions.known import Earlier, KnownResolutions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.audit.verdicts import CommitVerdict, Part
    from orchestrator.core.pick import Pick, Resolution, Submodule
    from orchestrator.git.scratch import Scratch
    from orchestrator.plan.account import Account

_VERSION_LIKE = re.compile(r"v?\d+\.\d+(?:[.\-_].*)?")
_SIGNATURE = re.compile(rb"^-----BEGIN (?:PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A tag: `object` is the tag object, "" for a lightweight one; `calls_itself` the name that is in the object."""

    name: str
    object: str
    commit: str
    calls_itself: str = ""
    message: str = ""
    signed: bool = False


def read_tags(scratch: Scratch, refs: Mapping[str, str]) -> dict[str, Tag]:
    """Name -> tag, for those of `refs` (name -> id of what it names) that end at a commit which is here."""
    found, todo = {}, {name: (sha, Tag(name=name, object="", commit="")) for name, sha in refs.items()}
    while todo:
        here = {sha for sha, _ in todo.values() if scratch.has(sha)}
        tags = {sha for sha in here if not scratch.is_commit(sha)}
        contents = blobs(scratch, tags)
        following = {}
        for name, (sha, tag) in todo.items():
            if sha in tags:
                target, inner = _parsed(name, sha, contents[sha])
                following[name] = (target, tag if tag.object else inner)
            elif sha in here:
                found[name] = Tag(**{**vars(tag), "commit": sha})
        todo = {name: each for name, each in following.items() if each[0]}
    return found


def _parsed(name: str, sha: str, data: bytes) -> tuple[str, Tag]:
    """(what a tag object names, the tag); nothing for an object that is no tag.  Of equal headers the first."""
    head, _, message = data.partition(b"\n\n")
    fields = dict(line.partition(b" ")[::2] for line in reversed(head.split(b"\n")))
    target = fields.get(b"object", b"").decode("ascii", "replace")
    own = fields.get(b"tag", b"").decode("utf-8", "replace")
    text = message.decode("utf-8", "replace")
    signed = b"-----BEGIN" in message and bool(_SIGNATURE.search(message))
    return target, Tag(name=name, object=sha, commit="", calls_itself=own, message=text, signed=signed)


def looks_like_a_version(name: str) -> bool:
    """As this project would name one, rightly or not."""
    return name.startswith(in_use().product) and bool(_VERSION_LIKE.fullmatch(name.removeprefix(in_use().product)))


def tag_problems(tag: Tag, *, require_signed: bool) -> list[Problem]:
    """What is wrong with a tag by itself."""
    found = []
    if parse_tag(tag.name) is None:
        found.append(mismatch("tag-not-semver", f"tag {tag.name} is no version", f"name versions {in_use().example}"))
    if not tag.object:
        found.append(
            mismatch("tag-lightweight", f"tag {tag.name} is lightweight: it holds no date and no list of picks",
                     f"a version never moves; make the next one with: release cut (see git show {tag.name})")
        )  # fmt: skip
    elif tag.calls_itself != tag.name:
        found.append(
            mismatch("tag-renamed", f"tag {tag.name} names an object that calls itself {tag.calls_itself!r}",
                     "it is a copy of that tag, and a version has one of its own: make the next one with: release cut")
        )  # fmt: skip
    if require_signed and not tag.signed:
        found.append(mismatch("tag-unsigned", f"tag {tag.name} has no signature", "git config tag.gpgSign true"))
    return found


def order_problems(branch: str, tags: Sequence[Tag], brought: Mapping[str, Sequence[str]]) -> list[Problem]:
    """Versions must follow each other on the branch; `tags` of the line by rising version, with what each brought."""
    found = []
    for before, tag in pairwise(tags):
        if not brought[tag.name] and tag.commit != before.commit:
            found.append(
                mismatch("tag-order", f"tag {tag.name} is on an older commit of {branch} than {before.name}",
                         "versions rise along a branch: see when each was made: "
                         f"git show {word(before.name)} {word(tag.name)}")
            )  # fmt: skip
    return found


def of_line(branch: str, names: Sequence[str]) -> list[str]:
    """Those of the branch's line by its name; all versions where the name tells no line."""
    line = line_of_branch(branch)
    parsed = {name: parse_tag(name) for name in names}
    wanted = {name: each for name, each in parsed.items() if each and (line is None or each.line == line)}
    return sorted(wanted, key=lambda name: (wanted[name].order, name))


def mismatch(code: str, message: str, remedy: str = "", where: str = "") -> Problem:
    return Problem(code=code, message=message, where=where, remedy=remedy, exit_code=Exit.MISMATCH)


# ------------------------------------------------------------------ what a tag says of its picks


def other_words(scratch: Scratch, part: Part) -> list[str]:
    """Picks that the release made, and that have another author or message than it gives them."""
    account, found = part.account, []
    like = {each.commit.sha: each.backport or each.commit for each in account.sources} if account else {}
    signoff = account is not None and account.config.signoff
    for pick in account.made if account else ():
        if pick.result in (*part.commits, *(account.proposed if account else ())) and pick.source in like:
            commit, model = scratch.commit(pick.result), like[pick.source]
            if account and account.config.sign_commits and not commit.signed:
                found.append(f"lists {pick.source[:12]} as {pick.result[:12]}, which is not signed (`sign-commits`)")
            elif commit.author != model.author:
                found.append(f"lists {pick.source[:12]} as {pick.result[:12]}, which has another author than the fix")
            elif commit.message != picked(model.message, pick.source, str(commit.committer) if signoff else ""):
                found.append(f"lists {pick.source[:12]} as {pick.result[:12]}, which has another message than the fix")
    return found


def other_terms(scratch: Scratch, part: Part, proved: Sequence[CommitVerdict], tags: Mapping[str, Tag]) -> list[str]:
    """Where a tag says more or less of its picks than what was proved of them; `tags` are all that are known."""
    known = KnownResolutions(scratch=scratch, tags=lambda: {name: tag.object for name, tag in tags.items()})
    account, verdicts = part.account, {each.sha: each for each in proved}
    here = {each.commit.sha for each in account.sources} if account else set()
    made = [(pick, verdicts[pick.result]) for pick in account.made
            if pick.result in verdicts and pick.source in here] if account else []  # fmt: skip
    picks = [
        replace(pick, forwarded=_moved(pick, verdict, account), resolution=_earlier(known, pick, account))
        for pick, verdict in made
        if verdict.ok and account
    ]
    fault = terms_fault(account.terms, picks) if account else ""
    return [fault] if fault else []


def _moved(pick: Pick, verdict: CommitVerdict, account: Account) -> tuple[Submodule, ...]:
    """The submodules that a tag has to tell of: where a person resolved the conflict, only if it does."""
    told = any(each.startswith("Submodule: ") for each in account.terms.get(pick.source, ()))
    return written(verdict.forwarded) if told or pick.state is not PickState.ADAPTED else ()


def _earlier(known: KnownResolutions, pick: Pick, account: Account) -> Resolution | None:
    """The earlier resolution that a pick says it is, where making it again gives its tree, or cannot be tried here."""
    source = next(each for each in account.sources if each.commit.sha == pick.source)
    if pick.resolution is None or pick.state is not PickState.ADAPTED:
        return None
    scratch = known.scratch
    made = scratch.commit(pick.result)
    earlier = Earlier(known=known, told={pick.source: pick.resolution})
    ours = scratch.tree_of(made.parents[0]) if made.parents else EMPTY_TREE
    return earlier.of(question(source, ours), made.tree)

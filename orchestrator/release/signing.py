"""The commits of a plan, signed as git is set: before anything is built, and kept one by one.

What was signed is kept under private refs, so that a run that was broken off, or whose key expired in between, signs
the rest alone.  Another key, or another program, begins anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.results import Progress
from orchestrator.git.objects import without_signature
from orchestrator.git.signing import Signing
from orchestrator.git.signing.commits import sign_commit
from orchestrator.landing import forms
from orchestrator.plan.landed import as_signed
from orchestrator.release.checks import SkipCheck

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.core.plan import Plan
    from orchestrator.session.session import Session
    from orchestrator.session.state import ReleaseState

_OFF = "   | git config commit.gpgSign false   (signs no commits)"


def signed(session: Session, state: ReleaseState, plan: Plan) -> Plan:
    """The plan with its commits signed.  Raises UsageError where one cannot be."""
    return as_signed(plan, _signed(session, state, plan, forms.proposed(plan).commits))


def try_key(session: Session, plan: Plan, state: ReleaseState) -> str:
    """The key signs: the first commit is signed with it, and kept."""
    _signed(session, state, plan, forms.proposed(plan).commits[:1])
    return f"{plan.sign_commits} signs"


def trial(session: Session, config: Config) -> str:
    """The key signs: a commit that nobody needs is signed with it."""
    scratch, parent = session.scratch, session.repository.resolve("HEAD")
    if not parent:
        raise SkipCheck("there is no commit here yet")
    who = f"{session.repository.identity()} {scratch.commit(parent).when}".encode()
    tree = scratch.tree_of(parent)
    made = scratch.write_commit(tree=tree, parents=(parent,), author=who, committer=who, message=b"try the key\n")
    off = "" if config.sign_commits else _OFF
    signing = Signing(repository=session.repository)
    sign_commit(signing, scratch, made, parent=parent, what="a commit", off=off)
    return f"{signing.format} signs"


def is_by_this_key(session: Session, state: ReleaseState, plan: Plan) -> bool:
    """Whether a plan's commits were signed with what git is set to sign with now."""
    stamp = Signing(repository=session.repository).stamp
    return state.ref(_name(stamp, plan.signed_from)) == plan.head


def _signed(session: Session, state: ReleaseState, plan: Plan, commits: Sequence[str]) -> Mapping[str, str]:
    """Planned commit -> signed one, of the first of a plan."""
    signing, scratch, parent = Signing(repository=session.repository), session.scratch, plan.base
    stamp, kept, ids = signing.stamp, session.repository.refs(f"{state.prefix}signed"), dict[str, str]()
    off = "" if session.config().sign_commits else _OFF
    total = len(forms.proposed(plan).commits)
    for at, sha in enumerate(commits, 1):
        name, commit = _name(stamp, sha), scratch.commit(sha)
        made = kept.get(state.prefix + name, "")
        if not _is_of(session, made, sha, parent):
            session.terminal.progress(Progress(text=f"sign {at} of {total}: {commit.subject}", item="sign"))
            what = f"commit {at} of {total} ({commit.subject[:60]!r})"
            made = sign_commit(signing, scratch, sha, parent=parent, what=what, off=off)
            state.adopt(scratch, {name: made})
        ids[sha] = parent = made
    return ids


def _name(stamp: str, unsigned: str) -> str:
    """The private ref of a signed commit: by what it was signed with, and what it was before."""
    return f"signed/{stamp}/{unsigned}"


def _is_of(session: Session, made: str, unsigned: str, parent: str) -> bool:
    """Whether a commit is another one, signed, on that parent."""
    scratch = session.scratch
    if not made or not scratch.is_commit(made) or not scratch.commit(made).signed:
        return False
    return without_signature(scratch.read(made)[1]) == without_signature(scratch.read(unsigned)[1], parent)

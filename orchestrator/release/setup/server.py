"""What the remote takes, as far as that can be known before a release is pushed.

A dry run shows whether this login may push, and whether branch and tag can go together.  It runs none of the server's
hooks: what those refuse is known to the forge, where it is asked, and else at the push.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.declaration import BY_REQUEST, NOWHERE, ON_BRANCH, REGISTRY
from orchestrator.core.errors import RefusedError, ReleaseError, RemoteError
from orchestrator.core.record import PREFIX as RECORDS
from orchestrator.core.text import word
from orchestrator.core.versions import in_use
from orchestrator.git.push import push_to, said_by
from orchestrator.landing import request
from orchestrator.release.checks import SkipCheck

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config
    from orchestrator.session.session import Session

_TRIED: Final = "release-doctor"  # the name of what a dry run would push
_BLIND: Final = "a dry run runs no hooks of the server"


def direct_push(session: Session, config: Config) -> str:
    """This login may push; branch and tag together, unless release.yaml says that the server cannot."""
    _ask_for(session)
    if config.land and config.land.by == BY_REQUEST:
        by_dry_run(session, config.remote, atomic=False)
        return f"{config.remote} takes branches and tags of this login (dry run); {config.branch} is merged by people"
    try:
        told = by_forge(session, config.remote, config.branch, in_use().example)
    except SkipCheck:
        told = f"its own rules for {config.branch} show at the push"
    return f"{by_dry_run(session, config.remote, atomic=config.land is None or config.land.atomic)}; {told}"


def by_forge(session: Session, remote: str, branch: str, version: str) -> str:
    """The forge lets this login push to the release branch.  Raises RefusedError where it says that it does not."""
    forge, why = request.connect(session, remote)
    if forge is None:
        raise SkipCheck(f"no forge was asked: {why}")
    try:
        barrier = forge.barrier(branch)
    except ReleaseError as error:
        raise SkipCheck(f"the forge does not tell: {error.message}") from None
    if barrier:
        raise RefusedError(
            f"{branch} takes no direct push of this login: {barrier}",
            where=branch,
            remedy=f"land by a pull request: release cut {version} --pull-request   (always: `land: pull-request`)",
            code="no-direct-push",
            state="nothing was built, and nothing is public",
        )
    return f"no rule of the forge that this token sees keeps it from {branch}"


def by_dry_run(session: Session, remote: str, *, atomic: bool) -> str:
    """This login may push, as far as a push shows that is not made."""
    _dry_run(session, remote, f"refs/heads/{_TRIED}", f"refs/tags/{_TRIED}", atomic=atomic)
    return f"{remote} takes {'branch and tag together' if atomic else 'the branch, then the tag'} (dry run)"


def records_place(session: Session, config: Config) -> str:
    """What is kept of a release has a place on the remote."""
    if config.records == NOWHERE:
        return "none are kept"
    _ask_for(session)
    if config.records == REGISTRY and config.image:
        session.connections.registry(config.image.repository).can_push()
        return f"beside the images of {config.image.repository}, which takes a push of this login"
    if config.records:
        name = config.records.removeprefix(ON_BRANCH)
        _dry_run(session, config.remote, f"refs/heads/{name}-{_TRIED}", atomic=False)
        return f"on {name} of {config.remote} (dry run)"
    _dry_run(session, config.remote, RECORDS + _TRIED, f"refs/notes/{_TRIED}", atomic=False)
    found = len(session.repository.ls_remote(config.remote, f"{RECORDS}*").refs)
    if found:
        return f"{config.remote} has {found} under {RECORDS}"
    raise SkipCheck(
        f"a dry run went through; whether the server takes {RECORDS}* shows at the first release, for {_BLIND}"
        " (one that does not: `records: branch NAME` or `registry`)"
    )


def _ask_for(session: Session) -> None:
    if session.options.offline:
        raise SkipCheck("--offline")
    if not session.repository.resolve("HEAD"):
        raise SkipCheck("there is no commit here yet")


def _dry_run(session: Session, remote: str, *refs: str, atomic: bool) -> None:
    """Raises RemoteError where not even that goes through."""
    words = (*push_to(remote), "--dry-run", "--no-verify", *(["--atomic"] if atomic else []), "--", remote)
    output = session.repository.git.talk(remote, *words, *(f"HEAD:{ref}" for ref in refs))
    if not output.status:
        return
    text = said_by(output)
    if "support --atomic" in text:
        raise RemoteError(
            f"{remote} takes no atomic push",
            remedy="`land: {by: push, atomic: false}` in release.yaml: the branch is pushed first, then the tag",
            code="no-atomic-push",
        )
    raise RemoteError(
        f"{remote} takes no push of this login: {text}",
        remedy=f"see what stands in the way: git push --dry-run {word(remote)} HEAD:refs/heads/{_TRIED}",
        code="push-failed",
    )

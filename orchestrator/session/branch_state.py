"""What is so, before anything is decided: the branch's tip, the tags, the sources.  Asked once, believed once.

The remote's branch is the truth: a release starts from what colleagues see, not from a local branch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.core.errors import Exit, RemoteError, UsageError, as_problem
from orchestrator.core.results import Problem
from orchestrator.session import yanks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.declaration import Config
    from orchestrator.git.repository import RemoteRefs, Repository
    from orchestrator.git.scratch import Scratch
    from orchestrator.session.yanks import Yank


@dataclass(frozen=True, kw_only=True)
class Facts:
    """`tags` are all known tags (name -> commit), `reachable` those on the branch, `public_tags` the remote's."""

    base: str
    tags: Mapping[str, str]
    reachable: tuple[str, ...]
    public_tags: tuple[str, ...] = ()
    heads: Mapping[str, str] | None = None  # the remote's branches that were asked for; None: it did not answer
    source_tips: Mapping[str, str]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    yanks: Mapping[str, Yank] = field(default_factory=dict)  # version -> its yank


def gather(repository: Repository, scratch: Scratch, config: Config, *, offline: bool) -> Facts:
    """Ask remote and repository.  Raises UsageError when there is no branch to plan on."""
    remote, problems = _remote_refs(repository, config, offline=offline)
    base, notes, more = _base(repository, config, remote)
    problems += more
    local, public = repository.local_tags(), remote.tags() if remote else {}
    tags = {**local, **public}
    if remote:
        _bring_missing(repository, scratch, config, remote, base)
    tips, more = source_tips(repository, config)
    marks = remote.refs if remote else repository.refs(yanks.PREFIX.rstrip("/"))
    return Facts(
        base=base,
        tags=tags,
        public_tags=tuple(public),
        heads={name: remote.branch(name) for name in (config.branch, *config.source)} if remote else None,
        reachable=reachable_tags(scratch, base, tags),
        source_tips=tips,
        problems=(*problems, *more),
        notes=tuple(notes),
        yanks=yanks.known(repository, scratch, config.remote, marks),
    )


def branch_tip(repository: Repository, scratch: Scratch, config: Config, *, offline: bool) -> str:
    """The tip of the release branch as colleagues see it; its objects are here.  Raises RemoteError, UsageError."""
    remote = None
    if not offline and repository.remote_url(config.remote):
        remote = repository.ls_remote(config.remote, f"refs/heads/{config.branch}")
    base, _, _ = _base(repository, config, remote)
    if remote:
        _bring_missing(repository, scratch, config, remote, base)
    return base


def commit_named(repository: Repository, remote: str, revision: str, scratch: Scratch | None = None) -> str:
    """A commit by any revision; branch names of the remote are tried too, and ids of what was brought from there.

    Raises UsageError.
    """
    sha = repository.resolve(revision) or repository.resolve(f"refs/remotes/{remote}/{revision}")
    sha = sha or (scratch.resolve(revision) if scratch else "")
    if not sha:
        raise UsageError(
            f"revision {revision!r} names no commit of this clone",
            remedy="git fetch --all --tags, or correct it",
            code="unknown-revision",
        )
    return sha


def refuse_incomplete(repository: Repository, remote: str) -> None:
    """Raises UsageError for a clone without its whole history, or without all of its trees and files.

    What a pick does could not be told, or only by fetching object by object; and git's upload-pack, by which the
    picks come out of the scratch store, fetches nothing at all (since 2.39.4).
    """
    if repository.is_shallow():
        raise UsageError(
            "this clone is shallow: its history is cut off",
            where=str(repository.top),
            remedy=f"git fetch --unshallow --tags {remote}",
            code="shallow-clone",
        )
    for name, kept in repository.promisors().items():
        if kept:
            raise UsageError(
                f"this clone is partial (--filter={kept}): a release needs all of its objects",
                where=str(repository.top),
                remedy=f"git fetch --refetch --no-filter {name} && git config --unset remote.{name}.partialCloneFilter",
                code="partial-clone",
            )


def _remote_refs(repository: Repository, config: Config, *, offline: bool) -> tuple[RemoteRefs | None, list[Problem]]:
    if offline:
        return None, []
    if not repository.remote_url(config.remote):
        return None, [
            Problem(
                code="no-remote",
                message=f"this clone has no remote {config.remote!r}; planned on local refs",
                where=str(config.place),
                remedy=f"git remote add {config.remote} URL, or name another one in `remote:`",
                exit_code=Exit.USAGE,
            )
        ]
    try:
        heads = (f"refs/heads/{name}" for name in (config.branch, *config.source))
        return repository.ls_remote(config.remote, *heads, "refs/tags/*", f"{yanks.PREFIX}*"), []
    except RemoteError as error:
        return None, [as_problem(error)]


def _base(repository: Repository, config: Config, remote: RemoteRefs | None) -> tuple[str, list[str], list[Problem]]:
    """(tip to build on, notes, problems).  Without an answer of the remote: its last fetched state, then local."""
    local = repository.resolve(f"refs/heads/{config.branch}")
    fetched = repository.resolve(f"refs/remotes/{config.remote}/{config.branch}")
    if remote is None:
        base = fetched or local
        if not base:
            raise _no_branch(config)
        return base, [], []
    if public := remote.branch(config.branch):
        if local and local != public and not _behind(repository, local, public):
            return public, [f"local {config.branch} differs from {config.remote}'s; the remote's is used"], []
        return public, [], []
    if not local:
        raise _no_branch(config)
    problem = Problem(
        code="branch-not-on-remote",
        message=f"branch {config.branch} is not on {config.remote}",
        where=str(config.place),
        remedy=f"git push {config.remote} {config.branch}",
        exit_code=Exit.USAGE,
    )
    return local, [], [problem]


def _behind(repository: Repository, local: str, public: str) -> bool:
    """Whether the local branch has no commit of its own; also when that cannot be told: `public` is not here yet."""
    return repository.git.attempt("merge-base", "--is-ancestor", local, public).status != 1


def _no_branch(config: Config) -> UsageError:
    return UsageError(
        f"there is no branch {config.branch!r}, here or on {config.remote}",
        where=str(config.place),
        remedy=f"git push {config.remote} TAG^{{}}:refs/heads/{config.branch}, or correct `branch:`",
        code="no-branch",
    )


def _bring_missing(repository: Repository, scratch: Scratch, config: Config, remote: RemoteRefs, base: str) -> None:
    """Fetch the branch and its line's tags into the scratch store where this clone lacks them."""
    wanted = [] if scratch.has(base) or not remote.branch(config.branch) else [f"refs/heads/{config.branch}"]
    if wanted:
        repository.bring(scratch, config.remote, wanted)


def reachable_tags(scratch: Scratch, base: str, tags: Mapping[str, str]) -> tuple[str, ...]:
    """Tags whose commit is in the history of `base`: one walk for all of them.

    A tag whose commit is not here cannot be: the whole history of the base is.
    """
    commits = {sha for sha in tags.values() if scratch.is_commit(sha)}
    if not commits:
        return ()
    listing = "\n".join([*commits, f"^{base}"]).encode() + b"\n"
    outside = set(scratch.git.run("rev-list", "--stdin", stdin=listing).lines())
    return tuple(tag for tag, sha in tags.items() if sha in commits and sha not in outside)


def source_tips(repository: Repository, config: Config) -> tuple[dict[str, str], list[Problem]]:
    """Tips of the source branches; the remote's last fetched state counts too."""
    tips: dict[str, str] = {}
    problems = []
    for name in config.source:
        remote = repository.resolve(f"refs/remotes/{config.remote}/{name}")
        local = repository.resolve(name)
        if remote:
            tips[f"{config.remote}/{name}"] = remote
        if local and local != remote:
            tips[name] = local
        if not remote and not local:
            problems.append(
                Problem(
                    code="no-source",
                    message=f"source {name!r} is no branch, tag or commit here",
                    where=str(config.place),
                    remedy=f"git fetch {config.remote}, or correct `source:`",
                    exit_code=Exit.USAGE,
                )
            )
    return tips, problems

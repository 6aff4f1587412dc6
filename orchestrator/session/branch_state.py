"""What is so, before anything is decided: the branch's tip, the tags, the sources.  Asked once, believed once.

The remote's branch is the truth: a release starts from what colleagues see, not from a local branch.
"""

from __future__ import annotations

from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit, RemoteError, UsageError, as_problem
from orchestrator.core.results import Problem
from orchestrator.core.text import word
from orchestrator.core.versions import line_of_branch, not_understood, parse_tag
from orchestrator.git.batch import outside
from orchestrator.session import yanks
from orchestrator.session.last_fetch import last_fetch, last_fetched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

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
    tag_objects: Mapping[str, str] | None = None  # public tag -> what its ref names; None: the remote did not answer
    heads: Mapping[str, str] | None = None  # the remote's branches that were asked for; None: it did not answer
    source_tips: Mapping[str, str]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    yanks: Mapping[str, Yank] = field(default_factory=dict)  # version -> its yank


def gather(repository: Repository, scratch: Scratch, config: Config, *, offline: bool, now: str = "") -> Facts:
    """Ask remote and repository.  Raises UsageError when there is no branch to plan on.

    What the remote was not asked for is said with its age at `now` (UTC, RFC 3339).
    """
    remote, problems = _remote_refs(repository, config, offline=offline)
    base, notes, more = _base(repository, config, remote)
    problems += more
    local, public = repository.local_tags(), remote.tags() if remote else {}
    tags = {**local, **public}
    tips, more, said = source_tips(repository, config.remote, config.source, remote, where=str(config.place))
    problems += more
    notes += said
    if remote:
        _bring_missing(repository, scratch, config, remote, (config.branch, *config.source))
    elif not any(each.code == "no-remote" for each in problems):
        notes.append(_age(repository, config.remote, now))
    notes += not_understood(tags)
    marks = remote.refs if remote else repository.refs(yanks.PREFIX.rstrip("/"))
    return Facts(
        base=base,
        tags=tags,
        public_tags=tuple(public),
        tag_objects={name: remote.refs[f"refs/tags/{name}"] for name in public} if remote else None,
        heads={name: remote.branch(name) for name in (config.branch, *config.source)} if remote else None,
        reachable=reachable_tags(scratch, base, tags),
        source_tips=tips,
        problems=tuple(problems),
        notes=tuple(notes),
        yanks=yanks.known(repository, scratch, config.remote, marks),
    )


def branch_and_sources(
    repository: Repository, scratch: Scratch, config: Config, *, offline: bool
) -> tuple[str, dict[str, str], list[Problem]]:
    """The tips of the release branch and of the sources as colleagues see them, and a problem for each that is nowhere.

    Their objects are here.  Raises RemoteError, UsageError.
    """
    remote, names = None, (config.branch, *config.source)
    if not offline and repository.remote_url(config.remote):
        remote = repository.ls_remote(config.remote, *(f"refs/heads/{name}" for name in names))
    base, _, _ = _base(repository, config, remote)
    tips, problems, _ = source_tips(repository, config.remote, config.source, remote, where=str(config.place))
    if remote:
        _bring_missing(repository, scratch, config, remote, names)
    return base, tips, problems


def commit_named(repository: Repository, remote: str, revision: str, scratch: Scratch | None = None) -> str:
    """A commit by any revision; branch names of the remote are tried too, and ids of what was brought from there.

    A branch counts before a tag of its name, unless that is a version.  Raises UsageError.
    """
    named = "" if parse_tag(revision) else repository.resolve(f"refs/heads/{revision}")
    if not named and repository.resolve(f"refs/tags/{revision}") and not parse_tag(revision):
        named = last_fetched(repository, remote, revision)
    sha = named or repository.resolve(revision) or last_fetched(repository, remote, revision)
    sha = sha or (scratch.resolve(revision) if scratch else "")
    if not sha:
        raise UsageError(
            f"revision {revision!r} names no commit of this clone",
            remedy=f"{fetch_all(remote)}, or correct it",
            code="unknown-revision",
        )
    return sha


def fetch_all(remote: str) -> str:
    """The command that gets every branch and tag, also in a clone of one branch alone."""
    return f"git fetch --tags {word(remote)} {word(f'+refs/heads/*:refs/remotes/{remote}/*')}"


def _remote_refs(repository: Repository, config: Config, *, offline: bool) -> tuple[RemoteRefs | None, list[Problem]]:
    if offline:
        return None, []
    if not repository.remote_url(config.remote):
        return None, [
            Problem(
                code="no-remote",
                message=f"this clone has no remote {config.remote!r}; planned on local refs",
                where=str(config.place),
                remedy=f"git remote add {word(config.remote)} URL, or name another one in `remote:`",
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
    fetched = last_fetched(repository, config.remote, config.branch)
    if remote is None:
        base = fetched or local
        if not base:
            raise _no_branch(repository, config)
        return base, [], []
    if public := remote.branch(config.branch):
        if local and local != public and not _behind(repository, local, public):
            return public, [f"local {config.branch} differs from {config.remote}'s; the remote's is used"], []
        return public, [], []
    if not local:
        raise _no_branch(repository, config)
    problem = Problem(
        code="branch-not-on-remote",
        message=f"branch {config.branch} is not on {config.remote}",
        where=str(config.place),
        remedy=f"git push {word(config.remote)} {word(f'refs/heads/{config.branch}')}",
        exit_code=Exit.USAGE,
    )
    return local, [], [problem]


def _behind(repository: Repository, local: str, public: str) -> bool:
    """Whether the local branch has no commit of its own; also when that cannot be told: `public` is not here yet."""
    return repository.git.attempt("merge-base", "--is-ancestor", local, public).status != 1


def _no_branch(repository: Repository, config: Config) -> UsageError:
    start = _start_of(repository, config.branch)
    return UsageError(
        f"there is no branch {config.branch!r}, here or on {config.remote}",
        where=str(config.place),
        remedy=f"git push {word(config.remote)} {word(f'{start}:refs/heads/{config.branch}')}, or correct `branch:`",
        code="no-branch",
    )


def _start_of(repository: Repository, branch: str) -> str:
    """Where a release branch begins: the last version of its line that is here; else what a person must name."""
    line = line_of_branch(branch)
    versions = [each for tag in repository.local_tags() if (each := parse_tag(tag)) and each.line == line]
    newest = max(versions, key=lambda each: each.order, default=None)
    return f"{newest}^{{}}" if newest else "TAG^{}"


def _bring_missing(
    repository: Repository, scratch: Scratch, config: Config, remote: RemoteRefs, names: Sequence[str]
) -> None:
    """Fetch these branches of the remote into the scratch store where this clone lacks them.

    Raises RemoteError where one was rewritten in between, and what it was is gone.
    """
    there = {name: sha for name in dict.fromkeys(names) if (sha := remote.branch(name))}
    wanted = [name for name, sha in there.items() if not scratch.has(sha)]
    if wanted:
        repository.bring(scratch, config.remote, [f"refs/heads/{name}" for name in wanted])
    if gone := [name for name in wanted if not scratch.has(there[name])]:
        raise RemoteError(
            f"{gone[0]} on {config.remote} was rewritten this very moment",
            remedy="run the same command again",
            code="remote-moved",
        )


def _age(repository: Repository, remote: str, now: str) -> str:
    """How old what is known of a remote is, for somebody who believes it."""
    seconds = last_fetch(repository, remote)
    if not seconds:
        return f"{remote} was not asked, and nobody knows when it was last fetched"
    when = datetime.fromtimestamp(seconds, UTC)
    asked = datetime.fromisoformat(now) if now else when
    return f"{remote} was not asked: what is known of it was fetched {_ago(asked - when)}, {when:%Y-%m-%d %H:%M} UTC"


def _ago(passed: timedelta) -> str:
    minutes = int(passed.total_seconds()) // 60
    for unit, size in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        if number := minutes // size:
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"


def reachable_tags(scratch: Scratch, base: str, tags: Mapping[str, str]) -> tuple[str, ...]:
    """Tags whose commit is in the history of `base`: one walk for all of them.

    A tag whose commit is not here cannot be: the whole history of the base is.
    """
    commits = {sha for sha in tags.values() if scratch.is_commit(sha)}
    if not commits:
        return ()
    away = outside(scratch, commits, [base])
    return tuple(tag for tag, sha in tags.items() if sha in commits and sha not in away)


def source_tips(
    repository: Repository, remote: str, sources: Sequence[str], refs: RemoteRefs | None, *, where: str
) -> tuple[dict[str, str], list[Problem], list[str]]:
    """(tips of the source branches, problems, notes): as the remote has them now; local ones count too.

    `refs` is the remote's answer, `where` what names the sources.  Without an answer the last fetched
    state of the remote is believed, also for a branch that it has no longer.
    """
    tips: dict[str, str] = {}
    problems, notes = [], []
    for name in sources:
        public = refs.branch(name) if refs else ""
        fetched = public or last_fetched(repository, remote, name)
        local = repository.resolve(f"refs/heads/{name}") or repository.resolve(name)
        if fetched:
            tips[f"{remote}/{name}"] = fetched
        if local and local != fetched:
            tips[name] = local
        if not fetched and not local:
            problems.append(_no_source(remote, name, where, asked=refs is not None))
        elif fetched and refs and not public:
            notes.append(f"source {name!r} is no longer on {remote}: what was last fetched of it counts")
    return tips, problems, notes


def _no_source(remote: str, name: str, where: str, *, asked: bool) -> Problem:
    fetch = f"git fetch {word(remote)} {word(f'+refs/heads/{name}:refs/remotes/{remote}/{name}')}"
    return Problem(
        code="no-source",
        message=f"source {name!r} is no branch of {remote}" + (", and" if asked else " that was fetched, and")
        + " no branch, tag or commit here",
        where=where,
        remedy=f"correct `source:`; see what there is: git ls-remote --heads {word(remote)}" if asked else fetch,
        exit_code=Exit.USAGE,
    )  # fmt: skip

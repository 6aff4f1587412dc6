"""`release doctor --ci`: whether the pipelines of this repository are as they are made, and have what they need."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError, UsageError
from orchestrator.core.text import word
from orchestrator.forges.address import address
from orchestrator.forges.ci import is_ours, made_by, text_of, wish_of
from orchestrator.forges.ci_init import own_parts, wanted_pipeline
from orchestrator.forges.failures import ForgeDeniedError
from orchestrator.forges.pipelines.table import PIPELINES
from orchestrator.forges.table import FORGES, forge_module
from orchestrator.release.checks import SkipCheck, run_check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.forges import Forge
    from orchestrator.forges.ci import PipelineWish
    from orchestrator.forges.pipelines.values import Need
    from orchestrator.release.checks import Finding
    from orchestrator.session.session import Session

_MARK: Final = "sha256 of the lines below: "
_INIT: Final = "release ci init --provider github --write"


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A pipeline file of this repository, and what it was made of."""

    path: str
    text: str
    wish: PipelineWish


def examine_pipelines(session: Session, *, repository: str = "", url: str = "") -> list[Finding]:
    """All findings about pipeline files and what they need; one where there is no such file."""
    files = list(_files(session))
    if not files:
        return [run_check("pipeline", _none)]
    return [each for file in files for each in _of_file(session, file, repository, url)]


def _none() -> str:
    """A pipeline is there."""
    raise UsageError(
        "no pipeline of `release ci init` is here", remedy=f"{_INIT} (or gitlab, jenkins)", code="no-pipeline"
    )


def _files(session: Session) -> Iterator[_Found]:
    """Those that git knows, and those of the usual names."""
    top = session.repository.top
    known = session.repository.git.attempt("grep", "--cached", "-l", "-z", "-F", _MARK).text.split("\0")
    usual = [module.FILE for module in PIPELINES.values()]
    for path in dict.fromkeys([*usual, *filter(None, known)]):
        file = top / path
        if file.is_file() and not file.is_symlink():
            text = file.read_text("utf-8", "replace")
            if wish := wish_of(text):
                yield _Found(path=path, text=text, wish=wish)


def _of_file(session: Session, file: _Found, repository: str, url: str) -> Iterator[Finding]:
    yield run_check(f"{file.path}", partial(as_made, session, file))
    yield run_check(f"{file.path} on the release branch", partial(on_release_branch, session, file))
    module = PIPELINES[file.wish.provider]
    forge: list[Forge] = []
    for need in module.needs(wanted_pipeline(session, file.wish)):
        yield run_check(f"{need.kind} {need.name}", partial(is_set, session, file, need, forge, repository, url))


def as_made(session: Session, file: _Found) -> str:
    """The file is as `release ci init` would make it now, apart from people's own places."""
    again = shlex.join(made_by(file.text))
    if not is_ours(file.text):
        raise MismatchError(
            "somebody has edited it outside of the marked places", where=file.path, remedy=f"{again} --force",
            code="ci-file-edited",
        )  # fmt: skip
    if text_of(wanted_pipeline(session, file.wish), file.wish, own_parts(file.text)) != file.text:
        raise MismatchError(
            "release.yaml, the tags or this tool have changed since it was made", where=file.path, remedy=again,
            code="ci-file-old",
        )  # fmt: skip
    return f"as {file.wish.provider}'s is made"


def on_release_branch(session: Session, file: _Found) -> str:
    """The release branch has the same file: a pipeline is read from the commit that was pushed."""
    config = session.config()
    ref = f"refs/remotes/{config.remote}/{config.branch}"
    if not session.repository.resolve(ref):
        raise SkipCheck(f"{ref} is not here: git fetch {word(config.remote)}")
    there = session.repository.git.attempt("cat-file", "blob", f"{ref}:{file.path}")
    if there.status != 0:
        raise MismatchError(
            f"{config.branch} has no {file.path}: nothing starts there", where=f"{config.branch}",
            remedy="declare the commit that adds it as a fix of the next release", code="ci-not-on-branch",
        )  # fmt: skip
    if there.text != file.text:
        raise MismatchError(
            f"{config.branch} has another {file.path}", where=f"{config.branch}",
            remedy="declare the commits that changed it as fixes of the next release", code="ci-not-on-branch",
        )  # fmt: skip
    return f"{config.branch} has it"


def is_set(session: Session, file: _Found, need: Need, forge: list[Forge], repository: str, url: str) -> str:
    """The forge has what the pipeline needs; values are never read."""
    provider = file.wish.provider
    if need.kind not in ("secret", "variable", "environment"):
        raise SkipCheck(f"not to be seen from here: {need.why}")
    if provider not in FORGES:
        raise SkipCheck(f"{provider} is not asked: {need.why}")
    if session.options.offline:
        raise SkipCheck("--offline")
    if not forge:
        forge.append(_open(session, provider, repository, url))
    try:
        kept = forge[0].kept(need.kind, need.name, need.environment)
    except ForgeDeniedError as error:
        raise SkipCheck(f"this token may not look ({error.message})") from None
    if kept.is_there:
        return f"is set{f', {kept.remark}' if kept.remark else ''}"
    where = PIPELINES[provider].WHERE
    if need.optional:
        raise SkipCheck(f"not set, and may stay so: {need.why}")
    raise UsageError(f"is not set: {need.why}", where=where, remedy=f"{where}: {need.name}", code="ci-not-set")


def _open(session: Session, provider: str, repository: str, url: str) -> Forge:
    module = forge_module(provider)
    if not any(session.env.get(name) for name in module.TOKENS):
        raise SkipCheck(f"no token: set {' or '.join(module.TOKENS)}, and it is looked at")
    remote = session.repository.remote_url(session.config().remote)
    there = address(provider, remote_url=remote, repository=repository, url=url, env=session.env)
    return module.open_repository(there)

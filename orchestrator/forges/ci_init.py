"""`release ci init`: the pipeline file in the clone, never over somebody's own work."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.core.remote_url import read_remote
from orchestrator.forges.ci import PROJECT, install_from, is_ours, pipeline_of, text_of
from orchestrator.forges.pipelines.regions import BadRegionError, of_people, without_place
from orchestrator.forges.pipelines.table import PIPELINES
from orchestrator.forges.protection import branch_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.forges.ci import PipelineWish
    from orchestrator.forges.pipelines.table import PipelineModule
    from orchestrator.forges.pipelines.values import Need, Pipeline
    from orchestrator.session.session import Session

_MAX = 4 * 1024 * 1024  # bytes read of a file that is there


@dataclass(frozen=True, kw_only=True)
class WrittenPipeline:
    """The file's text and its place in the repository; `state` is `written`, `unchanged` or `printed`."""

    provider: str
    file: str
    text: str
    state: str
    needs: tuple[Need, ...] = ()
    where: str = ""  # on the forge, where they are set


def ci_init(session: Session, wish: PipelineWish, *, write: bool, force: bool) -> WrittenPipeline:
    """Make the pipeline from release.yaml.  Raises RefusedError where a file is there that is not as it was made."""
    module = _module(wish.provider)
    place = wish.file or module.FILE
    target = _inside(session.repository.top, place)
    pipeline = wanted_pipeline(session, wish)
    old = _old(target)
    own = own_parts(old)
    text = text_of(pipeline, wish, own)
    state = "printed"
    if write:
        if old is not None and old != text and not force:
            _must_be_ours(old, place)
            _must_keep(text, own, place)
        state = "unchanged" if old == text else _put(target, text)
    return WrittenPipeline(
        provider=wish.provider, file=place, text=text, state=state, needs=module.needs(pipeline), where=module.WHERE
    )


def wanted_pipeline(session: Session, wish: PipelineWish) -> Pipeline:
    """The pipeline that release.yaml, the remote and the wish ask for."""
    config = session.config()
    installed = wish
    if not (wish.install or wish.tool_image):
        extras = PIPELINES[wish.provider].EXTRAS
        installed = replace(wish, install=install_from(installed_from(), extras))
    remote = read_remote(session.repository.remote_url(config.remote))
    return pipeline_of(
        config, installed, config_path=session.config_path(), branches=branch_pattern(config.branch),
        tags=[entry.version for entry in config.releases] + sorted(session.repository.local_tags()),
        remote_host=remote.host if remote else "",
    )  # fmt: skip


def _module(provider: str) -> PipelineModule:
    if provider not in PIPELINES:
        raise UsageError(
            f"--provider {provider!r} is not known" if provider else "no --provider was given",
            remedy=f"give --provider {'|'.join(PIPELINES)}",
            code="bad-provider",
        )
    return PIPELINES[provider]


def own_parts(old: str | None) -> dict[str, str]:
    """What people put into the file that is there; nothing of a file whose places cannot be told."""
    try:
        return of_people(old or "")
    except BadRegionError:
        return {}


def _must_be_ours(old: str, place: str) -> None:
    if is_ours(old):
        return
    raise RefusedError(
        f"{place} is there and is not as `release ci init` made it",
        where=place,
        remedy="your own steps go between the marks `>>> your own` and `<<< your own`; --file PATH writes beside it,"
        " --force over it; without --write it is shown only",
        code="ci-file-edited",
        state="nothing was written",
    )


def _must_keep(text: str, own: Mapping[str, str], place: str) -> None:
    lost = without_place(text, own)
    if lost:
        raise RefusedError(
            f"your own {' and '.join(lost)} would have no place in {place} any more",
            where=place,
            remedy="keep a copy of them, then --force",
            code="ci-own-lost",
            state="nothing was written",
        )


def installed_from() -> str:
    """What the installer of this copy wrote down of where it comes from, "" where it wrote nothing (PEP 610)."""
    try:
        return importlib.metadata.distribution(PROJECT).read_text("direct_url.json") or ""
    except importlib.metadata.PackageNotFoundError:
        return ""


def _inside(top: Path, place: str) -> Path:
    target = top / place
    real = target.resolve()
    if (
        not place.isprintable()
        or not real.is_relative_to(top.resolve())
        or ".git" in real.relative_to(top.resolve()).parts
        or target.is_dir()
    ):
        raise UsageError(
            f"--file {place!r} is not a file in this repository", remedy="a path from its top", code="bad-file"
        )
    return target


def _put(target: Path, text: str) -> str:
    """Write by rename."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(target)
    return "written"


def _old(target: Path) -> str | None:
    if not target.exists():
        return None
    return target.read_bytes()[:_MAX].decode("utf-8", "replace")

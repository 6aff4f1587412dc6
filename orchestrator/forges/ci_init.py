"""`release ci init`: the pipeline file in the clone, never over somebody's own work."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.forges.ci import install_from, is_ours, pipeline_of, text_of
from orchestrator.forges.ci_templates import PIPELINES
from orchestrator.forges.protection import branch_pattern, tag_pattern

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.session.session import Session

_PROJECT = "release-orchestrator"
_MAX = 4 * 1024 * 1024  # bytes read of a file that is there


@dataclass(frozen=True, kw_only=True)
class WrittenPipeline:
    """The file's text and its place in the repository; `state` is `written`, `unchanged` or `printed`."""

    provider: str
    file: str
    text: str
    state: str


def ci_init(session: Session, *, provider: str, file: str, install: str, write: bool, force: bool) -> WrittenPipeline:
    """Make the pipeline from release.yaml.  Raises RefusedError where a file is there that is not as it was made."""
    if provider not in PIPELINES:
        raise UsageError(
            f"--provider {provider!r} is not known" if provider else "no --provider was given",
            remedy=f"give --provider {'|'.join(PIPELINES)}",
            code="bad-provider",
        )
    place = file or PIPELINES[provider].file
    target = _inside(session.repository.top, place)
    config = session.config()
    versions = [entry.version for entry in config.releases] + sorted(session.repository.local_tags())
    pipeline = pipeline_of(
        config, provider=provider, config_path=session.config_path(), install=install or install_from(_direct_url()),
        branches=branch_pattern(config.branch), tags=tag_pattern(versions), file=file,
    )  # fmt: skip
    text = text_of(pipeline)
    state = "printed"
    if write:
        state = "written" if _put(target, text, place, force=force) else "unchanged"
    return WrittenPipeline(provider=provider, file=place, text=text, state=state)


def _direct_url() -> str:
    """What the installer of this copy wrote down of where it comes from, "" where it wrote nothing (PEP 610)."""
    try:
        return importlib.metadata.distribution(_PROJECT).read_text("direct_url.json") or ""
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


def _put(target: Path, text: str, place: str, *, force: bool) -> bool:
    """Write by rename; False where the file is so already."""
    old = _old(target)
    if old == text:
        return False
    if old is not None and not is_ours(old) and not force:
        raise RefusedError(
            f"{place} is there and is not as `release ci init` made it",
            where=place,
            remedy="--file PATH writes beside it, --force over it; without --write it is shown only",
            code="ci-file-edited",
            state="nothing was written",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(target)
    return True


def _old(target: Path) -> str | None:
    if not target.exists():
        return None
    return target.read_bytes()[:_MAX].decode("utf-8", "replace")

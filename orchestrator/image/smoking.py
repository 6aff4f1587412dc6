"""`release smoke IMAGE`: the built-in checks of any image of the engine, without a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.image.contents import CHECKS
from orchestrator.image.inputs import patch_files_here
from orchestrator.image.smoke import Inside, inside_checks, run_checks

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.results import CheckResult
    from orchestrator.session.session import Desk


def smoke_image(
    desk: Desk, image: str, *, gpus: str, lock: Path | None, patches: Path | None, names: tuple[str, ...]
) -> tuple[CheckResult, ...]:
    """The results of the named checks, or of all.  Raises UsageError for what is not there."""
    for name in names:
        if name not in CHECKS:
            raise UsageError(
                f"there is no check {name!r}", remedy=f"there are: {', '.join(CHECKS)}", code="no-such-check"
            )
    files = _read(desk.job.directory / lock) if lock else {}
    released = _read_patches(desk.job.directory / patches) if patches else None
    engine = desk.doors().engine()
    if engine.inspect(image) is None:
        raise UsageError(f"the engine has no image {image}", remedy=f"docker pull {image}", code="no-image")
    inside = Inside(checks=names or tuple(CHECKS), lock=files, gpus=gpus, patches=released)
    return run_checks(inside_checks(engine, image, inside), desk.job.terminal.progress)


def _read_patches(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=str(folder), remedy="give --patches DIR", code="no-patches")
    return patch_files_here(folder)


def _read(path: Path) -> dict[str, bytes]:
    parts = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    try:
        files = {str(part): part.read_bytes() for part in parts}
    except OSError as error:
        raise UsageError(f"the lock cannot be read: {error.strerror}", where=str(path), code="no-lock") from error
    if not files:
        raise UsageError("the folder has no *.txt", where=str(path), remedy="give a lock with --lock", code="no-lock")
    return files

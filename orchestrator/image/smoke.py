"""Smoke tests of a built image: what it says of itself, and the commands that release.yaml declares.

Every check runs even after one has failed, and each gives a result: passed, failed, or skipped with a reason.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UnprovedError, UsageError
from orchestrator.core.labels import REVISION, VERSION
from orchestrator.core.results import CheckResult, CheckState, Progress
from orchestrator.engines import NoGpuError, RunRequest
from orchestrator.image.contents import CHECKS, verdict
from orchestrator.image.inputs import lock_files_here, patch_files_here
from orchestrator.image.patches import touched
from orchestrator.image.pytorch_builds import read_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.core.declaration import SmokeCommand
    from orchestrator.engines import Prover
    from orchestrator.session.session import Session

    Check = tuple[str, Callable[[], "_Outcome"]]


VERSION_FILE = "/etc/release/version"

_LABELS = "labels"
_VERSION = "version-inside"
_TAIL_LINES = 5
_TAIL_CHARS = 500

_PROBE_TIMEOUT = 900.0  # seconds
_FOREIGN = "exec format error"  # the C library's words for ENOEXEC
_NO_PYTHON = 97
_FIND_PYTHON = f'command -v python3 >/dev/null || exit {_NO_PYTHON}; exec python3 -c "$0" "$@"'

_Outcome = tuple[CheckState, str, str]  # state, message, remedy


@dataclass(frozen=True, kw_only=True)
class InsideChecks:
    """Built-in checks to make (names of inside.CHECKS), the lock to make them against, and GPUs to give."""

    checks: tuple[str, ...] = ()
    lock: Mapping[str, bytes] = field(default_factory=dict)  # path -> bytes
    gpus: str = ""
    patches: Mapping[str, bytes] | None = None  # the released folder of patches, by path within it


def smoke(
    engine: Prover,
    image: str,
    *,
    tag: str,
    revision: str,
    commands: Sequence[SmokeCommand],
    expected_labels: Mapping[str, str],
    report: Callable[[Progress], None],
    inside: InsideChecks | None = None,
    more: Sequence[Check] = (),
    foreign: str = "",
    light_passed: Callable[[], None] = lambda: None,
) -> tuple[CheckResult, ...]:
    """The results in order: labels, version inside, `more`, what `inside` asks for, then the commands.

    `foreign` says why the engine may be unable to run anything of the image: what it cannot run is skipped then.
    `light_passed` is called before the last two, where none of the others has failed.
    `expected_labels` are added to the version (`tag`) and revision labels, which are always expected.  Raises
    UsageError when two checks have one name, RemoteError when the engine is gone.
    """
    inside = inside or InsideChecks()
    _refuse_same_names(commands, (*inside.checks, *(name for name, _ in more)))
    expected = {VERSION: tag, REVISION: revision, **expected_labels}
    light: list[Check] = [
        (_LABELS, lambda: _labels(engine, image, expected)),
        (_VERSION, lambda: _version_inside(engine, image, tag)),
        *more,
    ]
    heavy = inside_checks(engine, image, inside)
    heavy += [(command.name, _bound(engine, image, command)) for command in commands]
    total = len(light) + len(heavy)
    results = run_checks(light, report, total=total)
    if not any(result.state is CheckState.FAILED for result in results):
        light_passed()
    ran = run_checks(heavy, report, done=len(light), total=total)
    return (*results, *(_unless_foreign(result, foreign) for result in ran))


def _unless_foreign(result: CheckResult, foreign: str) -> CheckResult:
    """An engine that can emulate the platform runs the check all the same."""
    if not foreign or result.state is not CheckState.FAILED or _FOREIGN not in result.message.lower():
        return result
    return replace(result, state=CheckState.SKIPPED, message=foreign, remedy="")


def run_checks(
    checks: Sequence[Check], report: Callable[[Progress], None], *, done: int = 0, total: int = 0
) -> tuple[CheckResult, ...]:
    """Every check runs, also after one has failed.  `done` of `total` have run before, where they are parts of more."""
    results: list[CheckResult] = []
    for number, (name, check) in enumerate(checks, done + 1):
        report(Progress(text=f"smoke: {name}", item="smoke", current=number, total=total or len(checks)))
        results.append(_timed(name, check))
    return tuple(results)


def inside_checks(engine: Prover, image: str, inside: InsideChecks) -> list[Check]:
    """The built-in checks; the first that runs asks the image's own Python, once, for all of them."""

    @cache
    def facts() -> Mapping[str, Any] | _Outcome:
        return _ask(engine, image, inside)

    pins, _ = read_lock(inside.lock)

    def check(name: str) -> _Outcome:
        found = facts()
        if isinstance(found, tuple):
            return found
        if name == "patches" and inside.patches:
            found = {**found, "patched": _patched(engine, image, found["patches"] or {}, inside.patches)}
        return verdict(name, {**found, "released": inside.patches}, pins)

    return [(name, partial(check, name)) for name in inside.checks]


def _patched(engine: Prover, image: str, said: Mapping[str, Any], patches: Mapping[str, bytes]) -> dict[str, bytes]:
    """What stands in the image's own packages, of the files that the patches change."""
    roots = said.get("roots", {})
    places = {path: f"{roots[package]}/{path}" for path, package in touched(patches).items() if package in roots}
    read = ((path, engine.read_file(image, place)) for path, place in places.items())
    return {path: data for path, data in read if data is not None}


@cache
def probe_text() -> str:
    """Both modules of the probe as one script, since an image knows neither: without the import of one by the other."""
    here = Path(__file__)
    services, probe = (here.with_name(f"{name}.py").read_text("utf-8") for name in ("probe_services", "probe"))
    return services + re.sub(r"^from (__future__|orchestrator\.\S+) import .*\n", "", probe, flags=re.MULTILINE)


def _ask(engine: Prover, image: str, inside: InsideChecks) -> Mapping[str, Any] | _Outcome:
    """What the probe found, or why it could not look."""
    info = engine.inspect(image)
    starts = {"entrypoint": info.entrypoint, "command": info.command} if info else {}
    command = ("/bin/sh", "-c", _FIND_PYTHON, probe_text(), json.dumps(starts))
    request = RunRequest(image=image, command=command, timeout=_PROBE_TIMEOUT, gpus=inside.gpus)
    try:
        result = engine.run(request)
    except NoGpuError:
        raise
    except UnprovedError as error:
        return CheckState.SKIPPED, f"nothing can be run in the image: {error.message}", error.remedy
    if result.exit_code == _NO_PYTHON:
        return CheckState.SKIPPED, "there is no python3 in the image", ""
    last = result.output.strip().rpartition("\n")[2]
    try:
        found = json.loads(last)
    except ValueError:
        how = "did not end" if result.exit_code is None else f"exited {result.exit_code}"
        end = _last_lines(result.output) or "nothing"
        return CheckState.FAILED, f"looking inside {how}: {end}", "run python3 by hand in the image"
    return {**found, "asked": bool(inside.gpus)}


def _refuse_same_names(commands: Sequence[SmokeCommand], inside: Sequence[str]) -> None:
    seen = {_LABELS, _VERSION, *inside}
    for command in commands:
        if command.name in seen:
            raise UsageError(
                f"two smoke checks are named {command.name!r}",
                remedy=f"give each its own name; built in are {', '.join(sorted({_LABELS, _VERSION, *inside}))}",
                code="smoke-name",
            )
        seen.add(command.name)


def _bound(engine: Prover, image: str, command: SmokeCommand) -> Callable[[], _Outcome]:
    return lambda: _command(engine, image, command)


def _timed(name: str, check: Callable[[], _Outcome]) -> CheckResult:
    started = time.monotonic()
    try:
        state, message, remedy = check()
    except UnprovedError as error:  # the container could not be started
        state, message, remedy = CheckState.FAILED, error.message, error.remedy
    seconds = time.monotonic() - started
    return CheckResult(name=name, state=state, message=message, remedy=remedy, seconds=seconds)


def _labels(engine: Prover, image: str, expected: Mapping[str, str]) -> _Outcome:
    info = engine.inspect(image)
    if info is None:
        return CheckState.FAILED, f"the engine has no image {image}", "build it first"
    wrong = [
        f"{name} is {info.labels.get(name)!r}, not {value!r}"
        for name, value in sorted(expected.items())
        if info.labels.get(name) != value
    ]
    if wrong:
        remedy = "the build sets these labels: look for something that replaced the image since"
        return CheckState.FAILED, "; ".join(wrong), remedy
    return CheckState.PASSED, f"{len(expected)} labels as expected", ""


def _version_inside(engine: Prover, image: str, tag: str) -> _Outcome:
    data = engine.read_file(image, VERSION_FILE)
    if data is None:
        how = f"let the Dockerfile write the tag into {VERSION_FILE}"
        return CheckState.SKIPPED, f"the image has no {VERSION_FILE}; to have it checked, {how}", how
    found = data[:200].decode("utf-8", "replace").strip()
    if found != tag:
        remedy = "the Dockerfile writes that file from another source than the tag: correct it there"
        return CheckState.FAILED, f"{VERSION_FILE} says {found!r}, the tag is {tag!r}", remedy
    return CheckState.PASSED, f"{VERSION_FILE} says {tag}", ""


def _command(engine: Prover, image: str, command: SmokeCommand) -> _Outcome:
    result = engine.run(
        RunRequest(image=image, command=command.command, timeout=command.timeout, network=command.network)
    )
    if result.exit_code == 0:
        return CheckState.PASSED, "", ""
    how = f"exited {result.exit_code}"
    if result.exit_code is None:
        how = f"did not end within {command.timeout:g} s and was killed"
    end = _last_lines(result.output)
    remedy = "run it by hand in the image, then correct the image or the command in release.yaml"
    return CheckState.FAILED, f"{how}: {end}" if end else f"{how} and printed nothing", remedy


def _last_lines(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()][-_TAIL_LINES:]
    return " | ".join(line.strip() for line in lines)[-_TAIL_CHARS:]


def smoke_image(
    session: Session, image: str, *, gpus: str, lock: Path | None, patches: Path | None, names: tuple[str, ...]
) -> tuple[CheckResult, ...]:
    """The results of the named checks, or of all.  Raises UsageError for what is not there."""
    for name in names:
        if name not in CHECKS:
            raise UsageError(
                f"there is no check {name!r}", remedy=f"there are: {', '.join(CHECKS)}", code="no-such-check"
            )
    top = session.repository.top
    files = _read(top, session.directory / lock) if lock else {}
    released = _read_patches(top, session.directory / patches) if patches else None
    engine = session.connections.runtime()
    if engine.inspect(image) is None:
        raise UsageError(f"the engine has no image {image}", remedy=f"docker pull {image}", code="no-image")
    inside = InsideChecks(checks=names or tuple(CHECKS), lock=files, gpus=gpus, patches=released)
    return run_checks(inside_checks(engine, image, inside), session.terminal.progress)


def _read_patches(top: Path, folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=str(folder), remedy="give --patches DIR", code="no-patches")
    return patch_files_here(top, folder)


def _read(top: Path, path: Path) -> dict[str, bytes]:
    if not path.exists():
        raise UsageError("the lock cannot be read: there is no such file", where=str(path), code="no-lock")
    try:
        files = lock_files_here(top, path)
    except OSError as error:
        raise UsageError(f"the lock cannot be read: {error.strerror}", where=str(path), code="no-lock") from error
    if not files:
        raise UsageError("the folder has no *.txt", where=str(path), remedy="give a lock with --lock", code="no-lock")
    return {str(part): data for part, data in files.items()}

"""Smoke tests of a built image: what it says of itself, and the commands that release.yaml declares.

Every check runs even after one has failed, and each gives a result: passed, failed, or skipped with a reason.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator.engines import RunRequest
from orchestrator.errors import UnprovedError, UsageError
from orchestrator.model import CheckResult, CheckState, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.engines import Engine
    from orchestrator.model import SmokeCommand

VERSION_FILE = "/etc/release/version"
VERSION_LABEL = "org.opencontainers.image.version"
REVISION_LABEL = "org.opencontainers.image.revision"

_LABELS = "labels"
_VERSION = "version-inside"
_TAIL_LINES = 5
_TAIL_CHARS = 500

_Outcome = tuple[CheckState, str, str]  # state, message, remedy


def smoke(
    engine: Engine,
    image: str,
    *,
    tag: str,
    revision: str,
    commands: Sequence[SmokeCommand],
    expected_labels: Mapping[str, str],
    report: Callable[[Progress], None],
) -> tuple[CheckResult, ...]:
    """The results in order: labels, version inside, then the commands.

    `expected_labels` are added to the version (`tag`) and revision labels, which are always expected.  Raises
    UsageError when two checks have one name, RemoteError when the engine is gone.
    """
    _refuse_same_names(commands)
    expected = {VERSION_LABEL: tag, REVISION_LABEL: revision, **expected_labels}
    checks: list[tuple[str, Callable[[], _Outcome]]] = [
        (_LABELS, lambda: _labels(engine, image, expected)),
        (_VERSION, lambda: _version_inside(engine, image, tag)),
    ]
    checks += [(command.name, _bound(engine, image, command)) for command in commands]
    results: list[CheckResult] = []
    for number, (name, check) in enumerate(checks, 1):
        report(Progress(text=f"smoke: {name}", item="smoke", current=number, total=len(checks)))
        results.append(_timed(name, check))
    return tuple(results)


def _refuse_same_names(commands: Sequence[SmokeCommand]) -> None:
    seen = {_LABELS, _VERSION}
    for command in commands:
        if command.name in seen:
            raise UsageError(
                f"two smoke checks are named {command.name!r}",
                remedy=f"give each its own name; {_LABELS!r} and {_VERSION!r} are built in",
                code="smoke-name",
            )
        seen.add(command.name)


def _bound(engine: Engine, image: str, command: SmokeCommand) -> Callable[[], _Outcome]:
    return lambda: _command(engine, image, command)


def _timed(name: str, check: Callable[[], _Outcome]) -> CheckResult:
    started = time.monotonic()
    try:
        state, message, remedy = check()
    except UnprovedError as error:  # the container could not be started
        state, message, remedy = CheckState.FAILED, error.message, error.remedy
    seconds = time.monotonic() - started
    return CheckResult(name=name, state=state, message=message, remedy=remedy, seconds=seconds)


def _labels(engine: Engine, image: str, expected: Mapping[str, str]) -> _Outcome:
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


def _version_inside(engine: Engine, image: str, tag: str) -> _Outcome:
    data = engine.read_file(image, VERSION_FILE)
    if data is None:
        how = f"let the Dockerfile write the tag into {VERSION_FILE}"
        return CheckState.SKIPPED, f"the image has no {VERSION_FILE}; to have it checked, {how}", how
    found = data[:200].decode("utf-8", "replace").strip()
    if found != tag:
        remedy = "the Dockerfile writes that file from another source than the tag: correct it there"
        return CheckState.FAILED, f"{VERSION_FILE} says {found!r}, the tag is {tag!r}", remedy
    return CheckState.PASSED, f"{VERSION_FILE} says {tag}", ""


def _command(engine: Engine, image: str, command: SmokeCommand) -> _Outcome:
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

"""Smoke checks on real images: passed, failed and skipped, and all of them run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.declaration import SmokeCommand
from orchestrator.core.errors import UsageError
from orchestrator.core.results import CheckState
from orchestrator.image.smoke import smoke

if TYPE_CHECKING:
    from orchestrator.core.results import CheckResult, Progress
    from orchestrator.engines import Engine
    from tests.docker.conftest import Build
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

TAG = "v2.7.1"
REVISION = "4f1c2d9a" * 5
SOURCE = "https://git.example.com/team/app"
LABELS = {
    "org.opencontainers.image.version": TAG,
    "org.opencontainers.image.revision": REVISION,
    "org.opencontainers.image.source": SOURCE,
}
GOOD = f"FROM BASE\nRUN mkdir -p /etc/release && echo {TAG} > /etc/release/version\n"


def command(name: str, *argv: str, timeout: float = 30) -> SmokeCommand:
    return SmokeCommand(name=name, command=argv, timeout=timeout)


def check(
    engine: Engine, image: str, *commands: SmokeCommand, said: list[Progress] | None = None
) -> dict[str, CheckResult]:
    heard: list[Progress] = [] if said is None else said
    results = smoke(
        engine,
        image,
        tag=TAG,
        revision=REVISION,
        commands=commands,
        expected_labels={"org.opencontainers.image.source": SOURCE},
        report=heard.append,
    )
    return {result.name: result for result in results}


def test_a_good_image_passes_everything(engine: Engine, build: Build) -> None:
    image = build(GOOD, labels=LABELS)
    said: list[Progress] = []
    results = check(engine, image.id, command("hello", "echo", "hi"), said=said)
    assert list(results) == ["labels", "version-inside", "hello"]
    assert {result.state for result in results.values()} == {CheckState.PASSED}
    assert [(progress.current, progress.total) for progress in said] == [(1, 3), (2, 3), (3, 3)]
    assert all(result.seconds > 0 for result in results.values())


def test_wrong_and_missing_labels_are_named(engine: Engine, build: Build) -> None:
    image = build(GOOD, labels={**LABELS, "org.opencontainers.image.version": "v2.7.0"})
    result = check(engine, image.id)["labels"]
    assert result.state is CheckState.FAILED
    assert "image.version is 'v2.7.0', not 'v2.7.1'" in result.message
    assert "revision" not in result.message
    bare = check(engine, build("FROM BASE\nRUN true\n").id)["labels"]
    assert bare.message.count("is None, not") == 3


def test_another_version_inside_fails_naming_both(engine: Engine, build: Build) -> None:
    image = build(GOOD.replace(f"echo {TAG}", "echo v2.7.0"), labels=LABELS)
    result = check(engine, image.id)["version-inside"]
    assert result.state is CheckState.FAILED
    assert "'v2.7.0'" in result.message
    assert "'v2.7.1'" in result.message


def test_no_version_inside_is_skipped_with_how_to_add_it(engine: Engine, build: Build) -> None:
    result = check(engine, build("FROM BASE\n", labels=LABELS).id)["version-inside"]
    assert result.state is CheckState.SKIPPED
    assert "let the Dockerfile write the tag into /etc/release/version" in result.message


def test_failing_commands_do_not_stop_the_others(engine: Engine, build: Build) -> None:
    results = check(
        engine,
        build(GOOD, labels=LABELS).id,
        command("exits", "sh", "-c", "for i in $(seq 20); do echo line $i; done; exit 3"),
        command("hangs", "sh", "-c", "echo before; sleep 60", timeout=1.5),
        command("absent", "no-such-program"),
        command("silent", "sh", "-c", "exit 1"),
        command("fine", "true"),
    )
    assert results["exits"].message == "exited 3: line 16 | line 17 | line 18 | line 19 | line 20"
    assert results["hangs"].message == "did not end within 1.5 s and was killed: before"
    assert results["absent"].message.startswith("exited 127: ")
    assert results["silent"].message == "exited 1 and printed nothing"
    assert {name for name, r in results.items() if r.state is CheckState.FAILED} == {
        "exits",
        "hangs",
        "absent",
        "silent",
    }
    assert results["fine"].state is CheckState.PASSED


def test_an_image_that_is_gone_fails_the_labels_and_each_command(engine: Engine) -> None:
    results = smoke(
        engine,
        "no-such-image:1",
        tag=TAG,
        revision=REVISION,
        commands=[command("x", "true")],
        expected_labels={},
        report=lambda _: None,
    )
    assert {result.state for result in results} == {CheckState.FAILED}


@pytest.mark.parametrize("names", [("labels",), ("version-inside",), ("a", "b", "a")])
def test_two_checks_with_one_name_are_refused(engine: Engine, lab: Lab, names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=f"two smoke checks are named '{names[-1]}'"):
        check(engine, lab.base, *(command(name, "true") for name in names))

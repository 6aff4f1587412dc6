"""The name of a heavy base: it follows from everything that goes into the base, and from nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from orchestrator.thin.heavy import changes
from orchestrator.thin.made import on_base
from tests.thin.dockerfiles import BASE, FILES, HEAVY, THIN, inputs

TORCH = "locks/cu126/torch.txt"


def test_the_name_is_a_hash_of_the_inputs() -> None:
    assert re.fullmatch(r"heavy-[0-9a-f]{16}", inputs().tag)
    assert inputs().key.startswith(inputs().tag.removeprefix("heavy-"))
    assert inputs().base == BASE


@pytest.mark.parametrize(
    ("text", "files"),
    [
        pytest.param(THIN.replace("COPY --link own /", "COPY --link own/etc /etc"), FILES, id="the last stage"),
        pytest.param(THIN.replace("RUN echo no", "RUN echo yes"), FILES, id="a stage that it does not need"),
        pytest.param(THIN.replace("# a comment", "# another"), FILES, id="a comment"),
        pytest.param(f"\n\n{THIN}", FILES, id="another line"),
        pytest.param(THIN, FILES | {"own/etc/motd": "4" * 40}, id="a file of the last stage"),
        pytest.param(THIN, FILES | {"locks/cpu/torch.txt": "4" * 40}, id="a file of another variant"),
    ],
)
def test_what_does_not_go_into_it_does_not_change_its_name(text: str, files: dict[str, str]) -> None:
    assert inputs(text, files).key == inputs().key
    assert changes(inputs(), inputs(text, files)) == ()


@pytest.mark.parametrize(
    ("text", "files", "arguments", "said"),
    [
        (THIN, FILES | {TORCH: "4" * 40}, {}, f"{TORCH} changed"),
        (THIN, FILES | {"locks/cu126/stack.txt": "4" * 40}, {}, "locks/cu126/stack.txt is new"),
        (THIN.replace("RUN install", "RUN setup"), FILES, {}, "Dockerfile:13 RUN changed"),
        (THIN, FILES, {"VARIANT": "cpu"}, "argument VARIANT was 'cu126', is 'cpu'"),
        (THIN, FILES, {"MIRROR": "x"}, "argument MIRROR was '', is 'x'"),
        (THIN, FILES, {"BASE": "debian:13"}, "argument BASE was"),
        (THIN, FILES, {"platform": "linux/arm64"}, "image.platform was 'linux/amd64', is 'linux/arm64'"),
        (THIN, FILES, {"epoch": 2}, "image.heavy.epoch was '1', is '2'"),
    ],
)
def test_what_goes_into_it_changes_its_name_and_is_said(
    text: str, files: dict[str, str], arguments: dict[str, Any], said: str
) -> None:
    now = inputs(text, files, **arguments)
    assert now.key != inputs().key
    assert any(line.startswith(said) for line in changes(inputs(), now)), changes(inputs(), now)


def test_the_mode_of_a_file_goes_into_it() -> None:
    plain = inputs(THIN, {TORCH: "1" * 40})
    assert [each.value for each in plain.inputs if each.name == f"file {TORCH}"] == [f"100644 {'1' * 40}"]


def test_what_makes_another_base_with_every_version_is_said() -> None:
    every = HEAVY.replace("ARG MIRROR", "ARG RELEASE_VERSION") + "FROM heavy\n"
    assert inputs(every).moving == ("Dockerfile:10 takes RELEASE_VERSION, which is another one with every version",)
    whole = HEAVY.replace("COPY locks/${VARIANT} /locks/", "COPY . /src") + "FROM heavy\n"
    assert "takes the whole context" in inputs(whole).moving[0]


def test_a_base_without_a_digest_is_said() -> None:
    assert inputs().notes == ()
    assert "debian:12 is no digest" in inputs(BASE="debian:12").notes[0]


def test_a_mount_from_another_stage_goes_into_it() -> None:
    text = HEAVY.replace("RUN install", "RUN --mount=type=bind,from=unrelated,target=/x install") + "FROM heavy\n"
    assert any(each.name.startswith("stage unrelated") for each in inputs(text).inputs)


def test_what_is_mounted_from_the_context_goes_into_it() -> None:
    """A lock that pip reads through a mount: another one makes another base."""
    mount = "RUN --mount=type=bind,source=own/${WHAT},target=/x install"
    text = HEAVY.replace("RUN install", f"ARG WHAT=etc\n{mount}") + "FROM heavy\n"
    found = inputs(text)
    assert "file own/etc/motd" in {each.name for each in found.inputs}
    assert inputs(text, {**FILES, "own/etc/motd": "4" * 40}).key != found.key
    assert "takes the whole context" in inputs(text.replace("source=own/${WHAT},", "")).moving[0]


@pytest.mark.parametrize(
    ("text", "stands"),
    [
        (b"FROM a AS x\nRUN y\n\nFROM x\n", b"FROM r@d AS x\n\n\nFROM x\n"),
        (b"ARG A\nFROM $A AS low\nFROM low \\\n  AS x\nRUN <<E\nFROM z\nE\nFROM x\nENV A=1", None),
        (b"FROM a AS other\nRUN y\n", b"FROM a AS other\nRUN y\n"),
        (
            b"FROM a AS x\nFROM b AS by\nFROM by AS Stamp\nRUN y\nFROM x\n",
            b"FROM r@d AS x\nFROM b AS by\nFROM scratch AS stamp\n\nFROM x\n",
        ),
    ],
)
def test_a_base_in_place_of_its_stage_keeps_the_numbers_of_all_lines(text: bytes, stands: bytes | None) -> None:
    found = on_base(text, "x", "r@d")
    assert found == (stands or b"ARG A\nFROM $A AS low\nFROM r@d AS x\n\n\n\n\nFROM x\nENV A=1")

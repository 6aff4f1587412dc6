"""Which stages an image needs, and a Dockerfile without flags that its builder lacks."""

from __future__ import annotations

import pytest

from orchestrator.dockerfile.facts import DockerfileFacts, examine
from orchestrator.dockerfile.parser import parse
from orchestrator.dockerfile.stages import BEFORE, StageGraph, without
from orchestrator.engines import dialect_of

FILE = b"""\
ARG TAG=1
FROM base:$TAG AS one
RUN true
FROM one AS two
FROM other:1 AS three
RUN --mount=type=bind,from=two,target=/x true
FROM last:1 AS four
COPY --from=ONE /a /a
COPY --from=2 /b /b
"""


@pytest.mark.parametrize(
    ("target", "whole", "needed"),
    [
        ("", False, {0, 1, 2, 3}),
        ("four", False, {0, 1, 2, 3}),
        ("three", False, {0, 1, 2}),
        ("TWO", False, {0, 1}),
        ("one", False, {0}),
        ("three", True, {0, 1, 2}),
        ("2", False, {0, 1, 2}),
    ],
)
def test_needed(target: str, whole: bool, needed: set[int]) -> None:
    assert StageGraph(parse(FILE).instructions).needed(target, whole=whole) == {BEFORE, *needed}


def facts(engine: str, target: str, text: bytes = FILE) -> DockerfileFacts:
    return examine(text, "Dockerfile", {}, dialect_of(engine), target=target)


def test_only_the_bases_of_needed_stages_are_asked_for() -> None:
    assert facts("buildx", "one").bases == ("base:1",)
    assert facts("buildx", "one").final_base == "base:1"
    assert facts("buildx", "").bases == ("base:1", "other:1", "last:1")
    unused = b"FROM a:1 AS dead\nRUN <<E\nx\nE\nFROM b:1 AS last\n"
    assert facts("buildx", "last", unused).bases == ("b:1",)
    assert facts("classic", "last", unused).bases == ("a:1", "b:1")  # it builds every stage down to the target
    assert [each.code for each in facts("classic", "last", unused).problems] == ["dockerfile-needs-buildkit"]


def test_a_stage_that_is_not_there() -> None:
    (problem,) = facts("buildx", "tow").problems
    assert (problem.code, problem.remedy) == ("no-stage", "did you mean 'two'?")
    assert "name one" in facts("buildx", "x", b"FROM a\n").problems[0].remedy


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (b"FROM a\nCOPY --link x /x\n", b"FROM a\nCOPY  x /x\n"),
        (b"FROM a\nCOPY --chown=1:1 --link=true --from=b x /x\n", b"FROM a\nCOPY --chown=1:1  --from=b x /x\n"),
        (b"FROM a\nADD \\\n  --link \\\n  x /x\nRUN true\n", b"FROM a\nADD \\\n   \\\n  x /x\nRUN true\n"),
        (b"FROM a\r\nCOPY --link x /x\r\n", b"FROM a\r\nCOPY  x /x\r\n"),
        (b"FROM a\nONBUILD COPY --link x /x\n", b"FROM a\nONBUILD COPY  x /x\n"),
        (b"FROM a\nRUN cmd --link x\nCOPY a-link /x\n", b"FROM a\nRUN cmd --link x\nCOPY a-link /x\n"),
        (b"FROM a\nCOPY x \\\n --link /x\n", b"FROM a\nCOPY x \\\n --link /x\n"),
    ],
)
def test_a_flag_is_left_out_and_lines_stay(text: bytes, sent: bytes) -> None:
    assert without(text, ("link",)) == sent


def test_the_classic_builder_is_told_of_as_a_note() -> None:
    found = facts("classic", "", b"FROM a\nCOPY --link x /x\n")
    assert found.problems == ()
    (note,) = found.notes
    assert note.startswith("Dockerfile:2: COPY --link is sent without the flag")
    assert facts("buildx", "", b"FROM a\nCOPY --link x /x\n").notes == ()

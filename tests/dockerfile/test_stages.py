"""Which stages an image needs, and a Dockerfile without flags that its builder lacks."""

from __future__ import annotations

import pytest

from orchestrator.dockerfile.facts import DockerfileFacts, examine
from orchestrator.dockerfile.parser import parse
from orchestrator.dockerfile.stages import BEFORE, StageGraph, line_of, without
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
    assert StageGraph(parse(FILE).instructions, str).needed(target, whole=whole) == {BEFORE, *needed}


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


def test_a_stage_may_be_named_by_the_platform() -> None:
    """`base-amd64` is a stage then, and no image of a hub; the other platform's base is not asked for."""
    text = b"FROM a:1 AS base-amd64\nFROM b:1 AS base-arm64\nFROM base-${TARGETARCH}\nRUN true\n"
    arm = examine(text, "Dockerfile", {}, dialect_of("buildx"), platform="linux/arm64")
    assert (facts("buildx", "", text).bases, facts("buildx", "", text).final_base) == (("a:1",), "a:1")
    assert (arm.bases, arm.final_base) == (("b:1",), "b:1")
    declared = b"ARG TARGETARCH\nARG KIND=base\n" + text.replace(b"base-$", b"${KIND}-$")
    for engine, bases in (("buildx", ("a:1",)), ("classic", ("a:1", "b:1"))):
        assert (facts(engine, "", declared).bases, facts(engine, "", declared).problems) == (bases, ())
    (problem,) = facts("classic", "", text).problems
    assert (problem.code, problem.where) == ("dockerfile-needs-buildkit", "Dockerfile:3")
    assert "ARG TARGETARCH" in problem.remedy


def test_stages_that_are_not_built_are_read_all_the_same() -> None:
    """A builder stops at what it cannot read in any stage, but for what it only looks at when it builds it."""
    text = b"FROM a AS x\nCOPY --parents a /\nRUN --device=v/c=a true\nCOPYY a b\nADD --no a b\nFROM b\n"
    found = facts("buildx", "", text)
    assert found.tried == (("COPY", "parents", 2),)
    assert [each.where for each in found.problems] == ["Dockerfile:4", "Dockerfile:5"]
    assert facts("buildx", "", text).bases == ("b",)


STEPS = b"""\
FROM a AS one
WORKDIR /x
ENV A=b
RUN true && \\
  false
FROM one
COPY a b
ADD c \\
  d
FROM scratch AS last
ADD https://x.example/y /
"""


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ("[one 1/3] FROM docker.io/library/a", 1),
        ("[one 3/3] RUN true && false", 4),
        ("[linux/arm64 one 2/3] WORKDIR /x", 2),
        ("[stage-1 2/2] ADD c d", 8),
        ("[last 1/1] ADD https://x.example/y /", 11),
        ("[1/1] ADD https://x.example/y /", 11),
        ("[one 2/4] WORKDIR /x", 0),  # an ONBUILD of the base counts too
        ("[other 1/1] ADD c d", 0),
        ("[internal] load build context", 0),
    ],
)
def test_the_line_of_a_step(step: str, line: int) -> None:
    assert line_of(STEPS, step) == line


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

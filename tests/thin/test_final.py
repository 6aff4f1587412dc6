"""Whether a last stage is thin, and if not, which line stands in the way."""

from __future__ import annotations

import pytest

from orchestrator.thin.final import Copy, described, final_stage
from orchestrator.thin.stages import read_stages
from tests.thin.dockerfiles import final

FIRST = 19  # the line after `FROM heavy`


def copy(text: str, **build_args: str) -> Copy:
    steps = [step for step in final(text, **build_args).steps if isinstance(step, Copy)]
    assert len(steps) == 1
    return steps[0]


def test_files_and_settings_need_no_builder() -> None:
    found = final(
        "ARG V=1\nENV A=$V\nCOPY --link --chown=1000:100 a b /opt/$V/\nCOPY --link --from=stamp / /\nLABEL a=b\n"
        'USER train\nEXPOSE 22\nENTRYPOINT ["x"]\nCMD ["y"]\nHEALTHCHECK NONE\nVOLUME /d\nSTOPSIGNAL INT\n'
    )
    assert found.is_direct
    assert found.is_thin
    assert len(found.steps) == 12


@pytest.mark.parametrize(
    ("line", "message", "move"),
    [
        ("RUN make", "RUN", "move it to the heavy stage"),
        ("WORKDIR /x", "WORKDIR", "move it to the end of the heavy stage"),
        ("COPY a /a", "COPY without --link", "write COPY --link"),
        ("COPY --link=false a /a", "COPY without --link", "write COPY --link"),
        ("COPY --link --chmod=0755 a /a", "COPY --chmod", "commit the file with its mode"),
        ("ADD --link https://example.com/x /x", "ADD", "fetch it in the heavy stage"),
    ],
)
def test_what_needs_the_heavy_bytes_is_said_with_its_line(line: str, message: str, move: str) -> None:
    found = final(f"{line}\n")
    assert not found.is_thin
    assert [each.line for each in found.obstacles] == [FIRST]
    text = next(described("Dockerfile", found.obstacles))
    assert text.startswith(f"Dockerfile:{FIRST}: {message}")
    assert move in text


@pytest.mark.parametrize(
    "line",
    [
        "COPY --link *.txt /a/", "COPY --link --exclude=x a /a", "COPY --link --parents a /a",
        "COPY --link --chown=train a /a", "COPY --link --from=unrelated / /", "ONBUILD RUN x",
    ],
)  # fmt: skip
def test_what_needs_a_builder_is_thin_all_the_same(line: str) -> None:
    found = final(f"{line}\n")
    assert found.is_thin
    assert not found.is_direct
    assert "needs a builder" in next(described("Dockerfile", found.obstacles))


def test_another_base_is_not_thin() -> None:
    assert not final("FROM unrelated\nCOPY --link a /a\n").is_thin
    assert "begin the last stage with FROM heavy" in next(described("D", final("FROM unrelated\n").obstacles))


def test_triggers_of_the_heavy_stage_would_run_in_the_last_one() -> None:
    stages = read_stages(b"FROM a AS heavy\nONBUILD RUN x\nFROM heavy\nCOPY --link a /a\n", {}, "linux/amd64")
    found = final_stage(stages, stages.stages[1], stages.stages[0], {})
    assert not found.is_thin
    assert next(described("D", found.obstacles)).startswith("D:2: ONBUILD runs in the last stage")


def test_variables_are_filled_in_as_the_engine_does() -> None:
    found = copy("ARG RELEASE_VERSION\nARG D=/opt\nENV D=/env\nCOPY --link a $D/x\n", RELEASE_VERSION="v1")
    assert found.destination == "/env/x"


def test_a_here_document_has_its_variables_and_keeps_its_quotes() -> None:
    text = "ARG RELEASE_VERSION\nCOPY --link <<EOF <<'RAW' /etc/r/\n\"$RELEASE_VERSION\" isn't \\$x\nEOF\n$x\nRAW\n"
    found = copy(text, RELEASE_VERSION="v2.7.1")
    assert found.sources == ()
    assert found.heredocs == (("EOF", b'"v2.7.1" isn\'t $x\n'), ("RAW", b"$x\n"))

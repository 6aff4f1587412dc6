"""What the instructions of a last stage do to the configuration of an image."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.thin.final import ConfigStep, Copy
from orchestrator.thin.settings import ImageDraft
from tests.thin.dockerfiles import final

BASE: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2025-01-01T00:00:00Z",
    "config": {"Env": ["PATH=/bin", "A=old"], "Cmd": ["sh"], "Labels": {"x": "1"}, "WorkingDir": "/workspace"},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]},
    "history": [{"created_by": "base"}],
}


def document(lines: str) -> dict[str, Any]:
    draft = ImageDraft(BASE, "2026-01-01T00:00:00Z", "Dockerfile")
    for step in final(lines).steps:
        if isinstance(step, ConfigStep):
            draft.apply(step)
        else:
            draft.add_layer(step, "sha256:2")
    return draft.finished()


def settings(lines: str) -> dict[str, Any]:
    found: dict[str, Any] = document(lines)["config"]
    return found


def test_variables_are_added_and_replaced_in_place() -> None:
    assert settings('ENV A=new B="two words" P=$PATH:/x\nENV OLD form of it\n')["Env"] == [
        "PATH=/bin", "A=new", "B=two words", "P=/bin:/x", "OLD=form of it"
    ]  # fmt: skip


def test_a_variable_is_that_of_before_its_own_line() -> None:
    assert settings("ENV A=1\nENV A=2 B=$A\n")["Env"][1:] == ["A=2", "B=1"]


@pytest.mark.parametrize(
    ("lines", "command"),
    [
        ('ENTRYPOINT ["e"]\n', None),
        ('ENTRYPOINT ["e"]\nCMD ["c"]\n', ["c"]),
        ('CMD ["c"]\nENTRYPOINT ["e"]\n', ["c"]),
        ("USER u\n", ["sh"]),
        ("CMD echo $HOME\n", ["/bin/sh", "-c", "echo $HOME"]),
        ('SHELL ["/bin/bash", "-c"]\nCMD echo\n', ["/bin/bash", "-c", "echo"]),
    ],
)
def test_an_entrypoint_takes_the_bases_command_away(lines: str, command: list[str] | None) -> None:
    assert settings(lines).get("Cmd") == command


def test_the_rest() -> None:
    found = settings(
        'LABEL y=2 x=3\nUSER train\nEXPOSE 8888 22/udp\nVOLUME /data\nVOLUME ["/a b"]\nSTOPSIGNAL SIGINT\n'
        'HEALTHCHECK --interval=30s --start-period=1m30s --retries=3 CMD ["healthcheck"]\n'
    )
    assert found["Labels"] == {"x": "3", "y": "2"}
    assert found["User"] == "train"
    assert found["ExposedPorts"] == {"8888/tcp": {}, "22/udp": {}}
    assert found["Volumes"] == {"/data": {}, "/a b": {}}
    assert found["StopSignal"] == "SIGINT"
    assert found["Healthcheck"] == {
        "Test": ["CMD", "healthcheck"], "Interval": 30 * 10**9, "StartPeriod": 90 * 10**9, "Retries": 3
    }  # fmt: skip
    assert found["WorkingDir"] == "/workspace"
    assert settings("HEALTHCHECK CMD curl x\n")["Healthcheck"]["Test"] == ["CMD-SHELL", "curl x"]
    assert settings("HEALTHCHECK NONE\n")["Healthcheck"] == {"Test": ["NONE"]}


def test_history_and_layers_go_together() -> None:
    made = document("ARG V=1\nCOPY --link a /a\nLABEL a=b\n")
    assert made["rootfs"]["diff_ids"] == ["sha256:1", "sha256:2"]
    assert [step["created_by"] for step in made["history"]] == ["base", "ARG V=1", "COPY a /a", "LABEL a=b"]
    assert [bool(step.get("empty_layer")) for step in made["history"]] == [False, True, False, True]
    assert made["architecture"] == "amd64"
    assert made["created"] == "2026-01-01T00:00:00Z"


def test_the_base_is_not_changed() -> None:
    before = repr(BASE)
    document("ENV A=1\nLABEL a=b\nMAINTAINER me\nCOPY --link a /a\n")
    assert repr(BASE) == before


@pytest.mark.parametrize(
    "line", ["SHELL bash", "HEALTHCHECK --interval=often CMD x", "HEALTHCHECK x", "HEALTHCHECK CMD"]
)
def test_what_makes_no_sense_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings(f"{line}\n")
    assert caught.value.where == "Dockerfile:19"


def test_a_copy_is_no_setting() -> None:
    assert isinstance(final("COPY --link a /a\n").steps[0], Copy)

"""Dockerfiles of this room's tests, read as they are for a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.thin.final import final_stage
from orchestrator.thin.heavy import ContextFile, heavy_inputs
from orchestrator.thin.stages import read_stages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.thin.final import FinalStage
    from orchestrator.thin.heavy import HeavyInputs

BASE = f"registry.example.com/debian:12@sha256:{'a' * 64}"
HEAVY = f"""\
ARG BASE={BASE}
FROM ${{BASE}} AS files
ARG VARIANT=cu126
COPY locks/${{VARIANT}} /locks/

FROM ${{BASE}} AS unrelated
RUN echo no

FROM ${{BASE}} AS heavy
ARG MIRROR
COPY --from=files /locks /locks
# a comment
RUN install \\
    /locks
ENV PATH=/opt/bin:$PATH
WORKDIR /workspace

"""
THIN = f"""{HEAVY}FROM heavy
COPY --link own /
"""
FILES = {"locks/cu126/torch.txt": "1" * 40, "locks/cpu/torch.txt": "2" * 40, "own/etc/motd": "3" * 40}


def inputs(
    text: str = THIN,
    files: Mapping[str, str] = FILES,
    *,
    platform: str = "linux/amd64",
    epoch: int = 1,
    **build_args: str,
) -> HeavyInputs:
    stages = read_stages(text.encode(), build_args, platform)
    heavy = stages.find("heavy")
    assert heavy is not None
    return heavy_inputs(
        stages,
        heavy,
        [ContextFile(path=path, mode="100644", sha=sha) for path, sha in files.items()],
        dockerfile="Dockerfile",
        build_args=build_args,
        platform=platform,
        epoch=epoch,
    )


def final(last: str, **build_args: str) -> FinalStage:
    """What `last` is behind `FROM heavy`, or as it is where it begins with FROM."""
    text = HEAVY + (last if last.startswith("FROM") else f"FROM heavy\n{last}")
    stages = read_stages(text.encode(), build_args, "linux/amd64")
    heavy = stages.find("heavy")
    assert heavy is not None
    return final_stage(stages, stages.stages[-1], heavy, build_args, {"PATH": "/bin"})

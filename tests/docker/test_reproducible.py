"""The project's own image, built twice from nothing with the classic builder: what is the same, and what differs.

On the variant `demo`: the same Dockerfile with one wheel.  The real variants have more wheels, by the same script.
"""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.audit.layers import Contents, differences, read_layer
from orchestrator.core.reference import parse_repository
from orchestrator.engines import BuildRequest

if TYPE_CHECKING:
    from orchestrator.engines import Engine

pytestmark = pytest.mark.docker

PROJECT = Path(__file__).parents[2]
SOURCE = "images/pytorch-cuda"
FILE = f"{SOURCE}/Dockerfile"
THIN = 5  # layers of the last stage


def context(seconds: int) -> io.BytesIO:
    """What a release sends: everything with the time of its commit."""

    def dated(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = seconds
        return member

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:  # docker knows no PAX
        tar.add(PROJECT / SOURCE, SOURCE, filter=lambda each: None if each.name == FILE else dated(each))
        text = (PROJECT / FILE).read_bytes().replace(b"COPY --link", b"COPY")  # as the tool sends it
        info = tarfile.TarInfo(FILE)
        info.size = len(text)
        tar.addfile(dated(info), io.BytesIO(text))
    return out


def built(engine: Engine, version: str, seconds: int, log: Path) -> tuple[tuple[str, ...], Contents]:
    """diff_ids of a build without a cache, and what is in its last layer.  Nothing of it stays in the engine."""
    request = BuildRequest(
        context=context(seconds),
        dockerfile=FILE,
        tag=parse_repository("release-test/reproducible").tag(version),
        build_args={"BASE_IMAGE": os.environ["RELEASE_LAB_BASE"], "VARIANT": "demo", "RELEASE_VERSION": version},
        network="host",
        no_cache=True,
        log=log,
    )
    with engine.trial(request, lambda _: None) as image:
        contents = (read_layer(stream) for stream in engine.layers(image.id))
        return image.layers, next(each for each in contents if each.diff_id == image.layers[-1])


@pytest.mark.wide
def test_two_releases_from_nothing_differ_in_the_version_alone(engine: Engine, tmp_path: Path) -> None:
    """Another commit, at another time: what is heavy and the patches are the same, and the last layer differs in the
    version's file alone.  Between them are the team's own files, with the time of the commit."""
    first, one = built(engine, "v2.7.1", 1_750_000_000, tmp_path / "one.log")
    second, other = built(engine, "v2.7.2", 1_760_000_000, tmp_path / "other.log")
    assert len(first) == 14
    assert first[: 1 - THIN] == second[: 1 - THIN]
    found = [(each.path, each.differs) for each in differences(one.files, other.files)]
    assert found == [("etc/release/version", ("content",))]

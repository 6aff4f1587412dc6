"""A cut whose image BuildKit builds: straight into the registry, proved from there, recorded, and made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.imaged import VERSION, Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS noted
ARG RELEASE_VERSION
RUN --mount=type=secret,id=token,required=true <<EOT
mkdir -p /etc/release
printf '%s\\n' "$RELEASE_VERSION" > /etc/release/version
wc -c < /run/secrets/token > /etc/release/length
EOT

FROM ${BASE_IMAGE} AS runtime
COPY --link --chmod=0644 loader.py /opt/loader.py
COPY --link --from=noted /etc/release /etc/release

FROM nowhere.invalid/never/asked:1 AS broken
RUN exit 9
"""
OPTIONS = "  target: runtime\n  secrets: {token: {env: BUILD_TOKEN}}\n  labels: {com.example.team: ml}\n"
SECRET = "a-secret-of-23-letters!"


@pytest.fixture
def shipped(tmp_path: Path, lab: Lab) -> Imaged:
    made = imaged(tmp_path / "story", lab, dockerfile=DOCKERFILE)
    made.declare(image=OPTIONS)
    return made


def test_a_cut_by_buildkit_is_released_recorded_and_made_again(shipped: Imaged, buildkit: BuildKit) -> None:
    env = {**buildkit.environment, "BUILD_TOKEN": SECRET}
    done = shipped.release("cut", VERSION, "--yes", "--json", env=env)
    assert done.code == 0, done.err
    image = shipped.release("show", VERSION, "--json").json["images"][0]
    head, candidates = shipped.registry.head(VERSION), [each for each in shipped.registry.tags() if each != VERSION]
    assert head is not None
    assert head.digest == image["digest"] == done.json["digest"]
    assert len(candidates) == 1
    assert (image["engine"], image["builder"], image["image_id"]) == ("buildx", "default (docker)", "")
    assert image["size"] > 0
    assert image["labels"]["com.example.team"] == "ml"
    assert {check["state"] for check in image["checks"]} == {"passed"}
    again = shipped.release("cut", VERSION, "--yes", "--json", env=env)
    assert (again.code, again.json["released"]) == (0, False)
    audited = shipped.release("verify", VERSION, env=env)
    assert audited.code == 0, audited.err

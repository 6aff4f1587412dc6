"""The story with an image: a release.yaml that builds from the lab's busybox and pushes to the lab's registry."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.reference import parse_repository
from orchestrator.registry.client import Registry
from tests.support.cli import Ran, release
from tests.support.kills import killed_cut
from tests.support.story import Story, copied, slim, story

if TYPE_CHECKING:
    from tests.support.lab import Lab

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY loader.py /opt/loader.py
ARG RELEASE_VERSION
RUN mkdir -p /etc/release && printf '%s\\n' "$RELEASE_VERSION" > /etc/release/version
"""
VERSION = "v2.7.1"


@dataclass(frozen=True)
class Imaged:
    """A story whose release.yaml has an image, in a repository of its own in the registry."""

    story: Story
    lab: Lab
    repository: str

    def release(self, *args: str, env: dict[str, str] | None = None) -> Ran:
        return release(*args, cwd=self.story.clone.path, env=self.lab.env | (env or {}))

    def killed_cut(self, when: str, number: int) -> int:
        """Exit status of a cut that dies before or after it has written a record of its journal."""
        return killed_cut(self.story.clone.path, when, number, VERSION, env=self.lab.env)

    def declare(self, *, image: str = "", smoke: str = "", fix: str = "", version: str = VERSION) -> None:
        """release.yaml with the story's fix; `image` and `smoke` are extra lines of those sections."""
        self.story.release_yaml(
            f"      - commit: {fix or self.story.fix}",
            version=version,
            extra=(
                f"image:\n  repository: {self.repository}\n  dockerfile: Dockerfile\n"
                f"  build-args: {{BASE_IMAGE: '{self.lab.base}'}}\n{image}"
                f"  smoke:\n    - grep -q closed /opt/loader.py\n{smoke}"
            ),
        )

    @property
    def registry(self) -> Registry:
        return Registry(
            parse_repository(self.repository),
            credentials=lambda: self.lab.credentials,
        )


@cache
def _told(dockerfile: str) -> Story:
    """The story that tests with this Dockerfile get a copy of."""
    place = Path(tempfile.mkdtemp(prefix="template-", dir="/tmp"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return slim(story(place / "story", dockerfile=dockerfile))


def imaged(root: Path, lab: Lab, name: str = "", dockerfile: str = DOCKERFILE) -> Imaged:
    """A fresh story whose Dockerfile builds on the lab's busybox."""
    tale = copied(_told(dockerfile), root)
    made = Imaged(story=tale, lab=lab, repository=f"{lab.registry}/{name or f't{uuid.uuid4().hex[:10]}'}/pytorch-cuda")
    made.declare()
    return made

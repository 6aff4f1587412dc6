"""docs/first-release.md, whole: with the lab's engine and registry in place of those that it names."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.reference import parse_repository
from orchestrator.registry.client import Registry
from tests.support.pages import blocks, followed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker


def test_from_nothing_to_a_pipeline_with_an_image(tmp_path: Path, lab: Lab) -> None:
    repository = f"{lab.registry}/t{uuid.uuid4().hex[:10]}/tinyserve"
    script = "\n".join(blocks("first-release.md")).replace("FROM busybox", f"FROM {lab.base}")
    script = script.replace("registry.example.com/tinyserve", repository).replace("registry.example.com", lab.registry)
    env = {"DOCKER_HOST": lab.docker_host, "REGISTRY_USER": lab.username, "REGISTRY_PASSWORD": lab.password}
    seen = followed(script, tmp_path, env)
    assert seen.count("; nothing was uploaded") == 1  # the second cut of v2.7.1
    assert lab.password not in seen
    registry = Registry(parse_repository(repository), credentials=lambda: lab.credentials)
    found = [registry.head(tag) for tag in ("v2.7.1", "v2.7.2")]
    assert [each is not None and each.digest in seen for each in found] == [True, True]
    assert registry.head("v2.7.3") is None

"""Bases for several platforms, made of the lab's busybox: its binaries run on this machine whatever the image says."""

from __future__ import annotations

import io
import tarfile
import uuid
from typing import TYPE_CHECKING

import docker

from orchestrator.core.reference import parse_repository
from orchestrator.registry.client import Registry
from orchestrator.registry.manifest import render_index

if TYPE_CHECKING:
    from tests.support.lab import Lab


def base_for(lab: Lab, platform: str, files: dict[str, bytes]) -> str:
    """The lab's busybox as an image for a platform, with some files of its own."""
    api = docker.APIClient(base_url=lab.docker_host, version="auto")
    box = api.create_container(lab.base, ["true"])
    root = b"".join(api.export(box["Id"]))
    api.remove_container(box["Id"])
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        parts = {"Dockerfile": b"FROM scratch\nADD root.tar /\nCOPY own/ /\n", "root.tar": root, "own/x": b"x\n"}
        for name, data in {**parts, **{f"own/{name}": data for name, data in files.items()}}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    name = f"platform-{uuid.uuid4().hex[:8]}:{platform.rpartition('/')[2]}"
    said = list(api.build(fileobj=io.BytesIO(context.getvalue()), custom_context=True, tag=name, rm=True, decode=True,
                          platform=platform))  # fmt: skip
    assert not any("error" in line for line in said), said
    return name


def index_base(lab: Lab, bases: dict[str, str]) -> str:
    """A base with a tag for several platforms, as large projects publish theirs: docker's manifest list."""
    repository = f"{lab.registry}/base-{uuid.uuid4().hex[:8]}/box"
    registry = Registry(parse_repository(repository), credentials=lambda: lab.credentials)
    api = docker.APIClient(base_url=lab.docker_host, version="auto")
    images = []
    for platform, name in bases.items():
        tag = platform.replace("/", "-")
        api.tag(name, repository, tag)
        auth = {"username": lab.username, "password": lab.password}
        said = list(api.push(repository, tag, stream=True, decode=True, auth_config=auth))
        assert not any("error" in line for line in said), said
        api.remove_image(f"{repository}:{tag}", noprune=True)
        api.remove_image(name, noprune=True)
        found = registry.manifest(tag)
        assert found
        images.append((found, platform))
    registry.put_manifest("both", render_index(images))
    return f"{repository}:both"

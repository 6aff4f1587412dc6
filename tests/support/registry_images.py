"""Small images put into a registry by its plain API: what an engine does before anything can be promoted."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

import requests

from orchestrator.registry.manifest import Manifest
from tests.support.registry_process import USERS

if TYPE_CHECKING:
    from orchestrator.core.reference import ImageRepository
    from orchestrator.registry.client import Registry

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def upload(repository: ImageRepository, content: bytes) -> dict[str, object]:
    """A blob, by the plain API: what an engine does before anything can be promoted."""
    auth = ("ada", USERS["ada"])
    opened = requests.post(f"http://{repository.host}/v2/{repository.path}/blobs/uploads/", auth=auth, timeout=10)
    opened.raise_for_status()
    requests.put(
        opened.headers["Location"], params={"digest": digest_of(content)}, data=content, auth=auth, timeout=10
    ).raise_for_status()
    return {"digest": digest_of(content), "size": len(content)}


def tiny_image(repository: ImageRepository, version: str) -> Manifest:
    """A config and one layer are uploaded; the manifest that ties them together is not."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(f"version-{version}"))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Labels": {"org.opencontainers.image.version": version}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(raw.getvalue())]},
    }
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            **upload(repository, json.dumps(config).encode()),
        },
        "layers": [{"mediaType": LAYER, **upload(repository, gzip.compress(raw.getvalue(), mtime=0))}],
    }
    return Manifest(content=json.dumps(document, indent=3).encode(), media_type=DOCKER)


def candidate(registry: Registry, version: str) -> Manifest:
    """An image that is there under a candidate name, as after `upload`."""
    manifest = tiny_image(registry.repository, version)
    assert registry.put_manifest(f"candidate-{version}", manifest) == manifest.digest
    return manifest

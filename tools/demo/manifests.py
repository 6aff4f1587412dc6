"""The layers of a published image, asked from the registry itself."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

from tools.demo.shell import DemoError

ACCEPT = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Manifest:
    """An image's digest, and its layers as digest -> compressed bytes."""

    digest: str
    layers: dict[str, int]


def fetch(repository: str, tag: str, username: str, password: str) -> Manifest:
    host, _, path = repository.partition("/")
    token = base64.b64encode(f"{username}:{password}".encode()).decode()
    headers = {"Accept": ACCEPT, "Authorization": f"Basic {token}"}
    request = urllib.request.Request(f"http://{host}/v2/{path}/manifests/{tag}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            digest = answer.headers["Docker-Content-Digest"]
            document = json.load(answer)
    except urllib.error.URLError as error:
        raise DemoError(f"{repository}:{tag} cannot be read from the registry: {error}") from error
    return Manifest(digest=digest, layers={layer["digest"]: layer["size"] for layer in document["layers"]})


def size(count: int) -> str:
    """Bytes for people: kB and MB of 1000."""
    if count < 10_000:
        return f"{count} bytes"
    return f"{count / 1e3:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"

"""What the tests of thin releases share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from tests.support.imaged import VERSION, Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Manifest
    from tests.support.lab import Lab

NEXT = "v2.7.2"
MOST = 32 << 10  # bytes each way, of a release of one small file
HEAVY = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS heavy
RUN mkdir -p /opt /etc/release && head -c 300000 /dev/urandom > /opt/heavy \\
 && mkdir -p /home/train && chown 1000:1000 /home/train && ln -s opt /linked
ENV APP=/opt
"""


DOCKERFILE = f"""\
{HEAVY}
FROM heavy
COPY --link loader.py $APP/loader.py
ARG RELEASE_VERSION
COPY --link <<END /etc/release/version
$RELEASE_VERSION
END
"""


IMAGE = "  heavy: heavy\n  delta-budget: 16KiB\n"


SITE = "opt/venv/lib/python3.11/site-packages"
PATCH = """\
Subject: half of an odd number is no whole one
Origin: upstream, https://example.com/tiny.git
---
diff --git a/tiny/__init__.py b/tiny/__init__.py
--- a/tiny/__init__.py
+++ b/tiny/__init__.py
@@ -1,2 +1,2 @@
 def half(n):
-    return n // 2
+    return n / 2
"""


def story(place: Path, lab: Lab, dockerfile: str = DOCKERFILE, image: str = IMAGE) -> Imaged:
    made = imaged(place / "story", lab, dockerfile=dockerfile)
    made.declare(image=image)
    return made


def recorded(made: Imaged, version: str = VERSION) -> dict[str, Any]:
    image: dict[str, Any] = made.release("show", version, "--json").json["images"][0]
    return image


def cut(made: Imaged, version: str = VERSION) -> dict[str, Any]:
    done = made.release("cut", version, "--yes")
    assert done.code == 0, done.err
    return recorded(made, version)


def manifest(registry: Registry, name: str) -> Manifest:
    found = registry.manifest(name)
    assert found is not None, name
    return found


def tag_of(image: dict[str, Any]) -> str:
    return str(image["heavy"]["reference"]).rpartition(":")[2]


def remove(registry: Registry, lab: Lab, digest: str) -> None:
    """A manifest out of the registry, with every tag that stands for it."""
    place = f"http://{lab.registry}/v2/{registry.repository.path}/manifests/{digest}"
    requests.delete(place, auth=(lab.username, lab.password), timeout=30).raise_for_status()

"""Patches of a thin release: what they made is taken over from the version before, the base's sources stay unread."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import requests

from tests.docker.thinned import NEXT, PATCH, SITE, manifest, recorded, tag_of
from tests.support.counting import counted
from tests.support.imaged import VERSION, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker
SOURCES = 300_000  # bytes of the base's Python sources, at least, however they are compressed
MOST = 64 << 10
DOCKERFILE = f"""\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}} AS heavy
RUN mkdir -p /opt/venv/lib/python3.11 /etc/release
COPY site /{SITE}
FROM scratch AS patched
FROM heavy
COPY --link --from=patched / /
COPY --link loader.py /opt/loader.py
ARG RELEASE_VERSION
COPY --link <<END /etc/release/version
$RELEASE_VERSION
END
"""


@pytest.mark.wide
def test_what_unchanged_patches_made_is_taken_from_the_version_before(
    tmp_path: Path, lab: Lab, buildkit: BuildKit
) -> None:
    """By BuildKit, on a base of another repository, counted at the registry.

    Then that layer is gone, which is said; even so of the base's sources only the file is read that the patch changes.
    """
    files: dict[str, str | bytes | None] = {
        "Dockerfile": DOCKERFILE,
        "site/tiny/__init__.py": "def half(n):\n    return n // 2\n",
        "site/tiny/big.py": f"x = '{secrets.token_hex(SOURCES)}'\n",
        "site/tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "patches/tiny-1.0/0001-half.patch": PATCH,
    }
    with counted(lab.registry) as moved:
        made = imaged(tmp_path / "story", replace(lab, registry=moved.host))
        clone, first = made.story.clone, made.story.clone.commit("fix: patches", files)
        made.story.clone.git("push", "--quiet", "origin", "main")
        image = f"  heavy: {{stage: heavy, repository: {made.repository}-bases}}\n  patches: patches\n  checks: []\n"

        def cut(version: str, fix: str, more: str) -> str:
            made.declare(fix=fix, version=version, image=image + more)
            text = (clone.path / "release.yaml").read_text()
            made.story.declare(text.replace("grep -q closed", "test -s"))
            moved.clear()
            done = made.release("cut", version, "--yes", env=buildkit.environment)
            assert done.code == 0, done.err
            return done.err

        assert "the heavy base's sources" not in cut(VERSION, first, "  builder: buildx\n")
        assert "the heavy base's sources" not in cut(NEXT, made.story.after, "  builder: buildx\n")
        assert moved.received < MOST
        bases = replace(made, repository=f"{made.repository}-bases").registry
        below = len(bases.layers(manifest(bases, tag_of(recorded(made)))))
        before, after = (made.registry.layers(manifest(made.registry, each)) for each in (VERSION, NEXT))
        assert before[: below + 1] == after[: below + 1]
        assert recorded(made, NEXT)["engine"] == "buildx"
        again = made.release("rebuild", NEXT, "--strict", env=buildkit.environment)
        assert again.code == 0, (again.out, again.err)

        place = f"http://{lab.registry}/v2/{made.registry.repository.path}/blobs/{after[below].digest}"
        requests.delete(place, auth=(lab.username, lab.password), timeout=30).raise_for_status()
        last = clone.commit("fix: more", {"more.txt": "more\n"})
        clone.git("push", "--quiet", "origin", "main")
        said = cut("v2.7.3", last, "")
        assert f"the patched files are not taken from {made.repository}:{NEXT}: " in said
        assert "made of the heavy base's sources" in said
        assert moved.received < MOST
        assert recorded(made, "v2.7.3")["engine"] == "none"

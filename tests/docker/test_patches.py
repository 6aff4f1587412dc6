"""A cut with patches to an installed package, by the build scripts of the project's own image.

The package is a stand-in for torch, three lines long; the scripts, the layer and the checks are the real ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.imaged import VERSION, Imaged, imaged

if TYPE_CHECKING:
    from orchestrator.engines import Engine
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

BUILD = Path(__file__).parents[2] / "images/pytorch-cuda/build"
SCRIPTS = ("layer", "patches", "apply_patches.py", "patchfile.py")
SITE = "/usr/lib/python3/dist-packages"
DOCKERFILE = f"""\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
RUN mkdir -p /opt/venv/bin /opt/release/lib /etc/release && ln -s /usr/bin/python3 /opt/venv/bin/python
COPY site {SITE}
RUN python3 -m compileall -q --invalidation-mode unchecked-hash {SITE}/tiny
COPY build /opt/release/build
COPY patches /opt/release/patches
RUN sh /opt/release/build/patches
"""
INFO = "site/tiny-1.0.dist-info"
FILES: dict[str, str | bytes | None] = {
    "Dockerfile": DOCKERFILE,
    "site/tiny/__init__.py": "def half(n):\n    return n // 2\n",
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    f"{INFO}/RECORD": "tiny/__init__.py,,\n",
    "tiny.txt": f"tiny==1.0 --hash=sha256:{'0' * 64}\n",
    **{f"build/{name}": (BUILD / name).read_bytes() for name in SCRIPTS},
}
PATCH = """\
Subject: half of an odd number is no whole one
Origin: upstream, https://example.com/tiny.git
Commit: 1111111111111111111111111111111111111111
---
diff --git a/tiny/__init__.py b/tiny/__init__.py
--- a/tiny/__init__.py
+++ b/tiny/__init__.py
@@ -1,2 +1,2 @@
 def half(n):
-    return n // 2
+    return n / 2
"""
NAME = "tiny-1.0/0001-half.patch"
TEST = "import tiny\nassert tiny.half(1) == 0.5\n"
IMAGE = "  patches: patches\n  lock: tiny.txt\n  checks: [patches]\n"


@pytest.fixture
def patched(tmp_path: Path, lab: Lab) -> Imaged:
    return imaged(tmp_path / "story", lab)


def cut(story: Imaged, files: dict[str, str | bytes | None], smoke: str = "") -> tuple[int, str]:
    """A fix that brings these files and the image's, and a cut of it."""
    fix = story.story.clone.commit("fix: patches", {**FILES, **files})
    story.story.clone.git("push", "--quiet", "origin", "main")
    story.declare(fix=fix, image=IMAGE, smoke="")
    text = (story.story.clone.path / "release.yaml").read_text()
    text = text.replace(story.lab.base, os.environ["RELEASE_LAB_BASE"]).partition("  smoke:\n")[0] + smoke
    story.story.declare(text)
    done = story.release("cut", VERSION, "--yes")
    return done.code, done.err


def test_a_patch_is_applied_proved_recorded_and_labelled(patched: Imaged, engine: Engine) -> None:
    files = {f"patches/{NAME}": PATCH, "patches/tiny-1.0/0001-half.py": TEST, "patches/README.md": "x\n"}
    code, said = cut(patched, {**files}, "  smoke:\n    - python3 /opt/release/patches/tiny-1.0/0001-half.py\n")
    assert code == 0, said
    (image,) = patched.release("show", VERSION, "--json").json["images"]
    (found,) = [check for check in image["checks"] if check["name"] == "patches"]
    assert (found["state"], found["message"]) == ("passed", f"1 of 1 applied: {NAME}")
    info = engine.inspect(image["image_id"])
    assert info is not None
    (listed,) = image["patches"]
    subject = "half of an odd number is no whole one"
    assert (listed["name"], listed["subject"], listed["commit"]) == (NAME, subject, "1" * 40)
    assert info.labels["org.release-orchestrator.patches"] == f"{NAME}@sha256:{listed['sha256']}"
    assert f"    patch   {NAME}  sha256:{listed['sha256'][:16]}\n" in patched.release("show", VERSION).out
    record = json.loads(engine.read_file(info.id, "/etc/release/patches.json") or b"")
    assert [(row["name"], row["commit"], row["applied"]) for row in record["patches"]] == [(NAME, "1" * 40, True)]


@pytest.mark.wide
def test_the_test_of_a_patch_fails_without_it(patched: Imaged) -> None:
    smoke = "  smoke:\n    - python3 -c 'import tiny; assert tiny.half(1) == 0.5'\n"
    code, said = cut(patched, {"patches/README.md": "none\n"}, smoke)
    assert (code, "1 of 4 checks failed" in said) == (6, True), said


@pytest.mark.wide
def test_a_patch_that_does_not_fit_ends_the_build_with_its_name(patched: Imaged) -> None:
    code, said = cut(patched, {f"patches/{NAME}": PATCH.replace("-1,2 +1,2", "-2,2 +2,2")})  # an offset
    assert code == 6, said
    assert f"patch {NAME}:" in said
    assert "tiny/__init__.py:2 is" in said
    assert VERSION not in patched.registry.tags()


UNDONE = f"COPY site {SITE}\n"
STALE = (
    f"RUN cd {SITE}/tiny && cp __init__.py right.py && sed -i 's|n / 2|n // 2|' __init__.py"
    " && python3 -m compileall -qf --invalidation-mode unchecked-hash __init__.py && mv right.py __init__.py\n"
)


@pytest.mark.wide(2)
@pytest.mark.parametrize(("line", "says"), [(UNDONE, f"{NAME} is not applied"), (STALE, "byte code of another source")])
def test_an_image_that_only_says_that_it_is_patched_fails(patched: Imaged, line: str, says: str) -> None:
    code, said = cut(patched, {f"patches/{NAME}": PATCH, "Dockerfile": DOCKERFILE + line})
    assert (code, says in said) == (6, True), said

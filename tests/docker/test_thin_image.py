"""The team's own image as a thin release: its variant `demo`, with a patch to what is installed in the heavy base."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.imaged import VERSION, imaged

if TYPE_CHECKING:
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

PROJECT = Path(__file__).parents[2]
SOURCE = "images/pytorch-cuda"
LOCK = PROJECT / SOURCE / "locks/demo/stack.txt"
NUMPY = next(line.split("==")[1].split()[0] for line in LOCK.read_text().splitlines() if line.startswith("numpy=="))
PATCH = f"""\
Subject: a mark
Origin: upstream, https://example.com/numpy.git
Commit: {"1" * 40}
---
diff --git a/numpy/_mark.py b/numpy/_mark.py
new file mode 100644
--- /dev/null
+++ b/numpy/_mark.py
@@ -0,0 +1,1 @@
+MARK = 7
"""


def test_it_is_released_without_an_engine(tmp_path: Path, lab: Lab) -> None:
    made = imaged(tmp_path / "story", lab)
    story = made.story
    patches = {path for path in (PROJECT / SOURCE / "patches").rglob("*") if path.is_file()}
    files: dict[str, str | bytes | None] = {
        path.relative_to(PROJECT).as_posix(): path.read_bytes()
        for path in (PROJECT / SOURCE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path not in patches
    }
    files[f"{SOURCE}/patches/numpy-{NUMPY}/0001-mark.patch"] = PATCH
    story.clone.commit("fix: the image", files)
    programs = [path for path in files if os.access(PROJECT / path, os.X_OK)]
    story.clone.git("update-index", "--chmod=+x", *programs)
    story.clone.git("commit", "--quiet", "--amend", "--no-edit")
    fix = story.clone.rev("HEAD")
    story.clone.git("push", "--quiet", "origin", "main")
    made.declare(
        fix=fix,
        image=f"  heavy: heavy\n  network: host\n  patches: {SOURCE}/patches\n  lock: {SOURCE}/locks/demo\n"
        "  checks: [installed, patches, user]\n",
    )
    text = (story.clone.path / "release.yaml").read_text().replace(lab.base, os.environ["RELEASE_LAB_BASE"])
    text = text.replace("dockerfile: Dockerfile", f"dockerfile: {SOURCE}/Dockerfile")
    text = text.replace("build-args: {", "build-args: {VARIANT: demo, ")
    text = text.replace(
        "grep -q closed /opt/loader.py", "python -c 'import trainkit, numpy._mark as m; assert m.MARK == 7'"
    )
    story.declare(text)
    done = made.release("cut", VERSION, "--yes")
    assert done.code == 0, done.err
    image = made.release("show", VERSION, "--json").json["images"][0]
    assert image["engine"] == "none"
    states = {check["name"]: check["state"] for check in image["checks"]}
    assert {states[name] for name in ("version-inside", "installed", "patches", "user")} == {"passed"}, image["checks"]
    again = made.release("rebuild", VERSION, "--strict")
    assert again.code == 0, again.out

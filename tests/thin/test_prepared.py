"""What the tool makes in place of the stages `patched` and `stamp`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.thin.base import SitePackage
from orchestrator.thin.layer import FileNode
from orchestrator.thin.prepared import Patching, stamp

BUILD = Path(__file__).parents[2] / "images/pytorch-cuda/build"
SITE = f"opt/venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
NAME = "tiny-1.0/0001-half.patch"
TEXT = """\
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
SOURCE = b"def half(n):\n    return n // 2\n"
GONE = """\
Subject: nobody halves
Origin: upstream, https://example.com/tiny.git
---
diff --git a/tiny/old.py b/tiny/old.py
deleted file mode 100644
--- a/tiny/old.py
+++ /dev/null
@@ -1,1 +0,0 @@
-x = 1
"""


def patching(files: dict[str, bytes] | None = None, version: str = "1.0", name: str = "tiny") -> Patching:
    installed = (SitePackage(name=name, version=version, site=SITE),)
    return Patching(folder="patches", files=files or {NAME: TEXT.encode()}, installed=installed, mtime=7)


def test_what_a_version_says_of_itself() -> None:
    made = stamp("v2.7.1", "a" * 40, "cu126", 7)
    assert made["etc/release/version"] == FileNode(data=b"v2.7.1\n", mtime=7)
    assert made["etc/release/revision"].data == b"a" * 40 + b"\n"
    assert made["etc/release/variant"].data == b"cu126\n"
    assert made["etc"].kind == "folder"


def test_a_patch_is_applied_and_the_byte_code_of_before_is_hidden() -> None:
    made = patching().result({f"{SITE}/tiny/__init__.py": SOURCE})
    assert made[f"{SITE}/tiny/__init__.py"] == FileNode(data=SOURCE.replace(b"//", b"/"), mtime=7)
    tag = sys.implementation.cache_tag
    assert made[f"{SITE}/tiny/__pycache__/.wh.__init__.{tag}.pyc"].data == b""
    assert all(path == "opt" or "/" in path or path == "etc" for path in made)


def test_its_account_is_that_of_the_image_s_own_script(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "tiny").mkdir(parents=True)
    (site / "tiny/__init__.py").write_bytes(SOURCE)
    (site / "tiny-1.0.dist-info").mkdir()
    (site / "tiny-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    (site / "tiny-1.0.dist-info/RECORD").write_text("tiny/__init__.py,,\n")
    (tmp_path / "patches/tiny-1.0").mkdir(parents=True)
    (tmp_path / "patches" / NAME).write_text(TEXT)
    out = tmp_path / "out"
    argv = [sys.executable, "-B", str(BUILD / "apply_patches.py"), str(tmp_path / "patches"), str(tmp_path / "said")]
    subprocess.run([*argv, str(out)], check=True, capture_output=True, env={"PYTHONPATH": str(site)})
    made = patching().result({f"{SITE}/tiny/__init__.py": SOURCE})
    assert json.loads(made["etc/release/patches.json"].data) == json.loads((tmp_path / "said").read_bytes())
    theirs = Path(f"{out}{site}/tiny/__init__.py")
    assert theirs.read_bytes() == made[f"{SITE}/tiny/__init__.py"].data
    assert (site / "tiny/__init__.py").read_bytes() == SOURCE  # nothing installed is touched
    assert len(list(theirs.parent.glob("__pycache__/*.pyc"))) == 1


def test_a_file_that_is_removed_is_hidden() -> None:
    made = patching({"tiny-1.0/0001-gone.patch": GONE.encode()}).result({f"{SITE}/tiny/old.py": b"x = 1\n"})
    assert made[f"{SITE}/tiny/.wh.old.py"].data == b""
    assert f"{SITE}/tiny/old.py" not in made


def test_a_patch_of_what_is_not_installed_is_in_the_account_only() -> None:
    made = patching(name="other").result({})
    assert json.loads(made["etc/release/patches.json"].data)["patches"][0]["reason"] == "tiny is not installed"
    assert not [path for path in made if path.startswith(SITE)]


@pytest.mark.parametrize(
    ("version", "originals", "said"),
    [
        ("2.0", {f"{SITE}/tiny/__init__.py": SOURCE}, "tiny 2.0 is installed, not 1.0"),
        ("1.0", {f"{SITE}/tiny/__init__.py": b"other\n"}, "the patch wants"),
        ("1.0", {}, "is not among the sources"),
    ],
)
def test_what_does_not_fit_is_refused(version: str, originals: dict[str, bytes], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        patching(version=version).result(originals)
    assert caught.value.where == f"patches/{NAME}"


def test_the_inputs_are_base_and_patches() -> None:
    one = patching().inputs("sha256:1")
    assert one == patching().inputs("sha256:1")
    assert one != patching().inputs("sha256:2")
    assert one != patching({NAME: TEXT.replace("/ 2", "/ 2.0").encode()}).inputs("sha256:1")
    assert patching().touched() == [f"{SITE}/tiny/__init__.py"]

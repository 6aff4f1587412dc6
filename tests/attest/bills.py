"""A small bill with one of everything: hashes, licences of each kind, a CUDA library, patches, Debian packages."""

from __future__ import annotations

from orchestrator.attest.bill import Bill, components
from orchestrator.attest.inventory import InstalledPackage, Inventory
from orchestrator.attest.licences import KNOWN
from orchestrator.core.reference import parse_repository
from orchestrator.image.patchfile import read_series

COMMIT = "7cb6c2bb4bc2f0b1c0d3a3d4d5e6f708192a3b4c"
PATCH = f"""\
Subject: Close the file when the loader ends
From: A Developer (https://example.com/dev)
Origin: upstream, https://example.com/pull/7
Bug: https://example.com/issues/5
Commit: {COMMIT}
---
diff --git a/torch/loader.py b/torch/loader.py
--- a/torch/loader.py
+++ b/torch/loader.py
@@ -1,3 +1,4 @@
 import os
 def load():
     pass
+    os.close(3)
""".encode()
LOCK = {
    "locks/cuda.txt": b"nvidia-cudnn-cu12==9.5.1.17 \\\n    --hash=sha256:" + b"a" * 64 + b"\n",
    "locks/torch.txt": (
        b"torch==2.7.0 \\\n    --hash=sha256:" + b"b" * 64 + b" \\\n    --hash=sha256:" + b"c" * 64 + b"\n"
        b"numpy==2.2.6 --hash=sha256:" + b"d" * 64 + b"\n"
    ),
}
PYTHON = (
    InstalledPackage(name="numpy", version="2.2.6", licences=("BSD License",)),
    InstalledPackage(name="nvidia-cudnn-cu12", version="9.5.1.17", licences=("Other/Proprietary License",)),
    InstalledPackage(name="pip", version="25.0", licences=("MIT",)),
    InstalledPackage(name="torch", version="2.7.0", licences=("BSD-3-Clause",)),
)
DEBIAN = (
    InstalledPackage(name="bash", version="5.2.15-2+b7", architecture="amd64", licences=("GPL-3+", "GAP")),
    InstalledPackage(name="tini", version="0.19.0-1", architecture="amd64"),
)
INVENTORY = Inventory(python=PYTHON, debian=DEBIAN, distro="debian-12", architecture="amd64")


def bill(*, version: str = "v2.7.1", inventory: Inventory = INVENTORY, patch: bytes = PATCH) -> Bill:
    """The bill of an image that has all of that."""
    entries, faults = read_series({"torch-2.7.0/0001-close.patch": patch}) if patch else ([], [])
    assert faults == []
    return Bill(
        repository=parse_repository("registry.example.com/team/pytorch-cuda"),
        tag=version,
        digest=f"sha256:{'e' * 64}",
        platform="linux/amd64",
        when="2025-06-04T12:00:00Z",
        components=components(LOCK, inventory, entries),
    )


def licensed() -> Bill:
    """One with a package under every licence that is known by its id."""
    package = InstalledPackage(name="perl", version="5.36", licences=(*KNOWN, *sorted(KNOWN.values())))
    return bill(inventory=Inventory(python=PYTHON, debian=(package,)))

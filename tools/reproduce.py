"""Two BuildKit builds of the image from one commit: are their digests the same?  `make reproduce`, inside the lab.

Docker 28 comes from a newer Debian, unpacked into a folder and started with everything of its own; it ends with the
lab.  The two images are written to files and compared here, layer by layer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orchestrator.audit.layer_compare import facing
from orchestrator.audit.layers import differences, read_layer
from tools.lab import buildkit, talk

PROJECT = Path(__file__).resolve().parents[1]
DOCKERFILE = "images/pytorch-cuda/Dockerfile"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("variant", nargs="?", default="notebook", help="a folder of images/pytorch-cuda/locks")
    variant = options.parse_args().variant
    if not (PROJECT / "images/pytorch-cuda/locks" / variant).is_dir():
        options.error(f"images/pytorch-cuda/locks has no folder {variant}")
    if reason := buildkit.unavailable(os.environ):
        raise talk.LabError(f"{reason}; run it by `make reproduce`")
    engine = buildkit.main_engine(os.environ)  # ends with the lab
    engine.load(os.environ["RELEASE_LAB_BASE"])
    with tempfile.TemporaryDirectory(prefix="release-reproduce-") as folder:
        builder = Builder(engine, Path(folder))
        return compare(*(builder.build(variant, Path(folder) / f"{number}.tar") for number in (1, 2)))


class Builder:
    """Builds HEAD with an engine that has the containerd store, which alone can rewrite times while it exports."""

    def __init__(self, engine: buildkit.BuildKit, work: Path) -> None:
        self._engine = engine
        self._work = work

    def build(self, variant: str, into: Path) -> Path:
        """Build HEAD from nothing into an OCI archive."""
        seconds = talk.output(["git", "-C", str(PROJECT), "log", "-1", "--format=%ct"])
        arguments = {"BASE_IMAGE": os.environ["RELEASE_LAB_BASE"], "VARIANT": variant, "RELEASE_VERSION": "v2.7.1"}
        argv = [str(self._engine.plugin), "build", "--no-cache"]
        argv += ["--progress=plain", "--provenance=false", "--sbom=false", "--network=host", "--allow=network.host"]
        argv += [f"--output=type=oci,dest={into},rewrite-timestamp=true", f"--file={DOCKERFILE}"]
        argv += [f"--build-arg={key}={value}" for key, value in arguments.items()]
        own = self._engine.environment | {"SOURCE_DATE_EPOCH": seconds}
        begun = time.monotonic()
        with tempfile.TemporaryFile() as context, (self._work / "build.log").open("wb") as log:
            subprocess.run(["git", "-C", str(PROJECT), "archive", "HEAD", "images"], stdout=context, check=True)
            context.seek(0)
            done = subprocess.run(
                [*argv, "-"], stdin=context, stdout=log, stderr=log, env=os.environ | own, check=False
            )
        if done.returncode:
            raise talk.LabError(f"the build failed:\n{talk.tail(self._work / 'build.log')}")
        talk.say(f"built {variant} from nothing in {time.monotonic() - begun:.0f} s")
        return into


# ------------------------------------------------------------------ comparing


def compare(first: Path, second: Path) -> int:
    """Print both digests and what differs; 0 when nothing does."""
    one, other = manifest(first), manifest(second)
    print(f"image  {one['digest']}\n       {other['digest']}")
    differing = 0
    layers = [[layer["digest"] for layer in each["layers"]] for each in (one, other)]
    for i, j in facing(*layers):
        left, right = (layers[0][i] if i is not None else ""), (layers[1][j] if j is not None else "")
        print(f"layer  {'identical' if left == right else 'DIFFERS'}  {left or 'none'}")
        if left != right:
            differing += 1
            for each in differences(files(first, left), files(second, right)):
                print(f"       {', '.join(each.differs)}  /{each.path}")
    same = one["digest"] == other["digest"]
    total = len(layers[0])
    print(f"{total - differing} of {total} layers are identical; the image digest is {'too' if same else 'not'}")
    return 0 if same else 1


def manifest(archive: Path) -> dict[str, Any]:
    """The image's manifest, with its digest."""
    digest = json.loads(member(archive, "index.json"))["manifests"][0]["digest"]
    data = member(archive, blob(digest))
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
        raise talk.LabError(f"{archive}: the manifest is not {digest}")
    return {"digest": digest, **json.loads(data)}


def files(archive: Path, digest: str) -> Any:
    if not digest:
        return {}
    with tarfile.open(archive) as tar:
        data = tar.extractfile(blob(digest))
        if data is None:
            raise talk.LabError(f"{archive} has no {digest}")
        return read_layer(data).files


def member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        data = tar.extractfile(name)
        return data.read() if data else b""


def blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except talk.LabError as error:
        talk.say(f"error: {error}")
        raise SystemExit(1) from None

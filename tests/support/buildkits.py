"""Docker 28 as the tests use it: logged in, as several nodes, behind TLS, and with its bytes counted."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit
    from tools.lab.netns import Traffic


def docker(engine: BuildKit, *argv: str, stdin: bytes = b"") -> str:
    """The client of that Docker; what it printed."""
    done = subprocess.run(
        ["docker", *argv], env=os.environ | engine.environment, input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, (argv, done.stderr.decode()[-2000:])
    return done.stdout.decode().strip()


def login(engine: BuildKit, lab: Lab) -> None:
    host = ("--username", lab.username, "--password-stdin", lab.registry)
    docker(engine, "login", *host, stdin=lab.password.encode())


def publish(engine: BuildKit, image: str, name: str) -> str:
    """Give an image of the engine's store a name in the registry; the answer is its digest."""
    docker(engine, "tag", image, name)
    docker(engine, "push", "--quiet", name)
    return docker(engine, "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", name)


def built(engine: BuildKit, folder: Path, *options: str, output: str) -> str:
    """Build a folder by buildx; the digest of what was pushed."""
    said = folder.parent / f"{folder.name}.json"
    common = ("--provenance=false", "--progress=plain", f"--metadata-file={said}", f"--output={output}")
    docker(engine, "buildx", "build", *common, *options, str(folder))
    digest: str = json.loads(said.read_text())["containerimage.digest"]
    return digest


def pushed(name: str) -> str:
    """The output that moves nothing but new layers: into the registry, and not into the engine's store."""
    return f"type=image,name={name},push=true,store=false"


def counting(engine: BuildKit) -> Traffic:
    return engine.traffic()


@dataclass(frozen=True)
class Papers:
    """Files: an authority, what the server shows, and the options by which buildx shows its own."""

    authority: Path
    server: tuple[Path, Path, Path]  # certificate, key, authority
    client: str


def mutual_tls(folder: Path) -> Papers:
    """An authority and two certificates of it, made by openssl; the server's is for 127.0.0.1."""
    folder.mkdir()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    _openssl(folder, "req", "-x509", *curve, "-subj", "/CN=test", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "client"):
        _openssl(folder, "req", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    authority = folder / "ca.pem"
    client = f"cert={folder / 'client.pem'},key={folder / 'client.key'}"
    return Papers(authority, (folder / "server.pem", folder / "server.key", authority), client)


def _openssl(folder: Path, *argv: str) -> None:
    subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True)

"""Keys of nobody, in each form that the tool reads, and cosign as a stranger would run it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab

PASSWORD = "not-a-real-password"
TRUSTED_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


@dataclass(frozen=True)
class Pair:
    """A private key in PEM, and the public one as release.yaml pins it."""

    private: bytes
    public: str

    @property
    def pem(self) -> str:
        return f"-----BEGIN PUBLIC KEY-----\n{self.public}\n-----END PUBLIC KEY-----\n"


def pair(*, password: str = "", edwards: bool = False) -> Pair:
    """A new key in PKCS#8, encrypted with a password where one is given."""
    key = ed25519.Ed25519PrivateKey.generate() if edwards else ec.generate_private_key(ec.SECP256R1())
    how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Pair(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how), base64.b64encode(public).decode())


@dataclass(frozen=True)
class Cosign:
    """One version of the program, logged in to the lab's registry and with no network but that."""

    program: Path
    folder: Path

    @property
    def is_old(self) -> bool:
        """2.5 wants to be told of the bundle format, and of a trusted root even where there is only a key."""
        return "trixie" in str(self.program)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DOCKER_CONFIG": str(self.folder),
            "COSIGN_PASSWORD": PASSWORD,
        }
        return subprocess.run(
            [str(self.program), *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def attested(self, image: str, kind: str, key: Path) -> subprocess.CompletedProcess[str]:
        """`cosign verify-attestation`, as docs/signatures.md gives it."""
        old = ("--new-bundle-format", "--trusted-root", "trusted-root.json") if self.is_old else ()
        return self.run(
            "verify-attestation", *old, "--key", str(key), "--insecure-ignore-tlog", "--type", kind, image
        )  # fmt: skip


def cosign(program: Path, folder: Path, lab: Lab) -> Cosign:
    """The program, ready to be run in a folder of its own."""
    folder.mkdir(exist_ok=True)
    login = base64.b64encode(f"{lab.username}:{lab.password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {lab.registry: {"auth": login}}}))
    (folder / "trusted-root.json").write_text(TRUSTED_ROOT)
    return Cosign(program, folder)

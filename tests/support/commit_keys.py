"""Keys of nobody that git signs with, and repositories that sign with them, or know them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.story import Repo

PASSPHRASE = "not-a-real-passphrase"


def ssh_key(place: Path, *, passphrase: str = "") -> Path:
    """A new private key; the public one is beside it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    args = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "nobody", "-f", str(place)]
    subprocess.run(args, check=True, stdin=subprocess.DEVNULL)
    return place


def sign_with(repo: Repo, key: Path) -> None:
    """From now on git signs each commit with it."""
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(key)), ("commit.gpgSign", "true")):
        repo.git("config", name, value)


def trust(repo: Repo, *keys: Path) -> None:
    """The repository believes these keys, and no other."""
    signers = keys[0].with_name(f"signers-{repo.path.name}")
    publics = (key.with_name(f"{key.name}.pub").read_text() for key in keys)
    signers.write_text("".join(f"mia@example.com {public}" for public in publics))
    repo.git("config", "gpg.ssh.allowedSignersFile", str(signers))


def unsigned_text(text: str) -> str:
    """The text of a commit object without its signature."""
    head, _, message = text.partition("\n\n")
    kept: list[str] = []
    inside = False
    for line in head.split("\n"):
        inside = line.startswith("gpgsig ") or (inside and line.startswith(" "))
        kept += [] if inside else [line]
    return "\n".join(kept) + "\n\n" + message


@contextmanager
def gnupg() -> Iterator[Path]:
    """An empty home of GnuPG, in a short path: its sockets are there.  Its agent ends with it."""
    if missing := [name for name in ("gpg", "gpgsm", "openssl") if not shutil.which(name)]:
        pytest.skip(f"NO {' AND '.join(missing).upper()} HERE: signatures by OpenPGP and X.509 are not tried")
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    try:
        yield home
    finally:
        _run(home, "gpgconf", "--kill", "all")
        shutil.rmtree(home, ignore_errors=True)


def gpg_key(home: Path) -> str:
    """A new OpenPGP key without a passphrase; its fingerprint."""
    who = "Mia Maintainer <mia@example.com>"
    _run(home, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", who, "ed25519", "sign", "never")
    return _fingerprint(_run(home, "gpg", "--list-secret-keys", "--with-colons"))


def x509_key(home: Path) -> str:
    """A new key with a certificate that it signed itself, which is believed here; its fingerprint."""
    key, certificate, both = (str(home / name) for name in ("key.pem", "certificate.pem", "both.p12"))
    _run(home, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
         "-days", "3650", "-subj", "/CN=Mia Maintainer", "-addext", "subjectAltName=email:mia@example.com",
         "-addext", "keyUsage=digitalSignature,nonRepudiation")  # fmt: skip
    (home / "gpgsm.conf").write_text("disable-crl-checks\n")
    (home / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")
    for _ in range(20):  # GnuPG 2.2 reads one of twenty such files wrongly, by the bytes of its salt
        _run(home, "openssl", "pkcs12", "-export", "-inkey", key, "-in", certificate, "-out", both, "-passout", "pass:",
             "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1")  # fmt: skip
        done = _gnupg(home, "gpgsm", "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", both,
                      stdin="\n")  # fmt: skip
        if done.returncode == 0:
            break
    fingerprint = _fingerprint(_run(home, "gpgsm", "--list-secret-keys", "--with-colons"))
    (home / "trustlist.txt").write_text(f"{fingerprint} S relax\n")
    _run(home, "gpgconf", "--kill", "gpg-agent")
    return fingerprint


def _fingerprint(listing: str) -> str:
    return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))


def _gnupg(home: Path, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, "GNUPGHOME": str(home)}, input=stdin, text=True, capture_output=True, check=False
    )  # fmt: skip


def _run(home: Path, *command: str) -> str:
    done = _gnupg(home, *command)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout

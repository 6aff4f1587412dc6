"""The cosign program, version 3 or newer: it signs with keys in a KMS and with identities of CI, and checks the latter.

A statement goes in as a file and a bundle comes out; the bundle is attached and compared here, as those by keys are.
https://docs.sigstore.dev/cosign/signing/overview/
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.attest.keys import PublicKey, public_key
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME: Final = "cosign"
_OPTIONS: Final = ("--statement", "--signing-config", "--trusted-root")
_LONGEST: Final = 400  # characters of what cosign says
_LIMIT: Final = 300  # seconds of one call: it may wait for a KMS or a log
_INSTALL: Final = "install cosign 3 or newer (https://docs.sigstore.dev/cosign/system_config/installation/)"
# Without services of its own cosign asks sigstore's public ones, which know nothing of a key in a KMS.
_NO_SERVICES: Final = b'{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}'
_NO_ROOT: Final = b'{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


@dataclass(frozen=True)
class Cosign:
    """The program at a path.  What it is told in secret it gets from the environment, never in its arguments."""

    program: str
    env: Mapping[str, str]

    @cached_property
    def fault(self) -> str:
        """Why it cannot do what is asked here, "" where it can.  Some builds of it do not know their version."""
        try:
            said = self._run("attest-blob", "--help").stdout
        except RemoteError as error:
            return error.message
        missing = [option for option in _OPTIONS if option not in said]
        return f"{self.program} is too old: its attest-blob takes no {missing[0]}" if missing else ""

    def public_key(self, uri: str) -> PublicKey:
        """The public half of a key in a KMS.  Raises RemoteError where there is none, UsageError for another kind."""
        said = self._run("public-key", "--key", uri)
        if said.returncode:
            raise RemoteError(
                f"the signing key {uri} cannot be used: {_reason(said.stderr)}",
                remedy=f"try it until it works: cosign public-key --key {uri}",
                code="signing-key",
                state="nothing is public",
            )
        try:
            return public_key(said.stdout)
        except ValueError as error:
            remedy = "make one of ECDSA on P-256 there"
            raise UsageError(f"the signing key {uri} {error}", remedy=remedy, code="signing-key") from error

    def sign_by_key(self, payload: bytes, uri: str) -> bytes:
        """The bundle of a statement, by a key in a KMS."""
        return self._attest(payload, {"signing-config": _NO_SERVICES, "trusted-root": _NO_ROOT}, ("--key", uri))

    def sign_by_identity(self, payload: bytes, files: Mapping[str, bytes]) -> bytes:
        """The bundle of a statement, by who the environment says this is; `files` are those of the options."""
        return self._attest(payload, files, ())

    def _attest(self, payload: bytes, files: Mapping[str, bytes], more: Sequence[str]) -> bytes:
        with tempfile.TemporaryDirectory(prefix="release-sign-") as name:
            folder, options = Path(name), [*more]
            for option, data in {"statement": payload, **files}.items():
                (folder / option).write_bytes(data)
                options += [f"--{option}", str(folder / option)]
            said = self._run("attest-blob", "--yes", *options, "--bundle", str(folder / "bundle"))
            if said.returncode or not (folder / "bundle").is_file():
                raise RemoteError(
                    f"cosign did not sign: {_reason(said.stderr)}",
                    remedy="put that right, then run the same command again: what is signed is not signed twice",
                    code="not-signed",
                    state="nothing is public",
                )
            return (folder / "bundle").read_bytes()

    def refusal(self, bundle: bytes, root: bytes, options: Sequence[str]) -> str:
        """Why a bundle is not what the options demand, "" where it is; b"" is sigstore's public trusted root."""
        with tempfile.TemporaryDirectory(prefix="release-verify-") as name:
            folder = Path(name)
            (folder / "bundle").write_bytes(bundle)
            (folder / "root").write_bytes(root)
            rooted = ("--trusted-root", str(folder / "root")) if root else ()
            # What it is about is compared by whoever asks: the file here is only there because one must be named.
            bare = ("verify-blob-attestation", "--check-claims=false", "--bundle", str(folder / "bundle"))
            said = self._run(*bare, *rooted, *options, str(folder / "bundle"))
        return _reason(said.stderr) if said.returncode else ""

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [self.program, *arguments]
        try:
            return subprocess.run(
                argv, env=dict(self.env), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                check=False, timeout=_LIMIT,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise RemoteError(f"cosign {arguments[0]} did not end within {_LIMIT} s", code="cosign-hangs") from error
        except OSError as error:
            raise RemoteError(f"{self.program} cannot be run: {error.strerror}", code="no-cosign") from error


def at_hand(env: Mapping[str, str], password_env: str = "") -> tuple[Cosign | None, str]:
    """The program on the path, else why there is none; `password_env` is the variable that a key's password is in."""
    path = shutil.which(NAME, path=env.get("PATH"))
    if path is None:
        return None, "there is no cosign on the path"
    password = {"COSIGN_PASSWORD": env[password_env]} if password_env in env else {}
    found = Cosign(path, {**env, **password})
    return (None, found.fault) if found.fault else (found, "")


def needed(env: Mapping[str, str], password_env: str) -> Cosign:
    """The program.  Raises UsageError where there is none that can sign."""
    found, lacks = at_hand(env, password_env)
    if found is None:
        raise UsageError(f"`sign:` needs cosign: {lacks}", remedy=_INSTALL, code="no-cosign")
    return found


def _reason(said: str) -> str:
    """The last thing that went wrong, of what cosign writes."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if line.startswith(("Error:", "error during"))), (lines or [""])[-1])
    bare = last.removeprefix("Error: ").removeprefix("error during command execution: ")
    return one_line(bare.rpartition("last error: ")[2], _LONGEST)

"""Who signs, as release.yaml's `sign:` says: a key at hand, a key in a KMS, an identity of CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from orchestrator.attest import bundle, cosign, trust
from orchestrator.attest.keys import LARGEST, PublicKey, SigningKey, signing_key
from orchestrator.attest.trust import Trust
from orchestrator.core.declaration.signing import IDENTITY_TOKENS
from orchestrator.core.errors import RefusedError, ReleaseError, UsageError
from orchestrator.session.work_tree import refuse_link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.attest.cosign import Cosign
    from orchestrator.core.declaration.signing import KeylessSpec, SignSpec

_TOKEN_FILE: Final = Path("/var/run/sigstore/cosign/oidc-token")  # where cosign looks too, in Kubernetes


class Signer(Protocol):
    """`name` is what messages and the journal call it, `trust` whom to believe of what is there already."""

    @property
    def name(self) -> str: ...

    @property
    def trust(self) -> Trust: ...

    def sign(self, payload: bytes) -> bytes:
        """The bytes of a bundle."""


class KeySigner:
    """A private key that is at hand."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key
        self.name = key.public.hint
        self.trust = Trust(keys=(key.public,))

    def sign(self, payload: bytes) -> bytes:
        return bundle.sign(payload, self.key)


class KmsSigner:
    """A private key that never leaves its KMS."""

    def __init__(self, program: Cosign, uri: str, public: PublicKey) -> None:
        self.program = program
        self.uri = uri
        self.name = public.hint
        self.trust = Trust(keys=(public,))

    def sign(self, payload: bytes) -> bytes:
        return _proved(self.program.sign_by_key(payload, self.uri), payload, self.trust, self.uri)


class IdentitySigner:
    """An identity of CI, for which a certificate is had anew each time."""

    def __init__(self, program: Cosign, keyless: KeylessSpec, believed: Trust, files: Mapping[str, bytes]) -> None:
        self.program = program
        self.name = f"an identity of {keyless.issuer}"
        self.trust = believed
        self.files = files

    def sign(self, payload: bytes) -> bytes:
        return _proved(self.program.sign_by_identity(payload, self.files), payload, self.trust, "this job")


def signer(spec: SignSpec | None, version: str, env: Mapping[str, str], top: Path) -> Signer:
    """Who signs a version.

    Raises UsageError where key, program or token are not to be had, RemoteError for a KMS that does not answer,
    RefusedError where nobody pins the key.
    """
    if spec is None:
        raise ReleaseError("release.yaml does not say how to sign", code="task-order")
    if spec.keyless:
        return _identity(spec, spec.keyless, version, env, top)
    if spec.key:
        program = cosign.needed(env, spec.password_env)
        public = program.public_key(spec.key)
        _must_be_pinned(spec, public, spec.key)
        return KmsSigner(program, spec.key, public)
    return KeySigner(load_key(spec, env, top))


def _identity(spec: SignSpec, keyless: KeylessSpec, version: str, env: Mapping[str, str], top: Path) -> IdentitySigner:
    program = cosign.needed(env, spec.password_env)
    files = {
        option: config_file(name, top)
        for option, name in (("trusted-root", keyless.trusted_root), ("signing-config", keyless.signing_config))
        if name
    }
    believed = trust.pinned(spec, version, env, lambda _: files["trusted-root"])
    if believed.lacks:
        remedy = "make it with: cosign trusted-root create"
        raise UsageError(believed.lacks, where=keyless.trusted_root, remedy=remedy, code="trusted-root")
    if not any(map(env.get, IDENTITY_TOKENS)) and not _TOKEN_FILE.exists():
        remedy = "give the job one: in GitHub `permissions: id-token: write`, in GitLab `id_tokens: SIGSTORE_ID_TOKEN`"
        raise UsageError(
            f"nobody says who signs: {' and '.join(IDENTITY_TOKENS)} are empty", remedy=remedy, code="no-identity"
        )
    return IdentitySigner(program, keyless, believed, files)


def config_file(name: str, top: Path) -> bytes:
    """A file of the repository that `keyless` names, as it is in the work tree.  Raises UsageError, also for a link."""
    refuse_link(top, top / name)
    try:
        return (top / name).read_bytes()
    except OSError as error:
        remedy = "put it there, or remove `trusted-root` and `signing-config` for sigstore's public services"
        raise UsageError(f"cannot be read: {error.strerror}", where=name, remedy=remedy, code="no-sigstore") from error


def _proved(made: bytes, payload: bytes, believed: Trust, who: str) -> bytes:
    """A bundle that those will believe who verify it.  Raises RefusedError for any other."""
    found = bundle.read(made)
    says = "it is about something else" if found is None or found.payload != payload else believed.refusal(found)
    if says:
        raise RefusedError(
            f"what cosign signed for {who} would be believed by nobody: {says}",
            remedy="pin who really signs in `sign:` of the protected branch, and look at the clock of this machine",
            code="key-not-pinned",
            state="nothing is public",
        )
    return made


def load_key(spec: SignSpec, env: Mapping[str, str], top: Path) -> SigningKey:
    """The private key.  Raises UsageError where it is not to be had, RefusedError where nobody pins it."""
    where = f"the variable {spec.key_env}" if spec.key_env else spec.key_file
    data = (
        env.get(spec.key_env, "").encode("utf-8", "surrogateescape") if spec.key_env else _file(spec.key_file, env, top)
    )
    if not data:
        remedy = f"set {spec.key_env} to the private key" if spec.key_env else "put the private key there"
        raise UsageError(f"there is no signing key in {where}", remedy=remedy, code="signing-key")
    password = env.get(spec.password_env, "").encode("utf-8", "surrogateescape")
    key = signing_key(data, password, where, spec.password_env)
    _must_be_pinned(spec, key.public, f"in {where}")
    return key


def _must_be_pinned(spec: SignSpec, public: PublicKey, where: str) -> None:
    if public.text not in spec.public_keys:
        raise RefusedError(
            f"the signing key {where} is none that `sign.public-keys` pins: nobody would believe it",
            remedy=f"give the right key, or add this one: {public.text}",
            code="key-not-pinned",
            state="nothing is public",
        )


def _file(name: str, env: Mapping[str, str], top: Path) -> bytes:
    path = f"{env.get('HOME') or Path.home()}/{name[2:]}" if name.startswith("~/") else name
    try:
        with (top / path).open("rb") as file:
            return file.read(LARGEST + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UsageError(
            f"the signing key in {name}: {error.strerror}", remedy="make it a file that can be read", code="signing-key"
        ) from error

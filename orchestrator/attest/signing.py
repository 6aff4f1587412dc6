"""The key that release.yaml's `sign:` names, and whether it is one that it pins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.attest.keys import LARGEST, PublicKey, SigningKey, signing_key
from orchestrator.core.errors import RefusedError, ReleaseError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.declaration import SignSpec


def load_key(spec: SignSpec | None, env: Mapping[str, str], top: Path) -> SigningKey:
    """The private key.  Raises UsageError where it is not to be had, RefusedError where nobody pins it."""
    if spec is None:
        raise ReleaseError("release.yaml does not say how to sign", code="task-order")
    where = f"the variable {spec.key_env}" if spec.key_env else spec.key_file
    data = (
        env.get(spec.key_env, "").encode("utf-8", "surrogateescape") if spec.key_env else _file(spec.key_file, env, top)
    )
    if not data:
        remedy = f"set {spec.key_env} to the private key" if spec.key_env else "put the private key there"
        raise UsageError(f"there is no signing key in {where}", remedy=remedy, code="signing-key")
    password = env.get(spec.password_env, "").encode("utf-8", "surrogateescape")
    key = signing_key(data, password, where, spec.password_env)
    if key.public.text not in spec.public_keys:
        raise RefusedError(
            f"the signing key in {where} is none that `sign.public-keys` pins: nobody would believe it",
            remedy=f"give the right key, or add this one: {key.public.text}",
            code="key-not-pinned",
            state="nothing is public",
        )
    return key


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


def pinned(spec: SignSpec) -> tuple[PublicKey, ...]:
    """The keys to believe."""
    return tuple(PublicKey(text) for text in spec.public_keys)

"""The `sign:` section of release.yaml: with which key a release is signed, and which keys are believed."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from orchestrator.config import validators as rules
from orchestrator.config.schema import Key, ListOf, Table, Text
from orchestrator.core.declaration import SignSpec

# SubjectPublicKeyInfo of ECDSA on P-256 and of Ed25519 in DER: how it begins, and how long it is.
_FORMS: Final = (
    (bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"), 91),
    (bytes.fromhex("302a300506032b6570032100"), 44),
)


def _public_key(text: str) -> str:
    """A public key as openssl and cosign write it in PEM, its lines joined, without the first and the last."""
    try:
        der = base64.b64decode(text, validate=True)
    except binascii.Error:
        der = b""
    if not any(der.startswith(head) and len(der) == size for head, size in _FORMS):
        remedy = "write the lines of cosign.pub between BEGIN and END as one, of an ECDSA P-256 or Ed25519 key"
        raise rules.BadTextError("config-bad-key", "is no public key", remedy)
    return text


_VARIABLE: Final = Text(convert=rules.matching(rules.ARG_GRAMMAR, "COSIGN_PASSWORD"), what="a variable's name",
                        json={"pattern": f"^{rules.ARG_GRAMMAR}$"})  # fmt: skip

KEY_FILE = Key(
    name="key-file",
    shape=Text(convert=rules.plain, what="a path"),
    help="The private key on the machine that releases: cosign's `cosign.key`, or PKCS#8 in PEM. `~` is the home"
    " folder; anything else that is not absolute begins at the repository's top.",
)
KEY_ENV = Key(name="key-env", shape=_VARIABLE, help="The environment variable that holds the private key itself.")
PASSWORD_ENV = Key(
    name="password-env",
    shape=_VARIABLE,
    help="The environment variable with the key's password.",
    default=SignSpec.password_env,
)
PUBLIC_KEYS = Key(
    name="public-keys",
    shape=ListOf(
        item=Text(convert=_public_key, what="a public key", json={"pattern": "^[A-Za-z0-9+/]{59,124}={0,2}$"}),
        what="a list of public keys",
        empty_code="config-no-key",
        empty_remedy="pin at least one",
        unique=True,
    ),
    help="The keys that are believed, each the lines of `cosign.pub` as one. Those of the protected branch count.",
    required=True,
)

SIGN_TABLE = Table(
    title="'sign'",
    keys=(KEY_FILE, KEY_ENV, PASSWORD_ENV, PUBLIC_KEYS),
    build=lambda got: SignSpec(
        key_file=got(KEY_FILE, ""),
        key_env=got(KEY_ENV, ""),
        password_env=got(PASSWORD_ENV, SignSpec.password_env),
        public_keys=got(PUBLIC_KEYS, ()),
    ),
    exactly_one=("key-file", "key-env"),
)
SIGN = Key(
    name="sign",
    shape=SIGN_TABLE,
    help="How images, SBOM, provenance and picks are signed before a release is public (docs/signatures.md).",
)

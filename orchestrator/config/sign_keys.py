"""The `sign:` section of release.yaml: with which key a release is signed, and which keys are believed."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from orchestrator.config import validators as rules
from orchestrator.config.schema import Either, Key, ListOf, Mapped, Table, Text
from orchestrator.core.declaration.signing import SBOM_FORMS, KeylessSpec, SignSpec

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


_URI: Final = "[a-z][a-z0-9-]{1,40}://[A-Za-z0-9/][A-Za-z0-9._~:/+=-]{0,500}"
_NO_KMS: Final = ("env", "file", "http", "https", "ssh", "gpg")


def _key_uri(text: str) -> str:
    """A key in a KMS as cosign's `--key` takes it; nothing of it is secret."""
    scheme = text.partition("://")[0]
    if not re.fullmatch(_URI, text) or scheme in _NO_KMS:
        remedy = "write awskms://, gcpkms://, azurekms:// or hashivault:// as cosign knows it, or the name of a plugin;"
        raise rules.BadTextError("config-bad-key", "is no URI of a key in a KMS",
                                 f"{remedy} a file is `key-file`, a variable `key-env`")  # fmt: skip
    return text


def _identity(text: str) -> str:
    """Who a certificate is for: a URI or an address of e-mail."""
    if not re.fullmatch(r"[^\s@:]+@[^\s@]+|[a-z][a-z0-9+.-]*:\S+", text):
        raise rules.BadTextError("config-bad-identity", "is no URI and no address of e-mail",
                                 "write it as the certificate has it: docs/signatures.md")  # fmt: skip
    return text


def _issuer(text: str) -> str:
    """As the token has it: no slash is added or taken."""
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?", text):
        raise rules.BadTextError("config-bad-url", "is no address of an OIDC issuer",
                                 "write it like https://token.actions.githubusercontent.com")  # fmt: skip
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
KEY = Key(
    name="key",
    shape=Text(convert=_key_uri, what="a URI", json={"pattern": f"^{_URI}$"}),
    help="A key in a KMS, by cosign's URI: `awskms://`, `gcpkms://`, `azurekms://`, `hashivault://`, or that of a"
    " `sigstore-kms-` plugin. The cosign program signs with it: version 3 or newer.",
)
_ONE: Final = Text(convert=_identity, what="an identity")
IDENTITY = Key(
    name="identity",
    shape=Either(
        what="an identity or a list of some",
        text=Mapped(shape=_ONE, into=lambda one, _: (one,)),
        items=ListOf(item=_ONE, empty_code="config-no-key", empty_remedy="pin at least one", unique=True),
    ),
    help="Who signs: the workflow or the account, as its certificate names it. `{version}` stands for the version. Of a"
    " list all are believed.",
    required=True,
)
ISSUER = Key(
    name="issuer",
    shape=Text(convert=_issuer, what="a URL"),
    help="The OIDC issuer that vouches for the identity.",
    required=True,
)
TRUSTED_ROOT = Key(
    name="trusted-root",
    shape=Text(convert=rules.file_path, what="a path"),
    help="A file of the repository, as `cosign trusted-root create` makes it, for a sigstore of your own. That of the"
    " protected branch counts.",
)
SIGNING_CONFIG = Key(
    name="signing-config",
    shape=Text(convert=rules.file_path, what="a path"),
    help="A file of the repository, as `cosign signing-config create` makes it, for a sigstore of your own.",
)
KEYLESS = Key(
    name="keyless",
    shape=Table(
        title="'keyless'",
        keys=(IDENTITY, ISSUER, TRUSTED_ROOT, SIGNING_CONFIG),
        build=lambda got: KeylessSpec(
            identities=got(IDENTITY, ()),
            issuer=got(ISSUER, ""),
            trusted_root=got(TRUSTED_ROOT, ""),
            signing_config=got(SIGNING_CONFIG, ""),
        ),
        needs={"trusted-root": "signing-config", "signing-config": "trusted-root"},
    ),
    help="CI signs with its own identity (OIDC), by the cosign program: version 3 or newer.",
)
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
)
SBOM = Key(
    name="sbom",
    shape=ListOf(
        item=Text(convert=rules.one_of(*SBOM_FORMS), json={"enum": list(SBOM_FORMS)}),
        what="a list of forms",
        empty_code="config-no-form",
        empty_remedy="name one, or remove it",
        unique=True,
    ),
    help="In which forms the SBOM is attested: `cyclonedx`, `spdx` or both. Both say the same (docs/sbom.md).",
    default=SBOM_FORMS[0],
)

SIGN_TABLE = Table(
    title="'sign'",
    keys=(KEY_FILE, KEY_ENV, KEY, KEYLESS, PASSWORD_ENV, PUBLIC_KEYS, SBOM),
    build=lambda got: SignSpec(
        key_file=got(KEY_FILE, ""),
        key_env=got(KEY_ENV, ""),
        key=got(KEY, ""),
        keyless=got(KEYLESS, None),
        password_env=got(PASSWORD_ENV, SignSpec.password_env),
        public_keys=got(PUBLIC_KEYS, ()),
        sbom=got(SBOM, SignSpec.sbom),
    ),
    exactly_one=("key-file", "key-env", "key", "keyless"),
    needs=dict.fromkeys(("key-file", "key-env", "key"), "public-keys"),
)
SIGN = Key(
    name="sign",
    shape=SIGN_TABLE,
    help="How images, SBOM, provenance and picks are signed before a release is public (docs/signatures.md).",
)

"""Keys that sign: cosign's encrypted PEM, PKCS#8 in PEM; and public ones as release.yaml pins them.

All cryptography is that of `cryptography` and, for cosign's files, of `PyNaCl`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

LARGEST: Final = 64 * 1024  # bytes of a key's file
_COSIGN: Final = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")
_NOT_FOR_IMAGES: Final = {"OPENSSH PRIVATE KEY": "an OpenSSH key", "PGP ": "an OpenPGP key"}
_MOST_WORK: Final = 1 << 20  # of scrypt's N: a file that asks for more asks for gigabytes
_KINDS: Final = "an ECDSA key on P-256, or Ed25519"


@dataclass(frozen=True)
class PublicKey:
    """A key to verify with; `text` is its SubjectPublicKeyInfo in base64, as release.yaml has it."""

    text: str

    @property
    def hint(self) -> str:
        """How a bundle names it, as cosign does: SHA-256 of the DER form, in base64."""
        return base64.b64encode(hashlib.sha256(base64.b64decode(self.text)).digest()).decode()

    @property
    def pem(self) -> str:
        """The form that cosign and openssl read."""
        lines = [self.text[at : at + 64] for at in range(0, len(self.text), 64)]
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])

    def verifies(self, signature: bytes, data: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        key = _loaded(self.text)
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
            else:
                key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key.  It never leaves this object, and is shown nowhere."""

    public: PublicKey
    _key: Any = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(data, ec.ECDSA(hashes.SHA256()))
        return bytes(self._key.sign(data))


def public_key(text: str) -> PublicKey:
    """A public key from one line of base64 or from PEM.  Raises ValueError with the end of a sentence."""
    lines = [line.strip() for line in text.strip().splitlines()]
    bare = "".join(line for line in lines if not line.startswith("-----"))
    if not bare or (lines[0].startswith("-----") and "PUBLIC KEY" not in lines[0]):
        raise ValueError("is no public key")
    _loaded(bare)
    return PublicKey(bare)


def _loaded(text: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is no public key") from None
    if not _fits(key):
        raise ValueError(f"is not {_KINDS}")
    return key


def _fits(key: PublicKeyTypes | PrivateKeyTypes) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        return isinstance(key.curve, ec.SECP256R1)
    return isinstance(key, (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey))


# ------------------------------------------------------------------ private keys


def signing_key(data: bytes, password: bytes, where: str, password_env: str) -> SigningKey:
    """The private key in a file or variable that messages call `where`.  Raises UsageError, and never shows the key.

    `password_env` is the variable that the password came from.
    """
    if len(data) > LARGEST:
        raise _bad(where, f"has {len(data)} bytes and is no key", "give the file that cosign generate-key-pair wrote")
    head = data.decode("ascii", "replace").strip().partition("\n")[0]
    if other := next((name for word, name in _NOT_FOR_IMAGES.items() if word in head), ""):
        remedy = "cosign generate-key-pair makes one that does; docs/signatures.md says why"
        raise _bad(where, f"is {other}: nothing that looks at images verifies one", remedy)
    try:
        key = _of_cosign(data, password) if any(word in head for word in _COSIGN) else _of_pem(data, password)
    except _PasswordError as error:
        raise _bad(where, str(error), f"set {password_env} to the password of the key") from None
    except ValueError:
        remedy = "give cosign's cosign.key, or PKCS#8 in PEM"
        raise _bad(where, "is no private key that is known here", remedy) from None
    if not _fits(key):
        raise _bad(where, f"is not {_KINDS}", "cosign generate-key-pair makes one")
    return SigningKey(PublicKey(_spki(key)), key)


class _PasswordError(ValueError):
    """The password does not fit, or there is none."""


def _of_pem(data: bytes, password: bytes) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    encrypted = b"ENCRYPTED" in data
    if encrypted and not password:
        raise _PasswordError("is encrypted, and there is no password")
    try:
        return load_pem_private_key(data, password if encrypted else None)
    except UnsupportedAlgorithm:
        raise ValueError("unsupported") from None
    except ValueError:
        if encrypted:
            raise _PasswordError("cannot be opened with the password given") from None
        raise


def _of_cosign(data: bytes, password: bytes) -> PrivateKeyTypes:
    """https://github.com/sigstore/cosign/blob/main/pkg/cosign/keys.go: scrypt, then NaCl's secretbox around PKCS#8."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    from cryptography.hazmat.primitives.serialization import load_der_private_key
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    box = json.loads(base64.b64decode(b"".join(data.strip().splitlines()[1:-1])))
    try:
        work, cipher = box["kdf"]["params"], box["cipher"]
        if box["kdf"]["name"] != "scrypt" or cipher["name"] != "nacl/secretbox" or not 1 < work["N"] <= _MOST_WORK:
            raise ValueError("another kind of box")
        salt, nonce, sealed = (
            base64.b64decode(each) for each in (box["kdf"]["salt"], cipher["nonce"], box["ciphertext"])
        )
        secret = Scrypt(salt=salt, length=32, n=work["N"], r=work["r"], p=work["p"]).derive(password)
    except (KeyError, TypeError) as error:
        raise ValueError("not what cosign writes") from error
    try:
        return load_der_private_key(SecretBox(secret).decrypt(sealed, nonce), None)
    except CryptoError:
        says = "cannot be opened with the password given" if password else "is encrypted, and there is no password"
        raise _PasswordError(says) from None


def _spki(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def _bad(where: str, says: str, remedy: str) -> UsageError:
    return UsageError(f"the signing key in {where} {says}", remedy=remedy, code="signing-key")

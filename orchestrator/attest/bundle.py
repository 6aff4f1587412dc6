"""Sigstore bundles, version 0.3: a statement in a DSSE envelope, with what it was signed by.

https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import DocumentError, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.attest.keys import PublicKey, SigningKey

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
FAMILY: Final = "application/vnd.dev.sigstore.bundle"  # of all versions of it
_PAYLOAD: Final = "application/vnd.in-toto+json"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A statement and the signatures on it, as somebody uploaded it: nothing of it is believed before `signed_by`."""

    payload: bytes
    payload_type: str
    signatures: tuple[bytes, ...]
    document: bytes = b""  # all of it, written anew: no two programs read another thing in it
    is_certified: bool = False  # it brings a certificate along
    hint: str = ""  # the key that it says it was signed by, see `PublicKey.hint`

    def signed_by(self, keys: Sequence[PublicKey]) -> PublicKey | None:
        """The key, of those, whose signature it carries; None for none."""
        signed = _encoded(self.payload_type, self.payload)
        return next((key for key in keys if any(key.verifies(each, signed) for each in self.signatures)), None)

    @property
    def statement(self) -> dict[str, Any]:
        """The document; empty for what is none."""
        try:
            found = json.loads(self.payload)
        except ValueError:
            return {}
        return found if isinstance(found, dict) and self.payload_type == _PAYLOAD else {}

    def is_about(self, digest: str) -> bool:
        """Whether one of its subjects is the manifest with this digest."""
        subjects = self.statement.get("subject")
        wanted = digest.partition(":")[2]
        rows = subjects if isinstance(subjects, list) else []
        found = (row.get("digest") for row in rows if isinstance(row, dict))
        return any(isinstance(each, dict) and each.get("sha256") == wanted for each in found)


def sign(payload: bytes, key: SigningKey) -> bytes:
    """The bytes of a bundle."""
    signature = key.sign(_encoded(_PAYLOAD, payload))
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.public.hint}},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": base64.b64encode(signature).decode()}],
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def read(data: bytes) -> Bundle | None:
    """A bundle with a DSSE envelope; None for anything else."""
    try:
        document: Any = parse(data)
        envelope, material = document["dsseEnvelope"], document.get("verificationMaterial", {})
        return Bundle(
            payload=base64.b64decode(envelope["payload"], validate=True),
            payload_type=str(envelope["payloadType"]),
            signatures=tuple(base64.b64decode(each["sig"], validate=True) for each in envelope["signatures"]),
            document=json.dumps(document).encode(),
            hint=str((material.get("publicKey") or {}).get("hint", "")),
            is_certified="certificate" in material or "x509CertificateChain" in material,
        )
    except (DocumentError, AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        return None


def _encoded(kind: str, payload: bytes) -> bytes:
    """What a signature is on: DSSE's pre-authentication encoding, https://github.com/secure-systems-lab/dsse."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)

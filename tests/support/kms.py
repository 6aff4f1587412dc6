"""A KMS of nobody: a plugin of cosign that keeps its key in a file beside it.

https://github.com/sigstore/sigstore/tree/main/pkg/signature/kms/cliplugin
It is asked in an argument; what is to be signed comes on stdin.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.signing import pair

SCHEME = "nobody"


def plugin(folder: Path) -> str:
    """Put the program into a folder, with a new key; the public one as release.yaml pins it."""
    made = pair()
    folder.mkdir(exist_ok=True)
    (folder / "key.pem").write_bytes(made.private)
    program = folder / f"sigstore-kms-{SCHEME}"
    path = [each for each in sys.path if each]
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {path!r}\nfrom tests.support.kms import main\n"
        f"main({str(folder / 'key.pem')!r}, {made.public!r}, sys.argv[2])\n"
    )
    program.chmod(0o755)
    return made.public


def main(key_file: str, public: str, asked: str) -> None:
    """Answer one question on stdout."""
    key = load_pem_private_key(Path(key_file).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    question: dict[str, Any] = json.loads(asked)
    sys.stdout.write(json.dumps(_answer(key, public, question)))


def _answer(key: ec.EllipticCurvePrivateKey, public: str, question: dict[str, Any]) -> dict[str, Any]:
    kind = question["methodName"]
    if question["initOptions"]["keyResourceID"] != "key-1":
        return {"errorMessage": "there is no such key"}
    if kind == "publicKey":
        pem = f"-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n"
        return {"publicKey": {"publicKeyPEM": base64.b64encode(pem.encode()).decode()}}
    if kind == "signMessage":
        digest = question["signMessage"]["signOptions"]["messageOptions"].get("digest")
        raw = base64.b64decode(digest) if digest else hashlib.sha256(sys.stdin.buffer.read()).digest()
        signature = key.sign(raw, ec.ECDSA(Prehashed(hashes.SHA256())))
        return {"signMessage": {"signature": base64.b64encode(signature).decode()}}
    return {"errorMessage": f"{kind} is not known here"}

"""A small sigstore of nobody: Fulcio's API over an own authority, and a timestamp server, on a port of this machine.

It believes every token.  There is no transparency log.
https://github.com/sigstore/fulcio/blob/main/fulcio.proto, https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_TSA_SETTINGS = """\
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True)
class _Authority:
    """A root and its key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)])


def _authority(text: str) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(*(False,) * 5, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
    made = (
        _certificate(_name(text), key.public_key(), _name(text), timedelta(days=-30), timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _Authority(key, made.sign(key, hashes.SHA256()))


def _certificate(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name, start: timedelta, end: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
    )


@dataclass
class Sigstore:
    """`shift` moves what the authority takes for the time; `requests` are the paths that were asked."""

    folder: Path
    port: int = 0
    shift: timedelta = timedelta()
    requests: list[str] = field(default_factory=list)
    _root: _Authority = field(default_factory=lambda: _authority("certificates of nobody"))
    _stamps: _Authority = field(default_factory=lambda: _authority("timestamps of nobody"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self) -> None:
        """The files of the timestamp server, and what both roots are."""
        key = ec.generate_private_key(ec.SECP256R1())
        stamp = (
            _certificate(
                _name("stamps"), key.public_key(), self._stamps.certificate.subject, -timedelta(1), timedelta(9)
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
            .add_extension(_signs(), critical=True)
            .sign(self._stamps.key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for name, data in {
            "tsa.key": private,
            "tsa.pem": _pem(stamp),
            "tsa-chain.pem": _pem(stamp) + _pem(self._stamps.certificate),
            "fulcio.pem": _pem(self._root.certificate),
            "tsa.cnf": _TSA_SETTINGS.format(folder=self.folder).encode(),
            "serial": b"01\n",
        }.items():
            (self.folder / name).write_bytes(data)

    def signing_config(self) -> str:
        """Where to sign: https://github.com/sigstore/protobuf-specs, SigningConfig 0.2."""

        def service(path: str) -> list[dict[str, Any]]:
            start = {"start": "2025-01-01T00:00:00Z"}
            return [{"url": self.url + path, "majorApiVersion": 1, "validFor": start, "operator": "nobody"}]

        return json.dumps({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service(""), "tsaUrls": service("/timestamp"), "tsaConfig": {"selector": "ANY"},
        })  # fmt: skip

    def certificate(self, asked: dict[str, Any], bearer: str) -> bytes:
        """What Fulcio answers: a certificate of ten minutes for who the token says."""
        claims = _claims(bearer)
        key = load_pem_public_key(_request(asked))
        assert isinstance(key, ec.EllipticCurvePublicKey)
        issuer = claims["iss"].encode()
        start = self.shift - timedelta(minutes=1)
        made = (
            _certificate(x509.Name([]), key, self._root.certificate.subject, start, start + timedelta(minutes=10))
            .add_extension(x509.SubjectAlternativeName([_identity(claims)]), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(_signs(), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER, issuer), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V2, bytes((0x0C, len(issuer))) + issuer), critical=False)
            .sign(self._root.key, hashes.SHA256())
        )
        chain = [_pem(each).decode() for each in (made, self._root.certificate)]
        return json.dumps({"signedCertificateDetachedSct": {"chain": {"certificates": chain}}}).encode()

    def stamp(self, query: bytes) -> bytes:
        """What a timestamp server answers (RFC 3161): openssl makes it."""
        (self.folder / "query").write_bytes(query)
        subprocess.run(
            ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "here", "-queryfile", "query",
             "-out", "reply", "-signer", "tsa.pem", "-inkey", "tsa.key", "-chain", "tsa-chain.pem"],
            cwd=self.folder, check=True, capture_output=True,
        )  # fmt: skip
        return (self.folder / "reply").read_bytes()


def _signs() -> x509.KeyUsage:
    return x509.KeyUsage(True, *(False,) * 8)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


def _identity(claims: dict[str, Any]) -> x509.GeneralName:
    subject = claims["sub"]
    return x509.RFC822Name(claims["email"]) if "email" in claims else x509.UniformResourceIdentifier(subject)


def _request(asked: dict[str, Any]) -> bytes:
    """The public key in PEM, from a request of either form."""
    if "publicKeyRequest" in asked:
        content: str = asked["publicKeyRequest"]["publicKey"]["content"]
        return content.encode()
    request = x509.load_pem_x509_csr(base64.b64decode(asked["certificateSigningRequest"]))
    from cryptography.hazmat.primitives.serialization import PublicFormat

    return request.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def token(subject: str, issuer: str) -> str:
    """An identity token of nobody, which nobody signed."""
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": issuer, "sub": subject, "aud": "sigstore", "iat": now, "exp": now + 3600}
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    coded = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts]
    return ".".join([*coded, "bm9ib2R5"])


@contextmanager
def sigstore(folder: Path) -> Iterator[Sigstore]:
    """One that answers until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    here = Sigstore(folder)
    here.write()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                here.requests.append(self.path)
                stamps = self.path == "/timestamp"
                bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
                answer = here.stamp(body) if stamps else here.certificate(json.loads(body), bearer)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply" if stamps else "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Nothing is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Keys in each form, and what is said of those that do not do."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from orchestrator.attest.keys import PublicKey, public_key, signing_key
from orchestrator.core.errors import UsageError
from tests.support.signing import PASSWORD, pair

# By `cosign generate-key-pair` of 3.1, with PASSWORD
COSIGN = b"""\
-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJTSkU0STNUY2JKbkZYOXhrVmNHekxCUkcwbFhpQm1X
UnFneG1KaHJhVE9FPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJ1L1lhQUF6b1BGMUFRYVVHZ0doOUtud3JtTDZWbm1seSJ9LCJj
aXBoZXJ0ZXh0IjoiVGt2NU1Bd2pWTUxLdnA5enJ1VndUejRXc1RzZWhRamdneTZC
TGNqc1UvTUNsRHErTEU5RkRQVUd2Tk1nczl1UnFGQ3BsODNMWFl5R1U5MHdELzRC
aUlJcHBlbzhWZDVyc0dzbWJzTXZYUkhDbTUxK3pyTFFWb2RGd3A5cnk4WDc0dW82
dlNwNk1ONit1TkQrWDVFR0k2VVRLeEZEck5RejBNTUZRbGRiTmZrOWdDMy81dkFs
WnVSOUVIUjJ1NFNPMkFOVFZVZldEVzRIMnc9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
"""
COSIGN_PUBLIC = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEcRHK6S3yabJAcMSfqhEOCmd0ybYqAZnww+gGrPj7NkWw"
    "/W6ScP/i/sYH63kOF5l9yP89av0eqinNB/GABEMwSg=="
)


def opened(data: bytes, password: str = "") -> str:
    key = signing_key(data, password.encode(), "cosign.key", "COSIGN_PASSWORD")
    assert key.public.verifies(key.sign(b"data"), b"data")
    assert not key.public.verifies(key.sign(b"data"), b"other")
    assert PASSWORD not in repr(key)
    return key.public.text


@pytest.mark.parametrize("edwards", [False, True])
@pytest.mark.parametrize("password", ["", PASSWORD])
def test_pkcs8(edwards: bool, password: str) -> None:
    made = pair(password=password, edwards=edwards)
    assert opened(made.private, password) == made.public
    assert public_key(made.pem) == public_key(made.public) == PublicKey(made.public)


def test_cosigns_own_file() -> None:
    assert opened(COSIGN, PASSWORD) == COSIGN_PUBLIC


def test_what_does_not_do_is_one_line() -> None:
    other = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = pair(password=PASSWORD).private
    for data, password, says in (
        (
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n",
            "",
            "is an OpenSSH key: nothing that looks at images verifies one",
        ),
        (
            b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
            "",
            "is an OpenPGP key: nothing that looks at images verifies one",
        ),
        (COSIGN, "wrong", "cannot be opened with the password given"),
        (COSIGN, "", "is encrypted, and there is no password"),
        (locked, "wrong", "cannot be opened with the password given"),
        (locked, "", "is encrypted, and there is no password"),
        (other, "", "is not an ECDSA key on P-256, or Ed25519"),
        (b"hello", "", "is no private key that is known here"),
        (COSIGN[:200], PASSWORD, "is no private key that is known here"),
        (b"x" * 70_000, "", "has 70000 bytes and is no key"),
    ):
        with pytest.raises(UsageError) as found:
            signing_key(data, password.encode(), "cosign.key", "COSIGN_PASSWORD")
        assert found.value.message == f"the signing key in cosign.key {says}"
        assert found.value.remedy


@pytest.mark.parametrize("text", ["", "MFkw", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"])
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(ValueError, match="is no public key"):
        public_key(text)

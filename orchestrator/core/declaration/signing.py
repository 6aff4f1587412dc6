"""What release.yaml says of signing images, as values."""

from __future__ import annotations

from typing import Final

from orchestrator.core.dataclass import dataclass

IDENTITY_TOKENS: Final = ("SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")  # variables that say who signs
VERSION_IN_IDENTITY: Final = "{version}"
SBOM_FORMS: Final = ("cyclonedx", "spdx")


@dataclass(frozen=True, kw_only=True)
class KeylessSpec:
    """`sign.keyless`: an identity of CI signs.  `{version}` in an identity stands for the version that is signed.

    All `identities` are believed; the paths are of the repository, "" for sigstore's public services.
    """

    identities: tuple[str, ...] = ()
    issuer: str = ""
    trusted_root: str = ""
    signing_config: str = ""


@dataclass(frozen=True, kw_only=True)
class SignSpec:
    """The `sign:` section.  Exactly one of `key_file`, `key_env`, `key` and `keyless` is given; no secret is here."""

    key_file: str = ""
    key_env: str = ""
    key: str = ""  # URI of a key in a KMS, as cosign knows it
    keyless: KeylessSpec | None = None
    password_env: str = "COSIGN_PASSWORD"  # noqa: S105 - the name of a variable
    public_keys: tuple[str, ...] = ()  # SubjectPublicKeyInfo in base64
    sbom: tuple[str, ...] = SBOM_FORMS[:1]  # which forms of it are attested

    @property
    def secrets(self) -> tuple[str, ...]:
        """The variables that hold a secret."""
        tokens = IDENTITY_TOKENS if self.keyless else ()
        return tuple(filter(None, (self.key_env, self.password_env, *tokens)))

"""Whom to believe: the keys and the identity that release.yaml of the protected branch pins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.attest import cosign
from orchestrator.attest.keys import PublicKey
from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration.signing import VERSION_IN_IDENTITY
from orchestrator.core.documents import DocumentError, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.attest.bundle import Bundle
    from orchestrator.attest.cosign import Cosign
    from orchestrator.core.declaration.signing import KeylessSpec, SignSpec

NO_KEY: Final = "no key is at hand"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who may sign, and the trusted root that says by whose word; cosign looks at the certificate."""

    cosign: Cosign
    pattern: str  # a regular expression of Go
    issuer: str
    root: bytes

    def refusal(self, each: Bundle) -> str:
        """Why a bundle is not by this identity, "" where it is."""
        options = (
            "--certificate-identity-regexp", self.pattern, "--certificate-oidc-issuer", self.issuer,
            "--type", str(each.statement.get("predicateType", "")), *(_as_rooted(self.root) if self.root else ()),
        )  # fmt: skip
        return self.cosign.refusal(each.document, self.root, options)


@dataclass(frozen=True, kw_only=True)
class Trust:
    """`lacks` says why nobody can be believed here: then nothing is called right, and nothing wrong."""

    keys: tuple[PublicKey, ...] = ()
    identity: Identity | None = None
    lacks: str = ""

    @property
    def whom(self) -> str:
        return "the identity that is pinned" if self.identity else "a key that is pinned"

    def refusal(self, each: Bundle) -> str:
        """Why a bundle is not believed, "" where it is."""
        if each.signed_by(self.keys):
            return ""
        if self.identity and each.is_certified:
            return self.identity.refusal(each)
        return "another key signed it"

    def is_broken(self, each: Bundle) -> bool:
        """Whether a bundle says that one of the keys signed it, and none did: it is not what was signed."""
        return any(key.hint == each.hint for key in self.keys) and not each.signed_by(self.keys)

    def believes(self, each: Bundle) -> bool:
        return not self.refusal(each)


def pinned_keys(spec: SignSpec) -> tuple[PublicKey, ...]:
    return tuple(PublicKey(text) for text in spec.public_keys)


def pinned(spec: SignSpec | None, version: str, env: Mapping[str, str], read: Callable[[str], bytes | None]) -> Trust:
    """Whom a `sign:` section believes to have signed a version; `read` gives the files beside release.yaml."""
    if spec is None:
        return Trust(lacks=NO_KEY)
    keys = pinned_keys(spec)
    if spec.keyless is None:
        return Trust(keys=keys)
    program, lacks = cosign.at_hand(env)
    root = read(spec.keyless.trusted_root) if spec.keyless.trusted_root else b""
    if root is None:
        lacks = f"there is no {spec.keyless.trusted_root} beside release.yaml"
    elif root:
        lacks = lacks or root_fault(root)
    if lacks or program is None or root is None:
        return Trust(keys=keys, lacks=lacks)
    pattern = identity_pattern(spec.keyless, re.escape(version))
    return Trust(keys=keys, identity=Identity(cosign=program, pattern=pattern, issuer=spec.keyless.issuer, root=root))


def identity_pattern(keyless: KeylessSpec, version: str) -> str:
    """A regular expression of the identities, `version` being one of the version."""
    each = (version.join(map(re.escape, one.split(VERSION_IN_IDENTITY))) for one in keyless.identities)
    return f"^(?:{'|'.join(each)})$"


def root_fault(root: bytes) -> str:
    """What a trusted root lacks: it must say who gives certificates, and who says when something was signed."""
    parts = root_parts(root)
    if not parts.get("certificateAuthorities"):
        return "the trusted root names no certificate authority"
    if not parts.get("tlogs") and not parts.get("timestampAuthorities"):
        return "the trusted root names neither a log nor a timestamp authority: certificates live for minutes"
    return ""


def _as_rooted(root: bytes) -> list[str]:
    """What is demanded of a signature: everything that the trusted root names a service for."""
    parts = root_parts(root)
    found = [] if parts.get("tlogs") else ["--insecure-ignore-tlog"]
    found += [] if parts.get("ctlogs") else ["--insecure-ignore-sct"]
    return [*found, "--use-signed-timestamps"] if parts.get("timestampAuthorities") else found


def root_parts(root: bytes) -> dict[str, Any]:
    """The document of a trusted root, empty for what is none."""
    try:
        document = parse(root)
    except DocumentError:
        return {}
    return document if isinstance(document, dict) else {}

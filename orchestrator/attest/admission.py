"""Policies for clusters, which then run released images only where a pinned key or identity vouches for them.

Sigstore's policy-controller (https://docs.sigstore.dev/policy-controller/overview/; bundles from its version 0.13 on),
and Kyverno (https://kyverno.io/docs/policy-types/image-validating-policy/).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from orchestrator.attest.statement import PICKS, PROVENANCE
from orchestrator.attest.trust import identity_pattern, pinned_keys, root_parts
from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.core.declaration import Config
    from orchestrator.core.declaration.signing import KeylessSpec, SignSpec

_VERSION: Final = "v[0-9][0-9A-Za-z.-]*"  # what `{version}` of an identity stands for: a cluster knows none
_ASKED: Final = {"provenance": PROVENANCE, "picks": PICKS}
_KINDS: Final = ("containers", "initContainers", "ephemeralContainers")
_REKOR: Final = "https://rekor.sigstore.dev"

Document = dict[str, Any]


def policy(provider: str, config: Config, read: Callable[[str], bytes]) -> str:
    """The file for one of PROVIDERS; `read` gives a file beside release.yaml.

    Raises UsageError where release.yaml has no image, or does not say how it is signed.
    """
    if config.image is None or config.sign is None:
        lacks = "`image:`" if config.image is None else "`sign:`"
        raise UsageError(
            f"{config.place.file} has no {lacks}: there is nothing that a cluster could ask for",
            remedy="add it first: docs/signatures.md",
            code="not-signed",
        )
    repository = config.image.repository
    name = "".join(char if char.isalnum() else "-" for char in repository.rpartition("/")[2].lower()).strip("-")
    keyless = config.sign.keyless
    root = read(keyless.trusted_root) if keyless and keyless.trusted_root else b""
    about, make = PROVIDERS[provider]
    document = make(f"released-{name}", repository, config.sign, root)
    return f"# Made from `sign:` of release.yaml.\n# {about}\n{_yaml(document)}"


# ------------------------------------------------------------------ policy-controller


def _controller(name: str, repository: str, sign: SignSpec, root: bytes) -> Document:
    if root:
        raise UsageError(
            "policy-controller takes a trusted root of one's own as a TrustRoot, which is not written here",
            remedy="write that by hand, or let Kyverno look: --provider kyverno has it in the policy",
            code="not-signed",
        )
    attestations = [{"name": each, "predicateType": kind} for each, kind in _ASKED.items()]
    common = {"signatureFormat": "bundle", "attestations": attestations}
    authorities: list[Document] = [
        {"name": f"key-{number}", "key": {"hashAlgorithm": "sha256", "data": key.pem}, **common}
        for number, key in enumerate(pinned_keys(sign), 1)
    ]
    if sign.keyless:
        keyless = {"url": "https://fulcio.sigstore.dev", "identities": [_identity(sign.keyless)]}
        authorities.append({"name": "identity", "keyless": keyless, "ctlog": {"url": _REKOR}, **common})
    return {
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": name},
        "spec": {
            "mode": "enforce",
            "images": [{"glob": f"{repository}@sha256:*"}, {"glob": f"{repository}:*"}],
            "authorities": authorities,
        },
    }


def _identity(keyless: KeylessSpec) -> Document:
    return {"issuer": keyless.issuer, "subjectRegExp": identity_pattern(keyless, _VERSION)}


# ------------------------------------------------------------------ Kyverno


def _kyverno(name: str, repository: str, sign: SignSpec, root: bytes) -> Document:
    attestors: list[Document] = [
        {"name": f"key{number}", "cosign": {"key": {"data": key.pem, "hashAlgorithm": "sha256"},
                                            "ctlog": {"insecureIgnoreTlog": True, "insecureIgnoreSCT": True}}}
        for number, key in enumerate(pinned_keys(sign), 1)
    ]  # fmt: skip
    if sign.keyless:
        cosign: Document = {"keyless": {"identities": [_identity(sign.keyless)]}, **(_rooted(root) if root else {})}
        attestors.append({"name": "identity", "cosign": cosign})
    names = ", ".join(f"attestors.{each['name']}" for each in attestors)
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["pods"]}
    return {
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ImageValidatingPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "validationActions": ["Deny"],
            "webhookConfiguration": {"timeoutSeconds": 30},
            "matchConstraints": {"resourceRules": [pods]},
            "matchImageReferences": [{"glob": f"{repository}:*"}, {"glob": f"{repository}@sha256:*"}],
            "attestors": attestors,
            "attestations": [{"name": each, "intoto": {"type": kind}} for each, kind in _ASKED.items()],
            "validations": [
                {
                    "expression": f"images.{kind}.map(image, verifyAttestationSignatures(image, attestations.{each},"
                    f" [{names}])).all(count, count > 0)",
                    "message": f"there is no signed {each} by who releases {repository}",
                }
                for each in _ASKED
                for kind in _KINDS
            ],
        },
    }


def _rooted(root: bytes) -> Document:
    """What is asked of a sigstore of one's own: what its trusted root names."""
    parts = root_parts(root)
    logs: list[Mapping[str, Any]] = parts.get("tlogs") or []
    ctlog = {"url": logs[0].get("baseUrl", "")} if logs else {"insecureIgnoreTlog": True}
    ctlog |= {} if parts.get("ctlogs") else {"insecureIgnoreSCT": True}
    return {"trustedRoot": {"value": json.dumps(parts, sort_keys=True)}, "ctlog": ctlog}


# ------------------------------------------------------------------ as text


PROVIDERS: Final[Mapping[str, tuple[str, Callable[[str, str, SignSpec, bytes], Document]]]] = {
    "kubernetes": (
        'For sigstore\'s policy-controller 0.13 or newer, in namespaces labelled policy.sigstore.dev/include: "true".',
        _controller,
    ),
    "kyverno": ("For a Kyverno that has ImageValidatingPolicy in policies.kyverno.io/v1.", _kyverno),
}


def _yaml(value: Any, indent: int = 0) -> str:
    """Block YAML of mappings and lists; each text is in quotes, a text of several lines is a block."""
    lines: list[str] = []
    pad = " " * indent
    for key, each in value.items():
        if isinstance(each, dict):
            lines.append(f"{pad}{key}:\n{_yaml(each, indent + 2)}")
        elif isinstance(each, list) and each and isinstance(each[0], dict):
            lines.append(f"{pad}{key}:\n")
            for item in each:
                inside = _yaml(item, indent + 4)
                lines.append(f"{pad}  - {inside[indent + 4 :]}")
        elif isinstance(each, str) and "\n" in each:
            text = "".join(f"{pad}  {line}\n" for line in each.splitlines())
            lines.append(f"{pad}{key}: |\n{text}")
        else:
            lines.append(f"{pad}{key}: {json.dumps(each)}\n")
    return "".join(lines)

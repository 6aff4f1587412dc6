"""A policy for sigstore's policy-controller: a cluster runs released images only where a pinned key vouches for them.

https://docs.sigstore.dev/policy-controller/overview/; bundles from its version 0.13 on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.attest.statement import PICKS, PROVENANCE
from orchestrator.attest.trust import pinned_keys
from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config

_HEAD = """\
# Made from `sign.public-keys` of release.yaml.
# For sigstore's policy-controller 0.13 or newer, in namespaces with the label policy.sigstore.dev/include: "true".
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: {name}
spec:
  mode: enforce
  images:
    - glob: "{repository}@sha256:*"
    - glob: "{repository}:*"
  authorities:
"""
_AUTHORITY = """\
    - name: key-{number}
      signatureFormat: bundle
      key:
        hashAlgorithm: sha256
        data: |
{pem}
      attestations:
        - name: provenance
          predicateType: {provenance}
        - name: picks
          predicateType: {picks}
"""


def cluster_policy(config: Config) -> str:
    """The file.  Raises UsageError where release.yaml has no image, or pins no key."""
    if config.image is None or config.sign is None:
        lacks = "`image:`" if config.image is None else "`sign:`"
        raise UsageError(
            f"{config.place.file} has no {lacks}: there is nothing that a cluster could ask for",
            remedy="add it first: docs/signatures.md",
            code="not-signed",
        )
    repository = config.image.repository
    name = "".join(char if char.isalnum() else "-" for char in repository.rpartition("/")[2].lower()).strip("-")
    parts = [_HEAD.format(name=f"released-{name}", repository=repository)]
    for number, key in enumerate(pinned_keys(config.sign), 1):
        pem = "\n".join(f"          {line}" for line in key.pem.splitlines())
        parts.append(_AUTHORITY.format(number=number, pem=pem, provenance=PROVENANCE, picks=PICKS))
    return "".join(parts)

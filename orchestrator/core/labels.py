"""Names of the labels that an image carries: those of OCI where there is one, and our own.

https://github.com/opencontainers/image-spec/blob/main/annotations.md
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "org.opencontainers.image.version"
REVISION: Final = "org.opencontainers.image.revision"
CREATED: Final = "org.opencontainers.image.created"
REF_NAME: Final = "org.opencontainers.image.ref.name"
SOURCE: Final = "org.opencontainers.image.source"
TITLE: Final = "org.opencontainers.image.title"
BASE_NAME: Final = "org.opencontainers.image.base.name"
BASE_DIGEST: Final = "org.opencontainers.image.base.digest"

OWN: Final = "org.release-orchestrator."  # how all of our own begin
VARIANT: Final = "org.release-orchestrator.variant"
PATCHES: Final = "org.release-orchestrator.patches"  # name and digest of each patch of what is installed
ACCOUNT: Final = "org.release-orchestrator.account"  # annotation: what a job says of the image that it has uploaded
HEAVY_KEY: Final = "org.release-orchestrator.heavy.key"  # of a heavy base: a hash of what it is made from
INPUTS: Final = "org.release-orchestrator.inputs"  # annotation of a layer: a hash of what it was made from
OWNER: Final = "org.release-orchestrator.owner"  # of a container: the clone whose releases started it
KEPT_REF: Final = "org.release-orchestrator.ref"  # annotation: the ref that what lies beside an image stands for
KEPT_OBJECT: Final = "org.release-orchestrator.object"  # annotation: the id of the commit that a bundle brings

"""Names of the labels that an image carries; those of OCI where there is one."""

from __future__ import annotations

VERSION = "org.opencontainers.image.version"


REVISION = "org.opencontainers.image.revision"


VARIANT_LABEL = "org.release-orchestrator.variant"

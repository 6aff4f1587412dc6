"""What BuildKit reads in a Dockerfile: the frontend that it has inside, or the image that `# syntax=` names.

Which of the newer flags the one inside knows depends on how it was built, so those are tried.
"""

from __future__ import annotations

from typing import Final

from orchestrator.engines import Dialect

_PLAIN: Final = "ARG CMD ENTRYPOINT ENV EXPOSE LABEL MAINTAINER ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR"

BUILDKIT: Final = Dialect(
    builder="BuildKit",
    flags={
        "ADD": ("chown", "chmod", "link", "exclude", "keep-git-dir", "checksum", "unpack"),
        "COPY": ("chown", "chmod", "from", "link", "parents", "exclude"),
        "FROM": ("platform",),
        "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
        "RUN": ("mount", "network", "security", "device"),
        **dict.fromkeys(_PLAIN.split(), ()),
    },
    instead={},
    heredocs=True,
    git_sources=True,
    obeys_directives=True,
    fills_in_platform=True,
    tried={
        ("ADD", "exclude"): "ADD --exclude=x a /",
        ("ADD", "unpack"): "ADD --unpack a /",
        ("COPY", "exclude"): "COPY --exclude=x a /",
        ("COPY", "parents"): "COPY --parents a /",
        ("RUN", "device"): "RUN --device=vendor.example/class=none true",
        ("RUN", "security"): "RUN --security=sandbox true",
    },
    refused_late=(("RUN", "device"),),
)

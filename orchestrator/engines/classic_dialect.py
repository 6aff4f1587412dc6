"""What the classic builder of Docker reads in a Dockerfile.

Some BuildKit syntax it refuses after minutes of building, and some it *misbuilds silently* (a heredoc on Engine 28
builds and runs nothing).  The lists are those of Docker 20.10.
"""

from __future__ import annotations

from typing import Final

from orchestrator.engines import Dialect

_PLAIN: Final = "ARG CMD ENTRYPOINT ENV EXPOSE LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR"

CLASSIC: Final = Dialect(
    builder="the classic builder",
    flags={
        "ADD": ("chown",),
        "COPY": ("chown", "from"),
        "FROM": ("platform",),
        "HEALTHCHECK": ("interval", "timeout", "start-period", "retries"),
        **dict.fromkeys(_PLAIN.split(), ()),
    },
    instead={
        "mount=cache": "drop it and keep the layer small with `pip install --no-cache-dir` and the like",
        "mount=bind": "COPY the files in an earlier stage and take them with COPY --from",
        "mount=secret": "fetch what needs the secret outside the build; build arguments stay in the history",
        "mount=ssh": "fetch what needs the key outside the build",
        "mount=tmpfs": "remove the files at the end of the same RUN",
        "network": "drop it and set `network` under `image:` in release.yaml for the whole build",
        "security": "drop it: the classic builder's RUN has no privileges to give",
        "device": "drop it: the classic builder gives no devices to RUN",
        "chmod": "set the mode in git (`git update-index --chmod=+x FILE`) or in a RUN chmod after it",
        "parents": "write one COPY for each directory",
        "exclude": "list the paths in .dockerignore",
        "checksum": "RUN curl -fsSLo FILE URL && echo 'SHA256  FILE' | sha256sum -c -",
        "keep-git-dir": "RUN git clone URL DIR && git -C DIR checkout COMMIT",
        "unpack": "ADD unpacks a local tar by itself; RUN tar -xf FILE for any other",
        "start-interval": "drop it; --start-period is known",
    },
    heredocs=False,
    git_sources=False,
    dropped=("link",),  # the same files; only what a later build takes from its cache differs
    obeys_directives=False,
    fills_in_platform=False,
)

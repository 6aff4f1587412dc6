"""A build request as the arguments of `docker buildx build`, and as variables where an argument would show a secret."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.engines import BuildRequest


def arguments(request: BuildRequest, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The arguments, and what is added to the environment; secrets are written into the private `folder`."""
    env = {"BUILDX_METADATA_PROVENANCE": "disabled"}
    if request.epoch:
        env["SOURCE_DATE_EPOCH"] = str(request.epoch)
    return [*_plain(request), *_secrets(request, folder)], env


def _plain(request: BuildRequest) -> Iterator[str]:
    yield from ("--progress=rawjson", "--provenance=false", "--sbom=false", f"--file={request.dockerfile}")
    yield from (f"--build-arg={key}={value}" for key, value in request.build_args.items())
    yield from (f"--label={key}={value}" for key, value in request.labels.items())
    yield from (f"--build-context={name}={value}" for name, value in request.contexts.items())
    if request.platform:
        yield f"--platform={request.platform}"
    if request.no_cache:
        yield "--no-cache"
    if request.network:
        yield f"--network={request.network}"
        yield from ("--allow=network.host",) if request.network == "host" else ()
    if request.target:
        yield f"--target={request.target}"
    yield from (f"--cache-from=type=registry,ref={each}" for each in request.cache_from)
    if request.cache_to:
        yield f"--cache-to=type=registry,ref={request.cache_to},mode=max,image-manifest=true,oci-mediatypes=true"
    if request.pull:
        yield "--pull"
    if request.shm_size:
        yield f"--shm-size={request.shm_size}"
    yield from (f"--allow=device={each}" for each in request.gpus.split(",") if each)
    yield from (f"--ssh={each}" for each in request.ssh)


def _secrets(request: BuildRequest, folder: Path) -> Iterator[str]:
    for number, (name, value) in enumerate(request.secrets.items()):
        path = folder / f"secret-{number}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)
        yield f"--secret=id={name},src={path}"

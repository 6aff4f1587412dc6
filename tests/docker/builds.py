"""Builds by BuildKit, as the tests of it make them."""

from __future__ import annotations

import io
import tarfile
from typing import IO, TYPE_CHECKING

from orchestrator.engines import (
    BuildRequest,
    direct_module,
)
from orchestrator.registry.client import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Progress
    from orchestrator.engines import DirectBuilder, Pushed
    from tests.support.lab import Lab

STALL = 60.0


def context_of(files: Mapping[str, str]) -> IO[bytes]:
    """A build context with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return out


class Builds:
    """Builds texts of Dockerfiles; `BASE` in them stands for the lab's base."""

    def __init__(self, lab: Lab, env: Mapping[str, str], name: Reference, folder: Path) -> None:
        self.lab, self.env, self.name, self.log = lab, env, name, folder / "logs" / "build.log"
        self.said: list[Progress] = []
        self.builder: DirectBuilder = direct_module().connect(env)

    def request(self, text: str, files: Mapping[str, str] | None = None, **options: object) -> BuildRequest:
        context = context_of({"Dockerfile": text.replace("BASE", self.lab.base), "hello": "hi\n", **(files or {})})
        return BuildRequest(context=context, dockerfile="Dockerfile", tag=self.name, log=self.log, **options)  # type: ignore[arg-type]  # options are free

    def __call__(self, text: str, files: Mapping[str, str] | None = None, **options: object) -> Pushed:
        request = self.request(text, files, **options)
        return self.builder.build_pushed(request, self.said.append, credentials=self.lab.credentials, stall=STALL)

    @property
    def registry(self) -> Registry:
        return Registry(self.name.repository, credentials=lambda: self.lab.credentials)

    def files(self, pushed: Pushed) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
        """What stands in the layers of an image, the later one winning."""
        found: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
        registry = self.registry
        manifest = registry.manifest(pushed.digest)
        assert manifest is not None
        for layer in registry.layers(registry.image(manifest)):
            out = io.BytesIO()
            registry.download(layer, out)
            with tarfile.open(fileobj=out) as tar:
                for member in tar:
                    data = tar.extractfile(member)
                    found[member.name] = (member, data.read() if data else b"")
        return found

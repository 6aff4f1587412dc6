"""Commands in an image of a registry, as steps of builds that are kept nowhere: for a machine without an engine."""

from __future__ import annotations

import io
import json
import re
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from orchestrator.core.errors import UnprovedError
from orchestrator.engines import BuildRequest, EngineHealth, NoGpuError, RunResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.reference import Reference
    from orchestrator.engines import DirectBuilder, HistoryStep, ImageInfo, RunRequest

_NETWORKS: Final = {"none": "none", "host": "host"}  # BuildKit's default is what every other name is in a build
_NOT_THERE: Final = re.compile(
    r"not found|no such file or directory|not a directory|too many (?:links|levels of symbolic links)"
)


class BuildSteps:
    """`Prover` for an image that a registry has: `image` says what it is, `reference` names it by its digest."""

    def __init__(
        self,
        builder: DirectBuilder,
        reference: Reference,
        image: ImageInfo,
        logins: Mapping[str, Credentials],
        *,
        log: Path,
        stall: float,
    ) -> None:
        self._builder = builder
        self._stall = stall
        self._image = image
        self._request = BuildRequest(
            context=io.BytesIO(), dockerfile="Dockerfile", tag=reference, log=log, logins=logins, no_cache=True
        )

    def health(self) -> EngineHealth:
        os, _, architecture = (self._builder.platforms or ("linux/",))[0].partition("/")
        return EngineHealth(
            version=self._builder.title,
            api_version="",
            os=os,
            architecture=architecture.partition("/")[0],
            storage_driver="",
            root="",
            is_local=False,
        )

    def inspect(self, _name: str) -> ImageInfo | None:
        return self._image

    def history(self, _image: str) -> tuple[HistoryStep, ...]:
        """Nobody has the sizes of its layers unpacked."""
        return ()

    def run(self, request: RunRequest) -> RunResult:
        """Raises NoGpuError where a GPU is asked for, and RemoteError where the builder fails."""
        if request.gpus:
            raise NoGpuError("a build step is given no GPU", remedy="run this check on a machine with an engine")
        started = time.monotonic()
        network = _NETWORKS.get(request.network, "default")
        asked = replace(self._asked(self._dockerfile(request, network)), network="host" if network == "host" else "")
        code, output = self._builder.step(asked, "type=cacheonly", stall=self._stall, timeout=request.timeout)
        return RunResult(exit_code=code, output=output, seconds=time.monotonic() - started)

    def _dockerfile(self, request: RunRequest, network: str) -> str:
        """The command is no text of a shell's: as JSON nothing in it is read by anyone."""
        argv = (*(self._image.entrypoint if request.keep_entrypoint else ()), *request.command)
        given = (f"ENV {name}={json.dumps(value).replace('$', chr(92) + '$')}" for name, value in request.env.items())
        return "\n".join((self._from, *given, f"RUN --network={network} {json.dumps(argv)}", ""))

    def read_file(self, _image: str, path: str) -> bytes | None:
        """None for what is no file; a link that leads out of the copy is not followed on this machine."""
        text = (
            f"{self._from} AS image\nFROM scratch\nCOPY --from=image {json.dumps(['/' + path.lstrip('/'), '/file'])}\n"
        )
        with tempfile.TemporaryDirectory(prefix="release-read-") as folder:
            try:
                self._builder.step(self._asked(text), f"type=local,dest={folder}", stall=self._stall)
            except UnprovedError as error:
                if "COPY --from=image" in error.message and _NOT_THERE.search(error.message):
                    return None
                raise
            found = Path(folder, "file")
            return found.read_bytes() if found.is_file() and not found.is_symlink() else None

    @property
    def _from(self) -> str:
        return f"FROM {self._request.tag}"

    def _asked(self, dockerfile: str) -> BuildRequest:
        return replace(self._request, context=_tar(dockerfile.encode()))


def _tar(dockerfile: bytes) -> IO[bytes]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        tar.addfile(info, io.BytesIO(dockerfile))
    return out

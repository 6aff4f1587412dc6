"""`DirectBuilder` for BuildKit: one `docker buildx build` for each image, pushed as it is built."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError
from orchestrator.core.results import Progress
from orchestrator.core.text import one_line
from orchestrator.engines import Pushed
from orchestrator.engines.buildx import failures
from orchestrator.engines.buildx.arguments import arguments
from orchestrator.engines.buildx.program import asked, followed, private_folder
from orchestrator.engines.buildx.progress import Follower
from orchestrator.engines.streams import new_log, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.reference import Reference
    from orchestrator.engines import BuildRequest, ImageInfo, Prover

_BOOT: Final = 180.0  # seconds for a builder to answer, or to be started: one of its kinds pulls an image first
# BuildKit says nothing of bytes while it pushes.
_PUSHING: Final = 12.0
_TRIES: Final = 3  # where the builder's store is locked, as it is for some milliseconds, or nothing is said
_PAUSE: Final = 1.0  # seconds between them
_TRIAL: Final = b"FROM scratch\nLABEL release=trial\n"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class BuilderInfo:
    """What `docker buildx inspect` tells."""

    name: str
    driver: str
    nodes: tuple[str, ...]


class BuildxBuilder:
    """A builder of `docker buildx`, by its name; "" is the one that is current."""

    def __init__(
        self, program: Path, env: Mapping[str, str], *, name: str = "", tell: Callable[[str], object] = lambda _: None
    ) -> None:
        self._program = str(program)
        self._env = env
        self._name = name
        self._tell = tell
        self._trying = Lock()
        self._read: dict[str, bool | None] = {}  # lines of Dockerfiles that were tried

    # -------------------------------------------------------------- what it is

    @cached_property
    def info(self) -> BuilderInfo:
        """Raises RemoteError where there is none of that name, or none answers."""
        status, out, error = self._ask("inspect", *([self._name] if self._name else []))
        if status:
            raise failures.builder_gone(error.strip() or f"exit code {status}", self._name)
        return _info(out)

    @property
    def title(self) -> str:
        return f"{self.info.name} ({self.info.driver})"

    @cached_property
    def platforms(self) -> tuple[str, ...]:
        """Of all its nodes.  One that has not been started says none, so it is asked after `incapable`."""
        status, out, error = self._ask("inspect", *([self._name] if self._name else []))
        if status:
            raise failures.builder_gone(error.strip() or f"exit code {status}", self._name)
        return _platforms(out)

    @property
    def has_store(self) -> bool:
        return self.info.driver == "docker"

    @property
    def incapable(self) -> str:
        """Why it cannot make images as they are needed here, "" where it can: a tiny image is built, and kept nowhere.

        What it needs is tried at once: the program's progress as JSON, a builder that answers, the times of files
        rewritten, an image that does not go through the engine's old store.  It is tried once, by whichever thread
        asks first; the others wait.
        """
        with self._trying:
            return self._tried

    @cached_property
    def _tried(self) -> str:
        try:
            name = self.info.name
        except RemoteError as error:
            return error.message
        flags = ["--progress=rawjson", "--provenance=false", "--output=type=oci,dest=-,rewrite-timestamp=true"]
        status, _, error_text = self._ask("build", *self._builder, *flags, "-", stdin=_TRIAL)
        if not status:
            return ""
        said = [line for line in error_text.splitlines() if line.startswith("ERROR: ")]
        return f"builder {name} fails at a tiny image: {one_line(said[-1][7:] if said else error_text)}"

    def reads(self, line: str) -> bool | None:
        """A builder that fails in another way than at this line has not said anything: it is asked again."""
        if line not in self._read:
            found = (self._reads(line) for _ in range(_TRIES))
            self._read[line] = next((said for said in found if said is not None), None)
        return self._read[line]

    def _reads(self, line: str) -> bool | None:
        text = f"FROM scratch\n{line}\n".encode()
        flags = ["--progress=rawjson", "--provenance=false", "--output=type=cacheonly"]
        status, _, error = self._ask("build", *self._builder, *flags, "-", stdin=text)
        said = [each for each in error.splitlines() if each.startswith("ERROR: ")]
        return failures.reads_flag(status, said[-1] if said else "")

    @property
    def _builder(self) -> list[str]:
        return [f"--builder={self._name}"] if self._name else []

    def _ask(self, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
        with private_folder(self._env, {}) as (_, env):
            return asked([self._program, *words], env, stdin=stdin, timeout=_BOOT)

    # -------------------------------------------------------------- building

    def build_pushed(
        self,
        request: BuildRequest,
        report: Callable[[Progress], None],
        *,
        credentials: Credentials | None,
        stall: float,
    ) -> Pushed:
        target = request.tag
        repository = str(target.repository)
        # Docker itself pushes only under a name.
        name = str(target) if self.has_store else f"{repository},push-by-digest=true"
        own = {target.repository.host: credentials} if credentials else {}
        output = f"type=image,name={name},push=true,store=false{_compression(request.compression)}"
        metadata = self._build(request, report, output, {**request.logins, **own}, stall)
        digest = metadata.get("containerimage.digest")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise RemoteError(
                f"docker buildx says that {target} was pushed, and not which digest it has",
                where=str(request.log),
                remedy="update docker buildx, or set `builder: classic` under `image:`",
                code="builder-unusable",
            )
        return Pushed(digest=digest, builder=self.title)

    def build_archive(
        self, request: BuildRequest, report: Callable[[Progress], None], into: Path, *, stall: float
    ) -> None:
        """Build into an OCI archive; nothing is pushed."""
        self._build(request, report, f"type=oci,dest={into}", request.logins, stall)

    def prover(
        self,
        reference: Reference,
        image: ImageInfo,
        logins: Mapping[str, Credentials],
        *,
        log: Path,
        stall: float,
    ) -> Prover:
        from orchestrator.engines.buildx.steps import BuildSteps

        return BuildSteps(self, reference, image, logins, log=log, stall=stall)

    def step(self, request: BuildRequest, output: str, *, stall: float, timeout: float = 0) -> tuple[int | None, str]:
        """Build what has one RUN at most, and keep nothing: that step's exit code, None at its timeout, and the end of
        what it printed.  Whatever else fails is raised, as by `build_pushed`."""
        with (
            private_folder(self._env, request.logins) as (folder, env),
            _real_file(request.context) as context,
            new_log(request.log) as file,
        ):
            follower = Follower(file=file, path=request.log, report=lambda _: None, clock=time.monotonic)
            words, more = arguments(request, folder)
            argv = [self._program, "build", *self._builder, f"--output={output}", *words, "-"]
            limit = _Limit(follower, timeout, self._watch(follower, request, stall))
            try:
                status = followed(argv, env | more, context, limit.take, limit.idle)
            except _LateError:
                return None, follower.printed
            code = failures.exit_code(follower) if status else 0
            if code is None:
                raise failures.failure(follower, request.tag, self._name)
            return code, follower.printed

    def _build(
        self,
        request: BuildRequest,
        report: Callable[[Progress], None],
        output: str,
        logins: Mapping[str, Credentials],
        stall: float,
    ) -> Mapping[str, Any]:
        output += ",rewrite-timestamp=true" if request.epoch and not request.keep_times else ""
        with (
            private_folder(self._env, logins) as (folder, env),
            _real_file(request.context) as context,
            new_log(request.log) as file,
        ):
            words, more = arguments(request, folder)
            metadata = folder / "metadata.json"
            argv = [self._program, "build", *self._builder, f"--output={output}", f"--metadata-file={metadata}", *words]
            for last in (*[False] * (_TRIES - 1), True):
                follower = Follower(
                    file=file, path=request.log, report=report, clock=time.monotonic, locate=request.locate
                )
                look = self._watch(follower, request, stall)
                if not followed([*argv, "-"], env | more, context, follower.take, look):
                    break
                error = failures.failure(follower, request.tag, self._name)
                if last or error.code != failures.BUSY:
                    raise error
                report(Progress(text=f"{error.message}; tried again"))
                time.sleep(_PAUSE)
                context.seek(0)
            with writing(metadata):
                return dict(json.loads(metadata.read_text(encoding="utf-8")))

    def _watch(self, follower: Follower, request: BuildRequest, stall: float) -> Callable[[], None]:
        """What is called while nothing comes: a step of the user's may be silent, a registry may not."""

        def look() -> None:
            running = follower.running
            if not stall or any(step.is_run for step in running):
                return
            limit = stall * (_PUSHING if any(step.name.startswith("exporting") for step in running) else 1)
            if time.monotonic() - follower.moved_at > limit:
                raise failures.stalled(request.tag, limit)

        return look


class _LateError(Exception):
    """A step has not ended in its time."""


class _Limit:
    """Ends a step that runs for too long, whether it prints or not; 0 for no limit."""

    def __init__(self, follower: Follower, seconds: float, idle: Callable[[], None]) -> None:
        self._follower, self._seconds, self._begun, self._idle = follower, seconds, 0.0, idle

    def take(self, line: str) -> None:
        self._follower.take(line)
        self._look()

    def idle(self) -> None:
        self._look()
        self._idle()

    def _look(self) -> None:
        now = time.monotonic()
        if not self._begun and any(step.is_run for step in self._follower.running):
            self._begun = now
        if self._begun and self._seconds and now - self._begun > self._seconds:
            raise _LateError


def _compression(wanted: str) -> str:
    """Options of the output; docker's own kinds of documents know no zstd."""
    kind, _, level = wanted.partition(":")
    if not kind:
        return ""
    return f",oci-mediatypes=true,compression={kind}" + (f",compression-level={level}" if level else "")


def _info(text: str) -> BuilderInfo:
    """Of the table that it prints: `Name:` and `Driver:` of the builder, then each node's."""
    pairs = [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in text.splitlines())]
    names = [value for key, value in pairs if key == "Name"]
    driver = next((value for key, value in pairs if key == "Driver"), "")
    return BuilderInfo(name=names[0] if names else "", driver=driver, nodes=tuple(names[1:]))


def _platforms(text: str) -> tuple[str, ...]:
    """Of the same table; those that a node was declared for have a star and count before what it could emulate."""
    lines = [line.partition(":")[2] for line in text.splitlines() if line.strip().startswith("Platforms:")]
    words = [word.strip() for line in lines for word in line.split(",") if word.strip()]
    return tuple(dict.fromkeys(word.rstrip("*") for word in sorted(words, key=lambda word: not word.endswith("*"))))


@contextmanager
def _real_file(context: IO[bytes]) -> Iterator[IO[bytes]]:
    """The same bytes as a file that another program can read, at its beginning."""
    context.seek(0)
    try:
        context.fileno()
    except OSError:
        with tempfile.TemporaryFile() as file:
            shutil.copyfileobj(context, file)
            file.seek(0)
            yield file
    else:
        yield context

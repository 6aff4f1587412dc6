"""The room of the engines: what makes images and runs them, and the values that cross that door.

A build is content, a publish is a name: `build` never publishes.  Engines know no release, no plan and no git.  An
engine is a module of this package and a word in ENGINES; every one answers the same contract test
(tests/docker/test_engine.py).
"""

from __future__ import annotations

from dataclasses import field
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, cast

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UnprovedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Progress

ENGINES: Final = ("docker",)  # modules of this package, the default one first; each is an EngineModule
DIRECT: Final = ("buildx",)  # modules whose builder leaves what it makes in a registry; each is a DirectModule


class NoGpuError(UnprovedError):
    """The engine can give no GPU to a container."""

    default_code = "no-gpu"


class PushRefusedError(RemoteError):
    """The registry said no to a push.  `about_login`: to the login, or for want of one."""

    default_code = "push-failed"
    about_login = False


class PushBrokenError(RemoteError):
    """A push broke off; pushing again may help, and moves only what is missing."""

    default_code = "push-failed"


class PullBrokenError(RemoteError):
    """A pull broke off, or the registry does not show, or give, the image now: pulling again may help."""

    default_code = "pull-failed"


class BuilderLostError(RemoteError):
    """A builder does not answer, went away, or stands still: another one may do its work."""

    default_code = "builder-unusable"


@dataclass(frozen=True, kw_only=True)
class EngineHealth:
    """What a running engine says of itself.  `root` is its data directory on its host, or "" (unknown)."""

    version: str
    api_version: str
    os: str
    architecture: str
    storage_driver: str
    root: str
    is_local: bool  # reached over a unix socket, so that `root` is a path on this machine


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """An image in the engine's store.  `id` is `sha256:...`: config digest or manifest digest, by engine."""

    id: str
    labels: Mapping[str, str]
    size: int  # bytes, unpacked
    layers: tuple[str, ...]  # diff_ids, base first
    repo_digests: tuple[str, ...]  # `repository@sha256:...`; the engine's memory, never proof of a push
    architecture: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()  # what the entrypoint is given when no command is
    config: Mapping[str, Any] = field(default_factory=dict)  # the image's `config`, keys as in the OCI image spec


@dataclass(frozen=True, kw_only=True)
class HistoryStep:
    """A line of an image's history, with the layer that it made."""

    created_by: str  # as it is stored
    instruction: str  # of it what a person wants to read
    size: int  # bytes of its files, unpacked
    diff_id: str = ""  # of its layer; "" where it has none, or the history does not say which


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """One build.  `context` is an open tar (not filtered again), `dockerfile` a path inside it."""

    context: IO[bytes]
    dockerfile: str
    tag: Reference
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    no_cache: bool = False
    network: str = ""  # docker's network mode of RUN steps; "" is the engine's default
    logins: Mapping[str, Credentials] = field(default_factory=dict)  # registry host -> login, for images that it pulls
    epoch: int = 0  # seconds; a builder that can gives every file at most this time.  0: times stay as they are
    target: str = ""  # the stage to build, "" for the last one
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # id -> value, for RUN --mount=type=secret
    ssh: tuple[str, ...] = ()  # `default`, `ID=SOCKET` or `ID=KEY`, for RUN --mount=type=ssh
    shm_size: int = 0  # bytes of /dev/shm in RUN steps; 0 is the builder's default
    gpus: str = ""  # CDI names, comma between, that RUN --device may use
    contexts: Mapping[str, str] = field(default_factory=dict)  # name -> folder or `docker-image://REF`, in its place
    compression: str = ""  # of new layers, `zstd` or `zstd:LEVEL`, by a builder that can; "" is gzip
    cache_from: tuple[str, ...] = ()  # BuildKit's caches, or images that the classic builder's engine has, by digest
    keep_times: bool = False  # layers stay as they were made, those of caches too; else `epoch` is the youngest time
    cache_to: str = ""  # the name that BuildKit leaves its cache under
    pull: bool = False  # ask the registries for the bases, also where the builder has them
    locate: Callable[[str], str] = lambda _: (
        ""
    )  # a step as BuildKit names it -> `Dockerfile:12`, where it says no place
    log: Path  # the full build log is written here, created or replaced


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """One command in a container of an image.  `command` is an argv; `timeout` in seconds.

    Unless `keep_entrypoint` is set the image's own entrypoint is removed, so that `command` is what runs.
    """

    image: str
    command: tuple[str, ...]
    timeout: float
    env: Mapping[str, str] = field(default_factory=dict)
    network: str = "none"
    keep_entrypoint: bool = False
    gpus: str = ""  # "", "all", ids such as "0,1" (NVIDIA Container Toolkit), or CDI names: "nvidia.com/gpu=all"


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a command ended.  `exit_code` is None when it was killed at its timeout."""

    exit_code: int | None
    output: str  # stdout and stderr, the last 64 KiB
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What a Dockerfile may use with an engine's builder.

    `flags` are those that each instruction takes.  `instead` says what to write in place of a flag that another builder
    knows (`mount=TYPE` for one kind of `--mount`).
    """

    builder: str  # its name in messages
    flags: Mapping[str, tuple[str, ...]]
    instead: Mapping[str, str]
    heredocs: bool
    git_sources: bool  # ADD of a git repository
    dropped: tuple[str, ...] = ()  # flags that change no file: the tool leaves them out of what it sends
    obeys_directives: bool  # `# syntax=` and `# check=`; else they are comments
    fills_in_platform: bool  # TARGETARCH and its kin; else whoever builds must
    tried: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (instruction, flag) that not each builder of
    # the kind reads without `# syntax=` -> a line with it, for `DirectBuilder.reads`
    refused_late: tuple[tuple[str, str], ...] = ()  # of them those that may stand in a stage which is not built


class ImageStore(Protocol):
    """The images that an engine has.  Everything raises RemoteError when the engine cannot be reached."""

    def health(self) -> EngineHealth:
        """Version and place of the engine; the cheapest call that proves it answers.  It is asked once in a run."""

    def inspect(self, name: str) -> ImageInfo | None:
        """The image of that name or id in the engine's store, or None when there is none."""

    def resolve(
        self,
        name: str,
        *,
        platform: str,
        credentials: Credentials | None,
        report: Callable[[Progress], None],
        afresh: bool = False,
    ) -> ImageInfo:
        """`inspect`, pulling first when it is not there, or always (`afresh`).  Raises RemoteError when it cannot be
        pulled."""

    def history(self, image: str) -> tuple[HistoryStep, ...]:
        """The steps that made an image in the store, base first."""

    def layers(self, image: str) -> Generator[IO[bytes], None, None]:
        """The layers of an image as tars, plain or compressed, each once and in any order; one must be read to its
        end before the next is asked for.  The engine may need the image's size on its disk meanwhile."""

    def tag(self, image: str, reference: Reference) -> None:
        """Give an image in the store another local name."""

    def remove_tag(self, reference: Reference) -> None:
        """Forget a local name; silent when it is not there.  The registry is not touched."""


class Trials(Protocol):
    """Builds that are looked at and kept nowhere; see `Builder`."""

    def trial(self, request: BuildRequest, report: Callable[[Progress], None]) -> AbstractContextManager[ImageInfo]: ...

    def history(self, image: str) -> tuple[HistoryStep, ...]: ...

    def layers(self, image: str) -> Generator[IO[bytes], None, None]: ...


class Builder(ImageStore, Protocol):
    """Builds images, and publishes what it has built."""

    def build(self, request: BuildRequest, report: Callable[[Progress], None]) -> ImageInfo:
        """Build and tag locally.  Raises UnprovedError with the tail of the log when a step fails."""

    def trial(self, request: BuildRequest, report: Callable[[Progress], None]) -> AbstractContextManager[ImageInfo]:
        """As `build`, for the length of a `with` block.  At its end, and after a failure or an interruption, the name
        and every image that the build has made are gone; what the engine had before stays."""

    def clear_trials(self, logs: Path) -> int:
        """Remove what killed trials with logs below that folder left; how many images.  Only where no other run can
        be alive, such as under a lock."""

    def publish(
        self,
        reference: Reference,
        *,
        credentials: Credentials | None,
        report: Callable[[Progress], None],
        stall: float,
    ) -> str:
        """Push a local name, and return the digest that the engine says it has there now, "" where it says none: what
        is believed is read from the registry.

        Raises PushRefusedError where the registry said no, PushBrokenError where pushing again may help, and
        RemoteError for all else, also when nothing moved for `stall` seconds.
        """


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What a builder left in a registry: an image by its digest, which no name stands for yet."""

    digest: str
    builder: str = ""  # who made it, as a person knows it; "" for the default one


class DirectBuilder(Protocol):
    """Builds images straight into a registry; no store of an engine has them afterwards."""

    @property
    def title(self) -> str:
        """Its name and kind, for people.  Raises RemoteError where there is no such builder."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """What it builds for, its own platform first; () where it does not say."""

    @property
    def has_store(self) -> bool:
        """Whether it is the engine itself, whose images are its bases."""

    @property
    def incapable(self) -> str:
        """Why it cannot build here, "" where it can: tried, and asked once."""

    def reads(self, line: str) -> bool | None:
        """Whether what reads Dockerfiles inside it knows the flag in this line: tried, once for each.  None where it
        does not say, asked several times."""

    def build_pushed(
        self,
        request: BuildRequest,
        report: Callable[[Progress], None],
        *,
        credentials: Credentials | None,
        stall: float,
    ) -> Pushed:
        """Build and push into the repository of the request's tag: by digest alone, or under that very tag where the
        builder knows no other way.  `credentials` are those to push with.

        Raises UnprovedError with the tail of the log when a step fails, PushRefusedError and PushBrokenError as
        `Builder.publish`, and RemoteError where the builder fails, also when nothing moved for `stall` seconds.
        """

    def build_archive(
        self, request: BuildRequest, report: Callable[[Progress], None], into: Path, *, stall: float
    ) -> None:
        """The same build into an OCI archive on this machine; nothing is pushed."""

    def step(self, request: BuildRequest, output: str, *, stall: float, timeout: float = 0) -> tuple[int | None, str]:
        """Build what has one RUN at most, and keep nothing but `output`: its exit code, None at its timeout, and the
        end of what it printed.  Whatever else fails is raised, as by `build_pushed`."""

    def prover(
        self,
        reference: Reference,
        image: ImageInfo,
        logins: Mapping[str, Credentials],
        *,
        log: Path,
        stall: float,
    ) -> Prover:
        """What runs commands in that image of a registry, as build steps that nobody keeps."""


class Prover(Protocol):
    """What the checks of an image need: an engine that has it, or a builder (`DirectBuilder.prover`)."""

    def health(self) -> EngineHealth:
        """Where the image would run."""

    def inspect(self, name: str) -> ImageInfo | None: ...

    def history(self, image: str) -> tuple[HistoryStep, ...]: ...

    def run(self, request: RunRequest) -> RunResult: ...

    def read_file(self, image: str, path: str) -> bytes | None: ...


class Runtime(ImageStore, Protocol):
    """Runs containers of images, and reads files from them."""

    def run(self, request: RunRequest) -> RunResult:
        """Run one command in a fresh container that is always removed.  Raises UnprovedError when the
        container cannot be started."""

    def read_file(self, image: str, path: str) -> bytes | None:
        """A file's bytes from an image, without running anything in it; None when it is not there."""

    def sweep(self, owner: str) -> int:
        """Remove the containers that a killed run of `owner` left behind; how many there were."""


class Engine(Builder, Runtime, Protocol):
    """Both in one, as Docker is."""


class EngineModule(Protocol):
    """What a module named in ENGINES has.  Importing it loads no client library."""

    DIALECT: Dialect

    def connect(
        self, env: Mapping[str, str], *, owner: str = "release", tell: Callable[[str], object] = lambda _: None
    ) -> Engine:
        """The engine that this environment means.  `owner` marks the containers that are made through it; `tell`
        hears of a call that takes long.  Raises RemoteError when it does not answer, UsageError for wrong settings."""


class DirectModule(Protocol):
    """What a module named in DIRECT has."""

    DIALECT: Dialect

    def connect(
        self, env: Mapping[str, str], *, builder: str = "", tell: Callable[[str], object] = lambda _: None
    ) -> DirectBuilder:
        """The builder of that name, "" for the one that this environment means.  Raises UsageError where its program
        is not there."""


def direct_module(name: str = DIRECT[0]) -> DirectModule:
    """The module of a builder in DIRECT."""
    return cast("DirectModule", import_module(f"{__name__}.{name}"))


def dialect_of(engine: str) -> Dialect:
    """What a Dockerfile may use with an engine of the plan; "auto" may still be BuildKit.  What is written without an
    engine ("none") has a base that the classic builder makes."""
    return engine_module().DIALECT if engine in ("classic", "none") else direct_module().DIALECT


def engine_module(name: str = ENGINES[0]) -> EngineModule:
    """The module of an engine in ENGINES."""
    return cast("EngineModule", import_module(f"{__name__}.{name}"))

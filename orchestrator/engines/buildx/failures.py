"""What the end of a build means to a person: one line, where, a remedy.  Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.errors import RemoteError, UnprovedError, UsageError
from orchestrator.core.text import one_line
from orchestrator.engines import BuilderLostError
from orchestrator.engines.failures import disk_full, shared_memory_full
from orchestrator.engines.refusals import base_missing, pull_limited, push_failed

if TYPE_CHECKING:
    from orchestrator.core.errors import ReleaseError
    from orchestrator.core.reference import Reference
    from orchestrator.engines.buildx.progress import Follower, Vertex

_EXIT: Final = re.compile(r"exit code: (\d+)")
_PUSH: Final = re.compile(r"(?:failed to solve: )?failed to push \S+: (?P<why>.*)", re.DOTALL)
_HTTPS: Final = re.compile(r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake")
# A server that wants https answers 400: Go's and nginx's words, and none where it was a HEAD.
_HTTP: Final = re.compile(
    r"HTTP request to an HTTPS server|HTTP request was sent to HTTPS|from HEAD request to http://\S{1,800}: 400\b"
)
_ASKED: Final = re.compile(r"\bhttp://([^/\s]{1,255})/")
_CREATE: Final = "see `docker buildx ls`; make one: docker buildx create --name NAME"
_BOOT_AGAIN: Final = (
    "look at it with `docker buildx inspect --bootstrap`, then run the same command again: finished steps are kept"
)
# What is said where no builder answers, or one goes away -> what to do.
_BUILDER: Final = (
    (re.compile(r"no builder \"?[^\"]*\"? found"), _CREATE),
    (re.compile(r"[Cc]annot connect to the Docker daemon|error during connect|connection refused"),
     "start the builder's engine, or choose another builder; see `docker buildx ls`"),
    (re.compile(r"failed to list workers|code = Unavailable|transport is closing|error reading from server"
                r"|closing transport|connection reset by peer|\bEOF\b|context deadline exceeded|no valid drivers found"
                r"|failed to find driver|no such container|failed to initialize builder"),
     _BOOT_AGAIN),
)  # fmt: skip
_FRONTEND: Final = (
    "`# syntax=` names an image that reads the Dockerfile: name one in a registry that the builder reaches, or take "
    "the line out where BuildKit itself reads all that is used"
)
# BuildKit's words for a flag that what it reads Dockerfiles with has not, or not in this form.
UNKNOWN_FLAG: Final = re.compile(r"unknown flag|only supported in Dockerfile frontend")
# Its words for a line that it has read: the file is not there, a scratch has no shell, no such device is given.
_READ: Final = re.compile(r"failed to solve: .*(?:not found|no such file|did not complete|\bdevices?\b|entitlement)")
_UNREAD: Final = "drop the flag, or name what reads it on the first line: `# syntax=docker/dockerfile:1-labs`"
_UNFETCHED: Final = (
    "check the address and what stands there, and that the builder reaches its server; then run the same command again"
)
_CHANGED: Final = "what stands there is not what the checksum is of: correct `--checksum`, or find out who changed it"
_CALL: Final = re.compile(r"rpc error|code = |transport")  # between buildx and its builder
_LINT: Final = "obey the rule that is named, or take `error=true` out of the Dockerfile's line `# check=`"
_BOOT: Final = "look at it with `docker buildx inspect --bootstrap`, or choose another builder; see `docker buildx ls`"
_SOLVE: Final = "failed to solve: "
BUSY: Final = "builder-busy"
# containerd's words, where a layer is written while its lock is not free yet: moby/buildkit#7166.
_LOCKED: Final = re.compile(r"\bref \S{1,300} locked for [^:(]{1,60}(?:\(since [^)]{1,200}\))?: unavailable")


def failure(follower: Follower, target: Reference, builder: str) -> ReleaseError:
    """The error for a build that came to a bad end; the log is the follower's."""
    text = follower.error or next(reversed(follower.plain), "")
    found = (
        _ended(text, builder)
        or _unbootable(follower, text, builder)
        or _busy(text, builder)
        or _registry(text, target, builder)
        or _step(follower)
        or _by_builder(follower, text, builder)
    )
    found = found or _refused(follower, text)
    found.detail = found.detail or "\n".join(follower.tail)
    return found


def reads_flag(status: int, said: str) -> bool | None:
    """What the end of a build of one line tells of the flag in it; None where it is about something else.

    The file that the line names is not there, and nothing may be run: that it fails so is the proof that it was read.
    """
    if UNKNOWN_FLAG.search(said):
        return False
    is_builders = disk_full(said, "") is not None or any(pattern.search(said) for pattern, _ in _BUILDER)
    return True if not status or (_READ.search(said) and not is_builders) else None


def _registry(text: str, target: Reference, builder: str) -> ReleaseError | None:
    if _HTTPS.search(text):
        return RemoteError(
            f"the builder speaks https to a registry that speaks http: {one_line(text)}",
            where=str(target),
            remedy="tell the builder: `insecure-registries` in the engine's daemon.json, or `http = true` for this "
            "registry in buildkitd.toml",
            code="registry-plain-http",
        )
    if _HTTP.search(text):
        asked = _ASKED.search(text)
        host = asked[1] if asked else target.repository.host
        return RemoteError(
            f"{_named(builder)} speaks http to the registry {host}, which answers as one that speaks https: "
            f"{one_line(text.removeprefix(_SOLVE))}",
            where=str(target),
            remedy=f'say `http = false` below `[registry."{host}"]` in its buildkitd.toml (an engine: take it out of '
            "`insecure-registries` in daemon.json), start it again, then run the same command again",
            code="registry-https",
        )
    push = _PUSH.match(text)
    return push_failed(push["why"], target) if push else None


def _unbootable(follower: Follower, text: str, builder: str) -> ReleaseError | None:
    """A builder that is started when it is needed, and cannot be: its image is not to be had, its cluster says no."""
    step = follower.failed
    return builder_gone(text, builder, _BOOT) if step and step.name.startswith("[internal] booting") else None


def _ended(text: str, builder: str) -> ReleaseError | None:
    """The program was killed, by a machine that is short of memory, say: it has always a last word else."""
    why = "docker buildx was ended from outside, and said no reason (see the kernel's log for the memory)"
    return None if text else builder_gone(why, builder, _BOOT_AGAIN)


def _busy(text: str, builder: str) -> ReleaseError | None:
    """It passes by itself, but for a builder that always exports layers in its second way."""
    if not _LOCKED.search(text):
        return None
    return BuilderLostError(
        f"{_named(builder)} has its own store locked",
        remedy="run the same command again; where that is no help, restart the builder: its folder for temporary files "
        "is gone, or its kernel is older than 5.8",
        code=BUSY,
    )


def _step(follower: Follower) -> ReleaseError | None:
    """Of a step that ran and failed; what it printed counts, its command line does not."""
    step = follower.failed
    status = _EXIT.search(step.error) if step else None
    if step is None or not status or not step.is_run:
        return None
    printed, place = "\n".join(step.printed), str(follower.path)
    shared = shared_memory_full(printed, step.name)
    full = None if shared else disk_full(printed, place)
    return full or UnprovedError(
        f"{_at(follower)}{one_line(step.title, 90)} exited {status[1]}",
        where=place,
        remedy=shared or "read the log above; the full one is in the file named",
        code="build-failed",
    )


def exit_code(follower: Follower) -> int | None:
    """Of the command that failed; None where it is something else that did."""
    step = follower.failed
    if step is None or not step.is_run:
        return None
    status = _EXIT.search(step.error)
    missing = "executable file not found" in "\n".join((step.error, *step.printed))
    return 127 if missing else int(status[1]) if status else None


def _at(follower: Follower) -> str:
    return f"{follower.place}: " if follower.place else ""


def _by_builder(follower: Follower, text: str, builder: str) -> ReleaseError | None:
    if (text.startswith(_SOLVE) and "failed to resolve" in text) or _is_unfetched(follower.failed):
        return None  # a base's registry or another server, not the builder
    remedy = next((remedy for pattern, remedy in _BUILDER if pattern.search(text)), "")
    return builder_gone(text, builder, remedy) if remedy else None


def _is_unfetched(step: Vertex | None) -> bool:
    return step is not None and step.is_fetch and not _CALL.search(step.error)


def _named(builder: str) -> str:
    return f"builder {builder}" if builder else "docker buildx's builder"


def builder_gone(text: str, builder: str, remedy: str = "") -> BuilderLostError:
    """Nothing can be built by that builder now."""
    remedy = remedy or next((each for pattern, each in _BUILDER if pattern.search(text)), _CREATE)
    return BuilderLostError(f"{_named(builder)} cannot build: {one_line(text.removeprefix('ERROR: '))}", remedy=remedy)


def _refused(follower: Follower, text: str) -> ReleaseError:
    why = text.removeprefix(_SOLVE)
    where = str(follower.path)
    known = disk_full(why, where) or pull_limited(why, where) or base_missing(why, where, _at(follower))
    step = follower.failed
    remedy = "read the log above; the full one is in the file named"
    remedy = _LINT if "lint violation found" in why else remedy
    remedy = _CHANGED if "digest mismatch" in why else _UNFETCHED if _is_unfetched(step) else remedy
    remedy = _FRONTEND if follower.is_frontends else _UNREAD if UNKNOWN_FLAG.search(why) else remedy
    what = f"{_title(step)} failed: " if step else "the build failed before its first step: "
    return known or UnprovedError(
        f"{_at(follower)}{what}{one_line(why)}",
        where=where,
        remedy=remedy,
        code="build-failed",
    )


def _title(step: Vertex) -> str:
    return one_line(step.title, 90)


def stalled(target: Reference, seconds: float) -> BuilderLostError:
    """Nothing moved for too long, and no step was running."""
    return BuilderLostError(
        f"the build of {target} stands still: nothing moved for {seconds:g} s",
        remedy="check the builder, the registries and the network, then run the same command again",
        code="build-stalled",
    )


def unusable_program(error: OSError, path: str) -> UsageError:
    """It is there, and cannot be started."""
    return UsageError(
        f"docker buildx cannot be started: {error.strerror}",
        where=path,
        remedy="install it anew, or set `builder: classic` under `image:`",
        code="no-buildx",
    )

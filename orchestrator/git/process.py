"""Run git.  One place decides how: no shell, no locale, no prompt without a terminal, no inherited stdin."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.core.errors import Exit, LockedError, ReleaseError, UsageError
from orchestrator.core.remote_url import without_login
from orchestrator.git.conversation import Conversation, Output, Silence, has_terminal
from orchestrator.git.objects import person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from git import Git as Runner

    from orchestrator.git.objects import Signature

Part = TypeVar("Part")
Answer = TypeVar("Answer")
_WORKERS = 2
_COMMITTER = "GIT_COMMITTER_IDENT"

# What a person's settings add to a fetch or a push (tags, submodules, a record of it) is no concern of a release.
# Their progress is how it is known that something moves.
FETCH = (
    "fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules",
    "--refmap=",
)  # fmt: skip
PUSH = ("push", "--porcelain", "--progress", "--no-follow-tags", "--recurse-submodules=no")

_TALKING = ("ls-remote", "fetch", "push")


class TimeUpError(Exception):
    """The time allowed for a search is spent; what git was doing for it is ended."""


class GitCommandError(ReleaseError):
    """git failed where it should not have."""

    default_code = "git-failed"


class HookRefusedError(GitCommandError):
    """A `reference-transaction` hook of this clone lets git write no ref."""

    exit_code = Exit.REFUSED
    default_code = "hook-refused"


class LockLeftError(LockedError):
    """A file that git locks is locked: by another git at work, or by one that was killed."""

    default_code = "git-lock"


class Git:
    """git, bound to a directory and a set of environment variables.

    `config` pairs are passed as `-c key=value`; they win over every configuration file.
    """

    def __init__(
        self, cwd: Path, *, env: Mapping[str, str] | None = None, config: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.cwd = cwd
        self.env = dict(env or {})
        self.config = config
        self.remaining: Callable[[], float] | None = None  # seconds left, while a search with a limit goes on
        self.silence = Silence()

    def attempt(
        self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None, limit: float = 0
    ) -> Output:
        """Run `git ARGS` and return how it ended, whatever the status.

        With a `limit` in seconds it is ended after that, where nobody can be asked with all that it started.  Raises
        TimeUpError then.
        """
        with tempfile.TemporaryFile() as feed:
            if stdin is not None:
                feed.write(stdin)
                feed.seek(0)
            alone = {"start_new_session": True} if limit and not has_terminal() else {}
            process = self._started(args, env, istream=feed if stdin is not None else None, **alone)
            left = max(self.remaining(), 0.001) if self.remaining else limit or None
            stdout, stderr = _to_its_end(process, left, whole=bool(alone))
        return Output(status=process.returncode, stdout=stdout, stderr=stderr.decode("utf-8", "replace"))

    def talk(
        self, remote: str, *args: str, env: Mapping[str, str] | None = None, lent: int | None = None, stdin: bytes = b""
    ) -> Output:
        """As `attempt`, for a command that talks to a remote: it is ended, with all that it started, when it has said
        nothing for too long.  Raises RemoteError then.

        `lent` is a descriptor that git and what it starts keep open as long as they live.
        """
        with tempfile.TemporaryFile() as feed:
            feed.write(stdin)
            feed.seek(0)
            process = self._started(
                args, env, start_new_session=not has_terminal(), pass_fds=() if lent is None else (lent,),
                istream=feed if stdin else None,
            )  # fmt: skip
        command = next(word for word in args if word in _TALKING)
        return Conversation(process, without_login(remote), command, self.silence).to_its_end()

    def begun(self, *args: str) -> Any:
        """`git ARGS` with pipes to talk to it."""
        return self._started(args, None, istream=subprocess.PIPE)

    def _started(self, args: tuple[str, ...], env: Mapping[str, str] | None, **how: Any) -> Any:
        runner, not_found = _runner()
        command = ["git", *(part for key, value in self.config for part in ("-c", f"{key}={value}")), *args]
        try:
            return runner(self.cwd).execute(command, as_process=True, env={**self.env, **(env or {})}, **how)
        except not_found as error:
            raise _missing() from error

    def run(self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> Output:
        """Run `git ARGS`; raises GitCommandError (with git's own last words) unless the status is 0."""
        output = self.attempt(*args, stdin=stdin, env=env)
        if output.status:
            raise failure(args, output)
        return output

    def text(self, *args: str) -> str:
        """stdout of `git ARGS` without surrounding blanks."""
        return self.run(*args).text.strip()


class Reader:
    """One long-lived `git cat-file`, which tells what names stand for and reads objects; begun when first asked."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process: Any = None
        self._asked = Lock()  # what is begun in the background of others may read too

    def header(self, name: str) -> tuple[str, str, int] | None:
        """Id, type and size in bytes of what a name stands for; None where it stands for nothing here."""
        with self._exchange():
            return self._ask("info", name)

    def is_ambiguous(self, name: str) -> bool:
        """Whether an abbreviated id is one of several objects."""
        with self._exchange():
            return self._send("info", [name]) and self._line().endswith(b" ambiguous\n")

    def content(self, name: str) -> tuple[str, bytes] | None:
        """Type and content of an object, None as above."""
        with self._exchange():
            found = self._ask("contents", name)
            return (found[1], self._body(found[2])) if found else None

    def contents(self, ids: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
        """Id, type and content of each of these objects, those that are not here left out.

        Raises GitCommandError where git gives up on one, which is damaged.
        """
        for first in range(0, len(ids), _AT_ONCE):
            with self._exchange():
                found = self._together(ids[first : first + _AT_ONCE])
            yield from found

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """A question and its whole answer.

        Where that is broken off (ctrl-C) the process is ended: what it still says would be taken for the next answer.
        """
        with self._asked:
            try:
                yield
            except BaseException:
                self.close()
                raise

    def _together(self, ids: Sequence[str]) -> list[tuple[str, str, bytes]]:
        self._send("contents", ids)
        heads = (_header(self._line(whole=True)) for _ in ids)
        return [(head[0], head[1], self._body(head[2])) for head in heads if head]

    def close(self) -> None:
        """End the process; what asks later begins another one."""
        if self._process is not None:
            process, self._process = self._process.proc, None
            for stream in (process.stdin, process.stdout, process.stderr):
                with suppress(BrokenPipeError):
                    stream.close()
            process.terminate()
            process.wait()

    def _ask(self, verb: str, name: str) -> tuple[str, str, int] | None:
        return _header(self._line()) if self._send(verb, [name]) else None

    def _send(self, verb: str, names: Sequence[str]) -> bool:
        """False where a name cannot be asked for: one line is one question."""
        if any(not name.strip() or "\n" in name for name in names):
            return False
        try:
            asked = "".join(f"{verb} {name}\n" for name in names).encode()
        except UnicodeEncodeError:
            return False
        if self._process is None:
            self._process = self._git.begun("cat-file", "--batch-command")
        with suppress(BrokenPipeError):  # it has died: there is no answer then
            self._process.stdin.write(asked)
            self._process.stdin.flush()
        return True

    def _line(self, *, whole: bool = False) -> bytes:
        """The next answer; b"" where the question has ended git, as `@{u}` without an upstream does.

        `whole`: that raises GitCommandError.
        """
        line: bytes = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read() if whole else b""
            self.close()
            if whole:
                raise failure(("cat-file",), Output(status=128, stdout=b"", stderr=said.decode("utf-8", "replace")))
        return line

    def _body(self, size: int) -> bytes:
        data: bytes = self._process.stdout.read(size + 1)
        return data[:size]


def _header(line: bytes) -> tuple[str, str, int] | None:
    """`ID TYPE SIZE`; what is missing or ambiguous is said with other words."""
    found = _OBJECT.fullmatch(line)
    return (found[1].decode(), found[2].decode(), int(found[3])) if found else None


_OBJECT = re.compile(rb"([0-9a-f]{40}) (commit|tree|blob|tag) (\d+)\n")
_AT_ONCE = 80  # questions: the smallest pipe takes so many while nobody reads the answers


@cache
def version() -> str:
    """As git prints it, asked once in a run.  Raises UsageError where no git runs."""
    return Git(Path("/")).text("version")


def _runner() -> tuple[type[Runner], type[Exception]]:
    """GitPython's way to start git, and its error where there is none any more.

    Raises UsageError where no git runs: importing GitPython tries it out.
    """
    try:
        from git import Git as Runner
        from git.exc import GitCommandNotFound
    except Exception as error:  # ImportError where there is none, a GitCommandError where `git version` fails
        raise _missing() from error
    return Runner, GitCommandNotFound


def _missing() -> UsageError:
    return UsageError(
        "there is no git on PATH that runs",
        remedy="install git 2.38 or newer, or correct PATH: `git version` must work",
        code="git-missing",
    )


def _to_its_end(process: Any, timeout: float | None, *, whole: bool = False) -> tuple[bytes, bytes]:
    """stdout and stderr of a process.  An interrupted release leaves no git behind that would go on pushing.

    Raises TimeUpError after `timeout` seconds.  `whole`: it has a session of its own, which is ended with it.
    """
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except BaseException as error:
        if whole:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        process.terminate()  # git removes its lock files on SIGTERM and ends at once
        process.proc.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise TimeUpError from error
        raise
    return bytes(stdout), bytes(stderr)


def identity(git: Git) -> Signature:
    """Who commits.  Raises UsageError when git knows no name or mail, or a variable says what is none."""
    output = git.attempt("var", _COMMITTER)
    found = person(output.text.strip().encode())
    if found and not output.status:
        return found[0]
    overruled = git.attempt("-c", "user.name=x", "-c", "user.email=x@example.com", "var", _COMMITTER).status != 0
    said = next((line for line in output.stderr.splitlines() if line.startswith("fatal:")), "fatal: it says nothing")
    raise UsageError(
        f"git does not know who you are: {said.removeprefix('fatal:').strip()}",
        remedy="unset GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE   (a variable overrules the settings)"
        if overruled
        else 'git config user.name "Your Name" && git config user.email you@example.com',
        code="no-identity",
    )


def failure(args: tuple[str, ...], output: Output) -> ReleaseError:
    """The error for a failed command: git's first `fatal:` or `error:` line, then the rest as detail."""
    lines = [line for line in without_login(output.stderr).splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "")
    verb = next((arg for arg in args if not arg.startswith("-") and "=" not in arg), "git")
    if is_disk_full(output.stderr):
        return GitCommandError(
            f"git {verb}: no space left on the disk",
            code="disk-full",
            remedy="free some disk and run the same command again; nothing was lost",
            detail="\n".join(lines),
        )
    if lock := _LOCK.search(output.stderr):
        return LockLeftError(f"git {verb} finds a lock: {lock[1]}", remedy=lock_remedy(lock[1]), where=lock[1])
    if _HOOK in output.stderr:
        spoken = [line for line in lines if _HOOK not in line and not line.startswith(("remote:", "fast-import:"))]
        return HookRefusedError(
            f"a hook of this clone does not let git {verb} write its refs: {'; '.join(spoken)[:300] or 'it is silent'}",
            remedy="correct it (git rev-parse --git-path hooks/reference-transaction shows which), then run the same "
            "command again",
            detail="\n".join(lines),
        )
    return GitCommandError(
        f"git {verb} failed with status {output.status}: {said or 'no message'}", detail="\n".join(lines)
    )


# What git says of a file that it could not write to its end; the reason (strerror) does not always come with it.
_FULL = re.compile(r"No space left on device|Out of diskspace|Disk quota exceeded|couldn't write '|file write error")
_HOOK = "ref updates aborted by hook"
_LOCK = re.compile(r"Unable to create '([^']+\.lock)': File exists")


def is_disk_full(said: str) -> bool:
    """Whether git's words mean a disk that is full, here or on the remote."""
    return _FULL.search(said) is not None


def lock_remedy(path: str) -> str:
    """What to type about a lock file that a git left, perhaps one that was killed."""
    return f"is no git at work there? then one was killed: rm {shlex.quote(path)}, then run the same command again"


def side_by_side(function: Callable[[Part], Answer], parts: Sequence[Part]) -> list[Answer]:
    """The answers for all parts, two at a time: the processor time is git's, in processes of its own."""
    if len(parts) < 2:
        return [function(part) for part in parts]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(function, parts))

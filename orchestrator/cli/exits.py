"""The one place where errors become one line and an exit code."""

from __future__ import annotations

import errno
import select
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

import typer

from orchestrator import __version__
from orchestrator.cli.interrupt import INTERRUPT
from orchestrator.core.errors import Exit, InterruptedRunError, ReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.report.console import Console


def guarded(console: Console, command: Callable[[], int | None]) -> None:
    """Run a command and exit; every expected failure becomes one line and its exit code."""
    INTERRUPT.listen()
    try:
        code = command()
    except ReleaseError as error:
        console.error(error)
        raise typer.Exit(error.status) from None
    except KeyboardInterrupt:
        stopped = InterruptedRunError(
            "interrupted", state="what is done is kept", remedy="run the same command again, or: release status"
        )
        console.error(stopped)
        raise typer.Exit(stopped.status) from None
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_has_gone():
            sys.stderr.close()  # there is nobody to tell
        else:
            console.error(_of_the_machine(error))
        raise typer.Exit(Exit.UNEXPECTED) from None
    except Exception:  # the last resort: a bug, with all that is needed to report it
        console.error(_bug(console))
        raise typer.Exit(Exit.UNEXPECTED) from None
    raise typer.Exit(code or Exit.DONE)


def _reader_has_gone() -> bool:
    """Whether nobody reads our output any more: else the pipe was one to a program that we started."""
    poll = select.poll()
    for number in (1, 2):
        poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "correct the permissions"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR), "correct the path"),
    errno.EROFS: "make the file system writable",
}


def _of_the_machine(error: OSError) -> ReleaseError:
    return ReleaseError(
        f"the machine refused: {error.strerror or error}",
        where=str(error.filename or ""),
        remedy=f"{_REMEDIES.get(error.errno or 0, 'look at the machine')}, then run the same command again",
        code="disk-full" if error.errno == errno.ENOSPC else "machine",
        state="what is done is kept",
    )


def _bug(console: Console) -> ReleaseError:
    text = traceback.format_exc()
    with tempfile.NamedTemporaryFile(
        "w", prefix="release-bug-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as log:
        log.write(f"release {__version__} {sys.version}\ncommand: {sys.argv[1:2]}\n{text}")
    return ReleaseError(
        f"unexpected: {text.strip().splitlines()[-1]}",
        where=log.name,
        remedy="this is a bug: report it with that file; the journal is intact",
        detail=text if console.verbose else "",
    )

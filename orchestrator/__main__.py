"""The entry point: answers `--version` without loading anything, then hands over to the command line."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys

# A hook's git variables would point every git below at the hook's repository and index.
GIT_LOCAL = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_DIR",
    "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_QUARANTINE_PATH", "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE", "GIT_WORK_TREE", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_TRACE", "GIT_ATTR_SOURCE",
    "GIT_DEFAULT_REF_FORMAT", "GIT_NOTES_REF", "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE",
)  # fmt: skip


_OBJECTS = 200_000  # until the first search for garbage: loading the program makes 100,000, and nearly all of them stay


def mend_streams() -> None:
    """What cron or a daemon closed becomes /dev/null, as in git: no file that is opened later may get its number.

    What a terminal's encoding lacks is written as an escape: a name in a commit ends no command.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this stream's
            os.set_inheritable(null, True)
            setattr(sys, name, os.fdopen(null, "r" if number == 0 else "w", errors="backslashreplace"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> None:
    """Run the command line and exit with its code."""
    mend_streams()
    gc.set_threshold(_OBJECTS)
    if sys.argv[1:] == ["--version"]:
        from orchestrator import __version__

        sys.stdout.write(f"release {__version__}\n")
        return
    for name in GIT_LOCAL:
        os.environ.pop(name, None)
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)  # exit 130 also while the program is loading
        from orchestrator.cli import run

        run()
    except KeyboardInterrupt:  # before the command began
        sys.exit(130)
    finally:
        gc.freeze()  # Python's searches for garbage at its end, 0.1 s of processor time, find nothing that matters


if __name__ == "__main__":
    main()

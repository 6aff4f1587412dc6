"""A process that has loaded the program and forks for each run of it: `python -m tests.support.prepared SOCKET`.

To load it takes several times as long as most commands.  A run is a process of its own all the same, with its own
working directory, environment, streams and exit status, and it ends as Python ends.  What Python reads only when it
starts is that of this process: `tests.support.cli` starts a new Python for a run that wants it otherwise.

A request is one connection: three descriptors, then JSON up to the end.  Answered are the process id, at once, and the
exit status.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LIBRARIES = ("docker", "git", "requests", "rich.live", "rich.table", "semver", "sqlite3", "typer", "yaml")


def load() -> None:
    """All modules of the program, and the libraries that it loads when it first needs them."""
    import orchestrator

    for module in pkgutil.walk_packages(orchestrator.__path__, "orchestrator."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _LIBRARIES:
        importlib.import_module(name)
    program = sys.modules["orchestrator.cli.app"].program  # importlib would give what stands beside it
    program()
    _learn()
    gc.collect()
    gc.freeze()  # a fork then shares these pages for good
    gc.set_threshold(100_000)  # no run is so long that its circles fill the memory


def _learn() -> None:
    """What a run finds out about the program itself, and keeps: its version, and how its documents are read."""
    from orchestrator import tool_version
    from orchestrator.core import documents
    from orchestrator.core.record.document import Record
    from orchestrator.release.steps.outcomes import Outcome

    kinds: tuple[type[Any], ...] = (Record, *Outcome.__subclasses__())
    tool_version()
    for kind in kinds:
        for exact in (False, True):
            with contextlib.suppress(documents.DocumentError):
                documents.decode(kind, {}, exact=exact)


def serve(path: str) -> Callable[[], None]:
    """Answer for as long as the parent lives; in a forked process, return what it has to run."""
    parent = os.getppid()
    runs: dict[int, socket.socket] = {}
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
        server.bind(path)
        server.listen()
        selector.register(server, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while os.getppid() == parent:
            for key, _ in selector.select(5):
                if key.fileobj is woken:
                    woken.recv(1 << 10)
                    _tell_the_ends(runs)
                    continue
                connection, request, streams = _asked(server)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for each in (server, woken, wake, connection, *runs.values()):
                        each.close()
                    return _become(request, streams)
                for stream in streams:
                    os.close(stream)
                connection.sendall(pid.to_bytes(4))
                runs[pid] = connection
    return sys.exit


def _asked(server: socket.socket) -> tuple[socket.socket, dict[str, Any], list[int]]:
    connection, _ = server.accept()
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    data = b""
    while part := connection.recv(1 << 20):
        data += part
    return connection, json.loads(data), streams


def _tell_the_ends(runs: dict[int, socket.socket]) -> None:
    """Wait for those that have ended, and give their exit status to who asked."""
    with contextlib.suppress(ChildProcessError):  # there is none left
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            with runs.pop(pid) as connection, contextlib.suppress(BrokenPipeError):
                connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, signed=True))


def _become(request: dict[str, Any], streams: list[int]) -> Callable[[], None]:
    """Take over what a process that was just started has been given."""
    if request["session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as Python opens its three streams
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    tempfile.tempdir = None
    program = importlib.import_module("orchestrator.__main__")
    sys.argv = [str(program.__file__), *request["args"]]
    if arm := request["arm"]:
        module, _, name = arm[0].partition(":")
        getattr(importlib.import_module(module), name)(*arm[1:])
    main: Callable[[], None] = program.main
    return main


def finish(run: Callable[[], None]) -> None:
    """Run it and end with its status as Python does, but leave its objects to the system: that halves a short run."""
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # what Python calls: waits for threads
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    load()
    try:
        run = serve(sys.argv[1])
    except KeyboardInterrupt:  # meant for the tests
        sys.exit(130)
    finish(run)

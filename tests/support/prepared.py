"""A process that has loaded the program and forks for each run of it: `python -m tests.support.prepared SOCKET`.

To load it takes several times as long as most commands.  A run is a process of its own all the same, with its own
working directory, environment, streams and exit status, and it ends as Python ends.  What Python reads only when it
starts is that of this process: `tests.support.cli` starts a new Python for a run that wants it otherwise.

A request is one connection: three descriptors, then JSON up to the end.  Answered are the process id, at once, and the
exit status.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import tempfile
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
    gc.collect()
    gc.freeze()  # a fork then shares these pages for good


def serve(path: str) -> Callable[[], None]:
    """Answer for as long as the parent lives; in a forked process, return what it has to run."""
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        server.settimeout(5)
        while os.getppid() == parent:
            _reap()
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                if os.fork() == 0:
                    server.close()
                    return _forked(connection)
    return sys.exit


def _reap() -> None:
    """Wait for those that have ended: their seconds are counted, and none stays a zombie."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _forked(connection: socket.socket) -> Callable[[], None]:
    """Fork once more: the run itself, and a process that waits for it and tells how it ended."""
    connection.settimeout(None)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    data = b""
    while part := connection.recv(1 << 20):
        data += part
    pid = os.fork()
    if pid == 0:
        connection.close()
        return _become(json.loads(data), streams)
    for stream in (*streams, 0, 1, 2):
        os.close(stream)
    connection.sendall(pid.to_bytes(4))
    _, status = os.waitpid(pid, 0)
    connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, signed=True))
    os._exit(0)


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


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    load()
    run = serve(sys.argv[1])
    run()

"""`python -I -S forked.py SOCKET ARGS`: `release ARGS` in a process forked from the prepared one, with these streams.

For what is started by a shell, a hook of git above all, where a Python of its own that loads the whole program would
take longer than what is tested.  It knows nothing but the standard library, so that it starts in a moment.
"""

import contextlib
import json
import os
import signal
import socket
import sys

path, *args = sys.argv[1:]
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
socket.send_fds(connection, [b" "], [0, 1, 2])
request = {"args": args, "cwd": os.getcwd(), "env": dict(os.environ), "arm": [], "session": False}  # noqa: PTH109
connection.sendall(json.dumps(request).encode("utf-8", "surrogateescape"))
connection.shutdown(socket.SHUT_WR)
run = int.from_bytes(connection.recv(4, socket.MSG_WAITALL))


def handed_on(number: int, _: object) -> None:
    """Who signals this process means the run."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(run, number)


for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, handed_on)
for number in (0, 1, 2):  # the run has them: who reads from it must not wait for us
    os.close(number)
code = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), signed=True)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)

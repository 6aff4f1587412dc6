"""The checks of running services, which run inside the image beside probe.py: sshd, Jupyter, gloo."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

TOKEN = "a-token-that-only-this-probe-knows"  # noqa: S105  # of a server that lives for seconds, on no network


PORT = 8888


SSH_PORTS = (22, 2222)


RANK = """
import sys, torch, torch.distributed as d
d.init_process_group(sys.argv[1])
rank, size = d.get_rank(), d.get_world_size()
where = f"cuda:{rank}" if sys.argv[1] == "nccl" else "cpu"
t = torch.ones(4, device=where) * (rank + 1)
d.all_reduce(t)
assert t.tolist() == [size * (size + 1) / 2] * 4, t
"""


WHO = """
import json, os, pwd, stat
try:
    name = pwd.getpwuid(os.getuid()).pw_name
except KeyError:
    name = ""
home, here = os.environ.get("HOME", ""), os.getcwd()
may = lambda path: bool(path) and os.access(path, os.W_OK | os.X_OK)
mode = stat.S_IMODE(os.stat(here).st_mode)
print("\\n" + json.dumps({
    "uid": os.getuid(), "name": name, "home": home, "home_writable": may(home),
    "folder": here, "folder_writable": may(here), "folder_mode": mode,
}))
"""


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def host_keys() -> list[str]:
    return sorted(str(path) for name in ("ssh_host_*_key", "hostkeys/*_key") for path in Path("/etc/ssh").glob(name))


def user(entrypoint: list[str]) -> dict[str, Any]:
    """Who a command that is given to the image runs as, and what that user may write to."""
    command = [*entrypoint, sys.executable, "-c", WHO]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    try:
        return dict(json.loads(done.stdout.strip().rpartition("\n")[2]))
    except ValueError:
        end = " ".join((done.stdout + done.stderr).split())[-300:]
        return {"error": f"a command given to the image is not run: exited {done.returncode}: {end}"}


def sshd_program() -> str | None:
    return shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))


def sshd() -> dict[str, str] | None:
    """The settings that sshd would run with, as it says itself."""
    program = sshd_program()
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        key = f"{folder}/key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, capture_output=True)
        with contextlib.suppress(OSError):  # only root can, and only root's sshd wants it
            Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        done = subprocess.run([program, "-T", "-h", key], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip()[-300:]}
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def ssh_login(entrypoint: list[str], name: str) -> dict[str, Any] | None:
    """What the sshd that the image starts for a public key does with that key, another one, and none."""
    if sshd_program() is None or shutil.which("ssh") is None:
        return None
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        for key in ("right", "wrong"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{key}"]
            subprocess.run(keygen, check=True, capture_output=True)
        env = {**os.environ, "SSH_AUTHORIZED_KEYS": Path(folder, "right.pub").read_text()}
        command = [*entrypoint, "sleep", "120"]
        server = subprocess.Popen(command, env=env, stdout=said, stderr=said, start_new_session=True)
        try:
            port = listening(server)
            if not port:
                said.seek(0)
                return {"port": 0, "said": said.read()[-300:]}
            right, wrong = (ssh(port, name, f"{folder}/{key}") for key in ("right", "wrong"))
            return {"port": port, "name": name, "right": right[0], "wrong": wrong[0], "offered": ssh(port, name)[1]}
        finally:
            end(server)


def ssh(port: int, name: str, key: str = "") -> tuple[bool, str]:
    """Whether a login works, and what else the server would have taken; without a key it is only asked for that."""
    how = ["-o", "IdentitiesOnly=yes", "-i", key] if key else ["-o", "PreferredAuthentications=none"]
    hosts = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    where = ["-p", str(port), "-l", name, "127.0.0.1", "true"]
    command = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *hosts, *how, *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    refused = re.search(r"Permission denied \(([^)]*)\)", done.stderr)
    return done.returncode == 0, refused[1] if refused else "" if done.returncode else "none"


def listening(server: subprocess.Popen[bytes]) -> int:
    """The port that an SSH server answers on, 0 for none."""
    for _ in range(75):
        for port in SSH_PORTS:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                    if connection.recv(4) == b"SSH-":
                        return port
            except OSError:
                continue
        if server.poll() is not None:
            return 0
        time.sleep(0.2)
    return 0


def end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)


def jupyter(default: list[str]) -> dict[str, Any] | None:
    """What the server that the image starts answers: without a token, with a wrong one, with the right one."""
    if not has("jupyter_server") and not has("notebook"):
        return None
    env = {**os.environ, "JUPYTER_TOKEN": TOKEN}
    with tempfile.TemporaryFile("w+") as said:
        server = subprocess.Popen(default, env=env, stdout=said, stderr=said, start_new_session=True)
        try:
            facts: dict[str, Any] = {"port": waited(server)}
            if facts["port"]:
                facts["without"] = answer("")
                facts["wrong"] = answer("token wrong")
                facts["right"] = answer("token " + TOKEN)
            else:
                said.seek(0)
                facts["said"] = said.read()[-300:]
            return facts
        finally:
            end(server)


def waited(server: subprocess.Popen[bytes]) -> bool:
    for _ in range(300):
        if server.poll() is not None:
            return False
        if answer(""):
            return True
        time.sleep(0.2)
    return False


def answer(authorization: str) -> int:
    """The HTTP status of a request that only the owner may make, 0 for none."""
    headers = {"Authorization": authorization} if authorization else {}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/api/contents", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:  # noqa: S310  # loopback
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


# Not --standalone: that asks for the address of the host's name, which a container without network has not.
_ALONE = ("--nnodes=1", "--master_addr=127.0.0.1", "--master_port=29512", "--local_addr=127.0.0.1")


def gloo() -> str | None:
    """Two ranks of torchrun on the CPU: "" when they agree, else what they said."""
    return ranks("gloo", 2) if has("torch") else None


def ranks(backend: str, count: int) -> str:
    """`torchrun` with `count` ranks that add their numbers: "" when they agree, else what they said."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "rank.py")
        script.write_text(RANK)
        names = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        each = [f"--nproc_per_node={count}", str(script), backend]
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", *_ALONE, *each],
            env={**os.environ, **names},
            capture_output=True,
            text=True,
            check=False,
        )
    return "" if done.returncode == 0 else done.stderr.strip()[-500:] or f"exited {done.returncode}"

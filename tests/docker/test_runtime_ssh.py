"""SSH into the image: who gets in, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.docker.runner import READ_ONLY, TOKEN, Runner, eventually

if TYPE_CHECKING:
    from pathlib import Path

    import docker
    from docker.models.containers import Container

pytestmark = pytest.mark.docker


SSH = (
    "printf '%s' \"$KEY\" > /tmp/id-$$ && chmod 600 /tmp/id-$$ && "
    "ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes "
    "-o IdentitiesOnly=yes "
)


def ssh(container: Container, options: str, command: str = "id -un; which python", secret: str = "") -> tuple[int, str]:
    user = "1000" if "4711" not in options else "4711"
    done: Any = container.exec_run(
        ["sh", "-c", f"{SSH} {options} 127.0.0.1 '{command}'"], environment={"KEY": secret}, user=user
    )
    assert done.exit_code is not None
    assert isinstance(done.output, bytes)
    return done.exit_code, done.output.decode().strip()


@pytest.mark.wide(4)
@pytest.mark.parametrize(
    ("port", "options"),
    [(22, {}), (22, READ_ONLY), (2222, {"user": "1000:1000"}), (2222, {"user": "1000:1000", **READ_ONLY})],
    ids=["root", "root-read-only", "user", "user-read-only"],
)
def test_ssh_takes_the_key_and_nothing_else(
    runner: Runner, key: tuple[str, str], port: int, options: dict[str, Any]
) -> None:
    private, public = key
    with runner.start("sleep", "60", environment={"SSH_AUTHORIZED_KEYS": public}, **options) as container:
        listening = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        eventually(container, "python", "-c", listening)
        code, said = ssh(container, f"-p {port} -i /tmp/id-$$ -l train", secret=private)
        assert (code, said) == (0, "train\n/opt/venv/bin/python"), container.logs().decode()
        assert "Permission denied (publickey)" in ssh(container, f"-p {port} -l train")[1]
        assert "Permission denied (publickey)" in ssh(container, f"-p {port} -i /tmp/id-$$ -l root", secret=private)[1]
        asked = ssh(container, f"-v -p {port} -l train -o PreferredAuthentications=password,keyboard-interactive")[1]
        assert "Permission denied (publickey)" in asked


@pytest.mark.wide
def test_what_vs_code_remote_needs(runner: Runner, key: tuple[str, str]) -> None:
    """A shell, tar, ps and libstdc++ for its server, a forwarded port to reach it, and copying.

    There is no curl and no wget in the image: VS Code then fetches the server itself and copies it over.
    """
    private, public = key
    log_in = "-i /tmp/id-$$ -l train"
    needs = "command -v bash tar gzip ps tmux sha256sum; ldconfig -p | grep -o libstdc..[.]so[.]6 | head -1"

    def bash(script: str) -> bytes:
        done: Any = container.exec_run(["bash", "-c", script], environment={"KEY": private}, user="1000")
        return bytes(done.output)

    with runner.start(environment={"SSH_AUTHORIZED_KEYS": public, "JUPYTER_TOKEN": TOKEN}) as container:
        eventually(container, "healthcheck")
        code, said = ssh(container, log_in, needs, secret=private)
        assert code == 0, said
        found = [line.rpartition("/")[2] for line in said.splitlines()]
        assert found == ["bash", "tar", "gzip", "ps", "tmux", "sha256sum", "libstdc++.so.6"]
        request = "printf 'GET /api HTTP/1.0\\r\\n\\r\\n'; sleep 1"
        assert b"200 OK" in bash(f"({request}) | ({SSH} {log_in} -W 127.0.0.1:8888 127.0.0.1)")
        copy = SSH.replace("ssh -F", "scp -F")
        copied = bash(f"{copy} -i /tmp/id-$$ /etc/release/version train@127.0.0.1:/tmp/copied && cat /tmp/copied")
        assert copied == b"v2.7.1\n"
        code, said = ssh(container, log_in, "tmux new-session -d -s run sleep 60; tmux ls", secret=private)
        assert (code, said.partition(":")[0]) == (0, "run")


def test_host_keys_are_made_at_the_first_start_and_kept_on_a_volume(
    runner: Runner, client: docker.DockerClient, key: tuple[str, str]
) -> None:
    volume = client.volumes.create()
    options: dict[str, Any] = {
        "environment": {"SSH_AUTHORIZED_KEYS": key[1]},
        "volumes": {volume.name: {"bind": "/etc/ssh/hostkeys"}},
        "stderr": False,  # sshd says there where it listens, should it come so far
    }
    shows = ("cat", "/etc/ssh/hostkeys/ssh_host_ed25519_key.pub")
    try:
        first, second = runner.run(*shows, **options), runner.run(*shows, **options)
        assert first[1].startswith("ssh-ed25519 ")
        assert second == first
    finally:
        volume.remove(force=True)
    fresh = runner.run(*shows, stderr=False, environment=options["environment"])
    assert (fresh[0], fresh[1].count("\n")) == (0, 0)
    assert fresh != first
    assert runner.run("sh", "-c", "ls /etc/ssh /etc/ssh/hostkeys | grep host_")[0] == 1  # none in the image


def test_a_session_has_the_settings_of_cuda_and_no_secret(runner: Runner, key: tuple[str, str]) -> None:
    private, public = key
    given = {
        "CUDA_VISIBLE_DEVICES": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "NCCL_SOCKET_IFNAME": "lo",
    }
    secret = {"A_SECRET": "x", "NVIDIA_API_KEY": "nvapi-x"}
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA3/B0GYQUgun9d4e3qXAOCoFeqkiMkMP76iyO9TxfOr other"
    environment = {
        **given,
        **secret,
        "JUPYTER_TOKEN": TOKEN,
        "SSH_AUTHORIZED_KEYS": f"# team\r\n{other}\r\nno-pty {public}",
    }
    with runner.start("sleep", "60", environment=environment) as container:
        eventually(container, "python", "-c", "import socket; socket.create_connection(('127.0.0.1', 22))")
        for command in ("env", "bash -lc env"):
            code, said = ssh(container, "-i /tmp/id-$$ -l train", command, secret=private)
            found = dict(line.split("=", 1) for line in said.splitlines())
            assert code == 0, said
            assert {name: found.get(name) for name in given} == given
            assert not {*secret, "JUPYTER_TOKEN"} & set(found)
            assert found["PATH"].startswith("/opt/venv/bin:")


def test_a_mount_that_gives_no_key_is_refused(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()  # what docker makes of a file that the host does not have
    (tmp_path / "file").touch()
    for name, says in (("folder", "does not exist on the host"), ("file", "is empty")):
        mount = {str(tmp_path / name): {"bind": "/etc/ssh/authorized_keys", "mode": "ro"}}
        code, said = runner.run("true", volumes=mount)
        assert (code, said.count("\n"), says in said) == (64, 0, True), said


def test_ssh_that_cannot_work_says_why(runner: Runner, key: tuple[str, str]) -> None:
    for options, says in (
        ({"user": "4711:4711"}, "SSH needs a name for uid 4711"),
        ({"read_only": True}, "add --tmpfs /run"),
    ):
        code, said = runner.run("true", environment={"SSH_AUTHORIZED_KEYS": key[1]}, **options)
        assert (code, said.count("\n")) == (64, 0), said
        assert says in said
    listens = (
        "import socket, subprocess, sys; s = socket.create_server(('', 22)); "
        "sys.exit(subprocess.call(['entrypoint', 'true']))"
    )
    code, said = runner.run("python", "-c", listens, entrypoint=[], environment={"SSH_AUTHORIZED_KEYS": key[1]})
    assert (code, said) == (
        64, "entrypoint: SSH cannot listen on port 22 (Address already in use): give another one as SSH_PORT"
    )  # fmt: skip

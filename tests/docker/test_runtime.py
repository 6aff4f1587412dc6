"""The image's own start: Jupyter and SSH that are never open, users, read-only systems, exit codes, signals.

On the variant `notebook`: the same Dockerfile and entrypoint without torch.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.core.labels import OWNER
from tests.docker.runner import READ_ONLY, TOKEN, Runner, eventually, execute, get, has_become, stopped
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import docker

pytestmark = pytest.mark.docker
WHO = "import os, pwd; print(os.getuid(), os.getgid(), os.access('/workspace', os.W_OK), os.environ['HOME'])"


# ---------------------------------------------------------------- Jupyter


@pytest.mark.wide(3)
@pytest.mark.parametrize("options", [{}, READ_ONLY, {"user": "4711:4711"}], ids=["plain", "read-only", "user"])
def test_jupyter_makes_a_token_and_answers_only_with_it(runner: Runner, options: dict[str, Any]) -> None:
    with runner.start(**options) as container:
        eventually(container, "healthcheck")
        (token,) = re.findall(r"127\.0\.0\.1:8888/lab\?token=(\S{32,})", container.logs(stderr=False).decode())
        assert "403" in get(container, "/api/contents")
        assert "403" in get(container, "/api/contents?token=wrong")
        assert get(container, f"/api/contents?token={token}") == "200"
        assert token not in execute(container, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", user="0")[1]
        assert stopped(container) == 0


def test_the_engine_sees_health(runner: Runner) -> None:
    often = {"interval": 300_000_000, "timeout": 10_000_000_000, "retries": 100, "start_period": 0}  # nanoseconds
    for command in ((), ("tail", "-f", "/usr/local/bin/entrypoint")):
        with runner.start(*command, healthcheck=often) as container:
            until(partial(has_become, container, "healthy"), container.logs, pause=0.2)


@pytest.mark.wide
def test_jupyter_takes_the_token_that_is_given(runner: Runner) -> None:
    with runner.start(environment={"JUPYTER_TOKEN": TOKEN}) as container:
        eventually(container, "healthcheck")
        assert "403" in get(container, "/api/contents")
        assert get(container, f"/api/contents?token={TOKEN}") == "200"
        assert "lab?token=" + TOKEN not in container.logs(stderr=False).decode()


@pytest.mark.wide
def test_jupyter_takes_a_password_hash(runner: Runner) -> None:
    made = "from jupyter_server.auth import passwd; print(passwd('secret of this test'))"
    code, hashed = runner.run("python", "-c", made)
    assert code == 0, hashed
    log_in = """
import http.cookiejar, urllib.error, urllib.parse, urllib.request as u
jar = http.cookiejar.CookieJar()
opener = u.build_opener(u.HTTPCookieProcessor(jar))
def post(word):
    opener.open("http://127.0.0.1:8888/login").read()
    xsrf = next(c.value for c in jar if c.name == "_xsrf")
    try:
        opener.open("http://127.0.0.1:8888/login", urllib.parse.urlencode({"password": word, "_xsrf": xsrf}).encode())
        return opener.open("http://127.0.0.1:8888/api/contents").status
    except urllib.error.HTTPError as error:
        return error.code
print(post("wrong"), post("secret of this test"))
"""
    with runner.start(environment={"JUPYTER_PASSWORD_HASH": hashed}) as container:
        eventually(container, "healthcheck")
        assert "403" in get(container, "/api/contents")
        assert execute(container, "python", "-c", log_in)[1] == "401 200"


@pytest.mark.wide(5)
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("JUPYTER_TOKEN", "", "JUPYTER_TOKEN is empty"),
        ("JUPYTER_TOKEN", " \t", "JUPYTER_TOKEN is empty"),
        ("JUPYTER_PASSWORD_HASH", "", "JUPYTER_PASSWORD_HASH is empty"),
        ("JUPYTER_PASSWORD_HASH", "hunter2", "is no hash"),
        ("JUPYTER_TOKEN", "from-a-file\n", "nobody could log in with it"),
        ("JUPYTER_TOKEN", "two words", "nobody could log in with it"),
        ("SSH_AUTHORIZED_KEYS", "ssh-rsa nonsense", "line 1 of the authorised keys is no valid public key"),
        ("SSH_AUTHORIZED_KEYS", "# KEY", "nothing but comments"),
        ("SSH_AUTHORIZED_KEYS", "KEY\n\nssh-rsa cut-off", "line 3 of the authorised keys is no valid public key"),
        ("SSH_AUTHORIZED_KEYS", "KEY KEY", "line 1 of the authorised keys holds two keys"),
        ("RUN_AS", "train", "is not UID:GID"),
    ],
)
def test_bad_settings_are_refused_in_one_line(
    runner: Runner, key: tuple[str, str], name: str, value: str, says: str
) -> None:
    code, said = runner.run(environment={name: value.replace("KEY", key[1].strip())})
    assert (code, said.count("\n")) == (64, 0), said
    assert says in said


# ---------------------------------------------------------------- commands


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["sh", "-c", "echo ran; exit 7"], 7, "ran"),
        (["python", "-c", "import trainkit; print(open('/etc/release/version').read())"], 0, "v2.7.1"),
        (["no-such-program"], 127, "entrypoint: no-such-program: No such file or directory"),
        ([""], 127, "entrypoint: the command is empty"),
        (["/etc/passwd"], 126, "entrypoint: /etc/passwd: Permission denied"),
        (["healthcheck"], 0, ""),
    ],
)
def test_any_other_command_is_run_and_its_code_kept(runner: Runner, command: list[str], code: int, says: str) -> None:
    assert runner.run(*command) == (code, says)


def test_a_signal_reaches_the_whole_group(runner: Runner) -> None:
    child = "trap 'echo child; exit' TERM; echo up; while :; do sleep .1; done"
    script = f"trap 'echo parent; wait; exit 3' TERM; ({child}) & wait"
    with runner.start("sh", "-c", script) as container:
        eventually(container, "true")
        until(lambda: b"up" in container.logs())
        assert stopped(container) == 3
        assert {"child", "parent"} <= set(container.logs().decode().split())


# ---------------------------------------------------------------- users


@pytest.fixture
def workspace(client: docker.DockerClient, notebook: str, owner: str) -> Iterator[Callable[[str], str]]:
    """Makes a volume that belongs to this owner."""
    volumes = []

    def make(belongs_to: str) -> str:
        volume = client.volumes.create()
        volumes.append(volume)
        chown = client.containers.run(
            notebook,
            ["sh", "-c", f"touch /workspace/file && chown {belongs_to} /workspace"],
            entrypoint=[],
            user="0",
            labels={OWNER: owner},
            network_mode="none",
            volumes={str(volume.name): {"bind": "/workspace", "mode": "rw"}},
            detach=True,
        )
        assert chown.wait()["StatusCode"] == 0
        chown.remove()
        return str(volume.name)

    yield make
    for volume in volumes:
        volume.remove(force=True)


def mounted(volume: str) -> dict[str, Any]:
    return {"volumes": {volume: {"bind": "/workspace"}}}


def test_runs_as_the_owner_of_the_workspace(runner: Runner, workspace: Callable[[str], str]) -> None:
    mine = mounted(workspace("4242:4343"))
    assert runner.run("python", "-c", WHO, **mine) == (0, "4242 4343 True /home/train")
    assert runner.run("id", "-un", **mine) == (0, "train")
    code, said = runner.run("python", "-c", WHO, **mine, **READ_ONLY)
    assert (code, said.rpartition("/")[0]) == (0, "4242 4343 True /tmp")


def test_an_owner_that_debian_knows_by_another_name(runner: Runner, workspace: Callable[[str], str]) -> None:
    """uid 33 is www-data, who has no shell and no HOME: here it is `train`."""
    who = "import os, pwd; found = pwd.getpwuid(os.getuid()); print(found.pw_name, found.pw_shell, found.pw_dir)"
    theirs = mounted(workspace("33:33"))
    assert runner.run("python", "-c", who, **theirs) == (0, "train /bin/bash /home/train")


def test_what_is_mounted_below_home_stays_its_owners(runner: Runner, workspace: Callable[[str], str]) -> None:
    """A cache of the host's uid 1000 is no part of the image, whoever owns the workspace."""
    both = {workspace("4242:4343"): {"bind": "/workspace"}, workspace("1000:1000"): {"bind": "/home/train/a cache"}}
    shown = runner.run("stat", "-c", "%u", "/home/train", "/home/train/a cache", volumes=both)
    assert shown == (0, "4242\n1000")
    home = {workspace("4242:4343"): {"bind": "/workspace"}, workspace("1000:1000"): {"bind": "/home/train"}}
    assert runner.run("stat", "-c", "%u", "/home/train", volumes=home, stderr=False) == (0, "1000")
    said = runner.run("true", volumes=home)
    assert said == (0, "entrypoint: /home/train is mounted and not 4242's, and stays as it is")


def test_a_workspace_of_root_is_said_and_run_as_settles_it(runner: Runner, workspace: Callable[[str], str]) -> None:
    roots = mounted(workspace("0:0"))
    code, said = runner.run("python", "-c", WHO, **roots)
    assert code == 0
    who, warned = sorted(said.splitlines())
    assert warned.startswith("entrypoint: /workspace belongs to root")
    assert who == "1000 1000 False /home/train"
    assert runner.run("python", "-c", WHO, environment={"RUN_AS": "0:0"}, **roots)[1].startswith("0 0 True")


def test_user_and_dropped_capabilities(runner: Runner) -> None:
    code, said = runner.run("python", "-c", WHO, user="4711:4711")
    assert (code, said.rpartition("/")[0]) == (0, "4711 4711 False /tmp")
    assert runner.run("id", "-u", user="1000", cap_drop=["ALL"]) == (0, "1000")
    code, said = runner.run("id", "-u", cap_drop=["ALL"])
    assert (code, said.count("\n")) == (64, 0)
    assert "use --user 1000:1000" in said
    code, said = runner.run("true", user="1000", environment={"RUN_AS": "4711:4711"})
    assert (code, said.count("\n"), "RUN_AS needs a container that starts as root" in said) == (64, 0, True), said


def test_a_read_only_system_without_tmpfs_says_what_is_missing(runner: Runner, workspace: Callable[[str], str]) -> None:
    assert runner.run("id", "-u", read_only=True) == (0, "1000")
    nowhere: dict[str, Any] = {"user": "4711:4711", "environment": {"TMPDIR": "/scratch/job7", "HOME": "/nowhere"}}
    assert runner.run("sh", "-c", "echo ${HOME%-*}", **nowhere) == (0, "/tmp/home")
    code, said = runner.run(read_only=True, environment={"JUPYTER_TOKEN": TOKEN})
    assert (code, said) == (64, "entrypoint: Jupyter Lab needs a folder that it can write to: add --tmpfs /tmp")
    mine = mounted(workspace("4242:4343"))  # where Python's tempfile would end up
    assert runner.run("ls", "-A", "/workspace", read_only=True, **mine) == (0, "file")

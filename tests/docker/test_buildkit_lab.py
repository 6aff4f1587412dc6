"""Docker 28 beside the lab's engine: what it moves is counted, two are nodes of one builder, nothing stays behind."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import ssl
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.buildkits import built, counting, docker, mutual_tls, pushed
from tests.support.waiting import until
from tools.lab.registry import free_port
from tools.lab.slots import Slot

if TYPE_CHECKING:
    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker

PROJECT = Path(__file__).resolve().parents[2]
HEAVY = 4 << 20  # bytes of a base that cannot be compressed
STARTED = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from tools.lab import buildkit
made = [buildkit.main_engine(os.environ), buildkit.counted(os.environ)]
made[0].end()
print(os.environ["RELEASE_LAB_SLOT"], flush=True)
time.sleep(600)
"""


@pytest.fixture
def repository(lab: Lab) -> str:
    return f"{lab.registry}/bk{uuid.uuid4().hex[:10]}/image"


@pytest.fixture
def heavy(buildkit: BuildKit, repository: str, tmp_path: Path, lab: Lab) -> str:
    """A base by digest, larger than everything that a thin build may move."""
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy/weights").write_bytes(os.urandom(HEAVY))
    (tmp_path / "heavy/Dockerfile").write_text(f"FROM {lab.base}\nCOPY weights /weights\n")
    digest = built(buildkit, tmp_path / "heavy", output=pushed(f"{repository}:heavy"))
    return f"{repository}@{digest}"


@pytest.fixture
def thin(heavy: str, tmp_path: Path) -> Path:
    (tmp_path / "thin").mkdir()
    (tmp_path / "thin/fix.py").write_text("fixed = True\n")
    (tmp_path / "thin/Dockerfile").write_text(f"FROM {heavy}\nCOPY --link fix.py /opt/fix.py\n")
    return tmp_path / "thin"


def test_an_emptied_engine_moves_only_the_thin_layer(counted: BuildKit, thin: Path, repository: str) -> None:
    digests = []
    for number in (1, 2):
        counted.empty()
        before = counting(counted)
        epoch = "--build-arg=SOURCE_DATE_EPOCH=1700000000"
        output = f"{pushed(f'{repository}:{number}')},rewrite-timestamp=true"
        digests.append(built(counted, thin, epoch, output=output))
        moved = counting(counted) - before
        assert 0 < moved.into < 1 << 16
        assert 0 < moved.out < 1 << 16
    assert digests[0] == digests[1]


def test_the_count_sees_a_pull(counted: BuildKit, heavy: str) -> None:
    before = counting(counted)
    docker(counted, "pull", "--quiet", heavy)
    assert (counting(counted) - before).into > HEAVY


def test_what_an_engine_writes_into_is_not_the_tests(buildkit: BuildKit) -> None:
    """Where its folder for temporary files goes with a test, BuildKit's exports meet containerd's lock."""
    pid = int((buildkit.state / "dockerd-own-pid").read_text())
    pairs = (each.partition("=") for each in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    found = {name: value for name, _, value in pairs if name in ("TMPDIR", "HOME")}
    assert found == {"TMPDIR": f"{buildkit.state}/tmp", "HOME": str(buildkit.state)}
    assert Path(found["TMPDIR"]).is_dir()


def test_two_engines_are_the_nodes_of_one_builder(
    buildkit: BuildKit, counted: BuildKit, repository: str, lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "both").mkdir()
    (tmp_path / "both/Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY --link Dockerfile /of-$TARGETARCH\n")
    ends = {"linux/amd64": buildkit.end(), "linux/arm64": counted.end()}
    builder = f"b{uuid.uuid4().hex[:8]}"
    for number, (platform, end) in enumerate(ends.items()):
        more = ("--append",) if number else ()
        where = ("--driver=remote", "--platform", platform, end.address)
        docker(buildkit, "buildx", "create", "--name", builder, *more, *where)
    try:
        before = counting(counted)
        options = (f"--builder={builder}", "--platform=linux/amd64,linux/arm64")
        built(buildkit, tmp_path / "both", *options, output=pushed(f"{repository}:both"))
        shown = docker(buildkit, "buildx", "imagetools", "inspect", f"{repository}:both")
        assert "linux/amd64" in shown
        assert "linux/arm64" in shown
        assert (counting(counted) - before).out > 0
    finally:
        docker(buildkit, "buildx", "rm", builder)
        for end in ends.values():
            end.close()


def test_a_remote_node_asks_for_a_certificate(buildkit: BuildKit, thin: Path, repository: str, tmp_path: Path) -> None:
    """buildx's own options for mTLS; who shows no certificate is not let in."""
    papers, port, builder = mutual_tls(tmp_path / "tls"), free_port(), f"b{uuid.uuid4().hex[:8]}"
    end = buildkit.end(f"tcp:127.0.0.1:{port}", tls=papers.server)
    stranger = ssl.create_default_context(cafile=papers.authority)
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        stranger.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        pytest.raises(ssl.SSLError, match="certificate required"),
    ):
        tls.recv(1)
    options = f"cacert={papers.authority},servername=127.0.0.1,{papers.client}"
    docker(buildkit, "buildx", "create", "--name", builder, "--driver=remote", f"--driver-opt={options}", end.address)
    try:
        built(buildkit, thin, f"--builder={builder}", output=pushed(f"{repository}:tls"))
        assert "sha256:" in docker(buildkit, "buildx", "imagetools", "inspect", f"{repository}:tls")
    finally:
        docker(buildkit, "buildx", "rm", builder)
        end.close()


@pytest.mark.wide
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_killed_test_run_leaves_no_engine(buildkit: BuildKit, number: signal.Signals) -> None:
    """Its engines die with the lab, or, when the lab too was killed, in the next run's take-down."""
    lab = [sys.executable, str(PROJECT / "tools/lab"), "run", "--"]
    command = [*lab, sys.executable, "-c", STARTED, str(PROJECT)]
    home = {"HOME": pwd.getpwuid(os.getuid()).pw_dir}  # whose cache has the programs
    with subprocess.Popen(
        command, env=os.environ | home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        slot = Slot(Path(process.stdout.readline().strip()))
        try:
            assert processes_of(slot.mark) != []
        finally:
            process.send_signal(number)
            process.wait(60)
    if number == signal.SIGKILL:
        subprocess.run([*lab, "true"], env=os.environ | home, check=True, capture_output=True)
    until(lambda: processes_of(slot.mark) == [])
    assert list(Path("/run/netns").glob(f"{slot.mark}-*")) == []
    assert list(Path("/sys/class/net").glob(f"{slot.bridge}*")) == []


def processes_of(mark: str) -> list[str]:
    """The command lines that name the slot."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found += [line] if mark in line else []
    return found

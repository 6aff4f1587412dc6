"""What BuildKit alone does, asked of Docker 28's: it pushes as it builds, knows more of a Dockerfile, may be elsewhere.

What every builder answers is in `test_build_contract.py`.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.engines import (
    ImageInfo,
    NoGpuError,
    RunRequest,
    direct_module,
)
from orchestrator.engines.buildx.dialect import BUILDKIT
from tests.docker.builds import STALL, Builds
from tests.docker.test_buildx_failures import wrapped
from tests.support import serving
from tests.support.buildkits import docker
from tests.support.waiting import until, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.core.results import Progress
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker


def test_it_is_asked_what_it_can(builds: Builds) -> None:
    assert builds.builder.incapable == ""
    assert builds.builder.title == "default (docker)"


EVERYTHING = """\
ARG TAG=unused
FROM BASE AS binds
RUN --mount=type=bind,source=hello,target=/in/hello \\
    --mount=type=cache,target=/cache,id=c \\
    --mount=type=tmpfs,target=/scratch \\
    --mount=type=secret,id=token,required=true \\
    --mount=type=secret,id=by-name,env=TOKEN \\
    --mount=type=secret,id=none,required=false <<'EOT'
set -e
mkdir -p /out /cache /scratch
cp /in/hello /out/bound
wc -c < /run/secrets/token > /out/length
printf %s "$TOKEN" | wc -c > /out/length-of-variable
test ! -e /run/secrets/none
touch /scratch/x
EOT
RUN --network=none true
RUN --mount=type=bind,from=BASE,source=/bin,target=/other test -e /other/sh
RUN --mount=type=ssh,required=true --mount=type=ssh,id=deploy,target=/agent test -S "$SSH_AUTH_SOCK" -a -S /agent
RUN test -z "$SSH_AUTH_SOCK"

FROM --platform=$BUILDPLATFORM BASE AS arch
ARG TARGETARCH TARGETOS BUILDARCH
RUN echo "$TARGETOS/$TARGETARCH" > /platform

FROM BASE AS last
SHELL ["/bin/sh", "-ec"]
COPY --link --chmod=0640 --chown=7:8 hello /linked
COPY --exclude=*.skip tree /tree
COPY <<one <<two /here/
first
one
second
two
COPY --from=binds /out /out
COPY --from=arch /platform /platform
ADD --unpack=false archive.tar /kept.tar
ADD --link --chmod=600 hello /added
ENV A=1 B="two words"
LABEL own.label="x"
EXPOSE 80/tcp 22
VOLUME /data
USER 7:8
WORKDIR /work
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --start-period=1s --start-interval=1s --retries=2 CMD true
ONBUILD RUN true
ENTRYPOINT ["/bin/sh"]
CMD ["-c", "true"]

FROM nowhere.invalid/never/asked:1 AS unused
RUN exit 9
"""


FILES = {"tree/a": "a\n", "tree/b.skip": "b\n", "archive.tar": "no archive\n"}


def test_every_feature_of_the_dockerfile_reference_in_one_build(builds: Builds, tmp_path: Path) -> None:
    """All but what comes from elsewhere: `test_a_git_source`, `test_a_frontend_from_a_registry`."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    secrets = {"token": b"a-secret-of-23-letters!", "by-name": b"another-secret", "key": key.read_bytes()[40:160]}
    options: dict[str, object] = {"ssh": (f"default={key}", f"deploy={key}"), "shm_size": 1 << 26}
    pushed = builds(EVERYTHING, FILES, target="last", secrets=secrets, platform="linux/amd64", **options)
    files = builds.files(pushed)
    assert files["out/bound"][1] == b"hi\n"
    assert (files["out/length"][1].strip(), files["out/length-of-variable"][1].strip()) == (b"23", b"14")
    assert files["platform"][1] == b"linux/amd64\n"
    assert (files["linked"][0].mode, files["linked"][0].uid, files["linked"][0].gid) == (0o640, 7, 8)
    assert ("tree/a" in files, "tree/b.skip" in files) == (True, False)
    assert (files["here/one"][1], files["here/two"][1]) == (b"first\n", b"second\n")
    assert files["kept.tar"][1] == b"no archive\n"
    assert files["added"][0].mode == 0o600
    everything = b"".join(data for _, data in files.values()) + builds.log.read_bytes()
    manifest = builds.registry.manifest(pushed.digest)
    assert manifest is not None
    everything += builds.registry.blob(builds.registry.details(manifest).config)
    everything += "".join(each.text for each in builds.said).encode()
    assert not [secret for secret in secrets.values() if secret in everything]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A git repository with the tag v1 and more behind it, at an address of this machine; and the tag's commit."""
    work, bare = tmp_path / "work", tmp_path / "served" / "r.git"

    def git(*words: str) -> str:
        own = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        return subprocess.run(["git", "-C", work, *own, *words], check=True, capture_output=True, text=True).stdout

    (work / "sub").mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main")
    for text in ("one\n", "two\n"):
        (work / "sub" / "f").write_text(text)
        git("add", ".")
        git("commit", "--quiet", "--message", text)
        git("tag", *(("v1",) if text == "one\n" else ("v2",)))
    git("clone", "--quiet", "--bare", str(work), str(bare))
    with serving.http(bare) as (url, _):
        yield url, git("rev-parse", "v1").strip()


@pytest.mark.wide
def test_a_git_source(builds: Builds, served: tuple[str, str]) -> None:
    """By tag and folder, by branch with its history, with the commit that it must be; another commit is refused."""
    url, commit = served
    lines = (f"--checksum={commit} {url}#v1 /tag", f"{url}#v1:sub /sub", f"--keep-git-dir=true {url}#main /main")
    files = builds.files(builds("FROM scratch\n" + "".join(f"ADD {line}\n" for line in lines)))
    assert [files[path][1] for path in ("tag/sub/f", "sub/f", "main/sub/f")] == [b"one\n", b"one\n", b"two\n"]
    assert ("main/.git/HEAD" in files, "tag/.git/HEAD" in files) == (True, False)
    with pytest.raises(UnprovedError, match=f"step 1/1 ADD .*expected checksum .*{'0' * 40}.* got {commit}") as caught:
        builds(f"FROM scratch\nADD --checksum={'0' * 40} {url}#v1 /r\n")
    assert "\n" not in caught.value.message


@pytest.mark.wide
def test_a_frontend_from_a_registry(builds: Builds) -> None:
    """What reads Dockerfiles inside this BuildKit has no --parents; `# syntax=` names another reader.

    There is none to be had here that works, but it is fetched, with the login of its registry, and run.
    """
    assert [builds.builder.reads(line) for line in BUILDKIT.tried.values()] == [
        not line.startswith(("COPY --parents", "RUN")) for line in BUILDKIT.tried.values()
    ]
    with pytest.raises(UnprovedError, match=r"Dockerfile:2: .*unknown flag: --parents") as caught:
        builds("FROM BASE\nCOPY --parents hello /\n")
    assert "`# syntax=docker/dockerfile:1-labs`" in caught.value.remedy
    frontend = builds('FROM BASE\nENTRYPOINT ["sh", "-c", "exit 7"]\n')
    text = f"# syntax={builds.name.repository}@{frontend.digest}\nFROM BASE\nCOPY --parents hello /\n"
    with pytest.raises(UnprovedError, match=r"^Dockerfile:1: .*exit code: 7$") as caught:
        builds(text)
    assert "`# syntax=` names an image that reads the Dockerfile" in caught.value.remedy
    with pytest.raises(UnprovedError, match=r"^Dockerfile:1: .*nowhere.invalid") as caught:
        builds("# syntax=nowhere.invalid/dockerfile:1\nFROM BASE\n")
    assert ("\n" in caught.value.message, "a registry that the builder reaches" in caught.value.remedy) == (False, True)


def test_a_secret_is_in_no_command_line_and_its_folder_is_gone(builds: Builds, tmp_path: Path) -> None:
    """The program is watched by a wrapper that writes down what it was given."""
    seen = tmp_path / "seen"
    script = f'{{ echo "$DOCKER_CONFIG"; echo "$@"; env; }} >> {seen}\nexec "$REAL" "$@"\n'
    env = wrapped(builds, tmp_path, script)
    env["RELEASE_REGISTRY_PASSWORD"] = builds.lab.password
    builds.builder = direct_module().connect(env)
    builds("FROM BASE\nRUN --mount=type=secret,id=t true\n", secrets={"t": b"a-secret-of-23-letters!"})
    text = seen.read_text()
    login = base64.b64encode(f"{builds.lab.username}:{builds.lab.password}".encode()).decode()
    assert not [each for each in ("a-secret-of-23-letters!", builds.lab.password, login) if each in text]
    folders = {line for line in text.splitlines() if "release-buildx-" in line and line.startswith("/")}
    assert folders
    assert not [each for each in folders if Path(each).exists()]


# ------------------------------------------------------------------ interrupted

BUILD = """
import signal, sys
from pathlib import Path
from orchestrator.core.reference import parse_repository
from orchestrator.engines import BuildRequest, direct_module
from tests.docker.builds import context_of
import os
def ended(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, ended); signal.signal(signal.SIGINT, ended)
text = "FROM {base}\\nRUN echo begun; sleep 600\\n"
request = BuildRequest(context=context_of({{"Dockerfile": text}}), dockerfile="Dockerfile",
                       tag=parse_repository("{name}").tag("v1"), log=Path("{log}"), no_cache=True)
direct_module().connect(os.environ).build_pushed(request, lambda _: None, credentials=None, stall=60)
"""


@pytest.mark.wide(2)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
def test_the_build_ends_with_the_program(builds: Builds, number: signal.Signals) -> None:
    code = textwrap.dedent(BUILD).format(base=builds.lab.base, name=builds.name.repository, log=builds.log)
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | builds.env, stderr=subprocess.DEVNULL)
    try:
        until(lambda: builds.log.exists() and "begun" in builds.log.read_text())
        (child,) = _children(process.pid)
        process.send_signal(number)
        with within():
            process.wait()
        if number != signal.SIGKILL:
            assert not Path(f"/proc/{child}").exists()
    finally:
        process.kill()
        process.wait()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()


# ------------------------------------------------------------------ commands in an image, without an engine


def test_commands_run_as_build_steps_and_files_are_read(builds: Builds, tmp_path: Path) -> None:
    """What `test_engine.py` asks of containers."""
    text = "FROM BASE\nRUN echo text > /f && ln -s /f /l && mkdir /d && ln -s /etc/hostname /out && ln -s loop /loop\n"
    digest = builds(f'{text}ENTRYPOINT ["echo", "entry"]\n').digest
    info = ImageInfo(id=digest, labels={}, size=0, layers=(), repo_digests=(), entrypoint=("echo", "entry"))
    logins = {builds.name.repository.host: builds.lab.credentials}
    named, log = builds.name.repository.digest(digest), tmp_path / "steps.log"
    prover = builds.builder.prover(named, info, logins, log=log, stall=STALL)

    def run(*command: str, timeout: float = 60, **options: Any) -> tuple[int | None, str]:
        result = prover.run(RunRequest(image=digest, command=command, timeout=timeout, **options))
        return result.exit_code, result.output

    assert run("sh", "-c", "echo out; exit 3") == (3, "out\n")
    assert run("echo", "$HOME; *", "a  b", "<<EOT", "\n\\") == (0, "$HOME; * a  b <<EOT \n\\\n")
    assert run("sh", "-c", "echo $X", env={"X": 'a "$b"'}) == (0, 'a "$b"\n')
    assert run("ls", "/sys/class/net") == (0, "lo\n")
    assert run("more", keep_entrypoint=True) == (0, "entry more\n")
    assert run("no-such-program")[0] == 127
    with within():
        assert run("sleep", "600", timeout=1.5)[0] is None
        assert run("sh", "-c", "while :; do echo here; sleep 0.1; done", timeout=1.5)[0] is None
    assert run("cat", "/proc/uptime") != run("cat", "/proc/uptime")  # no cache answers for it
    with pytest.raises(NoGpuError):
        run("true", gpus="all")
    wanted = {"f": b"text\n", "/l": b"text\n", "/d": None, "/f/g": None, "/loop": None}
    assert {path: prover.read_file(digest, path) for path in wanted} == wanted
    mine = Path("/etc/hostname").read_bytes()
    assert prover.read_file(digest, "/out") != mine  # not of this machine
    gone = builds.builder.prover(
        builds.name.repository.digest(f"sha256:{'0' * 64}"), info, logins, log=log, stall=STALL
    )
    with pytest.raises(UnprovedError, match="is not in its registry"):
        gone.read_file(digest, "/f")


# ------------------------------------------------------------------ another builder than Docker itself


@pytest.fixture
def remote(builds: Builds, buildkit: BuildKit) -> Iterator[Callable[[], None]]:
    """A node of buildx's driver `remote`, in the place of Docker; the answer is what takes it away."""
    end, name = buildkit.end(), f"b{os.urandom(4).hex()}"
    docker(buildkit, "buildx", "create", "--name", name, "--driver=remote", end.address)
    builds.builder = direct_module().connect(builds.env, builder=name)
    try:
        yield end.close
    finally:
        docker(buildkit, "buildx", "rm", name)
        end.close()


@pytest.mark.wide
@pytest.mark.usefixtures("remote")
def test_another_builder_pushes_by_digest_and_under_no_name(builds: Builds) -> None:
    assert builds.builder.incapable == ""
    pushed = builds("FROM scratch\nCOPY --link hello /hello\n", epoch=1700000000)
    assert pushed.builder.endswith("(remote)")
    assert builds.files(pushed)["hello"][1] == b"hi\n"
    assert builds.registry.tags() == ()


@pytest.mark.wide
def test_a_builder_that_goes_away_in_the_middle(builds: Builds, remote: Callable[[], None]) -> None:
    request = builds.request("FROM BASE\nRUN echo begun; sleep 600\n", no_cache=True)

    def report(progress: Progress) -> None:
        if progress.text == "begun":
            remote()

    with within(), pytest.raises(RemoteError, match="cannot build") as caught:
        builds.builder.build_pushed(request, report, credentials=builds.lab.credentials, stall=STALL)
    assert (caught.value.code, "\n" in caught.value.message) == ("builder-unusable", False)

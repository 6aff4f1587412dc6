"""What every builder of the tool answers: Docker's classic one, and BuildKit by buildx; real engines, a real registry.

What only one of them does is in `test_engine.py` and `test_buildx.py`.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.core.reference import parse_repository
from orchestrator.engines import BuildRequest, direct_module, engine_module
from orchestrator.registry.client import Registry
from tests.docker.builds import context_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import docker

    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Progress
    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker

Files = dict[str, tuple[tarfile.TarInfo, bytes]]
FAILING = "for i in $(seq 50); do echo line $i; done; sleep 0.5; echo -e '\\033[2Joh' >&2; exit 7"


@dataclass(frozen=True)
class Image:
    """What was built: its labels, and what stands in its layers, the later one winning."""

    labels: Mapping[str, str]
    files: Files


@dataclass
class Maker:
    """A builder: `build` makes the image of a request, `leftovers` is what an ended build may not leave."""

    lab: Lab
    name: Reference
    log: Path
    build: Callable[[BuildRequest, Callable[[Progress], None]], Image]
    leftovers: Callable[[], set[str]]
    exists: Callable[[], bool]
    said: list[Progress] = field(default_factory=list)

    def __call__(self, text: str, interrupt_at: str = "", **options: Any) -> Image:
        """`BASE` in the Dockerfile's text stands for the lab's base."""
        context = context_of({"Dockerfile": text.replace("BASE", self.lab.base), "hello": "hi\n"})
        request = {"context": context, "dockerfile": "Dockerfile", "tag": self.name, "log": self.log, **options}

        def report(progress: Progress) -> None:
            self.said.append(progress)
            if interrupt_at and progress.text == interrupt_at:
                raise KeyboardInterrupt

        return self.build(BuildRequest(**request), report)


@pytest.fixture(params=["classic", "buildx"])
def maker(
    request: pytest.FixtureRequest, lab: Lab, tmp_path: Path, client: docker.DockerClient, owner: str
) -> Iterator[Maker]:
    """Each builder in turn, with a name in the lab's registry that nobody else has."""
    name = parse_repository(f"{lab.registry}/test/c{os.urandom(5).hex()}").tag("v1")
    log = tmp_path / "logs" / "build.log"
    if request.param == "classic":
        yield from _classic(lab, name, log, client, owner)
    else:
        yield _buildx(lab, name, log, request.getfixturevalue("buildkit"))


def _classic(lab: Lab, name: Reference, log: Path, client: docker.DockerClient, owner: str) -> Iterator[Maker]:
    engine = engine_module().connect({"DOCKER_HOST": lab.docker_host}, owner=owner)

    def build(request: BuildRequest, report: Callable[[Progress], None]) -> Image:
        made = engine.build(request, report)
        assert engine.inspect(str(name)) == made
        return Image(made.labels, _files(engine.layers(made.id)))

    def containers() -> set[str]:
        return {str(each.id) for each in client.containers.list(all=True, ignore_removed=True)}

    yield Maker(lab, name, log, build, containers, lambda: engine.inspect(str(name)) is not None)
    engine.remove_tag(name)


def _buildx(lab: Lab, name: Reference, log: Path, buildkit: BuildKit) -> Maker:
    builder = direct_module().connect({"HOME": str(log.parent), **buildkit.environment})
    registry = Registry(name.repository, credentials=lambda: lab.credentials)

    def build(request: BuildRequest, report: Callable[[Progress], None]) -> Image:
        pushed = builder.build_pushed(request, report, credentials=lab.credentials, stall=60)
        manifest = registry.manifest(pushed.digest)
        assert manifest is not None
        layers = (_downloaded(registry, each) for each in registry.layers(registry.image(manifest)))
        return Image(registry.labels(manifest), _files(layers))

    def programs() -> set[str]:
        found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        return {pid for path in found for pid in path.read_text(encoding="ascii").split()}

    return Maker(lab, name, log, build, programs, lambda: bool(registry.tags()))


def _downloaded(registry: Registry, layer: Any) -> IO[bytes]:
    out = io.BytesIO()
    registry.download(layer, out)
    out.seek(0)
    return out


def _files(layers: Iterator[IO[bytes]]) -> Files:
    found: Files = {}
    for layer in layers:
        with tarfile.open(fileobj=layer, mode="r|*") as tar:
            for member in tar:
                data = tar.extractfile(member) if member.isreg() else None
                found[member.name] = (member, data.read() if data else b"")
            while layer.read(1 << 20):  # to its end: the next one comes on the same way
                pass
    return found


GIVEN = """\
FROM BASE AS one
RUN echo first > /stage && df -k /dev/shm | tail -1 > /size
FROM BASE AS two
ARG A=no
COPY hello /hello
COPY --from=one /size /size
RUN echo $A > /a && echo second > /stage; cat /hello; echo -e '\\033[2Jred'
FROM two
RUN exit 9
"""


@pytest.mark.wide(2)
def test_what_is_asked_for_is_in_the_image_and_the_log(maker: Maker) -> None:
    """A stage, arguments, labels, shared memory; progress counts to its end, and no terminal codes come through."""
    image = maker(GIVEN, target="two", build_args={"A": "yes"}, labels={"a": "b c"}, shm_size=128 << 20, no_cache=True)
    assert image.labels["a"] == "b c"
    texts = {name: image.files[name][1] for name in ("hello", "a", "stage")}
    assert texts == {"hello": b"hi\n", "a": b"yes\n", "stage": b"second\n"}
    assert str(128 << 10) in image.files["size"][1].decode().split()
    counted = [(each.current, each.total) for each in maker.said if each.current and each.item == "build"]
    assert counted
    assert counted[-1][0] == counted[-1][1]
    printed = [each.text for each in maker.said if each.is_log]
    assert {"hi", "red"} <= set(printed)
    text = maker.log.read_text()
    assert "\nhi\n" in text
    assert "\x1b" not in "".join(printed) + text
    assert stat.S_IMODE(maker.log.stat().st_mode) == 0o600


@pytest.mark.wide(2)
def test_the_same_build_again_uses_the_cache_unless_told(maker: Maker) -> None:
    dockerfile = f"FROM BASE\nRUN echo {os.urandom(8).hex()} && cat /proc/uptime > /t\n"
    first, again, anew = maker(dockerfile), maker(dockerfile), maker(dockerfile, no_cache=True)
    assert again.files["t"][1] == first.files["t"][1] != anew.files["t"][1]


@pytest.mark.wide(2)
def test_a_failing_step_is_named_and_leaves_nothing(maker: Maker) -> None:
    before = maker.leftovers()
    with pytest.raises(UnprovedError, match=r"step 3/3 RUN for i in .* exited 7$") as caught:
        # An engine reads stdout and stderr apart, so without the pause either may come first.
        maker(f"FROM BASE\nRUN true\nRUN {FAILING}\n")
    error = caught.value
    assert (error.code, error.where, bool(error.remedy)) == ("build-failed", str(maker.log), True)
    assert len(error.detail.splitlines()) == 30
    assert "oh" in error.detail.splitlines()
    assert "line 1\n" in maker.log.read_text()
    assert not maker.exists()
    assert maker.leftovers() <= before


@pytest.mark.parametrize(
    ("text", "message", "code"),
    [
        ("FROM BASE\nRUNN x\n", r"before its first step: .*unknown instruction", "build-failed"),
        ("FROM {registry}/no/such:1\n", r"no/such:1", "build-failed"),
        ("FROM BASE\nCOPY nothing /x\n", r"nothing.*(not found|no such file)", "build-failed"),
        ("FROM BASE\nRUN dd if=/dev/zero of=/dev/full\n", r"disk is full: dd: .*No space left", "disk-full"),
        ("FROM BASE\nRUN : no space left on device; exit 1\n", r"exited 1$", "build-failed"),
    ],
    ids=["unknown", "no-base", "no-file", "full-disk", "mentions-a-full-disk"],
)
def test_what_cannot_be_built_is_one_line(maker: Maker, text: str, message: str, code: str) -> None:
    with pytest.raises((UnprovedError, RemoteError), match=message) as caught:
        maker(text.replace("{registry}", maker.lab.registry))
    assert (caught.value.code, "\n" in caught.value.message, bool(caught.value.remedy)) == (code, False, True)


def test_pull_asks_the_registry_for_a_base_that_is_here(maker: Maker) -> None:
    """The lab's base is in no registry."""
    with pytest.raises((UnprovedError, RemoteError)):
        maker("FROM BASE\nRUN true\n", pull=True)


def test_a_log_that_cannot_be_written_is_told(maker: Maker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RemoteError, match="log cannot be written") as caught:
        maker("FROM BASE\n", log=tmp_path / "file" / "build.log")
    assert caught.value.code == "log-unwritable"


def test_ctrl_c_stops_the_build_on_the_engine(maker: Maker) -> None:
    before = maker.leftovers()
    with pytest.raises(KeyboardInterrupt):
        maker("FROM BASE\nRUN echo started; sleep 600\n", no_cache=True, interrupt_at="started")
    until(lambda: maker.leftovers() <= before)
    assert not maker.exists()

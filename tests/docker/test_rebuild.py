"""A released version built again and compared with the registry: real engine, real registry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from orchestrator.registry.manifest import Manifest
from tests.support.cli import clean_env
from tests.support.imaged import VERSION, Imaged, imaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import docker

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

# Two builds of it give the same layers: a COPY to /, and one time for all that a RUN writes.
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY loader.py /
ARG RELEASE_VERSION
RUN mkdir -p /opt /etc/release && cp /loader.py /opt/ && printf '%s\\n' "$RELEASE_VERSION" > /etc/release/version \
 && touch -d @1 /opt/loader.py /opt /etc/release/version /etc/release /etc
ARG WHICH=new
RUN echo "$WHICH" > /etc/which && touch -d @1 /etc/which /etc
"""
TWO = "  parallel: 2\n  variants:\n    - name: cu126\n    - {name: cpu, build-args: {WHICH: none}}\n"


@pytest.fixture
def images(client: docker.DockerClient) -> Callable[[], set[str]]:
    """Looks at all that the engine has: names, images, and those of single steps."""
    return lambda: {f"{each['Id']} {sorted(each['RepoTags'] or [])}" for each in client.api.images(all=True)}


def cut(root: Path, lab: Lab, dockerfile: str = DOCKERFILE, image: str = "") -> Imaged:
    made = imaged(root / "story", lab, dockerfile=dockerfile)
    made.declare(image=image)
    done = made.release("cut", VERSION, "--yes")
    assert done.code == 0, done.err
    return made


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Imaged:
    """Of two variants; every layer of both is the same in each build."""
    return cut(tmp_path_factory.mktemp("released"), lab, DOCKERFILE, TWO)


@pytest.fixture
def tampered(released: Imaged) -> Iterator[Imaged]:
    """What a test puts under the version's tag is taken back."""
    manifest = released.registry.manifest(VERSION)
    assert manifest is not None
    yield released
    released.registry.put_manifest(VERSION, manifest)


def push_changed(made: Imaged, *, honest: bool, index: int = -2) -> None:
    """Put another layer into the released image, under its very tag; `honest` corrects its config too."""
    registry = made.registry
    manifest = registry.manifest(VERSION)
    assert manifest is not None
    document, config = json.loads(manifest.content), json.loads(registry.blob(registry.details(manifest).config))
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        info = tarfile.TarInfo("opt/loader.py")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"evil\n"))
    layer = gzip.compress(raw.getvalue())
    document["layers"][index] |= {"digest": put_blob(made, layer), "size": len(layer)}
    if honest:
        diff_ids = config["rootfs"]["diff_ids"]
        diff_ids[index] = f"sha256:{hashlib.sha256(raw.getvalue()).hexdigest()}"
        text = json.dumps(config).encode()
        document["config"] |= {"digest": put_blob(made, text), "size": len(text)}
    registry.put_manifest(VERSION, Manifest(content=json.dumps(document).encode(), media_type=manifest.media_type))


def put_blob(made: Imaged, data: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    host, _, path = made.repository.partition("/")
    login = (made.lab.username, made.lab.password)
    begun = requests.post(f"http://{host}/v2/{path}/blobs/uploads/", auth=login, timeout=20)
    done = requests.put(begun.headers["Location"], params={"digest": digest}, data=data, auth=login, timeout=20)
    assert done.status_code == 201, done.text
    return digest


def test_the_same_again_is_identical_and_moves_no_layer_and_leaves_nothing(
    released: Imaged, images: Callable[[], set[str]]
) -> None:
    log = Path(released.lab.registry_log)
    before, since = images(), log.stat().st_size
    done = released.release("rebuild", VERSION)
    assert done.code == 0, done.err + done.out
    said = [f"{VERSION}: {variant}: 4 of 4 layers are identical" for variant in ("cu126", "cpu")]
    assert done.out.splitlines()[-2:] == said
    asked = [line for line in log.read_text()[since:].splitlines() if "GET /v2/" in line and '" 200' in line]
    assert sum("/blobs/" in line for line in asked) == 2  # the configs
    assert images() == before
    assert not [tag for tag in released.registry.tags() if "rebuild" in tag]


@pytest.mark.wide
def test_a_run_that_writes_the_time_is_content_and_one_that_is_later_is_only_times(
    tmp_path: Path, lab: Lab, images: Callable[[], set[str]]
) -> None:
    later = "RUN sleep 1; echo same > /etc/same && rm /bin/yes && ln -s x /etc/link\n"
    made = cut(tmp_path, lab, f"{DOCKERFILE}RUN cat /proc/uptime > /etc/stamp && touch -d @1 /etc/stamp /etc\n{later}")
    before = images()
    done = made.release("rebuild", VERSION, "--json")
    assert done.code == 9, done.err
    image = done.json["images"][0]
    assert (done.json["verdict"], image["verdict"], image["settings"]) == ("content", "content", [])
    *others, stamp, times = image["layers"]
    assert [each["verdict"] for each in (*others, stamp, times)] == ["identical"] * 4 + ["content", "times"]
    assert "cat /proc/uptime" in stamp["created_by"]
    # /proc/uptime may get a digit more
    assert [(each["path"], set(each["differs"]) - {"size"}) for each in stamp["files"]] == [("etc/stamp", {"content"})]
    paths = ["bin", "bin/.wh.yes", "etc", "etc/link", "etc/same"]
    assert [(each["path"], each["differs"]) for each in times["files"]] == [(path, ["mtime"]) for path in paths]
    assert images() == before
    again = made.release("rebuild", VERSION, "--cache")
    assert again.code == 0, again.out  # the engine has it all, so it is the same


def test_a_layer_pushed_over_the_release_is_found(tampered: Imaged) -> None:
    push_changed(tampered, honest=True)
    done = tampered.release("rebuild", VERSION, "--variant", "cu126")
    assert done.code == 9, done.err
    assert "MISMATCH  the registry has sha256:" in done.out
    assert "the record says other layers than the registry has: layer 3" in done.out
    assert "size 5 -> " in done.out
    assert "/etc/release/version (only in the rebuilt image)" in done.out


@pytest.mark.wide
def test_bytes_that_are_not_what_the_config_says_are_found(tampered: Imaged) -> None:
    """The config still names the old layer: without a download the record tells, with --deep the bytes do."""
    push_changed(tampered, honest=False)
    done = tampered.release("rebuild", VERSION, "--variant", "cu126", "--deep")
    assert done.code == 9, done.err
    assert "the record says sha256:" in done.out
    assert "not what its config says" in done.out


@pytest.mark.wide
def test_the_base_of_then_is_built_on_and_only_times_is_an_error_only_when_strict(
    tmp_path: Path, lab: Lab, client: Any
) -> None:
    """The base's name stands for another image by now; a COPY gives the folder that it writes into its own time."""
    name = f"release-test/base-{os.getpid()}:1"
    client.images.get(lab.base).tag(name)
    other = client.images.build(fileobj=io.BytesIO(f"FROM {lab.base}\nRUN echo new > /etc/new\n".encode()), rm=True)[0]
    try:
        made = imaged(tmp_path / "story", lab)
        text = (made.story.clone.path / "release.yaml").read_text()
        made.story.declare(text.replace(lab.base, name))
        assert made.release("cut", VERSION, "--yes").code == 0
        other.tag(name)
        done = made.release("rebuild", VERSION)
        assert done.code == 0, done.out
        assert f"base      {name} moved: it was sha256:" in done.out
        assert "built on the one of then" in done.out
        assert "times     layer 2 of 3" in done.out
        assert "only the time  /opt\n" in done.out
        assert made.release("rebuild", VERSION, "--strict", "--quiet").code == 9
    finally:
        client.images.remove(name, force=True)  # the last name of the new one, so it goes too


def test_what_cannot_be_compared_is_one_line(tmp_path: Path, lab: Lab) -> None:
    made = imaged(tmp_path / "story", lab)
    unknown = made.release("rebuild", "v2.7.9")
    assert (unknown.code, "tag v2.7.9 is not in this clone" in unknown.err) == (2, True)
    malformed = made.release("rebuild", "../x")
    assert (malformed.code, "is not a version" in malformed.err) == (2, True)
    made.killed_cut("before", 14)  # branch and tag are public, the image is not
    missing = made.release("rebuild", VERSION)
    assert missing.code == 9, missing.err
    assert f"{made.repository}:{VERSION} is not in the registry" in missing.err
    made.story.clone.git("push", "--quiet", "--delete", "origin", VERSION)
    private = made.release("rebuild", VERSION)
    assert (private.code, "not there on origin" in private.err) == (9, True), private.err
    assert "Traceback" not in "".join(each.err for each in (unknown, malformed, missing, private))


def test_a_registry_or_an_engine_that_is_down_is_exit_7_and_a_wrong_variant_exit_2(released: Imaged) -> None:
    down = released.release("rebuild", VERSION, env={"RELEASE_REGISTRY_PASSWORD": "wrong"})
    assert down.code == 7, down.err
    engine = released.release("rebuild", VERSION, env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert engine.code == 7, engine.err
    wrong = released.release("rebuild", VERSION, "--variant", "cu128")
    assert (wrong.code, "did you mean 'cu126'?" in wrong.err) == (2, True), wrong.err


def begun(made: Imaged) -> subprocess.Popen[str]:
    """A rebuild that runs the last step of SLOW."""
    running = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "rebuild", VERSION, "--verbose"],
        cwd=made.story.clone.path,
        env=clean_env() | made.lab.env,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if line.strip() == "begun":
            break
    return running


SLOW = f"{DOCKERFILE}RUN echo begun; sleep 5\n"


@pytest.mark.wide
def test_what_a_killed_rebuild_left_is_removed_by_the_next_and_two_do_not_run_at_once(
    tmp_path: Path, lab: Lab, images: Callable[[], set[str]]
) -> None:
    made = cut(tmp_path, lab, SLOW)
    before = images()
    running = begun(made)
    second = made.release("rebuild", VERSION)
    assert (second.code, "another rebuild is running here: pid " in second.err) == (8, True), second.err
    running.kill()
    running.communicate()
    left = len(images() - before)
    assert left >= 3
    done = made.release("rebuild", VERSION, "--cache")
    assert (done.code, f"removed {left} images that a killed rebuild had left" in done.err) == (0, True), done.err
    assert images() == before
    assert "had left" not in made.release("rebuild", VERSION, "--cache").err


@pytest.mark.wide
def test_an_interrupted_rebuild_leaves_nothing(tmp_path: Path, lab: Lab, images: Callable[[], set[str]]) -> None:
    made = cut(tmp_path, lab, SLOW)
    before = images()
    running = begun(made)
    assert images() != before  # there is something to remove
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert images() == before

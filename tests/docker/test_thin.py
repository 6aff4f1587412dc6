"""Thin releases: a heavy base that is built once, and versions that the registry client writes on top of it."""

from __future__ import annotations

import io
import json
import re
import signal
import tarfile
from dataclasses import replace
from operator import le
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.audit.layer_compare import settings
from orchestrator.audit.layers import differences, read_layer
from orchestrator.core.labels import BASE_DIGEST, HEAVY_KEY
from orchestrator.registry.manifest import Manifest
from tests.docker.thinned import DOCKERFILE, HEAVY, IMAGE, MOST, NEXT, cut, manifest, recorded, remove, story, tag_of
from tests.support.bases import base_for, index_base
from tests.support.buildkits import built, pushed
from tests.support.counting import counted
from tests.support.imaged import VERSION, Imaged
from tests.support.story import processes, traced

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from orchestrator.registry.client import Registry
    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker


def test_a_release_is_written_on_a_heavy_base_that_is_built_once(
    tmp_path: Path, lab: Lab, client: DockerClient
) -> None:
    thin = story(tmp_path, lab)
    planned = thin.release("plan", VERSION)
    assert planned.code == 0, planned.err
    assert "written without an engine" in planned.out
    assert "is not there yet: it is built first, once" in planned.out
    image = cut(thin)
    assert (image["engine"], image["image_id"]) == ("none", "")
    registry = thin.registry
    heavy, released = manifest(registry, tag_of(image)), manifest(registry, VERSION)
    assert heavy.digest == image["heavy"]["digest"]
    below, layers = registry.layers(heavy), registry.layers(released)
    assert layers[: len(below)] == below
    assert len(layers) == len(below) + 2
    assert registry.labels(heavy)[HEAVY_KEY] == image["heavy"]["key"]
    assert registry.labels(released)[BASE_DIGEST] == heavy.digest

    # The next version: the same base, and nothing of it moves again.
    thin.declare(fix=thin.story.after, version=NEXT, image=IMAGE)
    assert f"{tag_of(image)} is {heavy.digest}" in thin.release("plan", NEXT).out
    assert "the registry was not asked" in thin.release("plan", NEXT, "--offline").out
    after = cut(thin, NEXT)
    assert after["heavy"] == image["heavy"]
    assert registry.layers(manifest(registry, NEXT))[: len(below)] == below
    assert after["delta"]["size"] < 16 * 1024

    # What was released is proved later, and written again it is the same.
    for command in (("audit",), ("verify", NEXT), ("rebuild", NEXT, "--strict")):
        again = thin.release(*command)
        assert again.code == 0, (command, again.out, again.err)
    verified = thin.release("verify", NEXT, "--json").json["checks"]
    names = {check["name"].rpartition(": ")[2] for check in verified if "heavy" in check["name"]}
    assert names == {"heavy base", "heavy base key", "heavy base label", "heavy base layers"}

    # A version on another base; then somebody replaces the first one: found, and nothing is released on it.
    third, fourth, fifth = (thin.story.clone.commit(f"fix: {name}", {f"{name}.txt": name}) for name in "345")
    thin.story.clone.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    thin.declare(fix=third, version="v2.7.3", image="  heavy: {stage: heavy, epoch: 5}\n")
    assert tag_of(cut(thin, "v2.7.3")) != tag_of(image)
    document = json.loads(heavy.content) | {"annotations": {"by": "somebody else"}}
    other = Manifest(content=json.dumps(document).encode(), media_type=heavy.media_type)
    registry.put_manifest(tag_of(image), other)
    assert thin.release("verify", NEXT).code == 9
    thin.declare(fix=fourth, version="v2.7.4", image=IMAGE)
    refused = thin.release("cut", "v2.7.4", "--yes")
    assert (refused.code, "heavy-differs" in refused.err) == (9, True), refused.err
    assert f"is {other.digest}, v2.7.1 was made on {heavy.digest}" in refused.err

    # The name is gone: it is given back.  The base itself is gone too, and the engine makes another one: refused.
    remove(registry, lab, other.digest)
    done = thin.release("cut", "v2.7.4", "--yes")
    assert (done.code, f"was gone: it is {heavy.digest} again, as in v2.7.1" in done.err) == (0, True), done.err
    assert recorded(thin, "v2.7.4")["heavy"] == image["heavy"]
    remove(registry, lab, heavy.digest)
    for each in client.images.list(filters={"label": f"{HEAVY_KEY}={image['heavy']['key']}"}):
        client.images.remove(str(each.id), force=True)
    thin.declare(fix=fifth, version="v2.7.5", image=IMAGE)
    anew = thin.release("cut", "v2.7.5", "--yes")
    assert (anew.code, "heavy-differs" in anew.err) == (9, True), anew.err
    assert f"is gone, on which v2.7.4 was made as {heavy.digest}; built again it is sha256:" in anew.err
    assert tag_of(image) not in registry.tags()

    # A last stage that is not thin any more: what each release would cost is known from the version before.
    text = thin.story.clone.git("show", "release/v2.7:Dockerfile")
    last = thin.story.clone.commit("fix: more", {"Dockerfile": f"{text}\nRUN true\n"})
    thin.story.clone.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    thin.declare(fix=last, version="v2.7.5", image=IMAGE)
    heavier = [each for each in thin.release("plan", "v2.7.5", "--json").json["problems"] if each["code"] == "not-thin"]
    assert [each["where"] for each in heavier] == [f"Dockerfile:{text.count(chr(10)) + 2}"]
    assert re.fullmatch(r"RUN: .* at every release, [1-9][0-9,]* KiB as v2.7.4 has them", heavier[0]["message"])


@pytest.mark.wide
def test_each_platform_has_a_heavy_base_of_its_own(tmp_path: Path, lab: Lab) -> None:
    """Written without an engine, joined to one index; a base of one platform is never taken for another's."""
    both = {platform: base_for(lab, platform, {}) for platform in ("linux/amd64", "linux/arm64")}
    thin = story(tmp_path, replace(lab, base=index_base(lab, both)))
    image = f"{IMAGE}  platforms: [linux/amd64, linux/arm64]\n"
    thin.declare(image=image)
    first = cut(thin)
    assert [each["engine"] for each in first["platforms"]] == ["none", "none"]
    bases = [each["heavy"]["reference"] for each in first["platforms"]]
    assert len(set(bases)) == 2
    registry = thin.registry
    for each in first["platforms"]:
        heavy = manifest(registry, tag_of(each))
        assert registry.config(heavy).platform == each["platform"]
        below = registry.layers(heavy)
        assert registry.layers(manifest(registry, each["digest"]))[: len(below)] == below
    for command in (("verify", VERSION), ("rebuild", VERSION, "--strict")):
        again = thin.release(*command)
        assert again.code == 0, (command, again.out, again.err)


def test_a_patch_release_moves_a_few_kilobytes_and_asks_no_question_twice(tmp_path: Path, lab: Lab) -> None:
    """The limits of requests and processes are what it takes: one more has to say what for."""
    with counted(lab.registry) as moved, counted(lab.docker_host.removeprefix("unix://")) as engine:
        thin = story(tmp_path, lab)
        place = f"{moved.host}/{thin.repository.partition('/')[2]}"
        thin = Imaged(story=thin.story, lab=lab, repository=place)
        thin.declare(image=IMAGE)
        cut(thin)
        moved.clear()
        thin.declare(fix=thin.story.after, version=NEXT, image=IMAGE)
        trace = tmp_path / "trace"
        done = thin.release("cut", NEXT, "--yes", env={**traced(trace), "DOCKER_HOST": f"tcp://{engine.host}"})
        assert done.code == 0, done.err
        assert 0 < moved.sent <= MOST
        assert 0 < moved.received <= MOST
        took = (moved.requests, engine.requests, processes(trace))
        assert all(map(le, took, (33, 17, 63))), took  # of it a GET after HEAD's first 404


def test_what_is_written_is_what_buildkit_makes(tmp_path: Path, lab: Lab, buildkit: BuildKit) -> None:
    thin = story(tmp_path, lab, DOCKERFILE + "COPY --link --chown=1000:1000 loader.py /srv/train/\nUSER 1000\n")
    image = cut(thin)
    registry, clone = thin.registry, thin.story.clone
    folder = tmp_path / "context"
    folder.mkdir()
    tar = clone.path / "tree.tar"
    clone.git("archive", "--output", str(tar), VERSION)
    with tarfile.open(tar) as archive:
        archive.extractall(folder, filter="tar")
    seconds = clone.git("log", "-1", "--format=%ct", VERSION)
    heavy = f"{thin.repository}@{image['heavy']['digest']}"
    digest = built(
        buildkit,
        folder,
        f"--build-context=heavy=docker-image://{heavy}",
        f"--build-arg=RELEASE_VERSION={VERSION}",
        f"--build-arg=SOURCE_DATE_EPOCH={seconds}",
        f"--build-arg=BASE_IMAGE={lab.base}",
        output=f"{pushed(f'{thin.repository}:by-buildkit')},rewrite-timestamp=true",
    )
    theirs, ours = manifest(registry, digest), manifest(registry, VERSION)
    below = len(registry.layers(manifest(registry, tag_of(image))))  # the lab's are younger than the release: clamped
    pairs = list(zip(registry.layers(theirs), registry.layers(ours), strict=True))[below:]
    assert len(pairs) == 3
    for left, right in pairs:
        found = differences(_files(registry, left.digest), _files(registry, right.digest))
        assert found == (), found
    said = [{**registry.config(each).settings, "Labels": {}} for each in (theirs, ours)]
    assert settings(said[0], said[1], ((), ())) == ()


def _files(registry: Registry, digest: str) -> Any:
    out = io.BytesIO()
    registry.download_blob(digest, out)
    return read_layer(out).files


@pytest.mark.wide(2)
@pytest.mark.parametrize(
    ("copied", "says"),
    [
        ("loader.py /home/train/x/loader.py", "/home/train is 1000:1000"),
        ("load*.py /linked/", "thin-parents: /linked is a link to opt in the heavy base"),
    ],
    ids=["none", "buildx"],
)
def test_folders_of_the_base_are_kept_as_they_are(
    tmp_path: Path, lab: Lab, buildkit: BuildKit, copied: str, says: str
) -> None:
    """Before anything is pushed where no engine makes the image, else in the smoke test; the base is elsewhere."""
    last = DOCKERFILE.partition("\nFROM heavy\n")[2].replace("loader.py $APP/loader.py", copied)
    thin = story(tmp_path, lab, f"{HEAVY}\nFROM heavy\n{last}")
    thin.declare(image=f"  heavy: {{stage: heavy, repository: {thin.repository}-bases}}\n")
    done = thin.release("cut", VERSION, "--yes", env=buildkit.environment)
    assert done.code == 6, done.err
    assert says in done.err
    assert "thin-parents" in done.err
    assert VERSION not in thin.registry.tags()


def test_more_than_the_budget_is_said_before_anything_moves(tmp_path: Path, lab: Lab) -> None:
    thin = story(tmp_path, lab)
    cut(thin)
    thin.declare(fix=thin.story.after, version=NEXT, image="  heavy: heavy\n  delta-budget: 100B\n")
    before = set(thin.registry.tags())
    done = thin.release("cut", NEXT, "--yes")
    assert done.code == 6, done.err
    assert "delta-budget allows 100" in done.err
    assert "COPY loader.py" in done.err
    assert set(thin.registry.tags()) == before


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("line", "code"), [("RUN true", "not-thin"), ("WORKDIR /x", "not-thin"), ("COPY loader.py /x", "not-thin")]
)
def test_what_is_not_thin_is_said_at_plan(tmp_path: Path, lab: Lab, line: str, code: str) -> None:
    done = story(tmp_path, lab, f"{DOCKERFILE}{line}\n").release("plan", VERSION)
    assert done.code == 2
    assert f"[{code}]" in done.err
    assert f"Dockerfile:{DOCKERFILE.count(chr(10)) + 1}" in done.err


def test_a_stage_that_is_not_there_is_said(tmp_path: Path, lab: Lab) -> None:
    done = story(tmp_path, lab, image="  heavy: weighty\n").release("plan", VERSION)
    assert done.code == 2
    assert "no stage 'weighty'" in done.err


def test_a_heavy_base_that_says_another_key_is_not_taken(tmp_path: Path, lab: Lab) -> None:
    thin = story(tmp_path, lab)
    image = cut(thin)
    other = story(tmp_path / "other", lab)
    theirs = manifest(thin.registry, VERSION)  # it says no key
    thin.registry.put_manifest(tag_of(image), theirs)
    thin.declare(fix=other.story.after, version=NEXT, image=IMAGE)
    done = thin.release("cut", NEXT, "--yes")
    assert done.code == 9, done.err
    assert "heavy-differs" in done.err
    assert theirs.digest in done.err


@pytest.mark.wide(10)
@pytest.mark.parametrize("number", range(4, 14))
def test_killed_then_run_again(tmp_path: Path, lab: Lab, number: int) -> None:
    thin = story(tmp_path, lab)
    assert thin.killed_cut("before", number) == -signal.SIGKILL
    again = cut(thin)
    assert again["engine"] == "none"
    assert manifest(thin.registry, tag_of(again)).digest == again["heavy"]["digest"]
    assert [tag for tag in thin.registry.tags() if tag.startswith("v")] == [VERSION]

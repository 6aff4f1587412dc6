"""Several images of one release: built together, and public only when all of them are proved."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import clean_env
from tests.support.imaged import VERSION, Imaged, imaged
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.registry.client import Registry
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

VARIANTS = """\
  floating: [v2.7]
  parallel: 2
  variants:
    - name: cu126
    - {name: cu118, build-args: {WHICH: old}, smoke: [grep -q old /etc/which]}
    - {name: cpu, build-args: {WHICH: none}, tag-suffix: .cpu}
"""
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY loader.py /opt/loader.py
ARG WHICH=new
RUN sleep 1
RUN test "$WHICH" != bad && echo "$WHICH" > /etc/which
"""


@pytest.fixture
def several(tmp_path: Path, lab: Lab) -> Imaged:
    made = imaged(tmp_path / "story", lab, dockerfile=DOCKERFILE)
    made.declare(image=VARIANTS)
    return made


def test_a_lock_is_named_in_the_record_by_its_digest_and_must_be_there(several: Imaged) -> None:
    several.declare(image="  lock: locks/cu126\n")
    done = several.release("plan", VERSION)
    assert done.code == 2, done.err
    assert "no-lock" in done.err
    assert "locks/cu126" in done.err
    data, clone = f"tqdm==4.67.1 --hash=sha256:{'0' * 64}\n", several.story.clone
    clone.git("checkout", "--quiet", "--detach", several.story.fix)
    locked = clone.commit("build: a lock", {"locks/cu126/stack.txt": data})
    clone.git("checkout", "--quiet", "main")
    several.declare(image="  lock: locks/cu126\n", fix=f"{several.story.fix}\n      - commit: {locked}")
    done = several.release("cut", VERSION, "--yes")
    assert done.code == 0, done.err
    lock = several.release("show", VERSION, "--json").json["images"][0]["lock"]
    expected = hashlib.sha256(f"locks/cu126/stack.txt\0{len(data)}\0{data}".encode()).hexdigest()
    assert lock == {"path": "locks/cu126", "sha256": expected}


def digest(registry: Registry, tag: str) -> str:
    found = registry.head(tag)
    return found.digest if found else ""


def test_every_variant_has_its_tags_and_the_first_the_plain_one(several: Imaged) -> None:
    done = several.release("cut", VERSION, "--yes", "--json")
    assert done.code == 0, done.err
    registry = several.registry
    tags = {"v2.7.1", "v2.7.1-cu126", "v2.7.1-cu118", "v2.7.1.cpu", "v2.7", "v2.7-cu126", "v2.7-cu118", "v2.7.cpu"}
    assert {tag for tag in registry.tags() if not tag.startswith("candidate-")} == tags
    plain = digest(registry, "v2.7.1")
    assert plain == digest(registry, "v2.7.1-cu126") == digest(registry, "v2.7") == digest(registry, "v2.7-cu126")
    assert len({plain, digest(registry, "v2.7.1-cu118"), digest(registry, "v2.7.1.cpu")}) == 3
    images = several.release("show", VERSION, "--json").json["images"]
    assert [(image["variant"], image["aliases"]) for image in images] == [
        ("cu126", [f"{several.repository}:v2.7.1-cu126"]),
        ("cu118", []),
        ("cpu", []),
    ]
    assert images[1]["labels"]["org.release-orchestrator.variant"] == "cu118"
    again = several.release("cut", VERSION, "--yes", "--json")
    assert (again.code, again.json["released"]) == (0, False), again.err
    publish = several.release("publish", VERSION, "--json")
    assert (publish.code, publish.json["released"]) == (0, False), publish.err
    registry.promote(plain, "v2.7.1-rc.1")  # by somebody else: no release calls it so
    for tag, code in (("v2.7.1-cu126", 0), ("v2.7.1-cu118", 0), ("v2.7.1.cpu", 0), ("v2.7.1-rc.1", 9)):
        named = ("verify", "--image", f"{several.repository}:{tag}", "--remote", str(several.story.remote.path))
        judged = several.release(*named)
        assert (judged.code, "is not what was released as v2.7.1" in judged.out) == (code, bool(code)), judged.out


@pytest.mark.wide
def test_one_variant_that_fails_keeps_all_of_them_private(several: Imaged) -> None:
    several.declare(image=VARIANTS.replace("grep -q old", "grep -q young"))
    done = several.release("cut", VERSION, "--yes")
    assert done.code == 6, done.err
    assert "young" in done.err
    assert all(tag.startswith("candidate-") for tag in several.registry.tags())
    assert VERSION not in several.story.remote.git("tag").split()


@pytest.mark.wide
def test_a_variant_that_does_not_build_stops_the_others_and_the_rest_goes_on_later(several: Imaged) -> None:
    several.declare(image=VARIANTS.replace("WHICH: none", "WHICH: bad"))
    done = several.release("cut", VERSION, "--yes")
    assert done.code == 6, done.err
    assert several.registry.tags() == ()
    several.declare(image=VARIANTS)
    mended = several.release("cut", VERSION, "--yes", "--json")
    assert mended.code == 0, mended.err
    assert json.dumps(mended.json).count("sha256:") >= 3


@pytest.mark.wide
def test_interrupting_builds_that_run_together_ends_them_and_leaves_a_release_to_go_on_with(several: Imaged) -> None:
    cut = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "cut", VERSION, "--yes"],
        cwd=several.story.clone.path,
        env=clean_env() | several.lab.env,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = several.story.clone.path / ".git" / "release" / VERSION / "journal.jsonl"
    until(lambda: cut.poll() is not None or (journal.exists() and '"build/v2.7.1-cu118"' in journal.read_text()))
    cut.send_signal(signal.SIGINT)
    _, err = cut.communicate(timeout=300)
    assert cut.returncode == 130, err
    assert "Traceback" not in err
    assert several.registry.tags() == ()
    done = several.release("cut", VERSION, "--yes")
    assert done.code == 0, done.err

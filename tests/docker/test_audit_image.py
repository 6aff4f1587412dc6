"""Audit and verify against a real registry: an image that was swapped, mislabelled or removed is found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.reference import parse_reference
from orchestrator.engines import BuildRequest
from tests.docker.builds import context_of
from tests.support.commit_keys import sign_with, ssh_key
from tests.support.imaged import VERSION, Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.engines import Engine
    from tests.support.cli import Ran
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker
DEAD = "127.0.0.1:9"


@pytest.fixture
def shipped(tmp_path: Path, lab: Lab) -> Imaged:
    """By a person whose commits are signed: the image is of the signed commit."""
    made = imaged(tmp_path / "story", lab)
    sign_with(made.story.clone, ssh_key(tmp_path / "key"))
    done = made.release("cut", VERSION, "--yes")
    assert done.code == 0, done.err
    return made


def states(ran: Ran) -> dict[str, str]:
    return {each["name"]: each["state"] for each in ran.json["checks"]}


def test_a_clean_image_then_a_swapped_one(shipped: Imaged, engine: Engine, tmp_path: Path) -> None:
    reference = f"{shipped.repository}:{VERSION}"
    remote = ("--remote", str(shipped.story.remote.path))
    clean = shipped.release("audit", "--json")
    assert clean.code == 0, clean.out
    assert clean.json["lines"][0]["unchecked"] == []
    verified = shipped.release("verify", VERSION, "--json")
    assert (verified.code, verified.json["result"]) == (0, "verified"), verified.out
    assert states(verified)[f"image {reference}: digest"] == "passed"
    head = shipped.story.remote.rev(f"{VERSION}^{{}}")
    assert "gpgsig" in shipped.story.remote.git("cat-file", "commit", head)
    record = json.loads(shipped.story.remote.git("cat-file", "blob", f"refs/release-records/{VERSION}"))
    assert (record["commit"], record["signed_from"] not in ("", head)) == (head, True)
    alone = shipped.release("verify", "--image", reference, "--json", *remote)
    assert (alone.code, set(states(alone).values())) == (0, {"passed"}), alone.out
    without = shipped.release("verify", "--image", reference, "--json")
    assert (without.code, states(without)["git"]) == (6, "skipped")

    _swap(shipped, engine, tmp_path, labels={})
    assert _codes(shipped.release("audit", "--json")) == {"image-differs"}
    wrong = shipped.release("verify", VERSION, "--json")
    assert wrong.code == 9
    assert states(wrong)[f"image {reference}: digest"] == states(wrong)[f"image {reference}: revision"] == "failed"
    assert shipped.release("verify", "--image", reference).code == 9  # it does not say what it is

    names = {"version": VERSION, "revision": head}
    _swap(shipped, engine, tmp_path, labels={f"org.opencontainers.image.{key}": text for key, text in names.items()})
    lying = shipped.release("verify", "--image", reference, "--json", *remote)
    assert lying.code == 9  # its labels are right, and it is not what was released
    assert {name for name, state in states(lying).items() if state == "failed"} == {"record: digest"}


@pytest.mark.wide
def test_a_record_that_moves_the_image_to_another_registry_is_found(shipped: Imaged) -> None:
    """release.yaml at the tag says where the image is; what that registry cannot answer is said, not believed."""
    remote, ref = shipped.story.remote, f"refs/release-records/{VERSION}"
    record = json.loads(remote.git("cat-file", "blob", ref))
    for image in record["images"]:
        image["reference"] = image["reference"].replace(shipped.lab.registry, DEAD)
    remote.git("update-ref", ref, remote.git("hash-object", "-w", "--stdin", stdin=json.dumps(record)))
    shipped.story.clone.git("update-ref", "-d", ref)
    ran = shipped.release("audit")
    assert ran.code == 9, ran.out
    assert "record-differs" in ran.out
    verified = shipped.release("verify", VERSION)
    assert verified.code == 9, verified.out


def _codes(ran: Ran) -> set[str]:
    assert ran.code == 9, ran.out
    return {each["code"] for line in ran.json["lines"] for each in line["problems"]}


def _swap(shipped: Imaged, engine: Engine, tmp_path: Path, *, labels: dict[str, str]) -> None:
    """Push another image over the version's tag, as somebody with a login can."""
    reference = parse_reference(f"{shipped.repository}:{VERSION}")
    text = f"FROM {shipped.lab.base}\nRUN echo swapped > /swapped\n"
    text += "".join(f'LABEL {key}="{value}"\n' for key, value in labels.items())
    request = BuildRequest(
        context=context_of({"Dockerfile": text}), dockerfile="Dockerfile", tag=reference, log=tmp_path / "swap.log"
    )
    engine.build(request, lambda _: None)
    engine.publish(reference, credentials=shipped.lab.credentials, report=lambda _: None, stall=60)

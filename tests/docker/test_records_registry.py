"""`records: registry`: what is kept of a release lies beside its image, and everybody reads it there, or says why not.

The server takes branches and tags alone, and its hook judges what it gets.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.labels import KEPT_REF
from orchestrator.core.record import record_ref
from orchestrator.registry.referrers import Artifact, attach, content, referrers
from orchestrator.session.artifacts.place import KINDS
from tests.support.cli import Ran, release
from tests.support.guarded import install
from tests.support.imaged import VERSION, Imaged, imaged
from tests.support.kills import killed_at
from tests.support.plain_server import other_refs
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.registry.manifest import Manifest
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker
CANDIDATE = f"{VERSION}-rc.1"
RECORD, YANK, SOURCES = KINDS.values()
_ONLY_HEADS_AND_TAGS = """#!/bin/sh
case "$1" in refs/heads/*|refs/tags/*) ;; *) echo "ref $1 is not allowed here" >&2; exit 1;; esac
"""
READERS = (("audit",), ("verify", VERSION), ("publish", VERSION), ("show", VERSION), ("notes", VERSION))


@pytest.fixture
def told(tmp_path: Path, lab: Lab) -> Imaged:
    """release.yaml is on main, as a hook wants it; refs that are no branches and tags are refused."""
    made = imaged(tmp_path / "story", lab)
    made.declare(version=CANDIDATE, smoke="records: registry\n")
    clone, hook = made.story.clone, made.story.remote.path / "hooks/update"
    clone.commit("chore: what is to be released", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
    clone.git("push", "--quiet", "origin", "main")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_ONLY_HEADS_AND_TAGS)
    hook.chmod(0o755)
    return made


def another_clone(told: Imaged, name: str) -> Repo:
    told.story.clone.git(
        "clone", "--quiet", f"file://{told.story.remote.path}", str(told.story.clone.path.parent / name)
    )
    repo = Repo(told.story.clone.path.parent / name)
    repo.git("config", "user.name", "Tom")
    repo.git("config", "user.email", "tom@example.com")
    return repo


def beside(told: Imaged, kind: str) -> list[str]:
    """The manifests of one kind that refer to the image."""
    image = the_image(told)
    rows = referrers(told.registry, image.digest)
    return [each.digest for each in rows if content(told.registry, each)[0] == kind]


def the_image(told: Imaged) -> Manifest:
    found = told.registry.manifest(CANDIDATE)
    assert found is not None
    return found


def test_everybody_reads_them_beside_the_image(told: Imaged, tmp_path: Path) -> None:
    """Cut and killed, finished, promoted and yanked from clones that have nothing but branches and tags."""
    clone = told.story.clone
    put = "orchestrator.session.artifacts.place:BesideImages.create"
    assert killed_at(clone.path, "after", 1, put, "cut", CANDIDATE, "--yes", "-q", env=told.lab.env) == -9
    done = told.release("cut", CANDIDATE, "--yes")
    assert done.code == 0, done.err
    assert [len(beside(told, each)) for each in (RECORD, SOURCES, YANK)] == [1, 1, 0]
    again = told.release("cut", CANDIDATE, "--yes", "--json")
    assert (again.code, again.json["released"]) == (0, False), again.err
    told.story.remote.git("update-ref", "-d", "refs/heads/fix/dataloader-leak")
    told.story.remote.git("gc", "--quiet", "--prune=now")
    assert install(told.story.remote, quick=True).code == 0

    def run(repo: Repo, *args: str) -> Ran:
        return release(*args, cwd=repo.path, env=told.lab.env)

    fresh = another_clone(told, "fresh")
    promoted = run(fresh, "promote", CANDIDATE, VERSION, "--yes")
    assert promoted.code == 0, promoted.err
    assert [len(beside(told, each)) for each in (RECORD, SOURCES)] == [2, 2]
    third = another_clone(told, "third")
    clone.git("fetch", "--quiet", "--tags", "origin")
    for repo, commands in ((third, (*READERS, ("log", told.story.fix))), (clone, READERS[:1]), (fresh, READERS[1:2])):
        for command in commands:
            judged = run(repo, *command)
            assert judged.code == 0, (repo.path.name, command, judged.out, judged.err)
            assert "not checked" not in judged.out + judged.err
    image = ("verify", "--image", f"{told.repository}:{VERSION}", "--remote", str(told.story.remote.path))
    alone = release(*image, cwd=tmp_path, env=told.lab.env)
    assert (alone.code, "record: digest" in alone.out) == (0, True), alone.out + alone.err

    stranger = another_clone(told, "stranger")
    strangers = {"DOCKER_CONFIG": str(tmp_path)}
    for command, code, said in (
        (("audit",), 0, "its record was not checked: registry"),
        (("verify", VERSION), 6, "not checked: registry"),
        (("notes", VERSION), 0, "were not read: registry"),
        (("show", VERSION), 7, "[record-unread]"),
    ):
        judged = release(*command, cwd=stranger.path, env=strangers)
        assert (judged.code, said in judged.out + judged.err) == (code, True), (command, judged.out, judged.err)

    yanked = run(third, "yank", VERSION, "--reason", "loses a batch", "--yes")
    assert yanked.code == 0, yanked.err
    assert len(beside(told, YANK)) == 1
    assert "yanked" in told.release("log", told.story.fix).out
    assert not other_refs(told.story.remote)
    tampered_is_found(told, another_clone(told, "judge"))


def tampered_is_found(told: Imaged, repo: Repo) -> None:
    """A second record, none, and another one in place of what was made; in a clone that has no copy of its own."""

    def codes(*commands: tuple[str, ...]) -> set[int]:
        return {release(*each, cwd=repo.path, env=told.lab.env).code for each in commands}

    judges = (("audit",), ("verify", VERSION))
    kept = next(each for each in referrers(told.registry, the_image(told).digest) if says(told, each.digest, VERSION))
    data = json.loads(content(told.registry, kept)[1])
    forged = json.dumps(data | {"summary": data["summary"], "tree": "0" * 40}).encode()
    note = {KEPT_REF: record_ref(VERSION)}
    (second,) = attach(told.registry, the_image(told), [Artifact(kind=RECORD, content=forged, annotations=note)])
    assert codes(*judges, ("show", VERSION)) == {9}
    told.registry.delete(second)
    assert codes(*judges) == {0}
    told.registry.delete(kept.digest)
    assert codes(*judges) == {9}
    attach(told.registry, the_image(told), [Artifact(kind=RECORD, content=forged, annotations=note)])
    assert codes(*judges, ("notes", VERSION)) == {9}


def says(told: Imaged, digest: str, version: str) -> bool:
    manifest = told.registry.manifest(digest)
    return manifest is not None and told.registry.annotations(manifest).get(KEPT_REF) == record_ref(version)

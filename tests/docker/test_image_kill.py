"""SIGKILL before and after every journal record of a cut with an image; then the same command again.

Every run starts from the same commits, so one digest is right for all of them: that of a cut nobody disturbed.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.support.imaged import VERSION, Imaged, imaged

if TYPE_CHECKING:
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker
RECORDS = 20  # opened, nine tasks started and finished, closed


@pytest.fixture(scope="module")
def name(worker_id: str) -> str:
    """One repository a worker: the ids of a release depend on release.yaml, so all its runs share the name."""
    return f"kill-{worker_id}"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, lab: Lab, name: str) -> tuple[str, str, str]:
    """Branch, tag object and digest of a cut that nothing interrupts; its image is taken away again."""
    shipped = imaged(tmp_path_factory.mktemp("undisturbed") / "story", lab, name)
    done = shipped.release("cut", VERSION, "--yes", "--json")
    assert done.code == 0, done.err
    journal = shipped.story.clone.path / ".git/release" / VERSION / "journal.jsonl"
    assert len(journal.read_text().splitlines()) == RECORDS
    forget_images(shipped)
    return done.json["commit_sha"], done.json["tag_object"], done.json["digest"]


@pytest.mark.wide(10)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, RECORDS + 1))
def test_killed_then_run_again(
    tmp_path: Path, lab: Lab, undisturbed: tuple[str, str, str], name: str, when: str, number: int
) -> None:
    shipped = imaged(tmp_path / "story", lab, name)
    puts = puts_of_the_version(shipped)
    try:
        assert shipped.killed_cut(when, number) == -signal.SIGKILL
        remote = shipped.story.remote
        if not remote.git("tag", "-l", VERSION):
            assert remote.rev("release/v2.7") == shipped.story.base
            assert shipped.registry.head(VERSION) is None  # nothing public before the line is crossed
        again = shipped.release("cut", VERSION, "--yes", "--json")
        assert again.code == 0, again.err
        assert (again.json["commit_sha"], again.json["tag_object"], again.json["digest"]) == undisturbed
        assert (remote.rev("release/v2.7"), remote.rev(f"refs/tags/{VERSION}")) == undisturbed[:2]
        head = shipped.registry.head(VERSION)
        assert head is not None
        assert head.digest == undisturbed[2]
        assert puts_of_the_version(shipped) - puts == 1
    finally:
        forget_images(shipped)


def forget_images(shipped: Imaged) -> None:
    """Take every image of the repository out of the registry, as if nobody had ever pushed there."""
    for tag in shipped.registry.tags():
        head = shipped.registry.head(tag)
        if head is not None:
            answer = requests.delete(
                f"http://{shipped.lab.registry}/v2/{shipped.repository.partition('/')[2]}/manifests/{head.digest}",
                auth=(shipped.lab.username, shipped.lab.password),
                timeout=30,
            )
            assert answer.status_code == 202, answer.text


def puts_of_the_version(shipped: Imaged) -> int:
    """How often the registry took a manifest under the version, by its own access log."""
    path = re.escape(shipped.repository.partition("/")[2])
    log = Path(shipped.lab.registry_log).read_text(errors="replace")
    return len(re.findall(rf'"PUT /v2/{path}/manifests/{re.escape(VERSION)} [^"]*" 201', log))

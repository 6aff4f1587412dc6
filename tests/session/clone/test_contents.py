"""Clones that lack something: what is needed comes in one fetch, and a real history is planned as in a full clone."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import release
from tests.support.story import Repo, make_repo, traced

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.replay
DATA = Path(__file__).parents[2] / "replay/data"
RELEASE = json.loads((DATA / "history.json").read_text())["releases"][2]
VERSION = str(RELEASE["next_tag"])
SAID = re.compile(r"fetched .* from origin, (\d+\.\d) MB in \d+\.\d s")
KINDS = {
    "blobless": ("--filter=blob:none",),
    "treeless": ("--filter=tree:0",),
    "depth": ("--depth=1",),
    "single": ("--single-branch", "--filter=tree:0", "--no-tags"),
}
OF_ONE_BRANCH = ("depth", "single")


@dataclass(frozen=True)
class Served:
    """A real history on a server, at the release before; `full` is what a full clone plans."""

    remote: Repo
    full: dict[str, Any]

    def clone(self, kind: str, place: Path) -> Repo:
        return cloned(self.remote, place, *KINDS[kind])


def cloned(remote: Repo, place: Path, *how: str) -> Repo:
    remote.git("clone", "--quiet", "--no-checkout", *how, f"file://{remote.path}", str(place))
    repo = Repo(place)
    repo.git("config", "user.name", "Mia Maintainer")
    repo.git("config", "user.email", "mia@example.com")
    repo.git("symbolic-ref", "HEAD", "refs/heads/elsewhere")
    entries = []
    for pick in RELEASE["picks"]:
        if pick["status"] != "clean" and pick.get("then") != "recorded":
            continue
        entries.append(f"      - commit: {pick['upstream']}")
        entries += ["        mainline: 1"] if pick.get("upstream_parents") == 2 else []
        entries += ["        reason: as they did", "        allow: [feature, breaking]"]
        entries += [f"        backport: {pick['recorded']}"] if pick["status"] != "clean" else []
    head = f"version: 1\nbranch: release/1.7\nsource: main\nchangelog: false\nreleases:\n  {VERSION}:\n    fixes:\n"
    repo.write("release.yaml", head + "\n".join(entries) + "\n")
    return repo


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    root = tmp_path_factory.mktemp("served")
    remote = make_repo(root / "remote.git", bare=True)
    remote.git("fetch", "--quiet", str(DATA / "history.bundle"), "main:refs/heads/main", "refs/tags/*:refs/tags/*")
    remote.git("fetch", "--quiet", str(DATA / "history.bundle"), "release/1.7:refs/heads/people")
    remote.git("update-ref", "refs/heads/release/1.7", RELEASE["prev_sha"])
    later = [
        tag for tag in remote.git("tag").splitlines() if int(tag.rpartition(".")[2]) >= int(VERSION.rpartition(".")[2])
    ]
    remote.git("tag", "--delete", *later)
    remote.git("config", "uploadpack.allowFilter", "true")
    planned = release("plan", VERSION, "--json", cwd=cloned(remote, root / "full").path)
    assert planned.code == 0, planned.err
    return Served(remote=remote, full=planned.json)


def commands(place: Path) -> Iterator[list[str]]:
    """Every git command of a run, by git's own trace."""
    for path in place.iterdir():
        for line in path.read_text().splitlines():
            if '"event":"start"' in line:
                yield json.loads(line)["argv"]


@pytest.mark.wide(4)
@pytest.mark.parametrize("kind", KINDS)
def test_a_clone_that_lacks_something_plans_what_a_full_one_plans(served: Served, tmp_path: Path, kind: str) -> None:
    repo = served.clone(kind, tmp_path / kind)
    before = repo.git("for-each-ref")
    trace = tmp_path / "trace"
    planned = release("plan", VERSION, "--json", cwd=repo.path, env=traced(trace))
    assert planned.code == 0, planned.err
    alone = [note for note in planned.json["notes"] if "is on no branch of origin that this clone knows" in note]
    assert alone == planned.json["notes"]
    assert bool(alone) == (kind in OF_ONE_BRANCH)  # true: people's own picks are on a branch that it never fetched
    assert {**planned.json, "notes": []} == served.full
    fetches = [argv for argv in commands(trace) if "fetch" in argv]
    by_size = [argv for argv in fetches if "--stdin" in argv]
    assert len(by_size) == (2 if kind == "depth" else 1), fetches
    assert len(SAID.findall(planned.err)) == len(by_size), planned.err
    assert repo.git("for-each-ref") == before
    again = tmp_path / "again"
    second = release("plan", VERSION, "--json", cwd=repo.path, env=traced(again))
    assert {**second.json, "notes": []} == served.full
    assert not [argv for argv in commands(again) if "--stdin" in argv and "fetch" in argv]

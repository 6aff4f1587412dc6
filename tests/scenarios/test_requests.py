"""Fixes named as people have them: by the request that brought them, in every form that forges give to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.guarded import install
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history
SQUASHED, REBASED, MERGED, TANGLED, GITLAB, RENAMED, OPEN, TWICE, ELSEWHERE = range(101, 110)


@dataclass(frozen=True)
class Requested:
    """The commits on main that each request became, oldest first; its heads are kept by the remote."""

    tale: Story
    became: dict[int, list[str]]

    def declare(self, *fixes: str, main: bool = False) -> None:
        lines = "\n".join(f"      - {fix}" for fix in fixes)
        self.tale.release_yaml(lines)
        if main:
            clone = self.tale.clone
            clone.commit("chore: declare", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
            clone.git("push", "--quiet", "origin", "main")


def topic(clone: Repo, name: str, start: str = "main") -> list[str]:
    """A topic branch of two commits."""
    clone.git("checkout", "--quiet", "-B", name, start)
    one = clone.commit(f"wip({name}): begin", {f"{name}.py": "ONE = 1\n"})
    return [one, clone.commit(f"fix({name}): end", {f"{name}.py": "ONE = 1\nTWO = 2\n"})]


def kept(clone: Repo, number: int, name: str, place: str = "pull") -> None:
    """The head of a request, as the server keeps it when the topic branch is gone."""
    clone.git("push", "--quiet", "origin", f"{name}:refs/{place}/{number}/head")


def squash(clone: Repo, name: str, message: str) -> str:
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--squash", name)
    return clone.commit(message, {})


def merge(clone: Repo, name: str, message: str) -> str:
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "-m", message, name)
    return clone.rev("HEAD")


@pytest.fixture
def requested(tale: Story) -> Requested:
    clone = tale.clone
    became: dict[int, list[str]] = {}
    topic(clone, "squashed")
    became[SQUASHED] = [squash(clone, "squashed", f"fix(loader): squashed (#{SQUASHED})\n\n* begin\n\n* end\n")]
    topic(clone, "rebased")
    kept(clone, REBASED, "rebased")
    clone.git("checkout", "--quiet", "main")
    clone.commit("docs: meanwhile", {"docs.md": "more\n"})
    clone.git("cherry-pick", "rebased~1", "rebased")
    became[REBASED] = [clone.rev("HEAD~1"), clone.rev("HEAD")]
    became[MERGED] = topic(clone, "merged")
    merge(clone, "merged", f"Merge pull request #{MERGED} from fay/merged\n\nfix: it")
    topic(clone, "tangled", "main~1")
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge main into tangled", "main")
    clone.commit("fix(tangled): after", {"tangled.py": "ONE = 1\nTWO = 2\nTHREE = 3\n"})
    became[TANGLED] = [merge(clone, "tangled", f"Merge pull request #{TANGLED} from fay/tangled")]
    topic(clone, "gitlab")
    clone.git("reset", "--quiet", "--soft", "HEAD~1")
    clone.git("commit", "--quiet", "--amend", "-m", "fix(gitlab): one commit")
    became[GITLAB] = [clone.rev("HEAD")]
    merge(clone, "gitlab", f"Merge branch 'gitlab' into 'main'\n\nSee merge request group/project!{GITLAB}")
    topic(clone, "renamed")
    kept(clone, RENAMED, "renamed", "merge-requests")
    became[RENAMED] = [squash(clone, "renamed", "fix(renamed): under another title")]
    topic(clone, "open")
    kept(clone, OPEN, "open")
    topic(clone, "elsewhere", "release/v2.7")
    clone.git("push", "--quiet", "origin", "main")
    clone.git("checkout", "--quiet", "-B", "develop", "main")
    clone.commit(f"fix: elsewhere (#{ELSEWHERE})", {"elsewhere.md": "1\n"})
    clone.git("checkout", "--quiet", "main")
    clone.commit(f"fix: once (#{TWICE})", {"twice.md": "1\n"})
    clone.commit(f'Revert "fix: once (#{TWICE})" (#119)', {"twice.md": ""})
    clone.commit(f"fix: again (#{TWICE})", {"twice.md": "2\n"})
    clone.git("push", "--quiet", "origin", "main", "develop")
    clone.git("fetch", "--quiet", "origin")
    return Requested(tale, became)


def test_each_form_is_found_released_and_proved(requested: Requested, tmp_path: Path) -> None:
    """By the cut, the server's hook, and every judge in a clone that never saw a request."""
    tale = requested.tale
    numbers = [*requested.became]
    requested.declare("pr: 101", "pr: '#102'", "pr: 103", "pr: 104", "pr: '!105'", "pr: 106", main=True)
    assert install(tale.remote).code == 0
    mine = (tale.clone.path / "release.yaml").read_bytes()
    planned = release("plan", "v2.7.1", "--json", cwd=tale.clone.path)
    assert planned.code == 0, planned.out
    assert [pick["source"] for pick in planned.json["picks"]] == [
        sha for number in numbers for sha in requested.became[number]
    ]
    assert {pick["declared"] for pick in planned.json["picks"]} == {f"#{number}" for number in numbers}
    ran = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert ran.code == 0, ran.err
    assert (tale.clone.path / "release.yaml").read_bytes() == mine
    frozen = tale.remote.git("show", "v2.7.1:release.yaml")
    for number in numbers:
        assert f"pr: {number}" in frozen.replace("'#", "").replace("'!", "").replace("'", "")
        assert requested.became[number][-1] in frozen
    candidates = release("candidates", "--json", cwd=tale.clone.path)
    there = {each["sha"]: each for each in candidates.json["candidates"]}
    assert not {requested.became[MERGED][0], requested.became[SQUASHED][0]} & there.keys()
    brought = tale.clone.rev("tangled~2")
    assert "v2.7.1" in release("log", brought, cwd=tale.clone.path).out
    tale.remote.git("for-each-ref", "--format=delete %(refname)", "refs/pull", "refs/merge-requests")
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(tmp_path / "fresh"))
    for clone in (tale.clone, Repo(tmp_path / "fresh")):
        for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1"), ("notes", "v2.7.1")):
            judged = release(*command, cwd=clone.path)
            assert judged.code == 0, (clone.path.name, command, judged.out, judged.err)


def test_what_is_no_fix_is_told_at_once_and_a_range_crosses_merges(requested: Requested) -> None:
    clone = requested.tale.clone
    requested.declare(
        f"pr: {OPEN}", f"pr: {TWICE}", f"pr: {ELSEWHERE}", "pr: 999", "commit: ':/squashed'", "commit: renamed",
        "range: v2.7.0^..main^0",
    )  # fmt: skip
    ran = release("check", "--json", cwd=clone.path)
    assert ran.code == 2, (ran.code, ran.err)
    told = ran.json["problems"]
    for said in (
        f"#{OPEN} is on origin, and no commit of main is it",
        f"#{TWICE} was merged 2 times",
        f"#{ELSEWHERE} was merged into develop, not into main",
        "no commit of main says that it is request #999",
        "':/squashed' is a name that moves",
        "'renamed' is a name that moves",
        "'main^0' is a name that moves",
    ):
        assert [each["remedy"] for each in told if said in each["message"]], (said, told)
    first, last = requested.became[REBASED][-1], clone.rev("main~3")
    requested.declare(f"range: {first}..{last}")
    crossed = release("plan", "v2.7.1", "--json", cwd=clone.path).json
    assert "range-has-merges" in {each["code"] for each in crossed["problems"]}
    requested.declare(f"range: {first}..{last}\n        mainline: 1")
    planned = release("plan", "v2.7.1", "--json", cwd=clone.path).json
    wanted = clone.git("rev-list", "--reverse", "--first-parent", f"{first}..{last}").split()
    assert [pick["source"] for pick in planned["picks"]] == wanted
    assert [pick["mainline"] for pick in planned["picks"]] == [1, 1, 1, 0]
    assert not planned["problems"]

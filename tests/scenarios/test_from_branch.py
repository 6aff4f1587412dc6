"""A release of what is on the branch: backports that landed by requests of their own, merged in every way.

It is right for every judge, and wrong for all of them once a byte was slipped in.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.forge_repo import BRANCH, ForgeRepo
from tests.support.guarded import install
from tests.support.printed import types
from tests.support.remedies import said, typed
from tests.support.story import Repo, Story, copied, slim, story

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history
HEAD = "version: 1\nbranch: release/v2.7\nsource: main\nexclude: ['*.news.md']\nreleases:\n"
YAML = f"{HEAD}  v2.7.1:\n    summary: all of it\n    from-branch: true\n"
TAG = "refs/tags/v2.7.1"
JUDGES = (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1"))
GONE = ("fix: wrong (#404)", "fix: wrong again (#405)")  # came, and was taken back


@dataclass(frozen=True)
class Landed:
    """Requests that landed on the release branch; `sources` are what they are picks of, by what was merged."""

    tale: Story
    sources: dict[str, str]
    tip: str

    def run(self, *args: str, cwd: Path | None = None) -> Ran:
        return release(*args, cwd=cwd or self.tale.clone.path)

    def fresh(self) -> Repo:
        place = self.tale.clone.path.parent / "fresh"
        shutil.rmtree(place, ignore_errors=True)
        self.tale.clone.git("clone", "--quiet", str(self.tale.remote.path), str(place))
        return Repo(place)


def text(*edits: tuple[int, str]) -> dict[str, str | bytes | None]:
    """The file that all fixes change, with these of its lines in other words."""
    words = dict(edits)
    return {"app.txt": "".join(f"{words.get(n, f'line {n}')}\n" for n in range(99))}


def landed(root: Path) -> Landed:
    tale = slim(story(root))
    clone = tale.clone
    clone.commit("feat: text", text())
    clone.git("branch", "--force", "release/v2.7")
    clone.git("tag", "-a", "-m", "v2.7.0", "--force", "v2.7.0")
    edits = [(5, "main only")]
    clone.commit("feat: text, in other words", text(*edits))
    sources = {}
    for number, name in enumerate(("squash", "merged", "also", "rebased", "numbered", "wrong", "again", "new"), 1):
        edits.append((number * 10, f"fixed {name}"))
        subject = {"wrong": "fix: wrong", "again": "fix: wrong again"}.get(name, f"fix({name}): one thing")
        news = {f"{name}.news.md": f"{name}\n"} if name in ("merged", "rebased") else {}
        sources[name] = clone.commit(f"{subject} (#{400 + number})", {**text(*edits), **news})
    clone.git("push", "--quiet", "--force", "origin", "main", "release/v2.7", "v2.7.0")
    forge = ForgeRepo.of(tale, root / "forge")

    def topic(*picks: str, options: tuple[str, ...] = ("-x",)) -> None:
        clone.minutes += 1
        clone.git("fetch", "--quiet", "origin")
        clone.git("checkout", "--quiet", "-B", "topic", "origin/release/v2.7")
        for pick in picks:
            clone.git("cherry-pick", *options, sources[pick])
        clone.git("push", "--quiet", "--force", "origin", "topic")

    topic("squash")
    forge.merge("topic", "squash", message=f"fix: squashed (#501)\n\n(cherry picked from commit {sources['squash']})")
    topic("merged", "also", options=())
    forge.merge("topic", "merge")
    topic("rebased")
    clone.git("rm", "--quiet", "rebased.news.md")  # which is excluded; of the one before it came with the pick
    clone.git("commit", "--quiet", "--amend", "--no-edit")
    clone.git("push", "--quiet", "--force", "origin", "topic")
    forge.merge("topic", "rebase")
    clone.git("checkout", "--quiet", "-B", "topic", "origin/release/v2.7")
    worded = [(10, "fixed squash"), (20, "fixed merged"), (30, "fixed also"), (40, "fixed rebased")]
    forge.commit("Backport: one thing (#405) (#503)", text(*worded, (50, "fixed numbered"), (51, "and this, for 2.7")))
    topic("wrong")
    merge = forge.merge("topic", "merge")
    take_back(forge.worker, merge, "-m", "1")
    forge.push()
    topic("again")
    wrong = forge.merge("topic", "rebase")
    take_back(forge.worker, wrong)
    forge.push()
    tip = forge.commit("fix: only here", {"here.txt": "here\n"})
    clone.git("push", "--quiet", "origin", ":topic")
    clone.git("checkout", "--quiet", "main")
    clone.git("branch", "--quiet", "-D", "topic")
    clone.commit("chore: declare v2.7.1", {"release.yaml": YAML})
    clone.git("push", "--quiet", "origin", "main")
    return Landed(tale=tale, sources=sources, tip=tip)


def take_back(worker: Repo, commit: str, *options: str) -> None:
    worker.minutes += 1
    worker.git("revert", "--no-edit", *options, commit)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    return landed(tmp_path_factory.mktemp("landed"))


@pytest.fixture
def world(template: Landed, tmp_path: Path) -> Landed:
    return replace(template, tale=copied(template.tale, tmp_path / "world"))


def shipped(world: Landed) -> list[str]:
    return [world.sources[name] for name in ("squash", "merged", "also", "rebased", "numbered")]


def test_every_judge_calls_it_right(world: Landed) -> None:
    """One cut that makes the release commit alone, guarded by the server's hook, looked at by all."""
    remote = world.tale.remote
    assert install(remote, quick=True).code == 0
    plan = world.run("plan", "v2.7.1", "--json").json
    assert not plan["problems"], plan["problems"]
    assert [pick["source"] for pick in plan["picks"]] == [*shipped(world), world.tip]
    assert all(pick["since_previous"] for pick in plan["picks"])
    adapted = [note for note in plan["notes"] if "adapted on the branch" in note]
    assert len(adapted) == 1
    assert "by request #405, adapted on the branch: another pick in app.txt" in adapted[0]
    assert any("'fix: only here' has no known source: declared as made on" in note for note in plan["notes"])
    before = world.run("audit")
    assert before.code == 0, before.out
    notes = world.run("notes", "v2.7.1").out
    ran = world.run("cut", "v2.7.1", "--yes")
    assert ran.code == 0, ran.err
    assert remote.rev(f"{TAG}^{{commit}}^") == world.tip
    assert remote.rev(f"{TAG}^{{commit}}") == remote.rev(BRANCH) == plan["head"]
    changelog = remote.git("show", f"{TAG}:CHANGELOG.md")
    assert all(sha[:12] in changelog for sha in (*shipped(world), world.tip))
    assert not any(subject in changelog for subject in GONE)
    assert set(remote.git("show", "--format=", "--name-only", f"{TAG}^{{commit}}").split()) == {
        "CHANGELOG.md", "release.yaml",
    }  # fmt: skip
    for clone in (world.tale.clone, world.fresh()):
        for command in JUDGES:
            judged = world.run(*command, cwd=clone.path)
            assert judged.code == 0, (clone.path.name, command, judged.out, judged.err)
        shown = world.run("show", "v2.7.1", "--json", cwd=clone.path).json
        assert [pick["source"] for pick in shown["picks"]] == [*shipped(world), world.tip]
        assert _entries(world.run("notes", "v2.7.1", cwd=clone.path).out) == _entries(notes)
        assert "v2.7.1" in world.run("log", world.sources["merged"], cwd=clone.path).out
    again = world.run("cut", "v2.7.1", "--yes", "--json")
    assert (again.code, again.json["released"]) == (0, False)


def _entries(notes: str) -> list[str]:
    found = [line for line in notes.splitlines() if line.startswith("- ")]
    assert found
    return found


@types("report/history.py: release declare {} --from-branch --write", "report/history.py: release plan {}")
def test_what_is_declared_by_a_command_is_the_same_release(world: Landed) -> None:
    """`declare --from-branch --write` in place of the key: the same picks, and a branch that audit calls right."""
    wanted = [(pick["source"], pick["duplicate_of"]) for pick in world.run("plan", "--json").json["picks"]]
    clone = world.tale.clone
    clone.write("release.yaml", HEAD)
    shown = world.run("declare", "v2.7.1", "--from-branch")
    assert f"{world.sources['numbered'][:12]}, by request #405" in shown.out
    assert "fix: only here  (made on the branch)" in shown.out
    assert "v2.7.1" not in (clone.path / "release.yaml").read_text()
    written = typed(said(shown, "release declare v2.7.1"), clone.path)
    assert written.returncode == 0, written.stderr
    assert typed(said(Ran(0, written.stdout, ""), "release plan v2.7.1"), clone.path).returncode == 0
    plan = world.run("plan", "v2.7.1", "--json").json
    assert [(pick["source"], pick["duplicate_of"]) for pick in plan["picks"]] == wanted
    nothing = world.run("declare", "v2.7.1", "--from-branch", "--json").json
    assert (nothing["entries"], nothing["written"]) == ([], False)
    assert world.run("cut", "v2.7.1", "--yes").code == 0
    for command in JUDGES:
        judged = world.run(*command)
        assert judged.code == 0, (command, judged.out, judged.err)


@pytest.mark.wide
def test_fixes_are_picked_on_top(world: Landed) -> None:
    """An entry that names what is on the branch speaks for it; what is adapted there it must say."""
    clone, numbered = world.tale.clone, world.sources["numbered"]
    there = clone.git("log", "--format=%H", "--grep=Backport: one thing", "origin/release/v2.7")
    clone.write(
        "release.yaml", f"{YAML}    fixes:\n      - commit: {numbered}\n      - commit: {world.sources['new']}\n"
    )
    refused = world.run("plan", "v2.7.1")
    assert refused.code == 5
    assert f"add `backport: {there}` and `allow: [duplicate]`" in refused.err
    clone.write(
        "release.yaml",
        f"{YAML}    fixes:\n      - commit: {numbered}\n        backport: {there}\n        allow: [duplicate]\n"
        f"        reason: asked for\n      - commit: {world.sources['new']}\n",
    )
    ran = world.run("cut", "v2.7.1", "--yes")
    assert ran.code == 0, ran.err
    picks = world.run("show", "v2.7.1", "--json").json["picks"]
    assert [pick["state"] for pick in picks] == ["duplicate"] * 6 + ["clean"]
    assert {pick["reason"] for pick in picks if pick["source"] == numbered} == {"asked for"}
    for command in JUDGES:
        judged = world.run(*command)
        assert judged.code == 0, (command, judged.out, judged.err)


# ------------------------------------------------------------------ what is slipped in


@pytest.mark.wide
def test_the_branch_moved_after_the_plan(world: Landed, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert world.run("plan", "v2.7.1", "--out", str(plan)).code == 0
    forge = ForgeRepo.of(world.tale, tmp_path / "forge")
    slipped = forge.commit("fix: one byte", {"here.txt": "hers\n"})
    ran = world.run("cut", "v2.7.1", "--yes", "--plan", str(plan))
    assert (ran.code, "[stale-plan]" in ran.err) == (4, True), ran.err
    assert slipped[:12] in world.run("plan", "v2.7.1").out, "a new plan names it"


@pytest.mark.wide(6)
@pytest.mark.parametrize("what", ["fix(rebased)", "Backport: one thing", "fix: only here", "chore(release): v2.7.1"])
def test_a_byte_under_a_tag_made_by_hand_is_found_by_all(world: Landed, what: str) -> None:
    """The right texts on another history, as a forger would do it who has the whole server."""
    assert world.run("cut", "v2.7.1", "--yes").code == 0
    remote = world.tale.remote
    ids = forged(remote, what)
    new = ids[remote.rev(BRANCH)]
    body = remote.attempt("cat-file", "tag", TAG).stdout
    for old, other in ids.items():
        body = body.replace(old, other)
    remote.git("update-ref", f"refs/heads/{BRANCH}", new)
    remote.git("update-ref", TAG, remote.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=body))
    remote.git("update-ref", "-d", "refs/release-records/v2.7.1")
    clone = world.fresh()
    for command in JUDGES:
        judged = world.run(*command, cwd=clone.path)
        assert judged.code == 9, (command, judged.out, judged.err)
    remote.git("update-ref", "-d", TAG)
    assert install(remote, quick=True).code == 0
    pushed = clone.attempt("push", "origin", TAG)
    assert pushed.returncode, "the hook let it through"


def forged(remote: Repo, subject: str) -> dict[str, str]:
    """The branch again with one byte more in a commit; old id -> new id of all that are made anew."""
    ids: dict[str, str] = {}
    for row in remote.git("rev-list", "--reverse", "--topo-order", "--parents", "v2.7.0..release/v2.7").splitlines():
        old, *parents = row.split()
        slips = remote.git("show", "-s", "--format=%s", old).startswith(subject)
        if not (ids or slips):
            continue
        body = remote.attempt("cat-file", "commit", old).stdout
        tree = with_byte(remote, f"{old}^{{tree}}")
        body = body.replace(remote.rev(f"{old}^{{tree}}"), tree, 1)
        for parent in parents:
            body = body.replace(parent, ids.get(parent, parent), 1)
        ids[old] = remote.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=body)
    return ids


def with_byte(remote: Repo, tree: str) -> str:
    rows = remote.git("ls-tree", tree).splitlines()
    app = next(row for row in rows if row.endswith("\tapp.txt"))
    blob = remote.git("hash-object", "-w", "--stdin", stdin=remote.git("show", f"{tree}:app.txt") + " \n")
    return remote.git("mktree", stdin="\n".join(row.replace(app.split()[2], blob) if row == app else row
                                                for row in rows) + "\n")  # fmt: skip

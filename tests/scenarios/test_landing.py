"""A release that lands by a pull request, merged in every way that forges have.

It is right for every judge, and wrong for all of them once a byte was slipped in.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.forge_repo import BRANCH, WAYS, ForgeRepo, protect
from tests.support.guarded import install
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import LOADER, Repo, copied

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history
CANDIDATE = "release-candidate/v2.7.1"
TAG = "refs/tags/v2.7.1"
FOUR = WAYS[:4]  # the others are two of these together


@dataclass(frozen=True)
class Proposed:
    """A release of a clean pick, a resolved one, a backport and one without a file, proposed; `forge` can merge it."""

    tale: Story
    forge: ForgeRepo
    base: str
    head: str  # the release commit that was proposed
    place: Path

    def run(self, *args: str) -> Ran:
        return release(*args, cwd=self.tale.clone.path)

    def fresh(self, name: str = "fresh") -> Repo:
        """A new clone, as a pipeline has."""
        self.tale.clone.git("clone", "--quiet", str(self.tale.remote.path), str(self.place / name))
        return Repo(self.place / name)


def declare(tale: Story) -> None:
    """A clean fix, one that conflicts, one that has a backport, one with a file that is not picked.

    release.yaml is on main, and says how releases land.
    """
    clone = tale.clone
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    clone.commit("feat: other words", {"words.txt": "one\ntwo\nthree\n"})
    conflicting = clone.commit("fix(words): the second", {"words.txt": "one\n2\nthree\n"})
    large = clone.commit("fix(speed): less waiting", {"speed.py": "FAST = True\n", "new.py": "NEW = 1\n"})
    beside = clone.commit("fix(port): another one", {"port.py": "PORT = 2222\n", "NEWS.txt": "another port\n"})
    clone.git("checkout", "--quiet", "-b", "backports", "release/v2.7")
    backport = clone.commit("fix(speed): less waiting, for 2.7", {"speed.py": "FAST = 1\n"})
    clone.git("checkout", "--quiet", "main")
    tale.release_yaml(
        f"      - commit: {tale.fix}\n        reason: leak\n      - commit: {conflicting}\n"
        f"      - commit: {large}\n        backport: {backport}\n"
        f"      - commit: {beside}\n        exclude: [NEWS.txt]",
        extra="land: pull-request\n",
    )
    clone.commit("chore: declare v2.7.1", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
    clone.git("push", "--quiet", "origin", "main", "backports")


@pytest.fixture(scope="module")
def once(told_once: Story, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Proposed after a conflict was resolved; nobody may push to the release branch."""
    place = tmp_path_factory.mktemp("proposed")
    tale = copied(told_once, place / "story")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place))
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        declare(tale)
        protect(tale.remote)
        paused = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
        assert paused.code == 3, paused.err
        tree = Repo(tale.clone.path / ".git/release/v2.7.1/worktree")
        tree.write("words.txt", "two\n")
        tree.git("add", "words.txt")
        ran = release("continue", "v2.7.1", "--yes", cwd=tale.clone.path)
        assert ran.code == 10, ran.err
    return tale


@pytest.fixture
def proposed(once: Story, tmp_path: Path) -> Proposed:
    tale = copied(once, tmp_path / "copy")
    head = tale.remote.rev(f"refs/heads/{CANDIDATE}")
    return Proposed(tale=tale, forge=ForgeRepo.of(tale, tmp_path / "forge"), base=tale.base, head=head, place=tmp_path)


def unprotect(remote: Repo) -> None:
    (remote.path / "hooks/pre-receive").unlink()


@pytest.mark.wide
@types("release/modes/landing.py: release cut {}", "release/modes/landing.py: release abort {}",
       "release/publish.py: release cut {} --pull-request")  # fmt: skip
def test_what_waits_says_so_and_what_leads_out(proposed: Proposed) -> None:
    again = proposed.run("cut", "v2.7.1", "--yes")
    assert again.code == 10
    assert "waits for its request to be merged into release/v2.7" in again.err
    status = proposed.run("status", "v2.7.1", "--json").json
    assert status["releases"][0]["state"] == "proposed"
    assert not proposed.tale.remote.git("for-each-ref", TAG)
    assert proposed.tale.remote.rev(BRANCH) == proposed.base
    here, remote = proposed.tale.clone.path, proposed.tale.remote
    assert typed(f"{said(again, 'release cut v')} --yes", here).returncode == 10
    remote.git("update-ref", "refs/release-candidates/v2.7.1", proposed.head)  # somebody else wrote that ref
    wrong = release("publish", "v2.7.1", cwd=proposed.fresh().path)
    assert "[bad-candidate]" in wrong.err, wrong.err
    repaired = typed(f"{said(wrong, 'release cut v')} --yes", here)
    assert repaired.returncode == 10, repaired.stderr
    assert release("publish", "v2.7.1", cwd=proposed.fresh("second").path).code == 10
    works(said(again, "release abort"), here)
    assert not remote.git("for-each-ref", "refs/release-candidates", f"refs/heads/{CANDIDATE}")


@pytest.mark.wide(6)
@pytest.mark.parametrize("how", WAYS)
def test_every_judge_calls_it_right(proposed: Proposed, how: str) -> None:
    remote = proposed.tale.remote
    tip = proposed.forge.merge(CANDIDATE, how)
    ran = proposed.run("cut", "v2.7.1", "--yes")
    assert ran.code == 0, ran.err
    tagged = remote.rev(f"{TAG}^{{commit}}")
    assert remote.rev(f"{tagged}^{{tree}}") == remote.rev(f"{proposed.head}^{{tree}}")
    assert (tagged == proposed.head) is (how in ("fast-forward", "merge"))
    assert remote.rev(BRANCH) == tip
    assert remote.attempt("merge-base", "--is-ancestor", tagged, tip).returncode == 0
    for branch in (CANDIDATE, "fix/dataloader-leak", "backports"):  # as forges do with what was merged
        remote.git("update-ref", "-d", f"refs/heads/{branch}")
    for clone in (proposed.tale.clone, proposed.fresh()):
        for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1"), ("notes", "v2.7.1")):
            judged = release(*command, cwd=clone.path)
            assert judged.code == 0, (clone.path.name, command, judged.out, judged.err)
    again = proposed.run("cut", "v2.7.1", "--yes", "--json")
    assert (again.code, again.json["released"]) == (0, False)


def test_the_notes_are_those_of_the_plan(proposed: Proposed) -> None:
    before = proposed.run("notes", "v2.7.1")
    proposed.forge.merge(CANDIDATE, "squash")
    assert proposed.run("cut", "v2.7.1", "--yes").code == 0
    after = proposed.run("notes", "v2.7.1")
    told = [[line for line in ran.out.splitlines() if line.startswith("- ")] for ran in (before, after)]
    assert len(told[0]) == 4
    assert told[0] == told[1]


def guard(proposed: Proposed) -> None:
    unprotect(proposed.tale.remote)
    ran = install(proposed.tale.remote, quick=True)
    assert ran.code == 0, ran.err


@pytest.mark.wide(6)
@pytest.mark.parametrize("how", WAYS)
def test_the_server_s_hook_lets_it_through(proposed: Proposed, how: str) -> None:
    """The merge, which comes without a tag, and then the tag, the record and what is kept."""
    guard(proposed)
    proposed.forge.merge(CANDIDATE, how)
    ran = proposed.run("cut", "v2.7.1", "--yes")
    assert ran.code == 0, ran.err
    assert proposed.tale.remote.git("for-each-ref", "refs/release-records/v2.7.1")
    moved = proposed.tale.clone.attempt("push", "origin", ":refs/release-candidates/v2.7.1")
    assert moved.returncode
    assert "is what was proposed as it" in moved.stderr


# Where a byte is slipped in: in what one of the picks brought, or left out.
BYTES = {
    "clean": ("loader.py", LOADER.replace("return 5\n", "return 5  # closed\n").replace("return 3\n", "return 4\n")),
    "adapted": ("words.txt", "twO\n"),
    "backport": ("speed.py", "FAST = 2\n"),
    "excluded": ("NEWS.txt", "another port\n"),
}


PAIRED = list(zip(FOUR, BYTES, strict=True))


@pytest.mark.wide(4)
@pytest.mark.parametrize(("how", "pick"), PAIRED)
def test_the_server_s_hook_finds_a_byte(proposed: Proposed, how: str, pick: str) -> None:
    guard(proposed)
    with pytest.raises(AssertionError, match="pre-receive hook declined"):
        merge_with_a_byte(proposed, how, pick)


def merge_with_a_byte(proposed: Proposed, how: str, pick: str) -> None:
    """The forge merges, and somebody changes the last commit before it is on the branch."""
    worker, push = proposed.forge.worker, ForgeRepo.push

    class Slipping(ForgeRepo):
        def push(self, branch: str = BRANCH) -> str:
            path, text = BYTES[pick]
            worker.write(path, text)
            worker.git("add", path)
            worker.git("commit", "--quiet", "--amend", "--no-edit")
            return push(self, branch)

    Slipping(worker).merge(CANDIDATE, how)


@pytest.mark.wide(2)
@pytest.mark.parametrize(("how", "pick"), PAIRED)
def test_a_byte_that_was_slipped_in_is_named_before_anything_is_tagged(proposed: Proposed, how: str, pick: str) -> None:
    merge_with_a_byte(proposed, how, pick)
    ran = proposed.run("cut", "v2.7.1", "--yes")
    assert ran.code == 9, ran.err
    assert BYTES[pick][0] in ran.err
    assert "landed on release/v2.7 in another way than it was planned" in ran.err
    assert not proposed.tale.remote.git("for-each-ref", TAG)


@pytest.mark.wide(21)
@pytest.mark.parametrize(("how", "pick"), list(product(FOUR, BYTES)))
def test_a_byte_under_a_tag_made_by_hand_is_found_by_all(proposed: Proposed, how: str, pick: str) -> None:
    """As a forger would do it who has the whole server: the right tag's text on another commit."""
    proposed.forge.merge(CANDIDATE, how)
    assert proposed.run("cut", "v2.7.1", "--yes").code == 0
    remote = proposed.tale.remote
    unprotect(remote)
    old = remote.rev(f"{TAG}^{{commit}}")
    new = forged(remote, old, *BYTES[pick])
    remote.git("update-ref", f"refs/heads/{BRANCH}", new)
    text = remote.git("cat-file", "tag", TAG).replace(old, new)
    tag = remote.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=text + "\n")
    remote.git("update-ref", TAG, tag)
    clone = proposed.fresh()
    told = release("notes", "v2.7.1", cwd=clone.path)
    assert (told.code, told.out) == (9, ""), told.err  # the record tells of another tag
    remote.git("update-ref", "-d", "refs/release-records/v2.7.1")
    for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
        judged = release(*command, cwd=clone.path)
        assert judged.code == 9, (command, judged.out, judged.err)
    remote.git("update-ref", "-d", TAG)
    assert install(remote, quick=True).code == 0
    pushed = clone.attempt("push", "origin", TAG)
    assert pushed.returncode, "the hook let it through"


def forged(remote: Repo, commit: str, path: str, text: str) -> str:
    """The commit with another text in a file."""
    blob = remote.git("hash-object", "-w", "--stdin", stdin=text)
    rows = [row for row in remote.git("ls-tree", commit).split("\n") if not row.endswith(f"\t{path}")]
    tree = remote.git("mktree", stdin="\n".join([*rows, f"100644 blob {blob}\t{path}"]) + "\n")
    body = remote.attempt("cat-file", "commit", commit).stdout
    return remote.git("hash-object", "-t", "commit", "-w", "--stdin",
                      stdin=body.replace(remote.rev(f"{commit}^{{tree}}"), tree, 1))  # fmt: skip


# ------------------------------------------------------------------ what cannot be gone on with, and the way out


@types("landing/forms.py: release abort {}", "landing/forms.py: release check", "landing/forms.py: release cut {}")
def test_another_request_landed_first(tale: Story, tmp_path: Path) -> None:
    """It is named; and the way out that is printed leads to a release that every judge calls right."""
    tale.release_yaml(f"      - commit: {tale.fix}", extra="land: pull-request\n")
    protect(tale.remote)
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 10
    head = tale.remote.rev(f"refs/heads/{CANDIDATE}")
    forge = ForgeRepo.of(tale, tmp_path / "forge")
    proposed = Proposed(tale=tale, forge=forge, base=tale.base, head=head, place=tmp_path)
    extra = proposed.forge.commit("fix: something of its own", {"own.txt": "x\n"})
    proposed.forge.merge(CANDIDATE, "rebase")
    ran = proposed.run("cut", "v2.7.1", "--yes")
    assert ran.code == 9
    assert f"{extra[:12]} 'fix: something of its own' landed before it" in ran.err
    works(said(ran, "release abort"), tale.clone.path)
    assert not proposed.tale.remote.git("for-each-ref", "refs/release-candidates", f"refs/heads/{CANDIDATE}")
    checked = typed(said(ran, "release check"), tale.clone.path)
    assert f"- {{commit: {extra}, allow: [duplicate]}}" in checked.stderr
    text = (proposed.tale.clone.path / "release.yaml").read_text()
    lines = [f"{line}\n        allow: [duplicate, empty]" if "- commit" in line else line for line in text.splitlines()]
    at = next(number for number, line in enumerate(lines) if line.startswith("land:"))
    lines.insert(at, f"      - {{commit: {extra}, allow: [duplicate]}}")
    proposed.tale.declare("\n".join(lines) + "\n")
    assert typed(f"{said(ran, 'release cut')} --yes", tale.clone.path).returncode == 10
    proposed.forge.merge(CANDIDATE, "merge")
    done = proposed.run("cut", "v2.7.1", "--yes")
    assert done.code == 0, done.err
    for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
        judged = proposed.run(*command)
        assert judged.code == 0, (command, judged.out, judged.err)


def test_the_branch_moved_on_before_the_merge(proposed: Proposed) -> None:
    """The same command plans on the new tip, and the proposal follows."""
    proposed.forge.commit("docs: something else", {"other.txt": "x\n"})
    again = proposed.run("cut", "v2.7.1", "--yes")
    assert again.code == 10, again.err
    assert proposed.tale.remote.rev(f"refs/heads/{CANDIDATE}") != proposed.head
    proposed.forge.merge(CANDIDATE, "fast-forward")
    assert proposed.run("cut", "v2.7.1", "--yes").code == 0


@types("landing/request.py: git fetch {} {} && git log {}..FETCH_HEAD", "landing/request.py: release abort {}",
       "release/modes/landing.py: git push {} :refs/heads/{}")  # fmt: skip
def test_somebody_pushed_to_what_was_proposed(proposed: Proposed) -> None:
    added = proposed.forge.commit("fix: while we are at it", {"own.txt": "x\n"}, CANDIDATE)
    ran = proposed.run("cut", "v2.7.1", "--yes")
    assert ran.code == 9
    assert f"holds {added[:12]} now" in ran.err
    assert "while we are at it" in works(said(ran, "git fetch"), proposed.tale.clone.path).stdout
    proposed.forge.merge(CANDIDATE, "merge")
    merged = proposed.run("cut", "v2.7.1", "--yes")
    assert merged.code == 9
    assert f"{added[:12]} 'fix: while we are at it' came with it, and is not in the plan" in merged.err
    left = works(said(ran, "release abort"), proposed.tale.clone.path)
    works(said(Ran(0, left.stdout, ""), "git push origin"), proposed.tale.clone.path)
    assert not proposed.tale.remote.git("for-each-ref", f"refs/heads/{CANDIDATE}")


@types("release/modes/landing.py: release check", "release/modes/landing.py: release cut {}")
def test_it_is_given_up_after_it_landed(proposed: Proposed) -> None:
    """What landed stays, and is released by what `abort` prints."""
    here = proposed.tale.clone.path
    proposed.forge.merge(CANDIDATE, "fast-forward")
    left = proposed.run("abort", "v2.7.1")
    assert "what landed stays" in left.out, left.out + left.err
    typed(said(left, "release check"), here)
    asked = typed(f"{said(left, 'release cut')} --yes", here)
    assert (asked.returncode, "allow: [duplicate]" in asked.stderr) == (5, True), asked.stderr


def test_it_was_merged_twice(proposed: Proposed) -> None:
    proposed.forge.merge(CANDIDATE, "squash")
    proposed.forge.merge(CANDIDATE, "merge")
    ran = proposed.run("cut", "v2.7.1", "--yes")
    assert ran.code == 9
    assert "it was merged twice" in ran.err


@types("release/steps/land.py: git push {} :refs/heads/{}")
def test_a_branch_of_that_name_that_nobody_proposed(tale: Story) -> None:
    declare(tale)
    tale.release_yaml(f"      - commit: {tale.fix}", extra="land: pull-request\n")
    tale.clone.git("push", "--quiet", "origin", f"main:refs/heads/{CANDIDATE}")
    ran = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert ran.code == 4
    works(said(ran, "git push origin"), tale.clone.path)
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 10


def test_the_pipeline_of_the_branch_goes_on(proposed: Proposed) -> None:
    """`publish --landed` in a new clone: nothing before the merge, the whole release after it, nothing again."""
    clone = proposed.fresh("pipeline")
    clone.git("config", "user.name", "The Pipeline")
    clone.git("config", "user.email", "ci@forge.example")
    before = release("publish", "--landed", "--json", cwd=clone.path)
    assert (before.code, before.json["released"]) == (0, False)
    waiting = release("publish", "v2.7.1", cwd=clone.path)
    assert waiting.code == 10
    proposed.forge.merge(CANDIDATE, "squash")
    done = release("publish", "--landed", "--json", cwd=clone.path)
    assert (done.code, done.json["released"]) == (0, True), done.err
    again = release("publish", "--landed", "--json", cwd=clone.path)
    assert (again.code, again.json["released"]) == (0, False)
    assert release("audit", cwd=clone.path).code == 0
    closed = proposed.run("cut", "v2.7.1", "--yes")
    assert closed.code == 0, closed.err


@pytest.mark.wide(4)
@pytest.mark.parametrize(("how", "who"), [*zip(FOUR, ("pipeline", "clone") * 2, strict=True)])
def test_a_topic_branch_that_is_gone_before_the_merge(proposed: Proposed, how: str, who: str) -> None:
    """What a fix was picked from is on no branch: it is kept beside the proposal, and then beside the record."""
    remote, clone = proposed.tale.remote, proposed.tale.clone
    clone.git("branch", "-D", "backports")
    clone.git("push", "--quiet", "origin", "--delete", "backports")
    clone.git("fetch", "--quiet", "--prune", "origin")
    remote.git("gc", "--quiet", "--prune=now")
    job = proposed.fresh("pipeline")
    job.git("config", "user.name", "The Pipeline")
    job.git("config", "user.email", "ci@forge.example")
    proposed.forge.merge(CANDIDATE, how)
    steps = {
        "pipeline": (job, ("publish", "--landed")),
        "clone": (clone, ("cut", "v2.7.1", "--yes")),
        "other": (proposed.fresh("other"), ("audit",)),
    }
    for repo, command in [steps.pop(who), *steps.values(), (job, ("verify", "v2.7.1"))]:
        judged = release(*command, cwd=repo.path)
        assert judged.code == 0, (repo.path.name, command, judged.out, judged.err)
    assert remote.git("for-each-ref", "refs/release-sources/v2.7.1")

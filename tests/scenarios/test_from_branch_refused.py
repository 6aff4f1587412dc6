"""What cannot be released as it is on the branch, each in one line, and the way out that is printed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.forge_repo import BRANCH, ForgeRepo, protect
from tests.support.guarded import install
from tests.support.remedies import said, works
from tests.support.story import Repo, Story

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history
HEAD = "version: 1\nbranch: release/v2.7\nsource: main\n"
YAML = f"{HEAD}releases:\n  v2.7.1:\n    from-branch: true\n"
JUDGES = (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1"))


@pytest.fixture
def forge(tale: Story, tmp_path: Path) -> ForgeRepo:
    """release.yaml of the protected branch takes what is on the release branch."""
    tale.clone.commit("chore: declare", {"release.yaml": YAML})
    tale.clone.git("push", "--quiet", "origin", "main")
    return ForgeRepo.of(tale, tmp_path / "forge")


def run(tale: Story, *args: str) -> Ran:
    return release(*args, cwd=tale.clone.path)


def judged(tale: Story) -> None:
    for command in JUDGES:
        ran = run(tale, *command)
        assert ran.code == 0, (command, ran.out, ran.err)


@pytest.mark.wide
def test_nothing_came_to_the_branch(tale: Story, forge: ForgeRepo) -> None:
    ran = run(tale, "plan", "v2.7.1")
    assert ran.code == 2
    assert "nothing came to release/v2.7 since v2.7.0" in ran.err
    assert "have a backport merged there first, or declare `fixes:`" in ran.err
    assert run(tale, "check").code == 0, "it may still come"
    wrong = forge.commit("fix: wrong", {"wrong.txt": "wrong\n"})
    forge.worker.git("revert", "--no-edit", wrong)
    forge.push()
    assert "[nothing-on-branch]" in run(tale, "plan", "v2.7.1").err
    forge.commit("fix: right", {"right.txt": "right\n"})
    assert run(tale, "cut", "v2.7.1", "--yes").code == 0
    judged(tale)


@pytest.mark.wide
def test_a_source_branch_that_was_merged(tale: Story, forge: ForgeRepo) -> None:
    """It is named, a server with the hook takes no such push, and what was merged can be taken back."""
    forge.commit("fix: right", {"right.txt": "right\n"})
    merged = forge.merge("main", "merge", message="Merge branch 'main' into release/v2.7")
    ran = run(tale, "plan", "v2.7.1")
    assert (ran.code, "[merge-of-a-source]" in ran.err) == (5, True), ran.err
    assert f"{merged[:12]} \"Merge branch 'main' into release/v2.7\" brings a source branch" in ran.err
    works(said(ran, "git revert -m 1"), forge.worker.path)
    tip = forge.push()
    assert run(tale, "cut", "v2.7.1", "--yes").code == 0
    judged(tale)
    assert tale.remote.rev(f"{BRANCH}^") == tip


@pytest.mark.wide
def test_a_merge_that_holds_what_none_of_its_sides_has(tale: Story, forge: ForgeRepo) -> None:
    """Somebody must answer for it, in an entry."""
    worker = forge.worker
    worker.git("fetch", "--quiet", "origin")
    worker.git("checkout", "--quiet", "--detach", "origin/release/v2.7")
    worker.commit("fix: by a request", {"topic.txt": "1\n"})
    worker.git("push", "--quiet", "origin", "HEAD:refs/heads/topic")
    forge.commit("fix: before it", {"other.txt": "1\n"})
    worker.git("fetch", "--quiet", "origin")
    worker.git("merge", "--quiet", "--no-ff", "--no-commit", "origin/topic")
    merge = worker.commit("Merge request 7", {"slipped.txt": "in\n"})
    forge.push()
    ran = run(tale, "plan", "v2.7.1")
    assert (ran.code, "[merge-adds]" in ran.err) == (5, True), ran.err
    line = f"- {{commit: {merge}, mainline: 1, allow: [duplicate]}}"
    assert line in ran.err
    tale.clone.write("release.yaml", f"{YAML}    fixes:\n      {line}\n")
    assert run(tale, "cut", "v2.7.1", "--yes").code == 0
    judged(tale)


def test_a_file_that_no_line_can_be_added_to(tale: Story, forge: ForgeRepo) -> None:
    forge.commit("fix: right", {"right.txt": "right\n"})
    tale.clone.write("release.yaml", f"{HEAD}releases:\n  v2.7.1: {{from-branch: true}}\n")
    ran = run(tale, "plan", "v2.7.1")
    assert (ran.code, "[cannot-edit]" in ran.err) == (2, True), ran.err
    assert "Traceback" not in ran.err


@pytest.mark.wide(2)
@pytest.mark.parametrize(
    ("policy", "code"), [("types: [fix]", "feature-in-patch"), ("required-approvals: 1", "approvals-missing")]
)
def test_the_policy_counts_for_what_landed(tale: Story, forge: ForgeRepo, policy: str, code: str) -> None:
    """The branch is no way around it; an entry of its own says who approved, and why."""
    feature = forge.commit("feat: more", {"more.txt": "1\n"})
    text = f"{YAML}policy:\n  {policy.replace('[fix]', '[fix, feat]')}\n  declared-on-source: true\n"
    declare(tale, text)
    ran = run(tale, "plan", "v2.7.1")
    assert (ran.code, f"[{code}]" in ran.err) == (4, True), ran.err
    entry = f"- {{commit: {feature}, allow: [duplicate]}}"
    assert entry in ran.err
    said_of_it = "allow: [duplicate, feature], reason: asked for, approved-by: Rita"
    entry = entry.replace("allow: [duplicate]", said_of_it)
    new = text.replace("from-branch: true\n", f"from-branch: true\n    fixes:\n      {entry}\n")
    tale.clone.write("release.yaml", new)
    alone = run(tale, "plan", "v2.7.1")
    assert "[not-declared-on-source]" in alone.err, "nobody approves at home"
    declare(tale, new)
    assert run(tale, "cut", "v2.7.1", "--yes").code == 0
    judged(tale)


def declare(tale: Story, text: str) -> None:
    tale.clone.commit("chore: declare it", {"release.yaml": text})
    tale.clone.git("push", "--quiet", "origin", "main")


@pytest.mark.wide
def test_it_lands_by_a_pull_request_too(tale: Story, forge: ForgeRepo) -> None:
    forge.commit("fix: right", {"right.txt": "right\n"})
    declare(tale, f"{YAML}land: pull-request\n")
    protect(tale.remote)
    assert run(tale, "cut", "v2.7.1", "--yes").code == 10
    forge.merge("release-candidate/v2.7.1", "merge")
    assert run(tale, "cut", "v2.7.1", "--yes").code == 0
    judged(tale)
    forge.commit("fix: later", {"later.txt": "later\n"})
    declare(tale, f"{YAML}  v2.7.2:\n    from-branch: true\nland: pull-request\n")
    plan = run(tale, "plan", "v2.7.2", "--json").json
    assert [pick["subject"] for pick in plan["picks"]] == ["fix: later"]


# ------------------------------------------------------------------ the server's hook


def test_a_guarded_server_takes_single_commits_and_a_release_of_all_of_them(tale: Story, forge: ForgeRepo) -> None:
    remote, clone = tale.remote, tale.clone
    assert install(remote, quick=True).code == 0
    first = forge.commit("fix: one", {"one.txt": "1\n"})
    forge.commit("fix: two", {"two.txt": "2\n"})
    with pytest.raises(AssertionError, match="brings a source branch to release"):
        forge.merge("main", "merge")
    made = release_commit(tale)
    text = clone.git("show", f"{made}:release.yaml")
    fewer = with_file(
        clone, made, text.replace(f"      - commit: {first}  # fix: one\n        allow: [duplicate]\n", "")
    )
    assert f"leaves out {first[:12]} 'fix: one', which is on the branch" in refused(clone, fewer)
    more = with_file(clone, made, text.replace("    fixes:\n", f"    fixes:\n      - commit: {tale.before}\n"))
    assert f"{tale.before[:12]} 'wip: trace the loader' is not on main" in refused(clone, more)
    other = with_file(clone, made, text.replace(f"commit: {first}", f"commit: {clone.rev('main~1')}"))
    assert "is declared and missing on the branch" in refused(clone, other)
    approved = with_file(clone, made, text.replace("[duplicate]", "[duplicate]\n        approved-by: Rita", 1))
    assert f"says more of {first[:12]} than that it came to the branch" in refused(clone, approved)
    assert run(tale, "cut", "v2.7.1", "--yes").code == 0
    assert remote.rev(BRANCH) == made, "what is refused when a byte differs is taken as it is"
    judged(tale)


def release_commit(tale: Story) -> str:
    """The commit that a cut makes, in this clone: made on a copy of the remote."""
    twin = tale.clone.path.parent / "twin"
    shutil.copytree(tale.remote.path, twin / "remote.git", ignore=shutil.ignore_patterns("hooks"))
    tale.clone.git("clone", "--quiet", str(twin / "remote.git"), str(twin / "clone"))
    copy = Repo(twin / "clone")
    copy.git("config", "user.name", "Mia Maintainer")
    copy.git("config", "user.email", "mia@example.com")
    ran = release("cut", "v2.7.1", "--yes", cwd=copy.path)
    assert ran.code == 0, ran.err
    tale.clone.git("fetch", "--quiet", "--no-tags", str(twin / "remote.git"), BRANCH)
    return tale.clone.rev("FETCH_HEAD")


def with_file(clone: Repo, commit: str, text: str) -> str:
    """The commit with another release.yaml."""
    assert text != clone.git("show", f"{commit}:release.yaml")
    blob = clone.git("hash-object", "-w", "--stdin", stdin=f"{text}\n")
    rows = clone.git("ls-tree", commit).splitlines()
    tree = clone.git("mktree", stdin="".join(
        f"{row.split()[0]} {row.split()[1]} {blob if row.endswith('release.yaml') else row.split()[2]}\t{row[53:]}\n"
        for row in rows
    ))  # fmt: skip
    body = clone.attempt("cat-file", "commit", commit).stdout
    return clone.git("hash-object", "-t", "commit", "-w", "--stdin",
                     stdin=body.replace(clone.rev(f"{commit}^{{tree}}"), tree, 1))  # fmt: skip


def refused(clone: Repo, commit: str) -> str:
    pushed = clone.attempt("push", "origin", f"{commit}:refs/heads/{BRANCH}")
    assert pushed.returncode, "the hook let it through"
    return pushed.stderr

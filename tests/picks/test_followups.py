"""What later commits say of a fix: reverts, fixes of the fix, fixups, mentions, through as many steps as there are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.declaration import Fix
from orchestrator.core.pick import FollowUp
from orchestrator.core.results import Place
from orchestrator.git.repository import Repository
from orchestrator.picks import containing_branches
from orchestrator.picks.followups import followups
from orchestrator.picks.sources import Source
from tests.support.cli import Ran, release
from tests.support.story import LOADER, VERSION, fix_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.story import Repo, Story

pytestmark = pytest.mark.history

Said = tuple[FollowUp, ...]
SUBJECT = "fix(loader): close the workers"


@pytest.fixture
def repo(tale: Story) -> Repo:
    """The clone, with the fix on main."""
    tale.clone.git("cherry-pick", tale.fix)
    return tale.clone


@pytest.fixture
def ask(tale: Story) -> Iterator[Callable[..., Said]]:
    """The follow-ups of the first of the commits given, by default of the tip; asked together with the others."""
    repository = Repository.discover(tale.clone.path)

    def asked(*shas: str, tips: tuple[str, ...] = ("main",), warm: bool = False) -> Said:
        with repository.scratch() as scratch:
            if not warm:
                scratch.cache.path = None
            sources = [
                Source(
                    fix=Fix(place=Place(file="x")), commit=scratch.commit(sha), parent=scratch.commit(sha).parents[0]
                )
                for sha in shas
            ]
            named = {tip: tale.clone.rev(tip) for tip in tips}
            where = containing_branches.find(repository, scratch, shas, list(named.values()), "origin")
            return followups(scratch, sources, named, where)[shas[0]]

    yield asked
    repository.close()


def empty(repo: Repo, message: str) -> str:
    return repo.commit(message, {})


def told(found: Said) -> list[tuple[str, str, bool]]:
    return [(each.kind, each.sha, each.stands) for each in found]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("revert", 'Revert "x"\n\nThis reverts commit {full}.'),
        ("revert", "undo it\n\nIt broke the build. This reverts commit {seven}."),
        ("revert", f'Revert "{SUBJECT}"\n\nReverts example/image#12'),
        ("revert", f'Revert "{SUBJECT}" (#13)'),
        ("revert", "undo two\n\nThis reverts commits 1234567890ab and {eight}."),
        ("fixes", "fix: x\n\nFixes: {seven}"),
        ("fixes", 'fix: x\n\nFixes: {full} ("fix: y")\nSigned-off-by: A <a@example.com>'),
        ("fixes", "fix: x\n\nThis fixes commit {eight}, which forgot the last worker."),
        ("fixup", f"fixup! {SUBJECT}"),
        ("fixup", f"squash! fixup! {SUBJECT}"),
        ("fixup", f"amend! {SUBJECT}\n\nnew words"),
        ("fixup", "fixup! {seven}"),
        ("mention", "docs: x\n\nSince {eight} it is so."),
        ("mention", "docs: after {full}"),
        ("mention", "docs: x\n\nhttps://example.com/image/commit/{full}#diff"),
        ("mention", 'reland\n\n> Revert "x"\n> This reverts commit 1234567890.\n\nOriginal: {full}'),
    ],
)
def test_kinds(repo: Repo, ask: Callable[..., Said], kind: str, message: str) -> None:
    fix = repo.rev("HEAD")
    later = empty(repo, message.format(full=fix, eight=fix[:8], seven=fix[:7]))
    assert ask(fix) == (
        FollowUp(sha=later, kind=kind, subject=message.split("\n", 1)[0].format(full=fix, seven=fix[:7]), of=fix),
    )


@pytest.mark.parametrize(
    "message",
    [
        "docs: x\n\nSince {seven} it is so.",
        "docs: x\n\nsha256:{full}000000000000000000000000",
        "docs: x\n\na{eight} and {eight}x and 0{eight}",
        "fix: y\n\n(cherry picked from commit {full})",
        "fix: y\n\ncommit {full} upstream.",
        f"{SUBJECT}, again",
        f'Revert "{SUBJECT}, again"',
        "fixup! fix(loader)",
        "revert: x\n\n> This reverts commit {full}.",
    ],
)
def test_what_is_no_followup(repo: Repo, ask: Callable[..., Said], message: str) -> None:
    fix = repo.rev("HEAD")
    empty(repo, message.format(full=fix, eight=fix[:8], seven=fix[:7]))
    assert ask(fix) == ()


def test_a_name_by_subject_means_the_nearest_older_commit(repo: Repo, ask: Callable[..., Said]) -> None:
    first = repo.rev("HEAD")
    undone = empty(repo, f'Revert "{SUBJECT}"')
    second = empty(repo, SUBJECT)
    fixup = empty(repo, f"fixup! {SUBJECT}")
    assert told(ask(first, second)) == [("revert", undone, True)]
    assert told(ask(second, first)) == [("fixup", fixup, True)]
    assert told(ask(second)) == [("fixup", fixup, True)]


@pytest.mark.wide(2)
@pytest.mark.parametrize("by_subject", [False, True])
def test_reverts_of_reverts(repo: Repo, ask: Callable[..., Said], by_subject: bool) -> None:
    target, subject = repo.rev("HEAD"), SUBJECT
    fix = target
    made: list[str] = []
    for depth in range(1, 6):
        body = "" if by_subject else f"\n\nThis reverts commit {target}."
        subject = f'Revert "{subject}"'
        target = empty(repo, subject + body)
        made.append(target)
        stands = [(depth - number) % 2 == 0 for number in range(1, depth + 1)]
        assert told(ask(fix)) == [("revert", sha, each) for sha, each in zip(made, stands, strict=True)]


def test_a_fix_that_was_taken_back_twice_is_gone(repo: Repo, ask: Callable[..., Said]) -> None:
    fix = repo.rev("HEAD")
    first = empty(repo, f"undo\n\nThis reverts commit {fix}.")
    again = empty(repo, f"redo\n\nThis reverts commit {first}.")
    second = empty(repo, f"undo\n\nThis reverts commit {fix}.")
    assert set(told(ask(fix))) == {("revert", second, True), ("revert", first, False), ("revert", again, True)}


def test_chains_are_followed_to_their_end(repo: Repo, ask: Callable[..., Said]) -> None:
    fix = target = repo.rev("HEAD")
    expected = []
    for number in range(6):
        kind, how = (("fixes", "Fixes: "), ("mention", "See "))[number % 2]
        later = empty(repo, f"step {number}\n\n{how}{target[:9]}")
        expected.append(FollowUp(sha=later, kind=kind, subject=f"step {number}", of=target))
        target = later
    assert ask(fix) == tuple(expected)


def test_a_revert_of_the_merge_that_brought_the_fix(tale: Story, ask: Callable[..., Said]) -> None:
    repo = tale.clone
    repo.git("merge", "--quiet", "--no-ff", "-m", f"Merge the loader fix, {tale.fix}", "fix/dataloader-leak")
    repo.minutes += 1
    merge = repo.rev("HEAD")
    assert ask(tale.fix) == ()
    repo.git("revert", "--no-edit", "-m", "1", merge)
    revert = repo.rev("HEAD")
    assert told(ask(tale.fix)) == [("revert", revert, True)]
    assert told(ask(merge, tale.fix)) == [("revert", revert, True)]
    repo.git("revert", "--no-edit", "HEAD")
    assert set(told(ask(tale.fix))) == {("revert", revert, False), ("revert", repo.rev("HEAD"), True)}


def test_a_copy_on_the_source_speaks_for_the_fix(tale: Story, ask: Callable[..., Said]) -> None:
    repo = tale.clone
    repo.git("cherry-pick", "-x", tale.fix)
    copy = repo.rev("HEAD")
    later = empty(repo, f"fix: more\n\nFixes: {copy}")
    undone = empty(repo, f"undo\n\nThis reverts commit {copy}.")
    assert set(ask(tale.fix)) == {
        FollowUp(sha=later, kind="fixes", subject="fix: more", of=tale.fix),
        FollowUp(sha=undone, kind="revert", subject="undo", of=tale.fix),
    }
    empty(repo, f"{SUBJECT}\n\n(cherry picked from commit {tale.fix})")
    assert ("revert", undone, False) in told(ask(tale.fix))


def test_a_copy_of_a_followup_is_not_listed_twice(repo: Repo, ask: Callable[..., Said]) -> None:
    fix = repo.rev("HEAD")
    repo.git("branch", "next")
    later = empty(repo, f"fix: more\n\nFixes: {fix}")
    repo.git("checkout", "--quiet", "next")
    empty(repo, f"fix: more\n\nFixes: {fix}\n(cherry picked from commit {later})")
    assert told(ask(fix, tips=("main", "next"))) == [("fixes", later, True)]


def test_a_fix_elsewhere_is_followed_on_the_branches_that_hold_it(tale: Story, ask: Callable[..., Said]) -> None:
    repo = tale.clone
    repo.git("checkout", "--quiet", "-b", "experiment", tale.fix)
    undone = empty(repo, f"undo\n\nThis reverts commit {tale.fix}.")
    repo.git("checkout", "--quiet", "fix/dataloader-leak")
    fixup = empty(repo, f"fixup! {SUBJECT}")
    repo.git("checkout", "--quiet", "main")
    named = empty(repo, f"docs: about {tale.fix[:10]}")
    assert set(told(ask(tale.fix))) == {("revert", undone, False), ("fixup", fixup, True), ("mention", named, True)}


def test_clocks_that_lie_hide_nothing(repo: Repo, ask: Callable[..., Said]) -> None:
    """The fix that calls itself older contains the other one and all that was said before it."""
    fix = repo.rev("HEAD")
    later = empty(repo, f"fix: more\n\nFixes: {fix}")
    repo.minutes -= 5000
    early = empty(repo, "feat: from a machine without a clock")
    assert told(ask(fix, early)) == [("fixes", later, True)]


def test_many_fixes_cost_no_more_processes_than_one(repo: Repo, tmp_path: Path) -> None:
    shas = [empty(repo, f"fix: {number}") for number in range(12)]
    assert _processes(repo, shas[:1], tmp_path / "one") == 1
    assert _processes(repo, shas, tmp_path / "many") == 1
    assert _processes(repo, shas, tmp_path / "again") == 0  # the cache knows


def _processes(repo: Repo, shas: list[str], trace: Path) -> int:
    """How many git processes the search starts, by git's own trace; the reader of objects is one that runs already."""
    repository = Repository.discover(repo.path)
    with repository.scratch() as scratch:
        sources = [Source(fix=Fix(place=Place(file="x")), commit=scratch.commit(sha), parent="") for sha in shas]
        where = containing_branches.find(repository, scratch, shas, [repo.rev("main")], "origin")
        scratch.git.env["GIT_TRACE"] = str(trace)
        assert followups(scratch, sources, {"main": repo.rev("main")}, where)[shas[0]] == ()
    repository.close()
    return trace.read_text().count("built-in: git ") if trace.exists() else 0


def test_odd_bytes_and_long_lines(repo: Repo, ask: Callable[..., Said]) -> None:
    fix = repo.rev("HEAD")
    text = f"caf\udce9\n\nThis reverts commit 1234567,{' ' * 50_000}x {'and ' * 20_000}\nFixes: {fix}"
    repo.write("message", text.encode("utf-8", "surrogateescape"))
    repo.git("-c", "i18n.commitEncoding=x-none", "commit", "--quiet", "--allow-empty", "-F", "message")
    assert [(each.kind, each.subject) for each in ask(fix)] == [("fixes", "caf\ufffd")]


def test_the_cache_gives_the_same_answer(repo: Repo, ask: Callable[..., Said]) -> None:
    fix = repo.rev("HEAD")
    empty(repo, f"fix: more\n\nFixes: {fix}")
    first = ask(fix, warm=True)
    assert first == ask(fix, warm=True) == ask(fix)
    empty(repo, f"fix: still more\n\nFixes: {fix}")
    assert len(ask(fix, warm=True)) == 2


# ------------------------------------------------------------------ the command line


def plan(tale: Story, entries: str) -> Ran:
    tale.release_yaml(entries)
    return release("plan", VERSION, "--json", cwd=tale.clone.path)


def codes(ran: Ran) -> list[str]:
    return [problem["code"] for problem in ran.json["problems"]]


@pytest.mark.wide
def test_a_reverted_fix_is_refused_until_the_entry_says_why(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    repo.git("revert", "--no-edit", fix)
    revert = repo.rev("HEAD")
    refused = plan(tale, fix_line(fix))
    assert refused.code == 5
    assert codes(refused) == ["reverted-pick"]
    cut = release("cut", VERSION, "--yes", cwd=repo.path)
    assert cut.code == 5
    assert f"was reverted on main by {revert[:12]}" in cut.err
    assert "release.yaml:8:9" in cut.err
    unexplained = plan(tale, fix_line(fix) + "\n        allow: [reverted]")
    assert unexplained.code == 2
    assert unexplained.json["error"]["where"] == "release.yaml:9:16"
    allowed = plan(tale, fix_line(fix) + "\n        allow: [reverted]\n        reason: main has another loader")
    assert allowed.code == 0, allowed.err
    assert allowed.json["picks"][0]["followups"][0]["sha"] == revert
    repo.git("revert", "--no-edit", revert)
    fine = plan(tale, fix_line(fix))
    assert fine.code == 0, fine.err
    assert [each["stands"] for each in fine.json["picks"][0]["followups"]] == [False, True]


@pytest.mark.wide
def test_a_fix_of_the_fix_is_told_with_the_edit(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    closed = (repo.path / "loader.py").read_text()
    more = repo.commit(f"fix: more\n\nFixes: {fix}", {"loader.py": closed.replace("return 2\n", "return 22\n")})
    most = empty(repo, f"fix: most\n\nFixes: {more}")
    taken_back = empty(repo, f"fix: wrong\n\nFixes: {fix}")
    empty(repo, f"undo\n\nThis reverts commit {taken_back}.")
    before = plan(tale, fix_line(fix))
    notes = [note for note in before.json["notes"] if "to take it along" in note]
    assert [note.split(" ", 1)[0] for note in notes] == [more[:12], most[:12]]
    assert f"fixes {fix[:12]}" in notes[0]
    assert f"- commit: {more[:12]}" in notes[0]
    shown = release("plan", VERSION, cwd=repo.path)
    assert f"fixes: {more[:12]} fix: more" in shown.out
    assert f"fixes of {more[:12]}: {most[:12]} fix: most" in shown.out
    declared = plan(tale, f"{fix_line(fix)}\n{fix_line(more)}\n{fix_line(most)}\n        allow: [empty]")
    assert declared.code == 0, declared.err
    assert not [note for note in declared.json["notes"] if "to take it along" in note]


def test_a_fix_of_the_fix_that_is_on_the_branch_is_not_asked_for(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    readme = (repo.path / "README.md").read_text()
    more = repo.commit(f"docs: more\n\nFixes: {fix}", {"WORDS.md": readme})
    repo.git("checkout", "--quiet", "release/v2.7")
    repo.git("cherry-pick", more)
    repo.git("push", "--quiet", "origin", "release/v2.7")
    repo.git("checkout", "--quiet", "main")
    assert not [note for note in plan(tale, fix_line(fix)).json["notes"] if "to take it along" in note]


def test_what_the_source_says_is_no_part_of_the_plan_id(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    before = plan(tale, fix_line(fix)).json
    empty(repo, f"docs: about {fix}")
    after = plan(tale, fix_line(fix)).json
    assert before["picks"] != after["picks"]
    assert before["plan_id"] == after["plan_id"]


@pytest.mark.wide
def test_where_a_fix_lives_is_said_and_kept(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    planned = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert planned["picks"][0]["lives_on"] == "origin/fix/dataloader-leak"
    assert "is not on origin/main yet; it lives on origin/fix/dataloader-leak" in planned["notes"][0]
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    shown = release("show", VERSION, cwd=tale.clone.path)
    assert "(from origin/fix/dataloader-leak)" in shown.out
    record = json.loads(tale.remote.git("cat-file", "blob", f"refs/release-records/{VERSION}"))
    assert record["picks"][0]["lives_on"] == "origin/fix/dataloader-leak"


def test_a_fix_on_no_branch_is_said_aloud(tale: Story) -> None:
    repo = tale.clone
    repo.git("checkout", "--quiet", "--detach", "main")
    loose = repo.commit("fix: loose", {"loader.py": LOADER.replace("return 3\n", "return 33\n")})
    repo.git("checkout", "--quiet", "main")
    planned = plan(tale, fix_line(loose)).json
    assert planned["picks"][0]["lives_on"] == ""
    assert "no branch here holds it" in planned["notes"][0]


def test_a_branch_that_has_the_revert_of_a_fix_elsewhere_refuses_it(tale: Story) -> None:
    repo = tale.clone
    repo.git("checkout", "--quiet", "fix/dataloader-leak")
    repo.git("revert", "--no-edit", tale.fix)
    revert = repo.rev("HEAD")
    repo.git("checkout", "--quiet", "main")
    assert codes(plan(tale, fix_line(tale.fix))) == []  # origin's branch does not have it yet
    repo.git("push", "--quiet", "origin", "fix/dataloader-leak")
    refused = plan(tale, fix_line(tale.fix))
    assert refused.code == 5
    assert f"was reverted on origin/fix/dataloader-leak by {revert[:12]}" in refused.json["problems"][0]["message"]


def test_a_revert_after_the_tag_does_not_stop_its_publication(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    tale.release_yaml(fix_line(fix))
    assert release("cut", VERSION, "--yes", cwd=repo.path).code == 0
    repo.git("revert", "--no-edit", fix)
    repo.git("push", "--quiet", "origin", "main")
    assert release("publish", VERSION, cwd=repo.path).code == 0


@pytest.mark.wide
def test_a_fix_merged_under_another_id_is_known_when_its_branch_is_gone(tale: Story) -> None:
    """The commit on the release branch has the same change, so the old objects are not needed."""
    repo = tale.clone
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=repo.path).code == 0
    picked = tale.remote.rev("release/v2.7^")
    repo.git("cherry-pick", tale.fix)
    merged = repo.rev("HEAD")
    repo.git("push", "--quiet", "origin", "main", ":fix/dataloader-leak")
    repo.git("branch", "-D", "fix/dataloader-leak")
    for ref in ("notes/release", f"release-sources/{VERSION}", f"release/{VERSION}/sources"):
        repo.git("update-ref", "-d", f"refs/{ref}")
    repo.git("fetch", "--quiet", "origin")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "--quiet", "--prune=now")
    assert repo.attempt("cat-file", "-e", tale.fix).returncode
    found = release("duplicates", "main", "--json", cwd=repo.path)
    assert found.code == 9, found.err
    assert [(each["commit"], each["duplicate_of"]) for each in found.json["duplicates"]] == [(merged, picked)]


def test_many_homes_are_counted(tale: Story) -> None:
    for name in ("a", "b", "c"):
        tale.clone.git("branch", name, tale.fix)
    planned = plan(tale, fix_line(tale.fix)).json
    assert planned["picks"][0]["lives_on"] == "a, b, c and 1 more"

"""What later commits say of a fix: reverts, fixes of the fix, fixups, mentions, through as many steps as there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.declaration import Fix
from orchestrator.core.pick import FollowUp
from orchestrator.core.results import Place
from orchestrator.git.repository import Repository
from orchestrator.picks import containing_branches
from orchestrator.picks.followups import followups
from orchestrator.picks.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.story import Repo, Story

pytestmark = pytest.mark.history
Said = tuple[FollowUp, ...]
SUBJECT = "fix(loader): close the workers"


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

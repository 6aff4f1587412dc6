"""One by one: a person at a terminal says yes or no to each pick; without a terminal nobody does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.kills import killed_cut
from tests.support.story import VERSION, Repo, fix_line
from tests.support.terminal import CTRL_D, Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile  # interruptions, each on a terminal of its own
TAKE, WHY, ALL = "[q]uit: ", "Why is it left out?", f"Release {VERSION} to origin? [y/N] "


def confirmed(sha: str) -> str:
    return f"      - {{commit: {sha}, confirm: true, reason: it leaks}}"


def two(tale: Story) -> Terminal:
    tale.release_yaml(fix_line(tale.before) + "\n" + fix_line(tale.fix))
    return Terminal("cut", "-i", VERSION, cwd=tale.clone.path)


def record(tale: Story) -> dict[str, list[dict[str, str]]]:
    return dict(json.loads(tale.remote.git("cat-file", "blob", f"refs/release-records/{VERSION}")))


def line_moves(tale: Story, **files: str) -> None:
    """Another commit on the release branch, here and on the remote."""
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.commit("fix: other", {name.replace("_", "."): text for name, text in files.items()})
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")


def test_yes_no_and_a_reason(tale: Story) -> None:
    person = two(tale)
    person.answer(TAKE, "n")
    person.answer(WHY, "not this week")
    person.answer(TAKE, "y")
    person.answer(ALL, "y")
    assert person.end() == 0, person.seen
    assert "(1 of 2) " + tale.before[:12] + " wip: trace the loader" in person.seen
    assert "author    Fay Fixer <fay@example.com>" in person.seen
    assert "forecast  applies cleanly" in person.seen
    assert "loader.py | 2 +-" in person.seen
    done = record(tale)
    assert [pick["source"] for pick in done["picks"]] == [tale.fix]
    assert [(each["source"], each["reason"]) for each in done["skipped"]] == [(tale.before, "not this week")]
    assert "trace.py" not in tale.remote.git("ls-tree", "--name-only", "release/v2.7")


def test_diff_nonsense_and_no_reason(tale: Story) -> None:
    person = two(tale)
    person.answer(TAKE, "d")
    person.answer("+TRACE = True", "maybe")
    person.answer(TAKE, " ")
    person.answer(TAKE, "NO")
    person.answer(WHY, " ")
    person.answer(TAKE, "Yes")
    person.answer(ALL, "y")
    assert person.end() == 0, person.seen
    assert record(tale)["skipped"][0]["reason"] == "left out by hand"


@pytest.mark.wide
@pytest.mark.parametrize("how", ["q", CTRL_D])
@pytest.mark.parametrize("where", [TAKE, WHY])
def test_stopping_changes_nothing(tale: Story, how: str, where: str) -> None:
    tale.release_yaml(fix_line(tale.before) + "\n" + fix_line(tale.fix))
    before, remote = tale.clone.snapshot(), tale.remote.git("for-each-ref")
    person = two(tale)
    person.answer(TAKE, "n")
    person.answer(WHY, "later" if where == TAKE else CTRL_D)
    if where == TAKE:
        person.answer(TAKE, how)
    assert person.end() == 4, person.seen
    assert "stopped by hand [not-confirmed]" in person.seen
    assert "state: nothing was changed" in person.seen
    assert (tale.clone.snapshot(), tale.remote.git("for-each-ref")) == (before, remote)


def test_ctrl_c_at_a_question_changes_nothing(tale: Story) -> None:
    person = two(tale)
    person.answer(TAKE, "n")
    person.interrupt(WHY)
    assert person.end() == 130, person.seen
    assert release("plan", VERSION, "--json", cwd=tale.clone.path).json["skipped"] == []


def test_what_is_typed_is_kept_as_text(tale: Story) -> None:
    """Arrow keys and bytes of another encoding are in no record."""
    person = two(tale)
    person.answer(TAKE, "n")
    person.answer(WHY, "too \x1b[Alate\udcff")
    person.answer(TAKE, "y")
    person.answer(ALL, "y")
    assert person.end() == 0, person.seen
    assert record(tale)["skipped"][0]["reason"] == "too [Alate\N{REPLACEMENT CHARACTER}"


def test_a_no_at_the_last_question_keeps_no_answer(tale: Story) -> None:
    person = two(tale)
    person.answer(TAKE, "n")
    person.answer(WHY, " ")
    person.answer(TAKE, "y")
    person.answer(ALL, "n")
    assert person.end() == 4, person.seen
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert (len(plan["picks"]), plan["skipped"]) == (2, [])


def test_a_long_diff_goes_through_the_pager(tale: Story, tmp_path: Path) -> None:
    long = tale.clone.commit("fix: long", {"long.txt": "".join(f"line {n}\n" for n in range(300))})
    tale.release_yaml(fix_line(long))
    person = Terminal("cut", "-i", VERSION, cwd=tale.clone.path, env={"PAGER": f"cat > {tmp_path / 'paged'}"})
    person.answer(TAKE, "d")
    person.answer(TAKE, "q")
    assert person.end() == 4
    assert "+line 299" in (tmp_path / "paged").read_text()
    assert "+line 299" not in person.seen


def test_a_commit_message_cannot_drive_the_terminal(tale: Story) -> None:
    evil = tale.clone.commit("fix: \x1b[2Jevil\n\nbody \x1b]0;title\x07\n", {"x.txt": "\x1b[31mred\n"})
    tale.release_yaml(fix_line(evil))
    person = Terminal("cut", "-i", VERSION, cwd=tale.clone.path)
    person.answer(TAKE, "d")
    person.answer(TAKE, "q")
    assert person.end() == 4
    assert "+\\x1b[31mred" in person.seen
    assert "\x1b" not in person.seen


def test_no_settles_a_conflict_a_duplicate_and_what_is_left_then(tale: Story) -> None:
    """What is left out is no problem any more, and the plan is made again without it."""
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.git("cherry-pick", "-x", tale.before)
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")
    line_moves(tale, loader_py=(tale.clone.path / "loader.py").read_text().replace("return 5\n", "return 55\n"))
    other = tale.clone.commit("docs: other", {"OTHER.md": "x\n"})
    tale.release_yaml("\n".join(fix_line(sha) for sha in (tale.before, tale.fix, other)))
    person = Terminal("cut", "-i", VERSION, "--yes", cwd=tale.clone.path)
    person.answer("forecast  is on the branch already as", "n")
    person.answer(WHY, "there")
    person.answer("forecast  conflicts in loader.py (content)", "n")
    person.answer(WHY, "hard")
    person.answer(TAKE, "y")
    assert person.end() == 0, person.seen
    assert ALL not in person.seen
    assert [pick["source"] for pick in record(tale)["picks"]] == [other]


def test_a_pick_that_turns_into_a_conflict_is_asked_for_again(tale: Story) -> None:
    """`after` applies on `fix` only: once that is left out, the yes was one to something else."""
    closed = (tale.clone.path / "loader.py").read_text().replace("return 5\n", "return 5  # closed, more\n")
    line = tale.clone.git("rev-parse", "HEAD")
    tale.clone.git("checkout", "--quiet", "--detach", tale.fix)
    more = tale.clone.commit("fix: more", {"loader.py": closed})
    tale.clone.git("checkout", "--quiet", line)
    tale.release_yaml(fix_line(tale.fix) + "\n" + fix_line(more))
    person = Terminal("cut", "-i", VERSION, cwd=tale.clone.path)
    person.answer(TAKE, "n")
    person.answer(WHY, " ")
    person.answer(TAKE, "y")
    person.answer("(1 of 1)", "")
    person.answer("forecast  conflicts in loader.py", "q")
    assert person.end() == 4, person.seen


# ------------------------------------------------------------------ confirm: true


def test_confirm_is_demanded_and_yes_is_no_answer(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.before) + "\n" + confirmed(tale.fix))
    before = tale.clone.snapshot()
    refused = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    assert refused.code == 4
    error = refused.json["error"]
    assert error["code"] == "not-confirmed"
    assert f"{tale.fix[:12]} 'fix(loader): close the workers'" in error["message"]
    assert tale.before[:12] not in error["message"]
    assert f"release cut -i {VERSION}" in error["remedy"]
    assert tale.clone.snapshot() == before


def test_confirm_asks_for_its_picks_only(tale: Story) -> None:
    tale.release_yaml(f"{fix_line(tale.before)}\n      - {{range: {tale.before}..{tale.after}, confirm: true}}")
    person = Terminal("cut", VERSION, "--yes", cwd=tale.clone.path)
    person.answer(f"(1 of 2) {tale.fix[:12]}", "y")
    person.answer(f"(2 of 2) {tale.after[:12]}", "n")
    person.answer(WHY, "half")
    assert person.end() == 0, person.seen
    assert [pick["source"] for pick in record(tale)["picks"]] == [tale.before, tale.fix]


@pytest.mark.wide
def test_what_is_allowed_to_be_there_is_not_asked_for(tale: Story) -> None:
    tale.clone.git("push", "--quiet", "origin", f"{tale.fix}:release/v2.7")
    tale.release_yaml(f"      - {{commit: {tale.fix}, allow: [duplicate], confirm: true}}\n{fix_line(tale.after)}")
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0


def conflicting(tale: Story) -> None:
    """Three picks that all want a yes; the second one conflicts."""
    line_moves(tale, loader_py=(tale.clone.path / "loader.py").read_text().replace("return 5\n", "return 55\n"))
    other = tale.clone.commit("docs: other", {"OTHER.md": "x\n"})
    tale.release_yaml("\n".join(confirmed(sha) for sha in (tale.before, tale.fix, other)))
    person = Terminal("cut", VERSION, cwd=tale.clone.path)
    for _ in range(3):
        person.answer(TAKE, "y")
    assert person.end() == 3, person.seen


@pytest.mark.wide
def test_continue_after_a_conflict_asks_nobody_again(tale: Story) -> None:
    """The resolution changes every commit after it; the answers hold, without a terminal too."""
    conflicting(tale)
    worktree = Repo(tale.clone.path / f".git/release/{VERSION}/worktree")
    worktree.write(
        "loader.py", (tale.clone.path / "loader.py").read_text().replace("return 5\n", "return 55 # closed\n")
    )
    worktree.git("add", "loader.py")
    done = release("continue", VERSION, "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    assert len(record(tale)["picks"]) == 3


@pytest.mark.wide
def test_abort_forgets_the_answers(tale: Story) -> None:
    conflicting(tale)
    assert release("abort", VERSION, cwd=tale.clone.path).code == 0
    assert not (tale.clone.path / f".git/release/{VERSION}").exists()
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 4


@pytest.mark.wide
def test_a_crash_after_the_answers_asks_nobody_again(tale: Story) -> None:
    tale.release_yaml(confirmed(tale.fix), extra="verify: ['false']\n")
    person = Terminal("cut", VERSION, "--yes", cwd=tale.clone.path)
    person.answer(TAKE, "y")
    assert person.end() == 6
    tale.release_yaml(confirmed(tale.fix))
    killed_cut(tale.clone.path, "before", 5, VERSION)
    again = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert again.code == 0, again.err


@pytest.mark.wide
def test_a_yes_is_one_to_that_branch_and_that_change(tale: Story) -> None:
    """Another tip, or another backport: asked again."""
    tale.release_yaml(confirmed(tale.fix), extra="verify: ['false']\n")
    person = Terminal("cut", VERSION, "--yes", cwd=tale.clone.path)
    person.answer(TAKE, "y")
    assert person.end() == 6
    backport = confirmed(tale.fix).replace("confirm", f"backport: {tale.after}, confirm")
    tale.release_yaml(backport)
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 4
    tale.release_yaml(confirmed(tale.fix))
    line_moves(tale, other_md="x\n")
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 4


@pytest.mark.wide
def test_damaged_answers_are_none(tale: Story) -> None:
    tale.release_yaml(confirmed(tale.fix))
    answers = tale.clone.path / f".git/release/{VERSION}/confirmed.json"
    answers.parent.mkdir(parents=True)
    for text in (b"{", b"[]", b"\xff", f'{{"{tale.fix}": null}}'.encode()):
        answers.write_bytes(text)
        assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 4


def test_publish_does_not_ask(tale: Story, tmp_path: Path) -> None:
    tale.release_yaml(confirmed(tale.fix))
    person = Terminal("cut", VERSION, "--yes", cwd=tale.clone.path)
    person.answer(TAKE, "y")
    assert person.end() == 0, person.seen
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(tmp_path / "ci"))
    done = release("publish", VERSION, cwd=tmp_path / "ci")
    assert done.code == 0, done.err


# ------------------------------------------------------------------ the command line


def test_interactive_without_a_terminal_is_refused(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    refused = release("cut", "-i", VERSION, "--yes", cwd=tale.clone.path)
    assert refused.code == 4
    assert "[not-confirmed]" in refused.err
    assert "leave --interactive out" in refused.err


def test_what_no_answer_can_settle_is_told_first(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix) + "\n" + fix_line("0123456789"))
    person = Terminal("cut", "-i", VERSION, cwd=tale.clone.path)
    assert person.end() == 2
    assert "[unknown-revision]" in person.seen
    assert TAKE not in person.seen


@pytest.mark.parametrize("other", [["--plan", "p.json"], ["--dry-run"], ["--continue"], ["--skip"], ["--abort"]])
def test_interactive_stands_alone(tale: Story, other: list[str]) -> None:
    refused = release("cut", "-i", VERSION, *other, "--json", cwd=tale.clone.path)
    assert (refused.code, refused.json["error"]["code"]) == (2, "options-exclude")

"""What people did on the release branch by hand: the plan names what counts, and every judge calls it right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support import guarded
from tests.support.cli import release
from tests.support.story import LOADER, fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.history
OTHER = LOADER.replace("return 5\n", "return 5  # closed here, in other words\n")


def on_branch(tale: Story, *steps: tuple[str, ...] | dict[str, str]) -> list[str]:
    """Commits on the remote's release branch, by a command of git or with a file (path -> text).  Their ids."""
    clone = tale.clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "--force", "--detach", "origin/release/v2.7")
    made = []
    for step in steps:
        if isinstance(step, dict):
            (path, text), message = next(iter(step.items())), step["message"]
            clone.commit(message.replace("HEAD", clone.rev("HEAD")), {path: text})
        else:
            clone.git(*step)
        made.append(clone.rev("HEAD"))
    clone.git("push", "--quiet", "origin", "HEAD:refs/heads/release/v2.7")
    clone.git("checkout", "--quiet", "--force", "main")
    return made


def noted(tale: Story, version: str) -> list[str]:
    planned = release("plan", version, "--json", cwd=tale.clone.path)
    assert planned.code == 0, planned.err
    return [note for note in planned.json["notes"] if "since the last version" in note]


def all_agree(tale: Story, version: str) -> None:
    """In the clone, and in one that has nothing but what the remote has."""
    other = tale.clone.path.parent / f"other-{version}"
    tale.clone.git("clone", "--quiet", "--branch", version, str(tale.remote.path), str(other))
    for place in (tale.clone.path, other):
        for command in (["audit"], ["verify", version], ["publish", version]):
            ran = release(*command, cwd=place)
            assert ran.code == 0, (place, command, ran.out, ran.err)


@pytest.mark.wide
def test_what_came_and_went_needs_no_entry(tale: Story) -> None:
    """A pick and a commit of nobody, both taken back; then a pick, its revert, and the revert of that."""
    once = tale.clone.commit("fix: once", {"once.py": "ONCE = 1\n"})
    tale.clone.git("push", "--quiet", "origin", "main")
    back = ("revert", "--no-edit", "HEAD")
    on_branch(tale, ("cherry-pick", "-x", once), back, {"oops.py": "OOPS = 1\n", "message": "chore: oops"}, back)
    tale.release_yaml(fix_line(tale.fix))
    assert noted(tale, "v2.7.1") == []
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 0
    all_agree(tale, "v2.7.1")
    on_branch(tale, ("cherry-pick", "-x", once), back, back)
    entry = f"      - {{commit: {once}, allow: [duplicate]}}"
    tale.release_yaml(entry, version="v2.7.2")
    assert noted(tale, "v2.7.2") == []
    assert release("cut", "v2.7.2", "--yes", cwd=tale.clone.path).code == 0
    on_branch(tale, ("revert", "--no-edit", "HEAD~"), back)
    tale.release_yaml(entry, version="v2.7.2")
    all_agree(tale, "v2.7.2")


def test_what_is_not_what_it_says_is_named_and_can_be_declared(tale: Story) -> None:
    """A commit that names a fix and does not bring it, a revert that does more, a fix that somebody wrote anew there.

    The lines are pasted as they are printed; the server, which had these commits before it was guarded, takes the
    release.
    """
    clone = tale.clone
    once, twice = (clone.commit(f"fix: {name}", {f"{name}.py": "IT = 1\n"}) for name in ("once", "twice"))
    named = f"fix: once\n\n(cherry picked from commit {once})\n"
    made = on_branch(
        tale,
        {"README.md": "# another thing\n", "message": named},
        ("cherry-pick", "-x", twice),
        {"twice.py": "IT = 2\n", "message": "Revert it\n\nThis reverts commit HEAD.\n"},
        {"loader.py": OTHER, "message": "fix: close the workers (2.7)"},
    )
    hand = f"      - {{commit: {tale.fix}, backport: {made[3]}, allow: [duplicate]}}"
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    tale.release_yaml(f"{hand}\n{fix_line(once)}")
    notes = noted(tale, "v2.7.1")
    assert [note[:12] for note in notes] == [made[0][:12], made[2][:12]]
    entries = [re.sub(r".*add: ", "      ", note) for note in notes]
    tale.release_yaml("\n".join([hand, fix_line(once), *entries]))
    assert noted(tale, "v2.7.1") == []
    clone.commit("chore: declare", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
    clone.git("push", "--quiet", "origin", "main")
    assert guarded.install(tale.remote, quick=True).code == 0
    ran = release("cut", "v2.7.1", "--yes", "--json", cwd=clone.path)
    assert ran.code == 0, ran.err
    all_agree(tale, "v2.7.1")
    told = release("log", tale.fix, "--json", cwd=clone.path).json["releases"]
    assert [(each["version"], each["sha"]) for each in told] == [("v2.7.1", made[3])]


@pytest.mark.wide
@pytest.mark.parametrize("declared", [True, False], ids=["the fix is declared again", "the fix is not declared"])
def test_a_revert_of_a_part_is_declared_by_the_line_that_is_printed(tale: Story, declared: bool) -> None:
    """It says that it takes a pick back and takes a part: no exact revert is asked for, and it is not picked again."""
    parts = LOADER.replace("return 5\n", "return 55\n").replace("return 9\n", "return 99\n")
    fix = tale.clone.commit("fix: two parts", {"loader.py": parts})
    other = tale.clone.commit("fix: another", {"other.py": "OTHER = 1\n"})
    tale.clone.git("push", "--quiet", "origin", "main")
    part = {
        "loader.py": LOADER.replace("return 5\n", "return 55\n"),
        "message": "Revert it\n\nThis reverts commit HEAD.",
    }
    on_branch(tale, ("cherry-pick", "-x", fix), part)
    entries = "\n".join([*([fix_line(fix)] if declared else []), fix_line(other)])
    tale.release_yaml(entries)
    (note,) = noted(tale, "v2.7.1")
    tale.release_yaml(f"{entries}\n      {note.partition('add: ')[2]}")
    tale.clone.commit("chore: declare", {"release.yaml": (tale.clone.path / "release.yaml").read_bytes()})
    tale.clone.git("push", "--quiet", "origin", "main")
    assert guarded.install(tale.remote, quick=True).code == 0
    cut = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert cut.code == 0, cut.err
    assert tale.remote.git("show", "v2.7.1:loader.py") == (parts if declared else part["loader.py"]).strip()
    all_agree(tale, "v2.7.1")
    assert "Revert it" in release("notes", "v2.7.1", cwd=tale.clone.path).out

"""What came to the branch by hand is named, with lines that work; a fix is named by what does not move."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.history
VERSION = "v2.7.1"


@pytest.mark.wide
def test_commits_that_nobody_declared(tale: Story) -> None:
    """A pick and a commit of the branch's own are named; the pasted lines answer for them; what was undone is not."""
    clone = tale.clone
    main = clone.commit("fix: once", {"once.py": "ONCE = 1\n"})
    clone.git("push", "--quiet", "origin", "main")
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("cherry-pick", "-x", main)
    picked = clone.rev("HEAD")
    own = clone.commit("fix: here alone", {"here.py": "HERE = 1\n"})
    undone = clone.commit("fix: not so", {"not.py": "NOT = 1\n"})
    clone.git("revert", "--no-edit", "HEAD")
    clone.git("push", "--quiet", "origin", "release/v2.7")
    clone.git("checkout", "--quiet", "main")
    tale.release_yaml(f"      - commit: {tale.fix}")
    planned = release("plan", VERSION, "--json", cwd=clone.path)
    assert planned.code == 0, planned.err
    notes = [note for note in planned.json["notes"] if "no entry declares it" in note]
    assert [note[:12] for note in notes] == [picked[:12], own[:12]]
    assert undone[:12] not in "".join(notes)
    checked = release("check", "--json", cwd=clone.path)
    assert (checked.code, checked.json["notes"]) == (0, notes)
    entries = [re.sub(r".*add: ", "      ", note) for note in notes]
    tale.release_yaml("\n".join([f"      - commit: {tale.fix}", *entries]))
    planned = release("plan", VERSION, "--json", cwd=clone.path)
    assert (planned.code, [note for note in planned.json["notes"] if "declares it" in note]) == (0, [])
    assert release("check", "--json", cwd=clone.path).json["notes"] == []
    assert release("cut", VERSION, "--yes", cwd=clone.path).code == 0
    log = tale.remote.git("show", f"{VERSION}:CHANGELOG.md")
    assert main[:12] in log
    assert own[:12] in log


@pytest.mark.parametrize(
    "entry", ["commit: fix/dataloader-leak~1", "commit: main", "range: v2.7.0..fix/dataloader-leak"]
)
def test_a_name_that_moves_is_refused_with_its_id(tale: Story, entry: str) -> None:
    tale.release_yaml(f"      - {entry}")
    refused = release("plan", VERSION, "--json", cwd=tale.clone.path)
    found = [each for each in refused.json["problems"] if each["code"] == "moving-name"]
    name = entry.partition(": ")[2].rpartition("..")[2]
    assert (len(found), tale.clone.rev(name) in found[0]["remedy"]) == (1, True)
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code != 0


def test_ids_and_versions_do_not_move(tale: Story) -> None:
    tale.release_yaml(f"      - range: v2.7.0..{tale.before[:9]}\n      - range: {tale.fix}^..{tale.fix[:10]}")
    planned = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert "moving-name" not in {each["code"] for each in planned.json["problems"]}


@pytest.mark.wide
def test_what_takes_back_a_fix_of_an_older_version_is_named(tale: Story) -> None:
    """The audit wants it declared, so the plan must say so."""
    clone = tale.clone
    tale.release_yaml(f"      - commit: {tale.fix}")
    assert release("cut", VERSION, "--yes", cwd=clone.path).code == 0
    clone.git("checkout", "--quiet", "--force", "-B", "hand", "origin/release/v2.7")
    clone.git("revert", "--no-edit", "HEAD~1")
    revert = clone.rev("HEAD")
    clone.git("push", "--quiet", "origin", "HEAD:release/v2.7")
    clone.git("checkout", "--quiet", "--force", "main")
    tale.release_yaml(f"      - commit: {tale.after}", version="v2.7.2")
    (note,) = (note for note in release("plan", "v2.7.2", "--json", cwd=clone.path).json["notes"] if "add: " in note)
    assert note.startswith(revert[:12])
    entry = note.partition("add: ")[2]
    tale.release_yaml(f"      - commit: {tale.after}\n      {entry}", version="v2.7.2")
    assert release("cut", "v2.7.2", "--yes", cwd=clone.path).code == 0
    assert release("audit", cwd=clone.path).code == 0

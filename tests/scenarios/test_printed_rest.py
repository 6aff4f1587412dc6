"""As test_printed_commands, for what is printed seldom: by a decision, by a list that somebody damaged, by a tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.kills import JOURNAL, killed_at, killed_cut
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import VERSION, Repo, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

NEXT = "v2.7.2"


def run(clone: Path, *args: str) -> Ran:
    return release(*args, cwd=clone)


@types(
    "plan/picker.py: release plan --write",
    "plan/picker.py: release cut",
    "release/modes/paused.py: release plan --write",
)
def test_a_prerequisite_that_is_missing(tale: Story) -> None:
    """`cut` pauses there, and after `abort` the list is completed; as `plan` and the pause print it."""
    here = tale.clone.path
    tale.clone.commit("docs: one", {"more.md": "one\n"})
    fix = tale.clone.commit("fix: two", {"more.md": "two\none\n", "two.py": "2\n"})
    tale.clone.git("push", "--quiet", "--all")
    tale.release_yaml(fix_line(fix))
    told = run(here, "plan", VERSION)
    paused = typed(f"{said(told, 'release cut')} --yes", here)
    assert paused.returncode == 3, paused.stderr
    write = said(Ran(3, "", paused.stderr), "release plan --write")
    assert write == said(told, "release plan --write")
    works(f"release abort {VERSION}", here)
    works(write, here)
    works("release cut --yes", here)


@types("session/state.py: release cut {}", "release/status.py: release plan {}")
def test_decisions_that_were_damaged_or_are_all_that_is_there(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    ref = tale.clone.path / f".git/refs/release/{VERSION}/skipped/{tale.after}"
    unknown = run(tale.clone.path, "status", VERSION)
    works(said(unknown, "release plan"), tale.clone.path)
    ref.parent.mkdir(parents=True)
    ref.write_text(f"{tale.base}\n")  # a commit, where the reason is a blob
    damaged = run(tale.clone.path, "plan", VERSION)
    assert "[decision-damaged]" in damaged.err, damaged.err
    works(f"{said(damaged, 'release cut')} --yes", tale.clone.path)


@types("git/content.py: git add -- {}")
def test_a_filter_that_cannot_run(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    tale.clone.write(".gitattributes", "release.yaml filter=big\n")
    tale.clone.git("config", "filter.big.clean", "false")
    tale.clone.git("config", "filter.big.required", "true")
    refused = run(tale.clone.path, "plan", VERSION)
    add = said(refused, "git add --")
    assert typed(add, tale.clone.path).returncode != 0
    tale.clone.git("config", "filter.big.clean", "cat")
    works(add, tale.clone.path)
    assert run(tale.clone.path, "plan", VERSION).code == 0


@types("git/push.py: git fetch {} tag {}")
def test_a_tag_that_this_clone_could_not_make(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    lock = tale.clone.path / f".git/refs/tags/{VERSION}.lock"
    lock.touch()
    done = run(tale.clone.path, "cut", VERSION, "--yes")
    assert done.code == 0, done.err
    fetch = said(done, "git fetch")
    lock.unlink()
    works(fetch, tale.clone.path)
    assert tale.clone.rev(f"refs/tags/{VERSION}") == tale.remote.rev(f"refs/tags/{VERSION}")


@pytest.mark.wide
@types("plan/version_rule.py: release publish {}", "release/resume.py: release publish {}",
       "plan/remake.py: release cut", "audit/tags.py: release cut")  # fmt: skip
def test_what_is_public_and_lacks_something(tale: Story) -> None:
    """By a laptop that has forgotten it, a clone that never knew it, and a tag that says too much."""
    here = tale.clone.path
    tale.release_yaml(fix_line(tale.fix))
    assert killed_cut(here, "before", 9, VERSION) != 0
    tale.clone.git("push", "--quiet", "origin", ":refs/notes/release")
    aborted = run(here, "abort", VERSION)
    assert "stays released" in aborted.out, aborted.err
    again = run(here, "cut", VERSION, "--yes")
    assert "[version-exists]" in again.err
    for told in (aborted, again):
        works(said(told, "release publish"), here)
    assert tale.remote.git("for-each-ref", "refs/notes/release")

    text = tale.remote.attempt("cat-file", "tag", VERSION).stdout
    row = next(line for line in text.splitlines() if line.startswith("Pick: "))
    twice = tale.remote.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=text.replace(row, f"{row}\n\nx\n{row}"))
    tale.remote.git("update-ref", f"refs/tags/{VERSION}", twice)
    tale.clone.git("fetch", "--quiet", "--force", "origin", f"refs/tags/{VERSION}:refs/tags/{VERSION}")
    tale.remote.git("update-ref", "-d", f"refs/release-records/{VERSION}")
    told_twice = run(here, "publish", VERSION)
    assert "says two things" in told_twice.err, told_twice.err
    tale.release_yaml(fix_line(tale.before), version=NEXT)
    works(f"{said(told_twice, 'release cut')} --yes", here)
    tale.clone.git("tag", "--force", NEXT, f"{NEXT}^{{}}")
    tale.clone.git("push", "--quiet", "--force", "origin", f"refs/tags/{NEXT}")
    light = run(here, "audit", "--json")
    tale.release_yaml(fix_line(tale.after), version="v2.7.3")
    works(f"{said(light, 'release cut')} --yes", here)


@types("session/published.py: git push {} +{}:refs/tags/{}",
       "release/promotion.py: git fetch {} refs/tags/{} && git show FETCH_HEAD")  # fmt: skip
def test_a_promotion_whose_tags_moved(tale: Story) -> None:
    here, candidate = tale.clone.path, f"{VERSION}-rc.1"
    tale.release_yaml(fix_line(tale.fix), version=candidate)
    assert run(here, "cut", candidate, "--yes").code == 0
    assert run(here, "promote", candidate, VERSION, "--yes").code == 0

    def elsewhere(tag: str) -> str:
        """The tag with its words on another commit, which stands in its place; the old one is returned."""
        old, text = tale.remote.rev(f"refs/tags/{tag}"), tale.remote.attempt("cat-file", "tag", tag).stdout
        moved = text.replace(tale.remote.rev(f"{tag}^{{commit}}"), tale.base, 1)
        sha = tale.remote.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=moved)
        tale.remote.git("update-ref", f"refs/tags/{tag}", sha)
        return old

    old = elsewhere(VERSION)
    shown = works(said(run(here, "promote", candidate, VERSION, "--yes"), "git fetch"), here)
    assert f"tag {VERSION}" in shown.stdout
    tale.remote.git("update-ref", f"refs/tags/{VERSION}", old)
    old = elsewhere(candidate)
    works(said(run(here, "publish", VERSION), "git push"), here)
    assert tale.remote.rev(f"refs/tags/{candidate}") == old
    assert run(here, "publish", VERSION).code == 0


@types("plan/document.py: release publish {}")
def test_a_publication_that_was_broken_off(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert killed_cut(tale.clone.path, "before", 8, VERSION) != 0
    there = Repo(tale.clone.path.parent / "there")
    tale.clone.git("clone", "--quiet", f"file://{tale.remote.path}", str(there.path))
    for key, value in (("name", "CI"), ("email", "ci@example.com")):
        there.git("config", f"user.{key}", value)
    assert killed_at(there.path, "before", 3, JOURNAL, "publish", VERSION) != 0  # the record is public
    works(said(run(there.path, "status", VERSION), "release publish"), there.path)
    assert run(there.path, "verify", VERSION).code == 0


@types("release/steps/land.py: release abort {}", "picks/candidates.py: release plan")
def test_a_tag_that_went_away_in_the_middle_and_a_version_that_is_there(tale: Story) -> None:
    here = tale.clone.path
    tale.release_yaml(fix_line(tale.fix))
    assert killed_cut(here, "before", 10, VERSION) != 0
    tag = tale.remote.rev(f"refs/tags/{VERSION}")
    tale.remote.git("update-ref", "-d", f"refs/tags/{VERSION}")
    gone = run(here, "cut", VERSION, "--yes")
    assert "[tag-differs]" in gone.err, gone.err
    works(said(gone, "release abort"), here)
    assert "in progress" in run(here, "status").out
    tale.remote.git("update-ref", f"refs/tags/{VERSION}", tag)
    tale.clone.git("fetch", "--quiet", "--tags", "origin")
    tale.release_yaml(fix_line(tale.before), version=NEXT)
    there = run(here, "candidates", "--write", VERSION, "--yes")
    assert "is released already" in there.err, there.err
    works(said(there, "release plan"), here)

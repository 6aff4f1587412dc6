"""Kill it anywhere, run it again: the same branch, tag and record, whatever the journal record it died at.

Here without an image, so that every point is cheap; tests/docker/test_image_kill.py does it with engine and registry.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import kills
from tests.support.cli import release
from tests.support.story import VERSION, fix_line, story

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile

RECORDS = 12  # opened, five tasks started and finished, closed


def killed_cut(tale: Story, when: str, number: int) -> int:
    return kills.killed_cut(tale.clone.path, when, number, VERSION)


def test_the_number_of_records_is_what_the_test_believes(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    journal = tale.clone.path / ".git/release" / VERSION / "journal.jsonl"
    assert len(journal.read_text().splitlines()) == RECORDS


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Commit and tag object of a cut that nothing interrupts: ids depend on nothing but the story."""
    tale = story(tmp_path_factory.mktemp("undisturbed"))
    tale.release_yaml(fix_line(tale.fix))
    done = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    assert release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path).json["released"] is False
    return done.json["commit_sha"], done.json["tag_object"]


@pytest.mark.wide(12)
@pytest.mark.parametrize("number", range(1, RECORDS + 1))
def test_killed_before_a_record_then_run_again(tale: Story, undisturbed: tuple[str, str], number: int) -> None:
    """The work of a record is done and not yet written down.  The other side is in tests/docker/test_image_kill.py."""
    tale.release_yaml(fix_line(tale.fix))
    assert killed_cut(tale, "before", number) == -signal.SIGKILL
    public = tale.remote.git("tag", "-l", VERSION) != ""
    assert (tale.remote.rev("release/v2.7") == undisturbed[0]) == public  # both or neither
    again = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    assert again.code == 0, again.err
    assert (again.json["commit_sha"], again.json["tag_object"]) == undisturbed
    assert (tale.remote.rev("release/v2.7"), tale.remote.rev(f"refs/tags/{VERSION}")) == undisturbed


def test_killed_then_aborted_before_landing(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    before = tale.clone.snapshot()
    killed_cut(tale, "after", 5)  # the tag object is made
    assert release("abort", VERSION, cwd=tale.clone.path).code == 0
    assert tale.clone.snapshot() == before


def test_abort_refuses_what_is_public(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    killed_cut(tale, "before", 7)  # pushed, not yet recorded
    refused = release("abort", VERSION, cwd=tale.clone.path)
    assert refused.code == 4
    assert "release cut" in refused.err


def test_a_changed_release_yaml_makes_a_new_plan_before_landing(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    killed_cut(tale, "after", 5)
    tale.release_yaml(fix_line(tale.before))
    done = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    assert done.code == 0, done.err
    assert "trace.py" in tale.remote.git("ls-tree", "--name-only", "release/v2.7")
    assert "# closed" not in tale.remote.git("show", "release/v2.7:loader.py")


def test_a_changed_release_yaml_is_not_read_after_landing(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    killed_cut(tale, "before", 7)
    head = tale.remote.rev("release/v2.7")
    tale.declare("this is: [not even yaml")
    done = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    assert (done.code, done.json["commit_sha"]) == (0, head)


def test_torn_last_line_never_happened(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    killed_cut(tale, "after", 3)
    journal = tale.clone.path / ".git/release" / VERSION / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"format": 1, "kind": "fin')
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0


def test_damaged_journal_is_refused_with_its_place(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    killed_cut(tale, "after", 3)
    journal = tale.clone.path / ".git/release" / VERSION / "journal.jsonl"
    journal.write_bytes(b"garbage\n" + journal.read_bytes())
    refused = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert refused.code == 2
    assert "journal.jsonl:1" in refused.err


def test_second_run_waits_for_nobody(tale: Story) -> None:
    """A lock that is held is exit 8; a lock file left by a killed process is none."""
    import fcntl

    tale.release_yaml(fix_line(tale.fix))
    lock = tale.clone.path / ".git/release/lock"
    lock.parent.mkdir()
    with lock.open("w") as held:
        held.write("pid 1 on otherhost")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = release("cut", VERSION, "--yes", cwd=tale.clone.path)
        assert refused.code == 8
        assert "pid 1 on otherhost" in refused.err
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0


def test_a_moved_tag_is_a_mismatch_not_a_repair(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    tale.remote.git("update-ref", f"refs/tags/{VERSION}", tale.base)
    again = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert again.code == 9
    assert tale.base in again.err


def test_remote_that_moves_during_the_cut_refuses(tale: Story) -> None:
    """A colleague pushes after our plan was made: nothing is pushed, and the next run plans anew."""
    tale.release_yaml(fix_line(tale.fix))
    killed_cut(tale, "after", 5)
    tale.clone.git("push", "--quiet", "origin", f"{tale.before}:refs/heads/tmp")
    other = tale.remote.git(
        "-c",
        "user.name=o",
        "-c",
        "user.email=o@x",
        "commit-tree",
        f"{tale.base}^{{tree}}",
        "-p",
        tale.base,
        "-m",
        "other",
    )
    tale.remote.git("update-ref", "refs/heads/release/v2.7", other)
    done = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    assert done.code == 0, done.err
    assert tale.remote.rev("release/v2.7~2") == other

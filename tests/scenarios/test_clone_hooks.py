"""A `reference-transaction` hook of the clone that refuses what a release writes there, once it is public."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.printed import types
from tests.support.remedies import said, works
from tests.support.story import VERSION, copied, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile
KEPT = (f"refs/release-records/{VERSION}", f"refs/release-sources/{VERSION}", "refs/notes/release")


def _refuse(tale: Story, ref: str) -> None:
    hook = tale.clone.path / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f'#!/bin/sh\n[ "$1" != prepared ] || ! grep " {ref}" >/dev/null || {{ echo not {ref} >&2; exit 1; }}\n'
    )
    hook.chmod(0o755)
    tale.release_yaml(fix_line(tale.fix))


def _let(tale: Story) -> None:
    (tale.clone.path / ".git/hooks/reference-transaction").unlink()


def _public(tale: Story) -> set[str]:
    return set(tale.remote.git("for-each-ref", "--format=%(refname)").splitlines())


@pytest.mark.wide
@types("release/steps/record.py: git fetch {} {}", "git/push.py: git fetch {} tag {}")
def test_what_only_the_clone_lacks_holds_nothing_up(tale: Story, tmp_path: Path) -> None:
    for number, ref in enumerate(("refs/tags/", "refs/release-records/")):
        _holds_nothing_up(copied(tale, tmp_path / str(number)), ref)


def _holds_nothing_up(tale: Story, ref: str) -> None:
    """It is told how to have it once the hook lets it; the same command brings it too, and says the note no more."""
    _refuse(tale, ref)
    done = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    assert f"not {ref}" in done.out
    assert {f"refs/tags/{VERSION}", *KEPT} <= _public(tale)
    command = said(done, "git fetch")
    before = tale.clone.git("for-each-ref", f"{ref}*")
    again = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert (again.code, tale.clone.git("for-each-ref", f"{ref}*")) == (0, before)
    _let(tale)
    assert f"not {ref}" not in release("cut", VERSION, "--yes", cwd=tale.clone.path).out
    healed = tale.clone.git("for-each-ref", f"{ref}*")
    assert healed.count(VERSION) > before.count(VERSION)
    works(command, tale.clone.path)
    assert tale.clone.git("for-each-ref", f"{ref}*") == healed
    closed = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert (closed.code, closed.err.strip()) == (0, "")  # nothing was begun again
    assert "released already" in closed.out


def test_what_the_remote_lacks_is_said_to_be_left_of_a_public_release(tale: Story) -> None:
    _refuse(tale, "refs/notes/")
    stopped = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    error = stopped.json["error"]
    assert (stopped.code, error["code"]) == (4, "hook-refused")
    assert error["state"] == f"{VERSION} is public; what is left: note the release on the source commits"
    assert {f"refs/tags/{VERSION}", *KEPT[:2]} <= _public(tale)
    assert "released and complete" not in release("status", VERSION, cwd=tale.clone.path).out
    assert not list(tale.clone.path.glob(".git/fast_import_crash_*"))
    _let(tale)
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    assert set(KEPT) <= _public(tale)
    assert release("verify", VERSION, cwd=tale.clone.path).code == 0

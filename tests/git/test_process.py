"""What git's words mean: a lock that was left, a disk that is full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import LockedError
from orchestrator.git.conversation import Output
from orchestrator.git.process import Git, failure

if TYPE_CHECKING:
    from tests.support.story import Story


def test_a_lock_that_was_left_is_named_with_what_to_type(tale: Story) -> None:
    lock = tale.clone.path / ".git/refs/tags/my tag.lock".replace(" ", "-")
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    with pytest.raises(LockedError) as refused:
        Git(tale.clone.path).run("update-ref", "refs/tags/my-tag", tale.base)
    assert (refused.value.code, refused.value.where, refused.value.status) == ("git-lock", str(lock), 8)
    assert f"rm {lock}, " in refused.value.remedy
    lock.unlink()
    Git(tale.clone.path).run("update-ref", "refs/tags/my-tag", tale.base)


@pytest.mark.parametrize(
    "said",
    [
        "error: unable to write loose object file: No space left on device",
        "error: cannot update ref 'refs/x': couldn't write '/a/refs/x.lock'",
        "fatal: sha1 file '.git/objects/pack/tmp_pack_1' write error. Out of diskspace",
        "fatal: write error: Disk quota exceeded",
    ],
)
def test_a_disk_that_fills_up_is_called_so(said: str) -> None:
    """Seen on a disk that was filled between the steps; the reason does not always come with git's words."""
    assert failure(("fetch",), Output(status=1, stdout=b"", stderr=said)).code == "disk-full"

"""What git says: of a lock that was left, a full disk, nobody who commits; and answers that are broken off."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import LockedError, UsageError
from orchestrator.git.conversation import Output
from orchestrator.git.process import Git, Reader, failure, identity

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


@pytest.mark.parametrize(
    ("ask", "part"),
    [
        ("header", "_line"), ("is_ambiguous", "_line"), ("content", "_line"), ("content", "_body"),
        ("contents", "_line"), ("contents", "_body"),
    ],
)  # fmt: skip
def test_an_interrupted_answer_is_not_taken_for_the_next_one(
    tale: Story, monkeypatch: pytest.MonkeyPatch, ask: str, part: str
) -> None:
    """Ctrl-C between a question and the end of its answer, wherever it falls; then the same process asks on."""
    reader = Reader(Git(tale.clone.path))
    asked = [tale.fix] if ask == "contents" else tale.fix
    whole = getattr(reader, part)

    def interrupted(*args: object, **how: object) -> bytes:
        monkeypatch.setattr(reader, part, whole)
        raise KeyboardInterrupt

    assert reader.header(tale.fix)
    monkeypatch.setattr(reader, part, interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(getattr(reader, ask)(asked))
    found = reader.header(tale.base)
    assert (found and found[0], reader.header("0" * 40)) == (tale.base, None)
    assert reader.content(tale.base) == ("commit", Git(tale.clone.path).run("cat-file", "commit", tale.base).stdout)
    reader.close()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GIT_COMMITTER_NAME", ""),
        ("GIT_COMMITTER_NAME", "<>"),
        ("GIT_COMMITTER_DATE", "the day before"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ],
)
def test_who_commits_is_told_by_what_is_printed(
    tale: Story, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """A variable overrules git config, so that alone would change nothing."""
    git = Git(tale.clone.path)
    for key in ("user.name", "user.email"):
        git.attempt("config", "--unset", key)
    for key, setting in (("user.useConfigOnly", "true"), *(() if variable == "GIT_CONFIG_GLOBAL" else (
        ("user.name", "Mia"), ("user.email", "mia@example.com")))):  # fmt: skip
        git.run("config", key, setting)
    for each in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as refused:
        identity(git)
    done = subprocess.run(
        ["bash", "-ec", f"{refused.value.remedy.partition('   ')[0]}; git var GIT_COMMITTER_IDENT"],
        cwd=tale.clone.path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "@example.com>" in done.stdout

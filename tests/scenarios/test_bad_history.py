"""Commits, clones and conflicts as history has them: malformed, partial, one name for a file and a directory."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.story import VERSION, Repo, fix_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile

PERSON = "J <j@example.com>"


def raw_commit(tale: Story, *, author: str, committer: str, extra: str = "", message: str) -> str:
    """The fix as a commit object with just these headers (Latin-1 bytes)."""
    text = f"tree {tale.clone.rev(f'{tale.fix}^{{tree}}')}\nparent {tale.before}\n"
    text += (f"author {author}\n" if author else "") + (f"committer {committer}\n" if committer else "")
    done = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        cwd=tale.clone.path, input=f"{text}{extra}\n{message}".encode("latin-1"), capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode().strip()


def cut(tale: Story, code: int) -> Ran:
    ran = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert ran.code == code, ran.err
    assert "\x1b" not in ran.out + ran.err
    return ran


@pytest.mark.wide
@pytest.mark.parametrize(
    ("author", "committer"),
    [
        (f"{PERSON} 1750001000 +0000", ""),
        ("", f"{PERSON} 1750001000 +0000"),
        (f"{PERSON} 1750001000 +0000", f"{PERSON} yesterday +0000"),
        (f"{PERSON} 1750001000 +0000", f"{PERSON} 18446744073709551615 +0000"),
    ],
)
def test_malformed_commits_are_one_problem_with_a_place(tale: Story, author: str, committer: str) -> None:
    tale.release_yaml(fix_line(raw_commit(tale, author=author, committer=committer, message="fix: x\n")))
    refused = cut(tale, 2)
    assert "release.yaml:8:9: commit" in refused.err
    assert "is malformed" in refused.err


@pytest.mark.wide(2)
@pytest.mark.parametrize(
    ("extra", "message", "subject"),
    [
        ("encoding UTF-16\n", "fix: caf\xe9\n".encode("utf-16").decode("latin-1"), "fix: caf\xe9"),
        (
            f"mergetag object {'1' * 40}\n type commit\n tag x\n \n parent {'2' * 40}\nHG:rename a\nx\n",
            f"fix: seen\0 hidden\n\n(cherry picked from commit {'1' * 40})\n",
            "fix: seen",
        ),
    ],
)
def test_odd_headers_accuse_nobody(tale: Story, extra: str, message: str, subject: str) -> None:
    """Git parses the bytes of a header, of whatever encoding, and shows a message up to a NUL."""
    person = f"{PERSON} 1750001000 +0000"
    sha = raw_commit(tale, author=person, committer=person, extra=extra, message=message)
    tale.release_yaml(fix_line(sha))
    cut(tale, 0)
    assert tale.clone.git("log", "-1", "--format=%an %s", "release/v2.7^") == f"J {subject}"
    assert f"(cherry picked from commit {sha})" in tale.clone.git("log", "-1", "--format=%b", "release/v2.7^")
    for args in (("audit",), ("verify", VERSION), ("notes", VERSION), ("show", VERSION), ("log", sha)):
        told = release(*args, cwd=tale.clone.path)
        assert told.code == 0, told.out + told.err
        assert "hidden" not in told.out
        assert args[0] in ("audit", "verify", "notes") or subject in told.out


@pytest.mark.wide(8)
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("encoding undefined\n", "fix: x\n"),
        ("encoding raw_unicode_escape\n", "fix: \\ud800\n"),
        ("encoding ISO-8859-1\n", "fix: caf\xe9\n"),
        ("", "fix: caf\xe9, without a header\n"),
        ("", ""),
        ("", "fix: \x1b[31mred\x07\n"),
        ("", f"Pick: clean {'a' * 40} {'b' * 40}\n"),
        ("gpgsig -----BEGIN PGP SIGNATURE-----\n \n tree beef\n -----END PGP SIGNATURE-----\n", "fix: signed\n"),
    ],
)
def test_odd_messages_are_released_and_published(tale: Story, tmp_path: Path, extra: str, message: str) -> None:
    person = f"{PERSON} 1750001000 +0000"
    tale.release_yaml(fix_line(raw_commit(tale, author=person, committer=person, extra=extra, message=message)))
    cut(tale, 0)
    assert "# closed" in tale.remote.git("show", "release/v2.7:loader.py")
    assert tale.clone.git("log", "-1", "--format=%H", "--grep=^.cherry picked from commit", "release/v2.7^")
    assert release("publish", VERSION, cwd=tale.clone.path).code == 0


def test_a_commit_of_a_far_day_is_released(tale: Story) -> None:
    """The tag takes the day of the last pick; git reads such a number as a day only where it is told so."""
    commit = raw_commit(tale, author=f"{PERSON} 0 +0000", committer=f"{PERSON} 99999999999 -1200", message="fix: x\n")
    tale.release_yaml(fix_line(commit))
    cut(tale, 0)
    assert " 99999999999 -1200\n" in tale.remote.git("cat-file", "tag", VERSION)
    assert release("verify", VERSION, cwd=tale.clone.path).code == 0


# ------------------------------------------------------------------ clones that lack something


def other_clone(tale: Story, *args: str) -> Repo:
    tale.remote.git("config", "uploadpack.allowFilter", "true")
    tale.clone.git("clone", "--quiet", *args, f"file://{tale.remote.path}", "../other")
    repo = Repo(tale.clone.path.parent / "other")
    repo.git("config", "user.name", "Mia Maintainer")
    repo.git("config", "user.email", "mia@example.com")
    repo.write("release.yaml", (tale.clone.path / "release.yaml").read_bytes())
    return repo


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--depth=1",), "shallow-clone"),
        (("--filter=tree:0", "--no-checkout"), "partial-clone"),
        (("--filter=blob:none", "--no-checkout"), "partial-clone"),
    ],
)
def test_what_a_clone_lacks_is_fetched_and_offline_it_is_named(tale: Story, args: tuple[str, ...], code: str) -> None:
    """Nobody may fetch offline: the remedy completes the clone.  A cut fetches what it needs itself."""
    tale.release_yaml(fix_line(tale.fix))
    other = other_clone(tale, *args)
    refused = release("plan", VERSION, "--offline", "--json", cwd=other.path)
    assert (refused.code, refused.json["error"]["code"]) == (2, code)
    place = shutil.copytree(other.path, other.path.parent / "repaired")
    subprocess.run(["/bin/sh", "-c", refused.json["error"]["remedy"]], cwd=place, check=True, capture_output=True)
    Repo(place).git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
    assert release("plan", VERSION, "--offline", cwd=place).code == 0
    ran = release("cut", VERSION, "--yes", cwd=other.path)
    assert ran.code == 0, ran.err
    assert "fetched" in ran.err
    assert release("publish", VERSION, cwd=other.path).code == 0
    proved = release("audit", cwd=tale.clone.path)
    assert proved.code == 0, proved.out
    tale.remote.git("fsck", "--strict")


@pytest.mark.wide(2)
@pytest.mark.parametrize(
    "args", [("--depth=1", f"--branch={VERSION}"), ("--filter=blob:none",), ("--filter=tree:0", "--no-checkout")]
)
def test_whoever_proves_it_in_such_a_clone_fetches_what_is_asked(tale: Story, args: tuple[str, ...]) -> None:
    """The picks, their sources and the notes, of what a job checked out; it keeps the sources of what is promoted."""
    candidate = f"{VERSION}-rc.1"
    tale.release_yaml(fix_line(tale.fix), version=candidate)
    assert release("cut", candidate, "--yes", cwd=tale.clone.path).code == 0
    assert release("promote", candidate, VERSION, "--yes", cwd=tale.clone.path).code == 0
    other = other_clone(tale, *args)
    other.git("checkout", "--quiet", "--force", "--detach", VERSION)
    for command in (("publish", VERSION), ("publish", candidate), ("audit",), ("verify", VERSION)):
        ran = release(*command, cwd=other.path)
        assert ran.code == 0, (command, ran.out, ran.err)


def test_a_server_that_gives_no_object_by_its_id_sends_everything_again(tale: Story) -> None:
    """The first protocol of git knows no such request, where the server does not allow it."""
    tale.release_yaml(fix_line(tale.fix))
    other = other_clone(tale, "--filter=blob:none", "--no-checkout")
    other.git("config", "protocol.version", "0")
    planned = release("plan", VERSION, cwd=other.path)
    assert (planned.code, "fetched everything from origin" in planned.err) == (0, True), planned.err


# ------------------------------------------------------------------ conflicts of other kinds


def _file(repo: Repo) -> str:
    return repo.commit("fix: a file", {"thing": "file\n"})


def _directory(repo: Repo) -> str:
    return repo.commit("fix: a directory", {"thing/a": "a\n"})


def _binary(repo: Repo) -> str:
    return repo.commit("fix: bytes", {"thing": b"\0" + repo.path.name.encode() + repo.git("branch").encode()})


def _link(repo: Repo) -> str:
    (repo.path / "thing").symlink_to(repo.git("rev-parse", "--abbrev-ref", "HEAD"))
    repo.git("add", "thing")
    return repo.commit("fix: link", {})


def _renamed(repo: Repo) -> str:
    repo.git("mv", "loader.py", repo.git("rev-parse", "--abbrev-ref", "HEAD").replace("/", "_") + ".py")
    return repo.commit("fix: rename", {})


@pytest.mark.wide(6)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(_file, _directory), (_directory, _file), (_binary, _binary), (_link, _link), (_renamed, _renamed)],
)
def test_what_the_message_says_to_add_can_be_added(
    tale: Story, ours: Callable[[Repo], str], theirs: Callable[[Repo], str]
) -> None:
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    ours(tale.clone)
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "-b", "theirs", tale.base)
    fix = theirs(tale.clone)
    tale.clone.git("checkout", "--quiet", "main")
    tale.release_yaml(fix_line(fix))
    before = tale.clone.snapshot()
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert not [path for path in plan["picks"][0]["conflicts"] if "~" in path["path"]]
    paused = cut(tale, 3)
    tree = tale.clone.path / ".git/release" / VERSION / "worktree"
    said, ends, _ = paused.err.partition(" && release continue")
    if not ends:  # nothing there can be taken: a folder of the branch is in the way
        assert (ours, theirs) == (_directory, _file), paused.err
        assert "do: release skip" in said
        assert "is declared as `backport:` of the fix" in said
    command = said.rpartition("then) ")[2] if ends else "true"
    names = shlex.split(command.partition("git add -- ")[2])
    for name in names:
        if not (tree / name).exists() and not (tree / name).is_symlink():
            (tree / name).write_text("here\n")
    subprocess.run(["bash", "-c", command], cwd=tree, check=True)
    assert ("unmerged" in release("continue", cwd=tale.clone.path).err) == (not ends)
    if release("abort", VERSION, cwd=tale.clone.path).code == 0:
        assert tale.clone.snapshot() == before

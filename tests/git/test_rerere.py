"""The id of a conflict is the one that git's rerere gives it, and an earlier resolution goes where git puts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.git.merge.rerere import conflict_text, replayed
from orchestrator.git.process import Git
from tests.support.story import Repo, lines, make_repo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repo(tmp_path / "clone")
    repo.git("config", "rerere.enabled", "true")
    return repo


def clash(repo: Repo, base: str | bytes, ours: str | bytes, theirs: str | bytes) -> bytes:
    """Merge three texts of one file; the file as git leaves it, with rerere at work."""
    repo.git("checkout", "--quiet", "--orphan", f"start-{repo.minutes}")
    repo.commit("start", {"file": base})
    root = repo.rev("HEAD")
    repo.git("checkout", "--quiet", "--detach", root)
    side = repo.commit("theirs", {"file": theirs})
    repo.git("checkout", "--quiet", "--detach", root)
    repo.commit("ours", {"file": ours})
    assert repo.attempt("merge", side).returncode == 1
    return (repo.path / "file").read_bytes()


CLASHES: dict[str, tuple[str | bytes, str | bytes, str | bytes]] = {
    "one line": (lines(9), lines(9, l4="ours"), lines(9, l4="theirs")),
    "the sides turned": (lines(9), lines(9, l4="theirs"), lines(9, l4="ours")),
    "two hunks": (lines(30), lines(30, l4="a", l20="b"), lines(30, l4="c", l20="d")),
    "no line at the end": ("one", "two", "three"),
    "one side is empty": (lines(9), lines(9).replace("line 4\n", ""), lines(9, l4="theirs")),
    "carriage returns": (
        lines(9).replace("\n", "\r\n"),
        lines(9, l4="a").replace("\n", "\r\n"),
        lines(9, l4="b").replace("\n", "\r\n"),
    ),
    "what looks like a marker": (lines(9), lines(9, l4="====== six\n<<<<<<<eight"), lines(9, l4=">>>>>>>\n||||||")),
    "bytes": (b"\xff\x00a\n".replace(b"\x00", b""), b"\xfe\x0b\n", b"\xfd\x0c\n"),
}


@pytest.mark.parametrize("style", ["merge", "diff3"])
@pytest.mark.parametrize("name", CLASHES)
def test_the_id_and_the_text_are_those_of_git(repo: Repo, name: str, style: str) -> None:
    repo.git("config", "merge.conflictStyle", style)
    found = conflict_text(clash(repo, *CLASHES[name]))
    assert found
    (entry,) = (repo.path / ".git/rr-cache").iterdir()
    assert found.id == entry.name
    assert found.text == (entry / "preimage").read_bytes()


def test_the_sides_have_one_order_and_broken_markers_no_id() -> None:
    one, other = (conflict_text(f"a\n<<<<<<< x\n{a}\n=======\n{b}\n>>>>>>> y\n".encode()) for a, b in ("12", "21"))
    assert one == other
    assert conflict_text(b"plain\n=======\n") is None
    for broken in (b"<<<<<<< x\n1\n", b"<<<<<<< x\n1\n>>>>>>> y\n", b"<<<<<<< x\n=======\n=======\n>>>>>>> y\n"):
        assert conflict_text(broken) is None
    inner = b"<<<<<<< x\n<<<<<<< in\n1\n=======\n2\n>>>>>>> in\n=======\n3\n>>>>>>> y\n"
    assert conflict_text(inner)


def test_a_resolution_is_replayed_as_git_does(repo: Repo) -> None:
    """On the same hunk among other lines; where those do not fit it is none."""
    first = conflict_text(clash(repo, lines(20), lines(20, l9="ours"), lines(20, l9="theirs")))
    resolved = lines(20, l9="both", l8="and more").encode()
    (repo.path / "file").write_bytes(resolved)
    repo.git("add", "file")
    repo.git("rerere")
    for start, fits in ({"l2": "another", "l18": "further"}, True), ({"l8": "in the way"}, False):
        repo.git("reset", "--quiet", "--hard")
        left = clash(repo, lines(20, **start), lines(20, **start, l9="ours"), lines(20, **start, l9="theirs"))
        by_git = left if conflict_text(left) is None else None  # its rerere has resolved it already
        repo.git("config", "rerere.enabled", "false")
        repo.git("reset", "--quiet", "--hard")
        plain = conflict_text(
            clash(repo, lines(20, **start), lines(20, **start, l9="ours"), lines(20, **start, l9="theirs"))
        )
        repo.git("config", "rerere.enabled", "true")
        assert first
        assert plain
        assert plain.id == first.id
        mine = replayed(Git(repo.path), plain, first, resolved)
        assert mine == by_git
        assert (mine is not None) == fits

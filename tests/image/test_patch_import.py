"""`release patch import`: an upstream commit becomes a patch of the locked version, or one line says why not.

upstream   B (v2.7.0) ── L (a line above) ── F (the fix and its test) ── C (C++) ── G (generated) ── M (merge)
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from orchestrator.image.patchfile import apply_all, parse
from tests.support.cli import Ran, release
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.hostile
LOCK = f"torch==2.7.0+cpu --hash=sha256:{'0' * 64}\n"
CONFIG = """\
version: 1
branch: main
source: main
releases: {}
image:
  repository: registry.example.com/x
  lock: torch.txt
  patches: images/patches
"""
BODY = "".join(f"line {number}\n" for number in range(1, 13))


@dataclass(frozen=True)
class Both:
    """The project and a clone of upstream; `ids` by the letters of the drawing."""

    project: Repo
    upstream: Repo
    ids: dict[str, str]

    def run(self, letter: str, *more: str) -> Ran:
        sha = self.ids.get(letter, letter)
        return release("patch", "import", "--repo", str(self.upstream.path), sha, *more, cwd=self.project.path)

    @property
    def patches(self) -> dict[str, bytes]:
        folder = self.project.path / "images/patches"
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.patch"))}


def new(path: Path) -> Repo:
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "--quiet", "--initial-branch=main")
    repo.git("config", "user.name", "Robin")
    repo.git("config", "user.email", "robin@example.com")
    return repo


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Both:
    root = tmp_path_factory.mktemp("made")
    upstream, project = new(root / "upstream"), new(root / "project")
    upstream.git("remote", "add", "origin", "https://user:secret@example.com/pytorch.git")
    ids = {"B": upstream.commit("base", {"torch/m.py": BODY, "torch/csrc/c.cpp": "1\n", "test/t.py": "t\n"})}
    upstream.git("tag", "v2.7.0")
    ids["L"] = upstream.commit("a line above", {"torch/m.py": "new\n" + BODY})
    fixed = ("new\n" + BODY).replace("line 9\n", "line nine\n")
    fix: dict[str, str | bytes | None] = {"torch/m.py": fixed, "test/t.py": "t2\n", "torch/sub/n.py": "N = 1\n"}
    ids["F"] = upstream.commit("Line 9 is nine, not 9 (#12)\n\nbody\n", fix, author="Zoë B <zoe@example.com>")
    ids["C"] = upstream.commit("C++", {"torch/csrc/c.cpp": "2\n", "torch/m.py": fixed + "x\n"})
    ids["G"] = upstream.commit("setup", {"setup.py": "1\n"})
    upstream.git("checkout", "--quiet", "-b", "side", ids["L"])
    upstream.commit("side", {"torch/side.py": "S = 1\n"})
    upstream.git("checkout", "--quiet", "main")
    upstream.git("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    ids["M"] = upstream.rev("HEAD")
    ids["T"] = upstream.commit("a test alone", {"test/t.py": "t3\n"})
    ids["X"] = upstream.commit("twelve, from the new line", {"torch/m.py": fixed.replace("new\n", "newer\n")})
    project.commit("all", {"release.yaml": CONFIG, "torch.txt": LOCK})
    return Both(project, upstream, ids)


@pytest.fixture
def both(made: Both, tmp_path: Path) -> Both:
    """A copy that a test may change."""
    for repo in (made.project, made.upstream):
        shutil.copytree(repo.path, tmp_path / repo.path.name)
    return Both(Repo(tmp_path / "project"), Repo(tmp_path / "upstream", minutes=50), made.ids)


def test_a_fix_is_made_for_the_locked_version_and_twice_the_same(both: Both) -> None:
    both.upstream.git("status")  # a copied index is refreshed once
    before = both.upstream.snapshot()
    done = both.run("F", "--json")
    assert done.code == 0, done.err
    name = "torch-2.7.0/0001-line-9-is-nine-not-9.patch"
    assert done.json["path"] == f"images/patches/{name}"
    assert done.json["files"] == ["torch/m.py", "torch/sub/n.py"]
    assert done.json["left_out"] == ["test/t.py"]
    data = both.patches[name]
    patch = parse(data)
    assert patch.fields == {
        "Subject": "Line 9 is nine, not 9 (#12)",
        "From": "Zoë B <zoe@example.com>",
        "Origin": "upstream, https://example.com/pytorch.git",
        "Commit": both.ids["F"],
        "Left-Out": "test/t.py",
    }
    after = apply_all(patch, {"torch/m.py": BODY.encode()}.get)  # exactly 2.7.0, where the line above is missing
    assert after == {"torch/m.py": BODY.replace("line 9\n", "line nine\n").encode(), "torch/sub/n.py": b"N = 1\n"}
    assert both.upstream.snapshot() == before
    assert both.project.git("status", "--porcelain") == "?? images/"
    again = both.run("F")
    assert (again.code, "imported already [patch-exists]" in again.err) == (5, True), again.err
    (both.project.path / "images/patches" / name).unlink()
    assert both.run("F").code == 0
    assert both.patches[name] == data
    both.project.write("Dockerfile", "FROM scratch\n")
    assert release("check", cwd=both.project.path).code == 0
    listed = release("patch", "list", "--json", cwd=both.project.path).json["patches"]
    assert [(each["name"], each["commit"], each["tested"]) for each in listed] == [(name, both.ids["F"], False)]


def test_a_folder_without_patches_is_said_to_be_one(both: Both) -> None:
    (both.project.path / "images/patches").mkdir(parents=True)
    (both.project.path / "images/patches/README.md").write_text("none yet\n")
    listed = release("patch", "list", cwd=both.project.path)
    assert (listed.code, listed.out) == (0, "")
    assert "there are no patches" in listed.err


def test_the_next_one_is_made_on_top_of_the_first(both: Both) -> None:
    assert both.run("F").code == 0
    assert both.run("M", "-m", "1").code == 0
    both.upstream.git("checkout", "--quiet", both.ids["F"])
    body = (both.upstream.path / "torch/m.py").read_text()
    third = both.upstream.commit("again the same line", {"torch/m.py": body.replace("line nine\n", "line IX\n")})
    done = both.run(third)
    assert done.code == 0, done.err
    files: dict[str, bytes | None] = {"torch/m.py": BODY.encode()}
    for data in both.patches.values():
        files |= apply_all(parse(data), files.get)
    assert files["torch/m.py"] == BODY.replace("line 9\n", "line IX\n").encode()
    assert [name[12:16] for name in both.patches] == ["0001", "0002", "0003"]


@pytest.mark.parametrize(
    ("letter", "code", "says"),
    [
        ("C", 4, "touches more than Python of the package: torch/csrc/c.cpp [needs-compiling]"),
        ("G", 4, "setup.py [needs-compiling]"),
        ("M", 2, "is a merge of 2 parents [merge-without-mainline]"),
        ("B", 4, "is a root commit"),
        ("T", 5, "changes nothing in torch 2.7.0 [patch-empty]"),
        ("X", 3, "does not apply to torch 2.7.0: torch/m.py [patch-conflict]"),
        ("nowhere", 2, "there is no commit 'nowhere' [no-such-commit]"),
        ("--output=x", 2, "No such option"),
        ("main~2..main", 2, "do: import one commit at a time"),
    ],
)
def test_what_cannot_be_a_patch_is_refused_in_one_line(both: Both, letter: str, code: int, says: str) -> None:
    done = both.run(letter)
    assert (done.code, says in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    assert both.patches == {}
    assert both.project.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"torch/m.py": b"\0\1"}, "a binary patch of torch/m.py"),
        ({"torch/a b.py": "x = 1\n"}, "paths with blanks or quotes are not supported"),
        ({"torch/link.py": None}, "torch/link.py is a symbolic link or a submodule"),
        ({"torch/m.py": None}, "the mode of torch/m.py is changed"),
        ({"torchgen/m.py": "x = 1\n"}, "touches more than Python of the package: torchgen/m.py"),
    ],
)
def test_what_no_patch_can_carry(both: Both, files: dict[str, str | bytes | None], says: str) -> None:
    """None stands for a link where there is no such file, and for another mode where there is one."""
    both.upstream.git("checkout", "--quiet", "v2.7.0")
    for name in [name for name, data in files.items() if data is None]:
        path = both.upstream.path / name
        path.chmod(0o755) if path.exists() else path.symlink_to("m.py")
    sha = both.upstream.commit("fix", {"docs/x.md": "x\n", **{k: v for k, v in files.items() if v is not None}})
    both.upstream.git("add", "--all")
    if None in files.values():
        both.upstream.git("commit", "--quiet", "--amend", "--no-edit")
        sha = both.upstream.rev("HEAD")
    done = both.run(sha)
    assert (done.code, says in done.err) == (4, True), done.err
    assert both.patches == {}


def test_a_file_with_windows_line_ends_and_letters_that_steer_a_terminal(both: Both) -> None:
    both.upstream.git("checkout", "--quiet", "v2.7.0")
    sha = both.upstream.commit("red \x1b[31m bell\x07", {"torch/m.py": BODY.replace("\n", "\r\n")})
    assert both.run(sha).code == 0
    (data,) = both.patches.values()
    patch = parse(data)
    assert patch.fields["Subject"] == "red [31m bell"
    assert apply_all(patch, {"torch/m.py": BODY.encode()}.get)["torch/m.py"] == BODY.replace("\n", "\r\n").encode()


def test_clones_that_lack_something(both: Both, tmp_path: Path) -> None:
    url = f"file://{both.upstream.path}"
    both.upstream.git("config", "uploadpack.allowFilter", "true")
    both.upstream.git("checkout", "--quiet", "main")
    for name, how in (("shallow", "--depth=1"), ("partial", "--filter=blob:none")):
        both.upstream.git("clone", "--quiet", "--no-checkout", how, url, str(tmp_path / name))
    shallow, partial = Repo(tmp_path / "shallow"), Repo(tmp_path / "partial")
    shallow.git("fetch", "--quiet", "--depth=1", "--no-tags", "origin", "tag", "v2.7.0")
    done = Both(both.project, shallow, both.ids).run("X")
    assert (done.code, f"git -C {shallow.path} fetch --unshallow --tags" in done.err) == (2, True), done.err
    partial.git("remote", "set-url", "origin", f"file://{tmp_path}/gone")
    done = Both(both.project, partial, both.ids).run("F")
    assert (done.code, "[partial-clone]" in done.err, done.err.count("\n")) == (7, True, 3), done.err
    assert both.patches == {}
    partial.git("remote", "set-url", "origin", url)
    assert Both(both.project, partial, both.ids).run("F").code == 0
    (both.project.path / "file").touch()
    done = release("patch", "import", "--repo", "file", "x", cwd=both.project.path)
    assert (done.code, "do: give --repo a clone of PyTorch with a work tree\n" in done.err) == (2, True), done.err


def test_surroundings_that_do_not_fit(both: Both, tmp_path: Path) -> None:
    both.upstream.git("tag", "--delete", "v2.7.0")
    done = both.run("F")
    assert (done.code, "fetch --no-tags origin tag v2.7.0" in done.err) == (2, True), done.err
    done = release("patch", "import", "--repo", str(tmp_path / "none"), "x", cwd=both.project.path)
    assert (done.code, "is not a directory" in done.err) == (2, True), done.err
    both.project.write("torch.txt", LOCK.replace("torch", "numpy"))
    done = both.run("F")
    assert (done.code, "no lock pins torch" in done.err) == (2, True), done.err
    both.project.write("release.yaml", CONFIG.replace("  patches: images/patches\n", ""))
    done = both.run("F")
    assert (done.code, "names no folder of patches [no-patches]" in done.err) == (2, True), done.err


def test_check_names_file_and_line(both: Both) -> None:
    assert both.run("F").code == 0
    ((name, right),) = both.patches.items()
    both.project.write(f"images/patches/{name}", right.replace(b"@@ -6,7", b"@@ -6,8"))
    for command in (("check",), ("patch", "list")):
        done = release(*command, cwd=both.project.path)
        assert (done.code, f"images/patches/{name}:" in done.err) == (2, True), done.err
    both.project.write(f"images/patches/{name}", right)
    both.project.write("torch.txt", LOCK.replace("2.7.0", "2.7.1"))
    done = release("check", cwd=both.project.path)
    assert "torch.txt:1 pins torch 2.7.1+cpu, these patches are for 2.7.0" in done.err
    both.project.write("release.yaml", CONFIG.replace("images/patches", "images/nowhere"))
    assert "images/nowhere is no folder [no-patches]" in release("check", cwd=both.project.path).err

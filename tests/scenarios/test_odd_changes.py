"""Changes that are not lines of text, histories that are not lines, and settings that would like a word in it.

Each pick is compared with `git cherry-pick -x` in a fresh clone without any of the user's settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.story import Repo, Story

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.hostile

TEXT = "".join(f"line {n}\n" for n in range(30))
BINARY = bytes(range(256)) * 20


@pytest.fixture
def tale(tale: Story) -> Story:
    """The story with a bit of everything on both branches."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    (clone.path / "link").symlink_to("data.txt")
    clone.commit(
        "chore: a bit of everything",
        {"data.txt": TEXT, "run.sh": "#!/bin/sh\n", "blob.bin": BINARY, "crlf.txt": TEXT.replace("\n", "\r\n")},
    )
    clone.git("add", "link")
    clone.commit("chore: link", {})
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-edit", "release/v2.7")
    return tale


def plan(tale: Story, fix: str, extra: str = "") -> Ran:
    tale.clone.git("push", "--quiet", "--force", "origin", "main", "release/v2.7")
    tale.release_yaml(f"      - commit: {fix}{extra}")
    return release("plan", "--json", cwd=tale.clone.path)


def plain(tale: Story, where: Path, fix: str, *options: str) -> str:
    """The tree that git makes of it, "" for a conflict."""
    Repo(tale.clone.path).git("clone", "--quiet", "--no-checkout", str(tale.clone.path), str(where))
    copy = Repo(where, env={"GIT_CONFIG_COUNT": "0"})
    copy.git("checkout", "--quiet", "origin/release/v2.7")
    done = copy.attempt("-c", "user.name=x", "-c", "user.email=x@example.com", "cherry-pick", "-x", *options, fix)
    return copy.rev("HEAD^{tree}") if done.returncode == 0 else ""


def mode(clone: Repo) -> str:
    clone.git("update-index", "--chmod=+x", "run.sh")
    return clone.commit("fix: run it", {})


def symlink(clone: Repo) -> str:
    (clone.path / "link").unlink()
    (clone.path / "link").symlink_to("run.sh")
    clone.git("add", "link")
    return clone.commit("fix: another target", {})


def symlink_to_file(clone: Repo) -> str:
    (clone.path / "link").unlink()
    return clone.commit("fix: a file now", {"link": "text\n"})


def submodule(clone: Repo) -> str:
    clone.git("update-index", "--add", "--cacheinfo", f"160000,{clone.rev('HEAD')},sub")
    (clone.path / "sub").mkdir()
    return clone.commit("fix: a submodule", {})


def binary(clone: Repo) -> str:
    return clone.commit("fix: bytes", {"blob.bin": BINARY[:-1]})


def crlf(clone: Repo) -> str:
    return clone.commit("fix: dos", {"crlf.txt": TEXT.replace("line 9\n", "line nine\n").replace("\n", "\r\n")})


def rename(clone: Repo) -> str:
    clone.git("mv", "data.txt", "renamed.txt")
    clone.commit("refactor: another name", {})
    return clone.commit("fix: under the new name", {"renamed.txt": TEXT.replace("line 9\n", "line nine\n")})


def root(clone: Repo) -> str:
    clone.git("checkout", "--quiet", "--orphan", "alone")
    clone.git("rm", "-r", "--quiet", "--cached", ".")
    made = clone.commit("fix: from nothing", {"alone.txt": "x\n"})
    clone.git("checkout", "--quiet", "--force", "main")
    return made


def lfs(clone: Repo) -> str:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1\n"
    return clone.commit(
        "fix: weights", {".gitattributes": "*.pt filter=lfs diff=lfs -text\n", "m.pt": pointer.format("a" * 64)}
    )


CHANGES: list[Callable[[Repo], str]] = [mode, symlink, symlink_to_file, submodule, binary, crlf, rename, root, lfs]


@pytest.mark.wide
@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.__name__)
def test_a_change_is_picked_as_git_does(tale: Story, tmp_path: Path, change: Callable[[Repo], str]) -> None:
    fix = change(tale.clone)
    made = plan(tale, fix)
    assert made.code == 0, made.err
    assert made.json["picked_tree"] == plain(tale, tmp_path / "plain", fix)


@pytest.mark.wide(2)
@pytest.mark.parametrize("change", [binary, submodule], ids=lambda each: each.__name__)
def test_what_cannot_be_merged_line_by_line_conflicts(
    tale: Story, tmp_path: Path, change: Callable[[Repo], str]
) -> None:
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    if change is binary:
        clone.commit("fix: other bytes", {"blob.bin": BINARY[1:]})
    else:
        clone.commit("fix: a file there", {"sub": "text\n"})
    clone.git("checkout", "--quiet", "main")
    fix = change(clone)
    made = plan(tale, fix)
    assert plain(tale, tmp_path / "plain", fix) == ""
    assert made.code == 3, made.err
    assert [each["path"] for each in made.json["picks"][0]["conflicts"]] == ["blob.bin" if change is binary else "sub"]


@pytest.mark.wide
def test_an_octopus_merge(tale: Story, tmp_path: Path) -> None:
    clone = tale.clone
    for name in ("one", "two"):
        clone.git("checkout", "--quiet", "-b", name, "main")
        clone.commit(f"fix: {name}", {f"{name}.txt": "x\n"})
    clone.git("checkout", "--quiet", "main")
    clone.commit("fix: main", {"main.txt": "x\n"})
    clone.git("merge", "--quiet", "--no-edit", "one", "two")
    merge = clone.rev("HEAD")
    assert len(clone.git("rev-list", "--parents", "-1", merge).split()) == 4
    refused = plan(tale, merge)
    assert (refused.code, refused.json["problems"][0]["code"]) == (2, "merge-needs-mainline")
    made = plan(tale, merge, "\n        mainline: 1")
    assert made.json["picked_tree"] == plain(tale, tmp_path / "plain", merge, "-m", "1")
    assert plan(tale, merge, "\n        mainline: 5").code == 2
    tale.release_yaml(f"      - range: {tale.base}..{merge}")
    ranged = release("plan", "--json", cwd=clone.path)
    assert (ranged.code, ranged.json["problems"][0]["code"]) == (2, "range-has-merges")
    assert merge[:12] in ranged.json["problems"][0]["message"]


SETTINGS = [
    ("merge.renames", "false"), ("merge.directoryRenames", "true"), ("merge.renameLimit", "1"),
    ("diff.renames", "false"), ("diff.algorithm", "patience"), ("merge.conflictStyle", "zdiff3"),
    ("core.autocrlf", "true"), ("core.ignoreCase", "true"), ("blame.markIgnoredLines", "true"),
]  # fmt: skip


def test_the_users_settings_change_no_tree(tale: Story, tmp_path: Path) -> None:
    fix = rename(tale.clone)
    wanted = plain(tale, tmp_path / "plain", fix)
    for key, value in SETTINGS:
        tale.clone.git("config", key, value)
    assert plan(tale, fix).json["picked_tree"] == wanted


def test_nothing_that_a_repository_can_plant_is_run(tale: Story, tmp_path: Path) -> None:
    """Drivers, filters, converters, hooks and helpers: each would leave a file behind."""
    canary = tmp_path / "canary"
    run = f"sh -c 'touch {canary}'"
    clone = tale.clone
    attributes = "*.txt merge=evil diff=evil filter=evil\n"
    clone.commit("chore: attributes", {".gitattributes": attributes})
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.commit("chore: attributes", {".gitattributes": attributes})
    clone.commit("fix: own line", {"data.txt": TEXT.replace("line 2\n", "own\n")})
    clone.git("checkout", "--quiet", "main")
    fix = clone.commit("fix: line", {"data.txt": TEXT.replace("line 20\n", "line twenty\n")})
    wanted = plain(tale, tmp_path / "plain", fix)
    clone.git("push", "--quiet", "--force", "origin", "main", "release/v2.7")
    tale.release_yaml(f"      - commit: {fix}")
    for key in (
        "merge.evil.driver", "diff.evil.command", "diff.evil.textconv", "filter.evil.smudge", "filter.evil.clean",
        "filter.evil.process", "diff.external", "core.fsmonitor", "core.pager", "core.editor", "sequence.editor",
    ):  # fmt: skip
        clone.git("config", key, run)
    hooks = clone.path / ".git/hooks"
    for name in ("post-checkout", "pre-commit", "post-commit", "post-index-change", "prepare-commit-msg", "pre-push",
                 "reference-transaction", "post-merge", "pre-auto-gc"):  # fmt: skip
        (hooks / name).write_text(f"#!/bin/sh\ntouch {canary}.{name}\n")
        (hooks / name).chmod(0o755)
    made = release("plan", "--json", cwd=clone.path)
    assert made.code == 0, made.err
    assert made.json["picked_tree"] == wanted
    assert release("duplicates", cwd=clone.path).code == 9  # the attributes
    assert release("candidates", cwd=clone.path).code == 0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("canary")]

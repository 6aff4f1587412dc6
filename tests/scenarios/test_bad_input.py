"""What people and machines give by mistake: one clear line, a remedy, an exit code, nothing public, nothing lost."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.git.objects import object_id
from tests.support.cli import Ran, clean_env, release
from tests.support.story import VERSION, Repo, fix_line, make_repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


pytestmark = pytest.mark.hostile


def cut(tale: Story, *args: str, code: int) -> Ran:
    ran = release("cut", VERSION, "--yes", *args, cwd=tale.clone.path)
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err
    return ran


def plan(tale: Story, *args: str, code: int) -> Ran:
    ran = release("plan", VERSION, *args, cwd=tale.clone.path)
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err
    return ran


def hook(repo: Repo, name: str, text: str) -> None:
    directory = repo.path / (".git/hooks" if (repo.path / ".git").exists() else "hooks")
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


def private(tale: Story) -> bool:
    """Whether the remote is as it was."""
    return tale.remote.git("tag") == "v2.7.0" and tale.remote.rev("release/v2.7") == tale.base


# ------------------------------------------------------------------ where a command is started


def test_no_repository_and_what_is_none(tale: Story, tmp_path: Path) -> None:
    for directory, said in (
        (tmp_path, "is not in a git repository"),
        (tale.remote.path, "is a bare repository"),
        (tale.clone.path / ".git", "is inside the .git directory"),
    ):
        ran = release("plan", VERSION, cwd=directory)
        assert (ran.code, said in ran.err, len(ran.err.splitlines())) == (2, True, 2), ran.err
    assert release("-C", "/nowhere/at/all", "plan", cwd=tmp_path).code == 2


def test_sha256_repository_is_refused_by_name(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "x")
    repo.git("init", "--quiet", "--object-format=sha256", "new")
    ran = release("plan", VERSION, cwd=tmp_path / "x/new")
    assert ran.code == 2
    assert "only SHA-1" in ran.err


# ------------------------------------------------------------------ names


def test_a_version_is_no_path_and_no_pattern(tale: Story) -> None:
    """`release abort 'v*'` would match the private refs of every release."""
    tale.release_yaml(fix_line(tale.fix), extra="verify: ['false']\n")
    cut(tale, code=6)
    before = tale.clone.snapshot()
    for version, *commands in (
        ("v*", "abort", "status"),
        ("lock", "abort"),
        ("../../x", "continue"),
        ("--yes", "abort"),
    ):
        for command in commands:
            ran = release(command, "--", version, cwd=tale.clone.path)
            assert ran.code == 2, (command, version, ran.err)
            assert "is not a version" in ran.err
    assert tale.clone.snapshot() == before


def test_a_revision_called_ambiguous_is_unknown(tale: Story) -> None:
    tale.release_yaml(fix_line("not-ambiguous"))
    assert "is not known in this clone" in plan(tale, code=2).err


def test_an_ambiguous_revision_is_named(tale: Story) -> None:
    head = f"tree {tale.clone.rev('main^{tree}')}\nauthor a <a@x> 1 +0000\ncommitter a <a@x> 1 +0000\n\n"
    seen: dict[str, str] = {}
    for number in range(5000):
        text = f"{head}{number}\n"
        first = seen.setdefault(object_id("commit", text.encode())[:4], text)
        if first != text:
            break
    same = [tale.clone.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=each) for each in (first, text)]
    assert same[0][:4] == same[1][:4]
    tale.release_yaml(fix_line(f"'{same[0][:4]}'"))
    assert "is ambiguous" in plan(tale, code=2).err


def test_mainline_of_a_root_commit_is_refused(tale: Story) -> None:
    tale.clone.git("checkout", "--quiet", "--orphan", "alone")
    root = tale.clone.commit("fix: another root", {"new.txt": "new\n"})
    tale.clone.git("checkout", "--quiet", "-f", "main")
    tale.release_yaml(fix_line(root) + "\n        mainline: 1")
    assert "0 parent(s)" in plan(tale, code=2).err


# ------------------------------------------------------------------ tags


def test_tags_of_trees_and_of_tags_are_no_versions_of_the_line(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    tale.clone.git("tag", "v2.7.5", tale.clone.rev("main^{tree}"))
    tale.clone.git("tag", "-a", "-m", "x", "v2.7.6", "main")
    tale.clone.git("tag", "-a", "-m", "a tag of a tag", "v2.7.7", "v2.7.6")
    assert plan(tale, "--json", code=0).json["previous"] == "v2.7.0"


def test_tag_names_with_odd_blanks(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    for name in ("a\u2028b", "a\u00a0b", "a\u0085b"):
        tale.clone.git("tag", name, "main")
        tale.clone.git("push", "--quiet", "origin", f"refs/tags/{name}")
    plan(tale, code=0)


def test_a_tag_below_the_tags_name_is_found_by_the_plan(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    tale.remote.git("tag", f"{VERSION}/rc", tale.base)
    refused = cut(tale, code=4)
    assert f"git push origin :refs/tags/{VERSION}/rc" in refused.err


def test_a_local_tag_in_the_way_does_not_hold_up_what_is_public(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    tale.clone.git("tag", f"{VERSION}/rc", tale.base)
    done = cut(tale, "--json", code=0)
    assert tale.remote.rev(f"{VERSION}^{{commit}}") == done.json["commit_sha"]
    assert f"the local {VERSION} could not be made" in done.json["notes"][0]


def test_a_checked_out_branch_is_left_and_said_so(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    assert "was left alone: git -C" in cut(tale, code=0).out


# ------------------------------------------------------------------ what the release commit writes


def _on_branch(tale: Story, files: dict[str, str | bytes | None]) -> None:
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.commit("docs: more", files)
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")


def test_no_directory_is_replaced_by_a_changelog(tale: Story) -> None:
    _on_branch(tale, {"docs/a.md": "a\n", "docs/b.md": "b\n"})
    for changelog, said in (("docs", "docs, a directory,"), ("README.md/CHANGES", "README.md, a file,")):
        tale.release_yaml(fix_line(tale.fix), extra=f"changelog: {changelog}\n")
        assert f"{said} is in the way" in cut(tale, code=2).err


@pytest.mark.parametrize("key", ["changelog: release.yaml", "version-files: [{path: release.yaml, pattern: '(1)$'}]"])
def test_the_list_of_releases_is_no_file_that_a_release_edits(tale: Story, key: str) -> None:
    tale.release_yaml(fix_line(tale.fix), extra=f"{key}\n")
    assert "[config-same-file]" in cut(tale, code=2).err
    checked = release("check", "--json", cwd=tale.clone.path)
    assert (checked.code, checked.json["problems"][0]["code"]) == (2, "config-same-file")
    assert checked.json["problems"][0]["where"].startswith("release.yaml")


def test_no_symbolic_link_is_replaced_by_a_changelog(tale: Story) -> None:
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    (tale.clone.path / "CHANGELOG.md").symlink_to("README.md")
    tale.clone.git("add", "CHANGELOG.md")
    _on_branch(tale, {})
    tale.release_yaml(fix_line(tale.fix))
    assert "CHANGELOG.md, a symbolic link, is in the way" in cut(tale, code=2).err


@pytest.mark.wide
def test_release_yaml_inside_dot_git_is_no_path_of_the_tree(tale: Story) -> None:
    """git refuses to check out a tree that holds `.git`."""
    tale.release_yaml(fix_line(tale.fix))
    (tale.clone.path / "release.yaml").rename(tale.clone.path / ".git/r.yaml")
    cut(tale, "-c", ".git/r.yaml", code=0)
    assert "release.yaml" in tale.remote.git("ls-tree", "-r", "--name-only", "release/v2.7").split()


# ------------------------------------------------------------------ the remote says no


@pytest.mark.wide
def test_a_hook_that_says_no(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    hook(tale.clone, "pre-push", "echo 'the tests are red' >&2; exit 1")
    refused = cut(tale, code=7)
    assert "the tests are red" in refused.err
    assert "[push-failed]" in refused.err
    assert private(tale)
    (tale.clone.path / ".git/hooks/pre-push").unlink()
    hook(tale.remote, "update", 'case $1 in refs/tags/*) echo "no tags here"; exit 1;; esac')
    refused = cut(tale, code=7)
    assert "no tags here" in refused.err
    assert "  do: do what the remote says; " in refused.err
    assert private(tale)
    assert "nothing is public" in release("status", cwd=tale.clone.path).out
    (tale.remote.path / "hooks/update").unlink()
    cut(tale, code=0)


@pytest.mark.wide
def test_records_and_notes_that_the_remote_rejects(tale: Story) -> None:
    """The release is public by then, and the message does not say otherwise."""
    tale.release_yaml(fix_line(tale.fix))
    hook(tale.remote, "update", 'case $1 in refs/release-records/*) echo "no records"; exit 1;; esac')
    refused = cut(tale, code=7)
    assert "no records" in refused.err
    assert "branch and tag are public" in refused.err
    hook(tale.remote, "update", 'case $1 in refs/notes/*) echo "no notes"; exit 1;; esac')
    assert "could not be pushed: no notes" in cut(tale, code=7).err
    (tale.remote.path / "hooks/update").unlink()
    cut(tale, code=0)


@pytest.mark.wide
def test_a_push_url_elsewhere_is_told_from_a_rejected_push(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    other = make_repo(tale.clone.path.parent / "other.git", bare=True)
    tale.clone.git("push", "--quiet", str(other.path), "main", "release/v2.7")
    tale.clone.git("config", "remote.origin.pushurl", str(other.path))
    assert "[push-not-visible]" in cut(tale, code=7).err


@pytest.mark.wide
def test_a_record_ref_of_somebody_else(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    blob = tale.remote.git("hash-object", "-w", "--stdin", stdin='{"schema_version": 1}')
    for found in (tale.base, blob):
        tale.remote.git("update-ref", f"refs/release-records/{VERSION}", found)
        assert "this is not a release record" in cut(tale, code=2).err


@pytest.mark.wide
def test_notes_of_others_stay_byte_for_byte(tale: Story) -> None:
    tale.clone.write("note", b"caf\xe9 \x0c one line\n")
    tale.clone.git("notes", "--ref=release", "add", "-F", "note", tale.fix)
    tale.clone.git("push", "--quiet", "origin", "refs/notes/release")
    tale.release_yaml(fix_line(tale.fix))
    cut(tale, code=0)
    blob = tale.remote.git("notes", "--ref=release", "list", tale.fix)
    stored = tale.remote.path.parent / "stored"
    tale.remote.git("config", "alias.dump", f"!git cat-file blob {blob} >{shlex.quote(str(stored))}")
    tale.remote.git("dump")
    assert b"caf\xe9 \x0c one line\n" in stored.read_bytes()


# ------------------------------------------------------------------ files of the tool itself


@pytest.mark.wide
def test_abort_gets_past_a_damaged_journal(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix), extra="verify: ['false']\n")
    before = tale.clone.snapshot()
    cut(tale, code=6)
    journal = tale.clone.path / ".git/release" / VERSION / "journal.jsonl"
    for damage in ("garbage\n", '{"format": 1, "kind": "opened"}\n'):
        journal.write_text(damage + journal.read_text())
        assert "release abort" in cut(tale, code=2).err
    assert release("abort", VERSION, cwd=tale.clone.path).code == 0
    assert tale.clone.snapshot() == before


@pytest.mark.wide
def test_abort_asks_the_remote_when_the_journal_is_damaged(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    cut(tale, code=0)
    (tale.clone.path / ".git/release" / VERSION / "journal.jsonl").write_text("garbage\n")
    refused = release("abort", VERSION, cwd=tale.clone.path)
    assert (refused.code, "is public already" in refused.err) == (4, True)


def test_a_plan_of_another_format_in_the_journal(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    journal = tale.clone.path / ".git/release" / VERSION / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text('{"format": 1, "kind": "opened", "plan": {"schema_version": 1}}\n')
    standing = release("status", VERSION, "--json", cwd=tale.clone.path).json["releases"][0]
    assert (standing["state"], any("abort" in line for line in standing["next"])) == ("damaged", True)
    ran = release("abort", VERSION, cwd=tale.clone.path)
    assert ran.code == 0, ran.err
    assert not journal.exists()


def test_a_release_yaml_that_is_nowhere_has_no_status(tale: Story) -> None:
    for name, code in (("/nonexist", "config-missing"), (".", "config-not-a-file")):
        ran = release("status", "-c", name, cwd=tale.clone.path)
        assert (ran.code, f"[{code}]" in ran.err, "do: name another" in ran.err) == (2, True, True)
    assert release("status", "-c", "release.yaml", cwd=tale.clone.path).code == 2
    tale.release_yaml(fix_line(tale.fix))
    assert release("status", "-c", "release.yaml", cwd=tale.clone.path).code == 0
    cut(tale, code=0)  # from now on a tag has it
    (tale.clone.path / "release.yaml").unlink()
    assert release("status", "-c", "release.yaml", cwd=tale.clone.path).code == 0


def test_plan_files_that_are_none(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    for text in (b"", b"[]", b'{"schema_version": 1}', b"\xff"):
        (tale.clone.path / "p.json").write_bytes(text)
        assert "p.json: this is not a plan" in cut(tale, "--plan", "p.json", code=2).err


def test_out_that_cannot_be_written_leaves_nothing(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    (tale.clone.path / "d").mkdir()
    before = sorted(path.name for path in tale.clone.path.iterdir())
    assert "the plan cannot be written" in plan(tale, "--out", "d", code=2).err
    assert sorted(path.name for path in tale.clone.path.iterdir()) == before


def test_a_refused_cut_leaves_no_file(tale: Story) -> None:
    """Not even the lock."""
    tale.release_yaml(fix_line("nowhere"))
    before = tale.clone.snapshot()
    cut(tale, code=2)
    assert tale.clone.snapshot() == before


# ------------------------------------------------------------------ output


def test_one_document_whatever_fails_after_it(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    ran = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path, env={"GITHUB_OUTPUT": "/nowhere/at/all"})
    assert json.loads(ran.out)["version"] == VERSION


@pytest.mark.parametrize(
    "words",
    [
        "plan --bogus --json",
        "--json nosuch",
        "cut --push-stall x --json",
        "cut --continue --abort --json",
        "publish --json",
        "show v9.9.9 --json",
        "plan v2.7.1 --json -C /nowhere/at/all",
    ],
)
def test_every_error_is_one_document(tale: Story, words: str) -> None:
    ran = release(*words.split(), cwd=tale.clone.path)
    assert ran.code == 2
    assert ran.json["error"]["exit_code"] == 2
    assert ran.json["error"]["message"]


@pytest.mark.wide
def test_the_directory_was_removed_under_the_shell(tale: Story) -> None:
    (tale.clone.path / "sub").mkdir()
    script = f"cd sub && rmdir ../sub && {shlex.quote(sys.executable)} -m orchestrator status"
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=tale.clone.path, env=clean_env(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: the current directory does not exist any more [no-directory]",
    )


def test_a_clone_that_is_only_behind_is_not_called_different(tale: Story) -> None:
    """The remote's branch has commits that this clone never saw: the plan is made on them, and says nothing untrue."""
    tale.clone.git("clone", "--quiet", "--branch", "release/v2.7", str(tale.remote.path), "../colleague")
    colleague = Repo(tale.clone.path.parent / "colleague", minutes=90, env={"GIT_AUTHOR_NAME": "c", "EMAIL": "c@x"})
    colleague.git("config", "user.name", "c")
    newer = colleague.commit("fix: mine", {"mine.py": "1\n"})
    colleague.git("push", "--quiet", "origin", "release/v2.7")
    tale.release_yaml(fix_line(tale.fix))
    before = tale.clone.snapshot()
    made = plan(tale, "--json", code=0).json
    assert made["base"] == newer
    assert not [note for note in made["notes"] if "differs" in note]
    assert tale.clone.snapshot() == before

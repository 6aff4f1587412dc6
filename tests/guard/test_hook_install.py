"""Hooks are put into a repository and taken away, and never in the place of somebody's own; the client's hooks."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import RefusedError
from orchestrator.guard.hooks import check_message
from tests.support import guarded as making
from tests.support.cli import Ran, release
from tests.support.guarded import BRANCH, YAML
from tests.support.story import Repo, make_repo, processes, traced

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

GOOD = (
    "fix: x",
    "feat(api)!: y",
    "Merge branch 'x'",
    'Revert "x"',
    "fixup! anything",
    "# comment\nfix: x",
    "",
    "\n\nfix: x",
)
BAD = ("fixed it", "fix:x", "WIP", "fix : x", ": x")


@pytest.mark.parametrize("message", GOOD)
def test_a_conventional_message_passes(message: str) -> None:
    check_message(message, "MSG")


@pytest.mark.parametrize("message", BAD)
def test_any_other_message_does_not(message: str) -> None:
    with pytest.raises(RefusedError, match="no Conventional Commit"):
        check_message(message, "MSG")


hostile = pytest.mark.hostile


def hook(repo: Repo, *args: str) -> Ran:
    return release("hook", "install", *args, cwd=repo.path)


@hostile
def test_install_twice_and_uninstall(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "clone")
    first = hook(repo)
    hooks = repo.path / ".git/hooks"
    assert first.code == 0, first.err
    assert {line.rpartition(": ")[2] for line in first.out.splitlines()} == {"made"}
    assert all(os.access(hooks / name, os.X_OK) for name in ("pre-push", "commit-msg"))
    assert {line.rpartition(": ")[2] for line in hook(repo).out.splitlines()} == {"kept"}
    assert hook(repo, "--uninstall", "--json").json["hooks"][0]["state"] == "removed"
    assert not (hooks / "pre-push").exists()
    assert hook(repo, "--uninstall", "--json").json["hooks"][0]["state"] == "absent"


@hostile
def test_a_hook_of_somebody_is_kept(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "clone")
    mine = repo.path / ".git/hooks/commit-msg"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text(f"#!/bin/sh\necho mine >> {tmp_path}/ran\n")
    mine.chmod(0o755)
    text = mine.read_text()
    refused = hook(repo)
    assert refused.code == 4
    assert "[hook-exists]" in refused.err
    assert mine.read_text() == text
    assert not (mine.parent / "pre-push").exists()  # all or nothing
    assert hook(repo, "--chain").code == 0
    repo.commit("fix: x", {"a": "1\n"})
    assert (tmp_path / "ran").read_text() == "mine\n"
    assert repo.attempt("commit", "--allow-empty", "-m", "nonsense").returncode != 0
    assert (tmp_path / "ran").read_text() == "mine\n"
    assert hook(repo, "--uninstall").code == 0
    assert mine.read_text() == text


@hostile
def test_hooks_path_and_worktrees(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "clone")
    repo.commit("fix: first", {"a": "1\n"})
    repo.git("worktree", "add", "--quiet", str(tmp_path / "tree"))
    assert str(repo.path / ".git/hooks/pre-push") in hook(Repo(tmp_path / "tree")).out
    repo.git("config", "core.hooksPath", "my hooks")
    assert hook(repo, "pre-push").code == 0
    assert (repo.path / "my hooks/pre-push").exists()


@hostile
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["hook", "install", "--server"], "not-bare"),
        (["hook", "install", "post-merge"], "unknown-hook"),
        (["hook", "install", "pre-push", "--server"], "unknown-hook"),
        (["hook", "instal"], "hook-action"),
        (["hook", "run"], "hook-action"),
        (["hook", "run", "pre-rebase"], "unknown-hook"),
        (["hook", "run", "commit-msg", "nowhere"], "hook-input"),
        (["hook", "run", "pre-receive"], "not-a-repository"),
        (["hook", "run", "pre-receive", "--git-dir", ".git"], "hook-input"),
        (["hook", "run", "pre-receive", "--git-dir", ".git", "--quarantine", "/tmp"], "bad-quarantine"),
        (["hook", "run", "update", "--git-dir", ".git", "a", "b"], "unknown-hook"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, args: list[str], code: str) -> None:
    ran = release(*args, cwd=make_repo(tmp_path / "clone").path, stdin="nonsense\n")
    assert ran.code == 2
    assert f"[{code}]" in ran.err
    assert "Traceback" not in ran.err


@hostile
def test_outside_of_a_repository(tmp_path: Path) -> None:
    assert "[not-a-repository]" in release("hook", "install", cwd=tmp_path).err


@hostile
def test_a_repository_whose_pushes_would_all_be_refused_gets_no_hook(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", "--object-format=sha256", "."], cwd=tmp_path, check=True)
    refused = release("hook", "install", "--server", cwd=tmp_path)
    assert (refused.code, "[object-format]" in refused.err) == (2, True), refused.err
    assert not (tmp_path / "hooks/pre-receive").exists()
    assert release("hook", "install", "--server", "--uninstall", cwd=tmp_path).code == 0


def test_pre_push_refuses_what_the_server_would(tale: Story) -> None:
    g = making.make(tale)
    (g.server.path / "hooks/pre-receive").unlink()  # only the clone's own hook speaks here
    assert hook(g.clone).code == 0
    status, said = g.push(f"{g.pick(g.other, g.base)}:{BRANCH}")
    assert status != 0
    assert "[undeclared]" in said
    assert g.push(f"{g.other}:refs/heads/topic")[0] == 0
    ran = release("cut", "v2.7.1", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err


@hostile
def test_pre_commit_names_what_is_there_already(tale: Story) -> None:
    tale.clone.write("release.yaml", YAML + f"      - commit: {tale.base}\n")
    ran = release("hook", "run", "pre-commit", cwd=tale.clone.path)
    assert ran.code == 5
    assert "[duplicate-pick]" in ran.err
    tale.clone.write("release.yaml", YAML + f"      - commit: {tale.fix}\n")
    assert release("hook", "run", "pre-commit", cwd=tale.clone.path).code == 0


@hostile
@pytest.mark.wide
def test_many_picks_and_many_refs(tale: Story, tmp_path: Path) -> None:
    """50 picks in one push, to a repository with 5,000 branches, by as many git processes as one pick needs."""
    clone, server = tale.clone, tale.remote
    fixes = [clone.commit(f"fix: number {n}", {f"f{n}.py": f"N = {n}\n"}) for n in range(50)]
    clone.write("release.yaml", YAML + "".join(f"      - commit: {sha}\n" for sha in fixes))
    clone.commit("chore: declare", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
    clone.git("push", "--quiet", "origin", "main")
    server.git("update-ref", "--stdin", stdin="".join(f"create refs/heads/t/{n} {tale.base}\n" for n in range(5000)))
    server.git("pack-refs", "--all")
    assert making.install(server).code == 0
    clone.git("checkout", "--quiet", "-b", "by-hand", tale.base)
    counts = []
    for number, picks in enumerate((fixes[:1], fixes[1:])):
        clone.git("cherry-pick", "-x", *picks)
        pusher = Repo(clone.path, env=traced(tmp_path / str(number)))
        pusher.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
        counts.append(processes(tmp_path / str(number)))
    assert counts[1] <= counts[0] + 2

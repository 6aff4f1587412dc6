"""What a hook tells people to type is typed, and what they wanted to push gets there."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.guarded import BRANCH, TAG
from tests.support.hostile import CASES
from tests.support.hostile.refs import yank
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import make_repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guarded import Guarded

pytestmark = pytest.mark.hostile

# A hostile push of each kind -> what its refusal prints; none of them changes the server.
BY_CUT = {
    "picked_and_skipped": "release cut v2.7.1",
    "tag_without_its_branch": "release cut v2.7.1",
    "extra_file_in_the_release_commit": "release cut v2.7.1",
    "sources_before_the_tag": "release cut v2.7.1",
    "sources_of_a_version_that_no_release_made": "release cut",
}


def refused(g: Guarded, *specs: str) -> Ran:
    """A push that the server refuses, as the pusher sees it."""
    status, told = g.push(*specs)
    assert status, told
    return Ran(status, "", re.sub(r"(?m)^remote: |\s+$", "", told))


@types(
    "guard/branch.py: git cherry-pick -x {}", "guard/push.py: git push REMOTE COMMIT:{}",
    "guard/push.py: release cut {}", "guard/branch.py: release cut {}", "guard/branch.py: release cut",
    "guard/commits.py: release cut",
    "guard/decisions.py: release cut {}", "guard/repository.py: release cut",
    "guard/push.py: git notes --ref=release add -m TEXT COMMIT",
    "guard/push.py: git fetch REMOTE {} && git notes --ref=release merge FETCH_HEAD",
    "guard/push.py: release yank {} --reason \"...\"",
)  # fmt: skip
@pytest.mark.wide
def test_what_the_server_refuses_gets_there_by_what_it_prints(g: Guarded) -> None:
    here = g.clone.path
    g.server.git("update-ref", "-d", BRANCH)
    root = g.clone.git("commit-tree", f"{g.base}^{{tree}}", "-m", "feat: alone")
    begin = said(refused(g, f"{root}:{BRANCH}"), "git push REMOTE")
    works(begin.replace("REMOTE", "origin").replace("COMMIT", g.base), here)

    make = said(refused(g, *CASES["notes_that_are_a_blob"][0](g)), "git notes --ref=release add")
    ways = {said(refused(g, *CASES[name][0](g)), way) for name, way in BY_CUT.items()}
    other = refused(g, f"{g.commit(g.tree(g.picks[0], 'x.py', 'x'), g.base, like=g.picks[0])}:{BRANCH}")
    ways.add(said(other, "release cut"))
    g.clone.git("checkout", "--quiet", "--detach", g.base)
    works(said(other, "git cherry-pick -x"), here)
    assert g.clone.rev("HEAD^{tree}") == g.clone.rev(f"{g.picks[0]}^{{tree}}")
    g.clone.git("checkout", "--quiet", "main")
    assert ways == {"release cut v2.7.1", "release cut"}
    works("release cut --yes", here)
    works("release cut v2.7.1 --yes", here)
    works("release verify v2.7.1", here)

    wrong = refused(g, *yank(g, "v2.7.1", commit=g.base))
    works(f"{said(wrong, 'release yank')} --yes", here)
    g.clone.git("update-ref", "-d", "refs/notes/release")
    g.clone.git("notes", "--ref", "release", "add", "-m", "mine", g.other)
    join = said(refused(g, "+refs/notes/release"), "git fetch REMOTE")
    works(join.replace("REMOTE", "origin"), here)
    works(make.replace("TEXT", "seen").replace("COMMIT", g.base), here)
    works("git push origin refs/notes/release", here)
    assert g.server.git("notes", "--ref", "release", "show", g.other) == "mine"


@types("guard/hooks.py: git commit -eF", "guard/hook_install.py: release hook install --chain",
       "guard/hook_install.py: release hook install", "guard/received_push.py: release hook install --server",
       "cli/hook.py: release hook install")  # fmt: skip
@pytest.mark.wide
def test_hooks_of_a_clone_and_of_a_server(tmp_path: Path) -> None:
    repo, server = make_repo(tmp_path / "clone"), make_repo(tmp_path / "server.git", bare=True)
    mine = repo.path / ".git/hooks/commit-msg"
    mine.write_text("#!/bin/sh\nexit 0\n")
    mine.chmod(0o755)
    there = release("hook", "install", cwd=repo.path)
    works(said(there, "release hook install --chain"), repo.path)
    works(said(release("hook", "instal", cwd=repo.path), "release hook install"), repo.path)
    bad = repo.attempt("commit", "--allow-empty", "-m", "closes the workers")
    again = said(Ran(bad.returncode, "", bad.stderr), "git commit -eF")
    done = typed(f"{again} --allow-empty", repo.path, {"GIT_EDITOR": "sed -i '1s/^/fix: /'"})
    assert done.returncode == 0, done.stderr
    assert repo.git("log", "-1", "--format=%s") == "fix: closes the workers"
    gone = re.sub(r"/\S+/python\S*", "/nowhere/python", mine.read_text())
    mine.write_text(gone)
    broken = repo.attempt("commit", "--allow-empty", "-m", "fix: more")
    assert broken.returncode
    works(said(Ran(1, "", broken.stderr), "release hook install"), repo.path)
    assert repo.attempt("commit", "--allow-empty", "-m", "fix: more").returncode == 0
    outside = release("hook", "run", "pre-receive", cwd=tmp_path, stdin="")
    works(said(outside, "release hook install --server"), server.path)
    assert (server.path / "hooks/pre-receive").exists()


@types("guard/repository.py: git config release.protectedBranch NAME", "guard/repository.py: release init",
       "guard/repository.py: git config release.configPath")  # fmt: skip
def test_a_server_that_does_not_know_what_is_declared(g: Guarded) -> None:
    g.server.git("config", "release.protectedBranch", "trunk")
    told = refused(g, f"{g.head}:{BRANCH}")
    works(said(told, "git config release.protectedBranch").replace("NAME", "main"), g.server.path)
    g.clone.git("mv", "release.yaml", "other.yaml")
    g.clone.commit("chore: moved", {})
    g.server.git("update-ref", "refs/heads/main", pushed(g))
    told = refused(g, f"{g.head}:{BRANCH}")
    works(f"{said(told, 'git config release.configPath')} other.yaml", g.server.path)
    assert "[no-config]" not in g.push(f"{g.other}:{BRANCH}")[1]
    works(said(told, "release init").partition(", ")[0], g.clone.path)
    assert (g.clone.path / "release.yaml").exists()


def pushed(g: Guarded) -> str:
    """The tip of main, brought to the server past its hook."""
    subprocess.run(["git", "fetch", "--quiet", str(g.clone.path), "main"], cwd=g.server.path, check=True)
    return g.clone.rev("main")


@types("guard/push.py: release promote CANDIDATE {}")
@pytest.mark.wide
def test_a_promotion_by_hand(g: Guarded) -> None:
    text = g.clone.git("show", "main:release.yaml").replace("v2.7.1:", "v2.7.1-rc.1:")
    g.clone.write("release.yaml", text + "\n")
    g.clone.commit("chore: a candidate first", {"release.yaml": text + "\n"})
    assert g.push("main")[0] == 0
    works("release cut v2.7.1-rc.1 --yes", g.clone.path)
    g.clone.git("fetch", "--quiet", "--tags", "origin")
    message = f"v2.7.1\n\nPromoted-From: v2.7.1-rc.1 {g.tag}\n"
    told = refused(g, f"{g.tagged('v2.7.1', g.clone.rev('v2.7.1-rc.1^{commit}'), message=message)}:{TAG}")
    works(f"{said(told, 'release promote').replace('CANDIDATE', 'v2.7.1-rc.1')} --yes", g.clone.path)

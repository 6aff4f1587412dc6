"""`signoff: true` before a server that takes only what its committer signed off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.forge_repo import ForgeRepo
from tests.support.guarded import install
from tests.support.printed import types
from tests.support.remedies import said, works
from tests.support.rewriting import rewrite
from tests.support.server_rules import SIGNED_OFF, demand
from tests.support.three_picks import BRANCH, ME, TAG, copied_clone, declare, judged_right, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Repo, Story

pytestmark = pytest.mark.history
CANDIDATE = "release-candidate/v2.7.1"


def messages(repo: Repo, head: str) -> list[str]:
    """Of the four commits of the release, oldest first."""
    return repo.git("log", "-4", "--reverse", "--format=%B%x00", head).split("\0")[:-1]


def test_every_commit_is_signed_off_once(tale: Story, tmp_path: Path) -> None:
    """The server refuses the same release without; with it every judge agrees, its own hook too."""
    declare(tale, "signoff: true\n")
    assert install(tale.remote, quick=True).code == 0
    demand(tale.remote, SIGNED_OFF)
    clone = tale.clone
    clone.git("checkout", "--quiet", "--detach", tale.base)
    clone.git("cherry-pick", "-x", tale.fix)
    refused = clone.attempt("push", "origin", f"HEAD:{BRANCH}")
    assert "push rule" in refused.stderr, refused.stderr
    clone.git("checkout", "--quiet", "main")
    planned = release("plan", "v2.7.1", "--json", cwd=clone.path).json
    resolve(tale, 0)
    head = tale.remote.rev(f"{TAG}^{{commit}}")
    assert tale.remote.rev(BRANCH) == head
    assert tale.remote.rev(f"{head}~3") == planned["picks"][0]["result"]  # ids are planned as ever
    told = messages(tale.remote, head)
    assert [each.count(ME) for each in told] == [1, 1, 1, 1], told
    assert told[0].strip().splitlines()[-3:] == [
        "Signed-off-by: Fay Fixer <fay@example.com>", f"(cherry picked from commit {tale.fix})", ME
    ]  # fmt: skip
    judged_right(tale, tmp_path)


@types("guard/branch.py: git cherry-pick -s -x {}")
def test_a_sign_off_that_is_missing_is_named(tale: Story, tmp_path: Path) -> None:
    """Of a pick by hand, and of a release from which somebody took it; by all judges."""
    declare(tale, "signoff: true\n")
    assert install(tale.remote, quick=True).code == 0
    clone = tale.clone
    clone.git("checkout", "--quiet", "--detach", tale.base)
    clone.git("cherry-pick", "-x", tale.fix)
    refused = clone.attempt("push", "origin", f"HEAD:{BRANCH}")
    assert "it is not signed off by Mia Maintainer <mia@example.com>" in refused.stderr
    clone.git("checkout", "--quiet", "--detach", tale.base)
    works(said(Ran(1, "", refused.stderr), "git cherry-pick"), clone.path)
    taken = clone.attempt("push", "origin", f"HEAD:{BRANCH}")
    assert taken.returncode == 0, taken.stderr


def test_a_release_from_which_a_sign_off_was_taken(tale: Story, tmp_path: Path) -> None:
    declare(tale, "signoff: true\n")
    resolve(tale, 0)
    server = tale.remote
    rewrite(server, 4, lambda at, text: text.replace(f"{ME}\n", "") if at == 0 else text)
    clone = copied_clone(tale, tmp_path)
    for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
        ran = release(*command, cwd=clone.path)
        assert ran.code == 9, (command, ran.out, ran.err)
    server.git("update-ref", "-d", TAG)
    server.git("update-ref", BRANCH, tale.base)
    assert install(server, quick=True).code == 0
    pushed = clone.attempt("push", "origin", f"{TAG}^{{commit}}:{BRANCH}", TAG)
    assert "it is not signed off by" in pushed.stderr, pushed.stderr


@pytest.mark.wide
def test_what_a_forge_rebases_keeps_the_sign_off_of_who_proposed_it(tale: Story, tmp_path: Path) -> None:
    declare(tale, "signoff: true\nland: pull-request\n")
    assert install(tale.remote, quick=True).code == 0
    resolve(tale, 10)
    ForgeRepo.of(tale, tmp_path / "forge").merge(CANDIDATE, "rebase")
    ran = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert ran.code == 0, ran.err
    told = messages(tale.remote, f"{TAG}^{{commit}}")
    assert [each.count(ME) for each in told] == [1, 1, 1, 1], told
    judged_right(tale, tmp_path)

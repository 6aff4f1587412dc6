"""A guarded repository in a freeze, with symbolic refs, with candidates and yanks; and pushers that lie about refs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.git.push import ZERO
from orchestrator.guard.received_push import Pushing, Update
from tests.support import guarded as making
from tests.support.cli import release
from tests.support.guarded import BRANCH, TAG
from tests.support.hostile.refs import yank

if TYPE_CHECKING:
    from tests.support.guarded import Guarded

pytestmark = pytest.mark.hostile

FREEZE = "\npolicy:\n  freeze:\n    - from: 2020-01-01T00:00Z\n      until: {end}\n      reason: nobody is here\n"
FIRST = "refs/tags/v2.8.0"


def declare(g: Guarded, text: str) -> None:
    """Push another release.yaml to the protected branch."""
    sha = g.commit(g.tree("main", "release.yaml", text), "main", message="chore: declare\n")
    g.clone.git("branch", "--force", "declared", sha)
    g.clone.git("checkout", "--quiet", "--force", "-B", "main", sha)
    status, said = g.push("main")
    assert status == 0, said


def now(g: Guarded) -> str:
    return g.clone.attempt("show", "main:release.yaml").stdout


def refused(g: Guarded, code: str, *specs: str) -> str:
    before = g.refs()
    status, said = g.push(*specs)
    assert status != 0, said
    assert f"[{code}]" in said, said
    assert g.refs() == before
    return said


# ------------------------------------------------------------------ freezes


def cut_elsewhere(g: Guarded, *args: str) -> str:
    """Make what a cut makes of the present release.yaml, without pushing it to this server: its release commit."""
    there = making.copied(g, g.clone.path.parent.parent / "elsewhere")
    ran = release("cut", "v2.7.1", "--yes", *args, cwd=there.clone.path)
    assert ran.code == 0, ran.err
    specs = (f"+{BRANCH}:refs/legal/head", f"+{TAG}:refs/legal/tag")
    g.clone.git("fetch", "--quiet", "--no-tags", str(there.server.path), *specs)
    return g.clone.rev("refs/legal/head")


@pytest.mark.wide
def test_a_freeze_holds_tags_back_and_a_reason_in_the_tag_breaks_it(g: Guarded) -> None:
    declare(g, now(g) + FREEZE.format(end="2999-01-01T00:00Z"))
    head = cut_elsewhere(g, "--break-freeze", "it burns")
    said = g.clone.attempt("cat-file", "tag", "refs/legal/tag").stdout.partition("\n\n")[2]
    assert "it burns" in said
    silent = g.tagged("v2.7.1", head, message="\n".join(line for line in said.split("\n") if "it burns" not in line))
    for options in ((), ("--atomic",)):
        assert "nobody is here" in refused(g, "frozen", *options, f"{head}:{BRANCH}", f"{silent}:{TAG}")
    free = g.commit(g.tree("main", "release.yaml", now(g).partition("\npolicy:")[0]), "main", message="chore: thaw\n")
    refused(g, "frozen", f"{free}:refs/heads/main", f"{head}:{BRANCH}", f"{silent}:{TAG}")  # too late for this push
    assert release("cut", "v2.7.1", "--yes", cwd=g.clone.path).code == 4
    assert g.push(f"{head}:{BRANCH}", f"refs/legal/tag:{TAG}")[0] == 0


@pytest.mark.wide
def test_a_freeze_that_is_over_holds_nothing_back(g: Guarded) -> None:
    declare(g, now(g) + FREEZE.format(end="2020-01-02T00:00Z"))
    head = cut_elsewhere(g)
    assert g.push(f"{head}:{BRANCH}", f"refs/legal/tag:{TAG}")[0] == 0


@pytest.mark.parametrize(
    ("policy", "code"),
    [(FREEZE.format(end="2999-01-01T00:00Z"), "frozen"), ("\npolicy:\n  signed-tags: true\n", "tag-not-signed")],
    ids=["frozen", "unsigned"],
)
@pytest.mark.wide
def test_the_first_version_of_a_line_is_under_the_policy_too(g: Guarded, policy: str, code: str) -> None:
    declare(g, now(g).replace("release/v2.7", "release/v2.8").replace("v2.7.1", "v2.8.1") + policy)
    fork = g.clone.rev("main")
    refused(g, code, f"{fork}:refs/heads/release/v2.8", f"{g.tagged('v2.8.0', fork, message='v2.8.0')}:{FIRST}")


# ------------------------------------------------------------------ symbolic refs


def test_a_second_name_of_a_release_branch_is_no_way_in(g: Guarded) -> None:
    g.server.git("symbolic-ref", "refs/heads/stable", BRANCH)
    refused(g, "undeclared", f"{g.pick(g.other, g.base)}:refs/heads/stable")
    refused(g, "branch-deleted", ":refs/heads/stable")
    assert g.push(f"{g.picks[0]}:refs/heads/stable")[0] == 0
    assert g.server.rev(BRANCH) == g.picks[0]


@pytest.mark.wide
def test_a_release_branch_that_is_a_second_name_itself(g: Guarded) -> None:
    g.server.git("update-ref", "refs/heads/real", g.base)
    g.server.git("symbolic-ref", BRANCH, "refs/heads/real")
    for name in (BRANCH, "refs/heads/real"):
        refused(g, "undeclared", f"{g.pick(g.other, g.base)}:{name}")
    assert g.push(f"{g.head}:{BRANCH}", f"{g.tag}:{TAG}")[0] == 0


def test_the_protected_branch_under_two_names(g: Guarded) -> None:
    g.server.git("update-ref", "refs/heads/trunk", g.clone.rev("main"))
    g.server.git("symbolic-ref", "refs/heads/main", "refs/heads/trunk")
    g.server.git("config", "release.protectedBranch", "main")
    for name in ("main", "trunk"):
        refused(g, "not-fast-forward", f"+{g.base}:refs/heads/{name}")


def test_a_symbolic_ref_that_leads_nowhere_yet(g: Guarded) -> None:
    g.server.git("symbolic-ref", "refs/heads/next", "refs/heads/release/v9.9")
    refused(g, "branch-not-declared", f"{g.other}:refs/heads/next")


# ------------------------------------------------------------------ what a push says of the refs


@pytest.mark.wide
@pytest.mark.parametrize("old", ["0" * 40, "1" * 40])
def test_a_lie_about_where_a_branch_was(g: Guarded, old: str) -> None:
    """Without --atomic git would refuse the branch, and take the tag that stands on it."""
    g.clone.git("push", "--quiet", "origin", f"{g.head}:refs/topics/x", f"{g.tag}:refs/topics/y")
    lines = f"{old} {g.head} {BRANCH}\n{'0' * 40} {g.tag} {TAG}\n"
    ran = release("hook", "run", "pre-receive", "--git-dir", ".", cwd=g.server.path, stdin=lines)
    assert ran.code == 4
    assert "[moved-meanwhile]" in ran.err


# ------------------------------------------------------------------ candidates


@pytest.mark.wide
def test_a_candidate_is_promoted_on_a_guarded_server(g: Guarded) -> None:
    """The tag of the final version stands on the candidate's commit; made by hand it does not get in."""
    declare(g, now(g).replace("v2.7.1:", "v2.7.1-rc.1:"))
    ran = release("cut", "v2.7.1-rc.1", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err
    g.clone.git("fetch", "--quiet", "--tags", "origin")
    commit, candidate = g.clone.rev("v2.7.1-rc.1^{commit}"), g.clone.rev("v2.7.1-rc.1")
    plain = g.clone.attempt("cat-file", "tag", candidate).stdout.partition("\n\n")[2]
    for said, target in (
        (f"v2.7.1\n\nPromoted-From: v2.7.1-rc.2 {candidate}\n\n{plain}", commit),
        (f"v2.7.1\n\nPromoted-From: v2.7.1-rc.1 {g.tag}\n\n{plain}", commit),
        (f"v2.7.1\n\nPromoted-From: v2.7.1-rc.1 {candidate}\n", commit),
        (f"v2.7.1\n\nPromoted-From: v2.7.1-rc.1 {candidate}\n\n{plain}", f"{commit}~1"),
    ):
        refused(g, "not-its-candidate", f"{g.tagged('v2.7.1', g.clone.rev(target), message=said)}:{TAG}")
    ran = release("promote", "v2.7.1-rc.1", "v2.7.1", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err
    assert TAG in g.refs()
    assert "refs/release-records/v2.7.1\n" in g.refs() + "\n"


@pytest.mark.wide
def test_what_a_registry_keeps_is_said_to_be_unchecked(g: Guarded) -> None:
    """Yanks of candidates: the hook has no login, and neither refuses for that nor is silent."""
    text = now(g)
    declare(g, text.replace("v2.7.1:", "v2.7.1-rc.1:"))
    assert release("cut", "v2.7.1-rc.1", "--yes", cwd=g.clone.path).code == 0
    g.clone.git("fetch", "--quiet", "--tags", "origin")
    declare(g, f"{text}records: registry\nimage: {{repository: registry.example.com/x}}\n")
    plain = g.clone.attempt("cat-file", "tag", "v2.7.1-rc.1").stdout.partition("\n\n")[2]
    message = f"v2.7.1\n\nPromoted-From: v2.7.1-rc.1 {g.clone.rev('v2.7.1-rc.1')}\n\n{plain}"
    status, told = g.push(f"{g.tagged('v2.7.1', g.clone.rev('v2.7.1-rc.1^{commit}'), message=message)}:{TAG}")
    assert (status, "note: not checked: whether v2.7.1-rc.1 was yanked" in told) == (0, True), told


# ------------------------------------------------------------------ yanks


@pytest.mark.wide
def test_a_yank_tells_the_truth_and_is_made_once(g: Guarded) -> None:
    assert release("cut", "v2.7.1", "--yes", cwd=g.clone.path).code == 0
    g.clone.git("fetch", "--quiet", "--tags", "origin")
    commit = g.clone.rev("v2.7.1^{commit}")
    refused(g, "yank-differs", *yank(g, "v2.7.1", commit=g.base))
    refused(g, "yank-differs", *yank(g, "v2.7.1", commit=commit, back_to="v2.7.1"))
    move = {"repository": "r", "tag": "latest", "old": "a", "new": "b"}
    refused(g, "yank-differs", *yank(g, "v2.7.1", commit=commit, moves=[move]))
    ran = release("yank", "v2.7.1", "--reason", "it leaks", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err
    said = json.loads(g.server.git("cat-file", "blob", "refs/release-yanks/v2.7.1"))
    assert said["reason"] == "it leaks"
    refused(g, "record-changed", f"+{yank(g, 'v2.7.1', commit=commit)[0]}")
    refused(g, "record-changed", ":refs/release-yanks/v2.7.1")


def test_a_first_version_that_has_no_record_may_be_yanked_by_hand(g: Guarded) -> None:
    assert g.push(*yank(g))[0] == 0


def test_before_a_push_what_is_made_once_counts_as_this_clone_has_it(g: Guarded) -> None:
    sha = g.clone.rev("main")
    g.clone.git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
    for ref in ("refs/release-records/v2.7.1", "refs/release-yanks/v2.7.1", "refs/tags/v2.7.9"):
        g.clone.git("update-ref", ref, sha)
    pushed = Update(ref="refs/release-yanks/v2.7.1", old=ZERO, new=sha)
    refs = (Pushing.of(g.clone.path, "origin", [pushed]) or pytest.fail("origin was fetched")).refs
    assert (refs.get("refs/release-records/v2.7.1"), refs.get("refs/tags/v2.7.9")) == (sha, sha)
    assert pushed.ref not in refs  # git says that the remote has none

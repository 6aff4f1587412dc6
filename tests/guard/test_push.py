"""Pushes that try to get something past the hook of a guarded repository.  None may; the legal ones must.

The table of hostile pushes is in tests/support/hostile.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support import guarded as making
from tests.support import serving
from tests.support.cli import release
from tests.support.guarded import BRANCH, TAG, YAML, Guarded, record, with_entry
from tests.support.hostile import CASES
from tests.support.hostile.refs import SOURCES, both, kept
from tests.support.printed import types
from tests.support.remedies import said, works

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.hostile


@pytest.mark.wide(112)
@pytest.mark.parametrize("name", CASES)
def test_a_hostile_push_changes_nothing(guarded_once: Guarded, name: str) -> None:
    make, code = CASES[name]
    before = guarded_once.refs()
    status, said = guarded_once.push(*make(guarded_once))
    assert status != 0, said
    assert f"[{code}]" in said, said
    assert "do: " in said
    assert "unexpected" not in said
    assert guarded_once.refs() == before


@pytest.mark.wide
def test_a_complete_cut_and_what_may_follow_it(g: Guarded) -> None:
    ran = release("cut", "v2.7.1", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err
    refs = g.refs()
    assert all(ref in refs for ref in (BRANCH, TAG, "refs/release-records/v2.7.1", SOURCES, "refs/notes/release")), refs
    assert g.head in refs
    for spec in (f"{g.other}:refs/heads/topic", f"{g.other}:refs/tags/nightly", f"{g.other}:refs/sneaked/objects"):
        assert g.push(spec)[0] == 0
    for specs, code in (
        ([":refs/release-records/v2.7.1"], "record-changed"),
        ([f":{SOURCES}"], "record-changed"),
        ([f"+{g.fixes[0]}:{SOURCES}"], "record-changed"),
        ([f"+{record(g, tree='0' * 40)}:refs/release-records/v2.7.1"], "record-changed"),
        ([f"+{g.other}:refs/notes/release"], "not-fast-forward"),
        ([":refs/notes/release"], "ref-deleted"),
        ([f":{TAG}"], "tag-deleted"),
        ([f"+{g.base}:{BRANCH}"], "rewritten"),
    ):
        status, said = g.push(*specs)
        assert status != 0
        assert f"[{code}]" in said, said
    assert release("cut", "v2.7.1", "--yes", cwd=g.clone.path).code == 0


@pytest.mark.wide
def test_a_fix_made_again_by_hand_once_the_protected_branch_names_it(g: Guarded) -> None:
    """The way through for a conflict that a person resolved: a `backport:` that was declared first."""
    by_hand = g.commit(
        g.tree(g.base, "loader.py", "CLOSED = True\n"), g.base, like=g.fixes[0], message="fix: by hand\n"
    )
    assert g.push(f"{by_hand}:refs/heads/backports/loader")[0] == 0
    g.clone.write("release.yaml", YAML + f"      - commit: {g.fixes[0]}\n        backport: {by_hand}\n")
    refused = release("cut", "v2.7.1", "--yes", cwd=g.clone.path)
    assert refused.code != 0  # only this work tree says so
    assert g.base == g.server.rev(BRANCH)
    g.clone.commit("chore: declare the backport", {"release.yaml": (g.clone.path / "release.yaml").read_bytes()})
    assert g.push("main")[0] == 0
    assert release("abort", "v2.7.1", cwd=g.clone.path).code == 0
    ran = release("cut", "v2.7.1", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err
    assert g.server.git("show", f"{BRANCH}:loader.py") == "CLOSED = True"


def test_picks_by_hand(g: Guarded) -> None:
    """One push each; who picked, and when, is free, what is picked is not."""
    first = g.pick(g.fixes[0], g.base)
    for commit in (first, g.pick(g.fixes[1], first)):
        status, said = g.push(f"{commit}:{BRANCH}")
        assert status == 0, said


def test_branch_first_and_the_tag_alone(g: Guarded) -> None:
    record_spec = f"{record(g)}:refs/release-records/v2.7.1"
    for spec in (f"{g.head}:{BRANCH}", f"{g.tag}:{TAG}", record_spec, f"{kept(g, *g.fixes)}:{SOURCES}"):
        status, said = g.push(spec)
        assert status == 0, said


OVER_A_NETWORK = ("forged_trailer", "declared_by_the_same_push", "move_tag", "force_push", "own_softer_rules")


@pytest.mark.wide
@pytest.mark.parametrize("transport", ["ssh", "http"])
def test_over_a_network(g: Guarded, tmp_path: Path, transport: str) -> None:
    """The hostile ones fail, with a hostile environment where ssh carries one; a cut succeeds."""
    g.server.git("config", "http.receivepack", "true")
    serve = serving.ssh(g.server.path, tmp_path / "ssh") if transport == "ssh" else serving.http(g.server.path)
    with serve as (url, env):
        g.clone.git("remote", "set-url", "origin", url)
        g.clone.env = {
            **env,
            "RELEASE_CLI_QUARANTINE": "/tmp",
            "RELEASE_CLI_GIT_DIR": "/",
            "PYTHONPATH": str(evil(tmp_path)),
        }
        g.clone.env |= {"GIT_REPLACE_REF_BASE": "refs/heads/", "GIT_TRACE": "0"}
        before = g.refs()
        for name in OVER_A_NETWORK:
            make, code = CASES[name]
            status, said = g.push(*make(g))
            assert status != 0
            assert f"[{code}]" in said, said
        assert g.refs() == before
        ran = release("cut", "v2.7.1", "--yes", cwd=g.clone.path, env=env)
        assert ran.code == 0, ran.err
    assert g.head in g.refs()


def evil(place: Path) -> Path:
    """A module that a careless hook would import."""
    (place / "evil").mkdir()
    (place / "evil/typer.py").write_text("raise SystemExit(0)\n")
    return place / "evil"


@pytest.mark.parametrize("name", ["GIT_QUARANTINE_PATH=/tmp", "GIT_OBJECT_DIRECTORY=/tmp", "PYTHONHOME=/tmp"])
def test_the_environment_of_the_pusher_does_not_count(guarded_once: Guarded, name: str) -> None:
    """Over file the hook inherits all of it."""
    key, _, value = name.partition("=")
    bad = CASES["forged_trailer"][0](guarded_once)
    before = guarded_once.refs()
    hostile = replace(guarded_once, clone=replace(guarded_once.clone, env={key: value}))
    if key.startswith("GIT_OBJECT"):  # git itself would not find what is to be pushed
        hostile.clone.env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(guarded_once.clone.path / ".git/objects")
    assert hostile.push(*bad)[0] != 0
    assert guarded_once.refs() == before


def test_push_options_change_nothing(guarded_once: Guarded) -> None:
    guarded_once.server.git("config", "receive.advertisePushOptions", "true")
    specs = CASES["forged_trailer"][0](guarded_once)
    status, said = guarded_once.push(*specs, options=("-o", "release.skip=true", "-o", "--server\x1b[2J"))
    assert status != 0
    assert "[not-the-pick]" in said


def test_whatever_is_broken_refuses(g: Guarded) -> None:
    """A broken release.yaml on main, a source branch that is not there, no hook program: and main can be repaired."""
    broken = g.commit(g.tree("main", "release.yaml", "version: [\n"), "main", message="chore: break\n")
    assert g.push(f"{broken}:refs/heads/main")[0] == 0
    before = g.refs()
    status, said = g.push(*both(g, g.tag))
    assert status != 0
    assert "main:release.yaml" in said
    assert g.refs() == before
    good = g.commit("main^{tree}", broken, message="chore: repair\n")
    assert g.push(f"{good}:refs/heads/main")[0] == 0
    hook = g.server.path / "hooks/pre-receive"
    text = hook.read_text()
    hook.write_text(text.replace(sys.executable, "/nowhere/python"))
    status, said = g.push(*both(g, g.tag))
    assert status != 0
    assert "is gone" in said
    hook.write_text(text)
    assert g.push(*both(g, g.tag))[0] == 0


@pytest.mark.wide
def test_the_update_hook_guards_too(g: Guarded) -> None:
    (g.server.path / "hooks/pre-receive").unlink()
    assert making.install(g.server, "update").code == 0
    before = g.refs()
    for name in ("forged_trailer", "undeclared_source", "move_tag", "delete_branch", "own_softer_rules"):
        make, code = CASES[name]
        status, said = g.push(*make(g))
        assert status != 0
        assert f"[{code}]" in said, said
    assert g.refs() == before
    ran = release("cut", "v2.7.1", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err


def test_a_policy_on_main_counts(g: Guarded) -> None:
    text = g.clone.git("show", "main:release.yaml") + "\npolicy:\n  required-approvals: 1\n"
    strict = g.commit(g.tree("main", "release.yaml", text), "main", message="chore: approvals\n")
    assert g.push(f"{strict}:refs/heads/main")[0] == 0
    status, said = g.push(f"{g.picks[0]}:{BRANCH}")
    assert status != 0
    assert "[approvals-missing]" in said, said


@types("guard/push.py: git config tag.gpgSign true")
@pytest.mark.wide
def test_a_tag_that_policy_wants_signed(g: Guarded) -> None:
    """Who may sign is told by the server's own configuration, whatever the pusher's says."""
    key = g.clone.path.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    g.clone.write("release.yaml", g.clone.git("show", "main:release.yaml") + "\npolicy:\n  signed-tags: true\n")
    g.clone.commit("chore: sign", {"release.yaml": (g.clone.path / "release.yaml").read_bytes()})
    assert g.push("main")[0] == 0
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(key)), ("tag.gpgSign", "true")):
        g.clone.git("config", name, value)
    refused = release("cut", "v2.7.1", "--yes", cwd=g.clone.path)
    assert refused.code == 7
    works(said(refused, "git config tag.gpgSign"), g.clone.path)
    assert "[tag-not-signed]" in refused.err, refused.err
    allowed = g.clone.path.parent / "allowed"
    allowed.write_text(f"mia@example.com {key.with_suffix('.pub').read_text()}")
    g.server.git("config", "gpg.ssh.allowedSignersFile", str(allowed))
    ran = release("cut", "v2.7.1", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err


def test_a_branch_named_like_a_declared_id_is_not_asked(g: Guarded) -> None:
    """An abbreviated id is an id, whatever branches somebody pushed."""
    short = g.fixes[0][:12]
    text = g.clone.git("show", "main:release.yaml").replace(g.fixes[0], short) + "\n"
    main = g.commit(g.tree("main", "release.yaml", text), "main", message="chore: shorter\n")
    assert g.push(f"{main}:refs/heads/main", f"{g.other}:refs/heads/{short}")[0] == 0
    status, said = g.push(f"{g.pick(g.other, g.base)}:{BRANCH}")
    assert status != 0
    assert "[undeclared]" in said, said
    assert g.push(f"{g.pick(g.fixes[0], g.base)}:{BRANCH}")[0] == 0


def test_records_on_a_branch_are_guarded_as_the_refs_that_they_stand_for(g: Guarded) -> None:
    """What a cut writes there is let in; what is another than the release is not, and the branch only goes forward."""
    kept = "refs/heads/release-records"
    text = (g.clone.path / "release.yaml").read_text() + "records: branch release-records\n"
    g.clone.commit("chore: keep records on a branch", {"release.yaml": text})
    assert g.push("main")[0] == 0
    ran = release("cut", "v2.7.1", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err
    g.clone.git("fetch", "--quiet", "origin")
    tip = g.server.rev(kept)
    blob = g.clone.git("rev-parse", f"{tip}:release-records/v2.7.1")
    assert json.loads(g.clone.git("cat-file", "blob", blob))["commit"] == g.server.rev(BRANCH)
    gone, other = g.clone.git("mktree", stdin=""), record(g, tree="0" * 40)
    for tree, parent, code in (
        (with_entry(g.clone, tip, "100644", other, "release-records/v2.7.1"), tip, "record-changed"),
        (gone, tip, "record-changed"),
        (with_entry(g.clone, tip, "100644", other, "release-records/v2.7.9"), tip, "record-differs"),
        (with_entry(g.clone, tip, "160000", g.fixes[0], "release-sources/v2.7.1"), tip, "record-changed"),
        (with_entry(g.clone, tip, "160000", g.clone.rev("main"), "release-sources/v2.7.9"), tip, "sources-differ"),
        (f"{tip}^{{tree}}", g.base, "not-fast-forward"),
    ):
        status, heard = g.push(f"+{g.commit(tree, parent, message='x')}:{kept}")
        assert (status != 0, f"[{code}]" in heard) == (True, True), heard
    assert "[ref-deleted]" in g.push(f":{kept}")[1]
    words = with_entry(g.clone, tip, "100644", g.clone.git("rev-parse", f"{tip}:release-records/v2.7.1"), "README")
    assert g.push(f"{g.commit(words, tip, message='docs: words')}:{kept}")[0] == 0
    assert release("audit", cwd=g.clone.path).code == 0

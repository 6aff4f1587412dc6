"""Pushes that try to get something past the hook of a guarded repository.  None may; the legal ones must."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support import guarded as making
from tests.support import serving
from tests.support.cli import release
from tests.support.guarded import BRANCH, TAG, YAML, Guarded, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.story import Repo, Story

pytestmark = pytest.mark.hostile

Specs = list[str]
CASES: dict[str, tuple[Callable[[Guarded], Specs], str]] = {}


def case(code: str) -> Callable[[Callable[[Guarded], Specs]], Callable[[Guarded], Specs]]:
    """Register a hostile push: its refspecs, and the code by which it is refused."""

    def register(function: Callable[[Guarded], Specs]) -> Callable[[Guarded], Specs]:
        CASES[function.__name__] = (function, code)
        return function

    return register


def branch(commit: str) -> Specs:
    return [f"{commit}:{BRANCH}"]


# ------------------------------------------------------------------ commits


@case("foreign")
def foreign_commit(g: Guarded) -> Specs:
    return branch(g.commit(g.tree(g.base, "x.py", "x\n"), g.base, message="fix: x\n"))


@case("undeclared")
def undeclared_source(g: Guarded) -> Specs:
    return branch(g.pick(g.other, g.base))


@case("not-the-pick")
def forged_trailer(g: Guarded) -> Specs:
    tree = g.tree(g.base, "x.py", "x\n")
    return branch(g.commit(tree, g.base, like=g.picks[0]))


@case("not-the-pick")
def amended_pick_tree(g: Guarded) -> Specs:
    return branch(g.commit(g.tree(g.picks[0], "extra.py", "x\n"), g.base, like=g.picks[0]))


@case("not-the-pick")
def amended_pick_message(g: Guarded) -> Specs:
    text = making.raw_message(g.clone, g.picks[0]).replace("They leaked.", "They leaked; reviewed by all.")
    return branch(g.commit(f"{g.picks[0]}^{{tree}}", g.base, like=g.picks[0], message=text))


@case("not-the-pick")
def stolen_author(g: Guarded) -> Specs:
    text = making.raw_message(g.clone, g.picks[0])
    return branch(
        g.clone.git("commit-tree", f"{g.picks[0]}^{{tree}}", "-p", g.base, "-F", "-", stdin=text).split()[:1][0]
    )


@case("duplicate")
def picked_twice(g: Guarded) -> Specs:
    again = g.commit(f"{g.picks[1]}^{{tree}}", g.picks[1], like=g.picks[0])
    return branch(again)


@case("foreign")
def reverted_fix(g: Guarded) -> Specs:
    text = f'Revert "fix(loader): close the workers"\n\nThis reverts commit {g.picks[0]}.\n'
    return branch(g.commit(f"{g.base}^{{tree}}", g.picks[0], message=text))


@case("out-of-order")
def dropped_pick(g: Guarded) -> Specs:
    return branch(g.pick(g.fixes[1], g.base))


@case("pick-missing")
def release_commit_without_the_last_pick(g: Guarded) -> Specs:
    return branch(g.commit(f"{g.picks[0]}^{{tree}}", g.picks[0], like=g.head))


@case("out-of-order")
def reordered_picks(g: Guarded) -> Specs:
    return branch(g.pick(g.fixes[0], g.pick(g.fixes[1], g.base)))


@case("foreign")
def empty_commit(g: Guarded) -> Specs:
    return branch(g.commit(f"{g.base}^{{tree}}", g.base, message="fix: nothing\n"))


@case("not-linear")
def merge_that_brings_in_main(g: Guarded) -> Specs:
    return branch(g.commit("main^{tree}", g.base, "main", message="Merge main\n"))


@case("not-linear")
def evil_merge(g: Guarded) -> Specs:
    return branch(g.commit(g.tree(g.picks[1], "evil.py", "x\n"), g.picks[1], g.picks[0], message="Merge\n"))


@case("not-linear")
def octopus(g: Guarded) -> Specs:
    return branch(g.commit("main^{tree}", g.base, "main", g.other, message="Merge all\n"))


@case("not-linear")
def history_with_another_root(g: Guarded) -> Specs:
    return ["+" + branch(g.commit(f"{g.base}^{{tree}}", message="fix: begin anew\n"))[0]]


@case("malformed-commit")
def crafted_date(g: Guarded) -> Specs:
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    line = next(each for each in text.split("\n") if each.startswith("committer "))
    return branch(raw(g, text.replace(line, "committer Mia <mia@example.com> 4102444800 +0000")))


@case("malformed-commit")
def crafted_encoding(g: Guarded) -> Specs:
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    return branch(raw(g, text.replace("\n\n", "\nencoding UTF-7\n\n", 1)))


@case("malformed-commit")
def hidden_header(g: Guarded) -> Specs:
    text = g.clone.attempt("cat-file", "commit", g.picks[0]).stdout
    return branch(raw(g, text.replace("\n\n", "\nHG:extra payload\n\n", 1)))


def raw(g: Guarded, text: str) -> str:
    return g.clone.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=text)


@case("not-the-pick")
def gitlink_in_a_pick(g: Guarded) -> Specs:
    tree = g.tree(g.picks[0], "vendor", g.base, mode="160000")
    return branch(g.commit(tree, g.base, like=g.picks[0]))


@case("not-the-pick")
def merge_driver_in_gitattributes(g: Guarded) -> Specs:
    tree = g.tree(g.picks[0], ".gitattributes", "* merge=ours\n")
    return branch(g.commit(tree, g.base, like=g.picks[0]))


# ------------------------------------------------------------------ release commits


def released(g: Guarded, tree: str) -> Specs:
    return branch(g.commit(tree, g.picks[1], like=g.head))


@case("not-the-release-commit")
def extra_file_in_the_release_commit(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "extra.py", "x\n"))


@case("not-the-release-commit")
def symlink_in_the_release_commit(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "CHANGELOG.md", "/etc/passwd", mode="120000"))


@case("not-the-release-commit")
def gitlink_in_the_release_commit(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "vendor", g.base, mode="160000"))


@case("not-the-release-commit")
def other_changelog(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "CHANGELOG.md", "# Changelog\n"))


@case("undeclared")
def own_declaration(g: Guarded) -> Specs:
    pick = g.pick(g.other, g.picks[1])
    tree = g.tree(pick, "release.yaml", YAML + "".join(f"      - commit: {s}\n" for s in (*g.fixes, g.other)))
    return branch(g.commit(tree, pick, like=g.head))


@case("config-differs")
def own_softer_rules(g: Guarded) -> Specs:
    text = g.clone.git("show", f"{g.head}:release.yaml") + "\nchangelog: NEWS.md\n"
    return released(g, g.tree(g.head, "release.yaml", text))


@case("config-differs")
def broken_release_yaml(g: Guarded) -> Specs:
    return released(g, g.tree(g.head, "release.yaml", "version: [\n"))


@case("not-declared")
def version_that_nobody_declared(g: Guarded) -> Specs:
    text = making.raw_message(g.clone, g.head).replace("v2.7.1", "v2.7.9")
    return branch(g.commit(f"{g.head}^{{tree}}", g.picks[1], message=text))


# ------------------------------------------------------------------ several refs in one push


@case("undeclared")
def declared_by_the_same_push(g: Guarded) -> Specs:
    text = YAML + "".join(f"      - commit: {sha}\n" for sha in (*g.fixes, g.other))
    main = g.commit(g.tree("main", "release.yaml", text), "main", message="chore: declare\n")
    return [f"{main}:refs/heads/main", f"{g.pick(g.other, g.picks[1])}:{BRANCH}"]


@case("undeclared")
def source_on_a_topic_branch_of_the_same_push(g: Guarded) -> Specs:
    topic = g.commit(g.tree("main", "new.py", "x\n"), "main", message="fix: new\n")
    return [f"{topic}:refs/heads/topic", f"{g.pick(topic, g.picks[1])}:{BRANCH}"]


@case("tag-not-on-branch")
def tag_without_its_branch(g: Guarded) -> Specs:
    return [f"{g.tag}:{TAG}"]


@case("branch-refused")
def tag_with_a_bad_branch(g: Guarded) -> Specs:
    bad = g.commit(g.tree(g.head, "extra.py", "x\n"), g.picks[1], like=g.head)
    return [f"{bad}:{BRANCH}", f"{g.tagged('v2.7.1', bad)}:{TAG}"]


# ------------------------------------------------------------------ refs


@case("not-linear")
def force_push(g: Guarded) -> Specs:
    return [f"+{g.commit('main^{tree}', 'main', message='fix: x')}:{BRANCH}"]


@case("branch-deleted")
def delete_branch(g: Guarded) -> Specs:
    return [f":{BRANCH}"]


@case("tag-moved")
def move_tag(g: Guarded) -> Specs:
    return [f"+{g.tagged('v2.7.0', g.other)}:refs/tags/v2.7.0"]


@case("tag-deleted")
def delete_tag(g: Guarded) -> Specs:
    return [":refs/tags/v2.7.0"]


def both(g: Guarded, tag: str, name: str = "v2.7.1") -> Specs:
    return [f"{g.head}:{BRANCH}", f"{tag}:refs/tags/{name}"]


@case("lightweight-tag")
def lightweight_tag(g: Guarded) -> Specs:
    return both(g, g.head)


@case("malformed-tag")
def tag_of_a_tree(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.1", g.clone.rev(f"{g.head}^{{tree}}"), kind="tree"))


@case("malformed-tag")
def tag_of_a_tag(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.1", g.tag, kind="tag"))


@case("malformed-tag")
def tag_object_of_another_name(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.5", g.head))


@case("tag-differs")
def tag_with_a_forged_list(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.1", g.head, message=f"v2.7.1\n\nPick: clean {g.other} {g.head}\n"))


@case("tag-of-another-commit")
def tag_of_another_commit(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.1", g.picks[1]))


@case("tag-of-another-commit")
def tag_that_is_not_monotonic(g: Guarded) -> Specs:
    return both(g, g.tagged("v2.7.9", g.head), "v2.7.9")


@case("version-malformed")
def tag_in_capitals(g: Guarded) -> Specs:
    return both(g, g.tagged("V2.7.1", g.head), "V2.7.1")


@case("tag-of-another-commit")
def tag_without_prefix(g: Guarded) -> Specs:
    return both(g, g.tagged("2.7.1", g.head), "2.7.1")


@case("version-malformed")
def tag_below_a_version(g: Guarded) -> Specs:
    return [f"{g.tag}:refs/tags/v2.7.1/x"]


@case("branch-not-declared")
def release_branch_from_nowhere(g: Guarded) -> Specs:
    return [f"{g.other}:refs/heads/release/v9.9"]


@case("branch-not-declared")
def release_branch_in_capitals(g: Guarded) -> Specs:
    return [f"{g.other}:refs/heads/Release/v2.7"]


@case("wrong-case")
def heads_in_capitals(g: Guarded) -> Specs:
    return [f"{g.other}:refs/Heads/release/v2.7"]


@case("replace-ref")
def replace_ref(g: Guarded) -> Specs:
    return [f"{g.other}:refs/replace/{g.base}"]


@case("record-differs")
def record_without_its_tag(g: Guarded) -> Specs:
    return [f"{record(g)}:refs/release-records/v2.7.1"]


@case("bad-record")
def record_that_is_a_commit(g: Guarded) -> Specs:
    return [f"{g.other}:refs/release-records/v2.7.1"]


@case("not-fast-forward")
def rewritten_main(g: Guarded) -> Specs:
    return [f"+{g.base}:refs/heads/main"]


@case("version-goes-back")
def version_below_the_first(g: Guarded) -> Specs:
    return [f"{g.tagged('v2.7.0-rc.1', g.base, message='rc')}:refs/tags/v2.7.0-rc.1"]


@case("not-the-release-commit")
def record_of_a_cut_in_another_order(g: Guarded) -> Specs:
    text = making.raw_message(g.clone, g.head).split("\n")
    return branch(g.commit(f"{g.head}^{{tree}}", g.picks[1], message="\n".join([*text[:2], *reversed(text[2:])])))


@case("too-many-commits")
def huge_push(g: Guarded) -> Specs:
    first = f"commit refs/huge\ncommitter M <m@x> 1750000000 +0000\ndata 2\nx\nfrom {g.base}\n\n"
    more = "commit refs/huge\ncommitter M <m@x> 1750000000 +0000\ndata 2\nx\n\n"
    g.clone.git("fast-import", "--quiet", "--force", stdin=first + more * 2000)
    return branch("refs/huge")


# ------------------------------------------------------------------ the pushes


@pytest.fixture(scope="module")
def template(told_once: Story, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """A guarded server that every test gets a copy of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        root = tmp_path_factory.mktemp("guarded") / "story"
        clone, server = copied(told_once.clone, told_once.remote, root)
        return making.make(replace(told_once, clone=clone, remote=server))


@pytest.fixture(scope="module")
def guarded_once(template: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """Hostile pushes change nothing, so all of them may have the same server."""
    clone, server = copied(template.clone, template.server, tmp_path_factory.mktemp("hostile") / "story")
    return replace(template, clone=clone, server=server)


@pytest.fixture
def g(template: Guarded, tmp_path: Path) -> Guarded:
    """A guarded server of a test's own."""
    clone, server = copied(template.clone, template.server, tmp_path / "story")
    return replace(template, clone=clone, server=server)


def copied(clone: Repo, server: Repo, new: Path) -> tuple[Repo, Repo]:
    old = clone.path.parent
    shutil.copytree(old, new, symlinks=True)
    config = new / "clone/.git/config"
    config.write_text(config.read_text().replace(str(old), str(new)))
    mine = replace(clone, path=new / "clone", env={})
    mine.git("update-index", "--refresh")
    return mine, replace(server, path=new / "remote.git", env={})


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


def test_a_complete_cut_and_what_may_follow_it(g: Guarded) -> None:
    ran = release("cut", "v2.7.1", "--yes", cwd=g.clone.path)
    assert ran.code == 0, ran.err
    refs = g.refs()
    assert all(ref in refs for ref in (BRANCH, TAG, "refs/release-records/v2.7.1", "refs/notes/release")), refs
    assert g.head in refs
    for spec in (f"{g.other}:refs/heads/topic", f"{g.other}:refs/tags/nightly", f"{g.other}:refs/sneaked/objects"):
        assert g.push(spec)[0] == 0
    for specs, code in (
        ([":refs/release-records/v2.7.1"], "record-changed"),
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
    for spec in (f"{g.head}:{BRANCH}", f"{g.tag}:{TAG}", f"{record(g)}:refs/release-records/v2.7.1"):
        status, said = g.push(spec)
        assert status == 0, said


OVER_A_NETWORK = ("forged_trailer", "declared_by_the_same_push", "move_tag", "force_push", "own_softer_rules")


@pytest.mark.parametrize("transport", ["ssh", "http"])
def test_over_a_network(g: Guarded, tmp_path: Path, transport: str) -> None:
    """The hostile ones fail, with a hostile environment where ssh carries one; a cut succeeds."""
    g.server.git("config", "http.receivepack", "true")
    serve = serving.ssh(g.server.path, tmp_path / "ssh") if transport == "ssh" else serving.http(g.server.path)
    with serve as (url, env):
        g.clone.git("remote", "set-url", "origin", url)
        g.clone.env = {**env, "RELEASE_QUARANTINE": "/tmp", "RELEASE_GIT_DIR": "/", "PYTHONPATH": str(evil(tmp_path))}
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

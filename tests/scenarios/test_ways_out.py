"""No dead end: what is printed is typed, verbatim, and leads to "released" or to "nothing left"."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.printed import claim, must_be_typed, types
from tests.support.remedies import commands, typed
from tests.support.story import VERSION, copied, fix_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.cli import Ran
    from tests.support.story import Repo, Story


def cut(clone: Path) -> Ran:
    return release("cut", VERSION, "--yes", "--effort", "0", "--json", cwd=clone)


def remedy(ran: Ran) -> str:
    found = ran.json
    return str(found["error"]["remedy"] if "error" in found else found["problems"][0]["remedy"])


def is_public(tale: Story) -> bool:
    return tale.remote.attempt("rev-parse", "--verify", "--quiet", f"refs/tags/{VERSION}").returncode == 0


def next_commands(clone: Path) -> list[str]:
    """What `status` tells to type, without the words behind it."""
    (standing,) = release("status", VERSION, "--json", cwd=clone).json["releases"]
    return [command for line in standing["next"] for command in commands(str(line))]


def answered(tale: Story) -> Story:
    """A second copy, for the other way out."""
    there = tale.clone.path.parent.with_name("second")
    shutil.copytree(tale.clone.path.parent, there, symlinks=True)
    config = there / "clone/.git/config"
    config.write_text(config.read_text().replace(str(tale.clone.path.parent), str(there)))
    return replace(
        tale, clone=replace(tale.clone, path=there / "clone"), remote=replace(tale.remote, path=there / "remote.git")
    )


def must_end(tale: Story, *, released: bool) -> None:
    assert is_public(tale) is released
    if released:
        done = release("verify", VERSION, cwd=tale.clone.path)
        assert done.code == 0, done.out + done.err
    else:
        assert not tale.clone.git("for-each-ref", "refs/release")
        assert len(tale.clone.git("worktree", "list").splitlines()) == 1


# ------------------------------------------------------------------ conflicts


def tagged(clone: Repo, commit: str) -> None:
    """The last release is this commit of the branch: what a test put there before belongs to it."""
    clone.git("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/release/v2.7")
    clone.git("tag", "--force", "-a", "-m", "v2.7.0", "v2.7.0", commit)
    clone.git("push", "--quiet", "--force", "origin", "refs/tags/v2.7.0")


def modify_delete(clone: Repo) -> str:
    clone.commit("feat: new", {"new.py": "1\n"})
    return clone.commit("fix: one", {"new.py": "2\n", "loader.py": "# fixed\n"})


def delete_modify(clone: Repo) -> str:
    """The branch changed what the fix removes."""
    clone.git("checkout", "--quiet", "release/v2.7")
    tagged(clone, clone.commit("fix: here", {"README.md": "# here\n"}))
    clone.git("checkout", "--quiet", "main")
    clone.git("rm", "--quiet", "README.md")
    return clone.commit("fix: remove", {"loader.py": "# fixed\n"})


def submodule(clone: Repo) -> str:
    """Both sides moved a submodule that nobody has checked out."""
    link = "160000,{},lib".format
    for branch, digit in (("release/v2.7", "1"), ("main", "2")):
        clone.git("checkout", "--quiet", branch)
        clone.git("update-index", "--add", "--cacheinfo", link(digit * 40))
        clone.minutes += 1
        clone.git("commit", "--quiet", "-m", f"chore: lib {digit}")
    clone.git("update-index", "--cacheinfo", link("3" * 40))
    clone.git("commit", "--quiet", "-m", "fix: lib 3")
    tagged(clone, clone.rev("release/v2.7"))
    return clone.rev("HEAD")


def submodule_removed(clone: Repo) -> str:
    """The branch moved a submodule that the fix removes."""
    link = "160000,{},lib".format
    clone.git("update-index", "--add", "--cacheinfo", link("2" * 40))
    clone.git("commit", "--quiet", "-m", "chore: lib 2")
    clone.git("branch", "--force", "release/v2.7", "HEAD")
    clone.git("update-index", "--force-remove", "lib")
    clone.write("loader.py", "# fixed\n")
    clone.git("add", "loader.py")
    clone.minutes += 1
    clone.git("commit", "--quiet", "-m", "fix: no lib")
    fix = clone.rev("HEAD")
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("update-index", "--cacheinfo", link("1" * 40))
    clone.git("commit", "--quiet", "-m", "chore: lib 1")
    tagged(clone, clone.rev("HEAD"))
    clone.git("checkout", "--quiet", "--force", "main")
    return fix


def filtered(clone: Repo) -> str:
    """A filter that is required and cannot run keeps every file of its kind in the worktree as it is stored."""
    tagged(clone, clone.commit("chore: big", {".gitattributes": "*.bin filter=big\n", "m.bin": "pointer\n"}))
    clone.commit("refactor: words", {"README.md": "# other\n"})
    fix = clone.commit("fix: words", {"README.md": "# fixed\n"})
    for key, value in (("clean", "false"), ("smudge", "false"), ("required", "true")):
        clone.git("config", f"filter.big.{key}", value)
    return fix


SETTLED: dict[Callable[[Repo], str], tuple[str, ...]] = {
    modify_delete: ("git/worktree.py: git rm --quiet --force -- {}",),
    delete_modify: (),
    submodule: ("git/worktree.py: git update-index --cacheinfo {},{},{}",),
    submodule_removed: ("git/worktree.py: git update-index --force-remove -- {}",),
    filtered: (),
}
for _commands in SETTLED.values():
    claim(_commands, "test_a_pause_is_left_by_what_it_prints")


@pytest.mark.wide(6)
@types(
    "git/worktree.py: cd {}", "release/modes/paused.py: release continue {}",
    "release/modes/paused.py: release abort {}{}", "release/cut.py: release abort {}",
)  # fmt: skip
@pytest.mark.parametrize("make", list(SETTLED))
def test_a_pause_is_left_by_what_it_prints(tale: Story, make: Callable[[Repo], str]) -> None:
    fix = make(tale.clone)
    tale.clone.git("push", "--quiet", "origin", "main")
    tale.release_yaml(fix_line(fix))
    paused = cut(tale.clone.path)
    assert paused.code == 3, paused.err
    on, skip, abort, *_ = commands(remedy(paused))
    other = answered(tale)
    if make is filtered:
        (tale.clone.path / f".git/release/{VERSION}/worktree/README.md").write_text("# fixed here\n")
    done = typed(on, tale.clone.path)
    assert done.returncode == 0, f"{on}\n{done.stdout}{done.stderr}"
    must_be_typed(SETTLED[make])
    must_end(tale, released=True)
    assert abort == f"release abort {VERSION}"
    done = typed(abort.replace(str(tale.clone.path), str(other.clone.path)), other.clone.path)
    assert done.returncode == 0, done.stderr
    must_end(other, released=False)
    assert skip.startswith(f"release skip {VERSION} --reason ")


def test_status_of_a_pause_names_the_same_ways(tale: Story) -> None:
    tale.release_yaml(fix_line(modify_delete(tale.clone)))
    assert cut(tale.clone.path).code == 3
    on, *_ = next_commands(tale.clone.path)
    assert typed(on, tale.clone.path).returncode == 0
    for command in next_commands(tale.clone.path)[1:2]:
        assert typed(f"{command} --yes", tale.clone.path).returncode == 0
    must_end(tale, released=True)


# ------------------------------------------------------------------ pushes


def hook(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@types("git/push.py: git push {} {}")
def test_a_remote_without_atomic_pushes(tale: Story) -> None:
    """The branch goes first by hand, then the same command adds the tag."""
    tale.release_yaml(fix_line(tale.fix))
    tale.remote.git("config", "receive.advertiseAtomic", "false")
    refused = cut(tale.clone.path)
    assert refused.code == 7
    assert not is_public(tale)
    (push,) = commands(remedy(refused))
    assert typed(push, tale.clone.path).returncode == 0
    assert cut(tale.clone.path).code == 0
    must_end(tale, released=True)


def test_branch_first_and_tag_second_where_the_server_knows_no_atomic_push(tale: Story) -> None:
    """Broken off between the two, the same command pushes the tag; with the branch refused nothing is public."""
    tale.release_yaml(fix_line(tale.fix), extra="land: {by: push, atomic: false}\n")
    tale.remote.git("config", "receive.advertiseAtomic", "false")
    planned = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert any("the branch is pushed first, then the tag" in note for note in planned.json["notes"])
    hook(tale.remote.path / "hooks/update", "exit 1")
    assert cut(tale.clone.path).code == 7
    assert tale.remote.rev("release/v2.7") == tale.base
    hook(tale.remote.path / "hooks/update", "case $1 in refs/tags/*) seq 1 400 >&2; echo for CI >&2; exit 1 ;; esac")
    refused = cut(tale.clone.path)
    assert (refused.code, refused.json["error"]["state"]) == (7, "the branch is public, the tag is not")
    assert "for CI" in refused.json["error"]["message"]  # at the end of many words
    assert "do what the remote says" in refused.json["error"]["remedy"]
    assert tale.remote.rev("release/v2.7") == planned.json["head"]
    assert "the tag is not public, the branch may be" in release("status", VERSION, cwd=tale.clone.path).out
    given_up = copied(tale, tale.clone.path.parent.parent / "given-up")
    left = release("abort", VERSION, cwd=given_up.clone.path)
    assert (left.code, "what landed stays on release/v2.7, as" in left.out) == (0, True), left.out + left.err
    (tale.remote.path / "hooks/update").unlink()
    assert cut(tale.clone.path).code == 0
    assert tale.remote.rev(f"{VERSION}^{{commit}}") == planned.json["head"]
    must_end(tale, released=True)


@types("git/push.py: git push --dry-run {} {}")
@pytest.mark.wide(2)
@pytest.mark.parametrize("stream", [1, 2])
def test_a_hook_of_the_clone_is_heard_on_either_stream(tale: Story, stream: int) -> None:
    tale.release_yaml(fix_line(tale.fix))
    hook(tale.clone.path / ".git/hooks/pre-push", f"cat > /dev/null; echo run lint-77 first >&{stream}; exit 1")
    refused = cut(tale.clone.path)
    assert refused.code == 7
    assert "run lint-77 first" in refused.json["error"]["message"]
    (look,) = commands(remedy(refused))
    shown = typed(look, tale.clone.path)
    assert "run lint-77 first" in shown.stdout + shown.stderr
    assert "git push --dry-run origin" in look


def test_a_candidate_that_the_forge_moved_the_branch_to_needs_its_tag_alone(tale: Story) -> None:
    """Also where somebody committed on top of it meanwhile."""
    tale.release_yaml(fix_line(tale.fix))
    hook(tale.remote.path / "hooks/update", "case $1 in refs/heads/release/*) exit 1 ;; esac")
    assert cut(tale.clone.path).code == 7
    made = tale.clone.rev(f"refs/release/{VERSION}/candidate")
    on_top = tale.clone.git("commit-tree", f"{made}^{{tree}}", "-p", made, "-m", "docs: on top")
    tale.clone.git("push", "--quiet", "origin", f"{on_top}:refs/heads/pull")
    tale.remote.git("update-ref", "refs/heads/release/v2.7", on_top)
    done = cut(tale.clone.path)
    assert done.code == 0, done.err
    assert tale.remote.rev(f"{VERSION}^{{commit}}") == made
    assert tale.remote.rev("release/v2.7") == on_top


def test_a_release_that_ci_finished_is_seen_and_closed(tale: Story, tmp_path: Path) -> None:
    tale.release_yaml(fix_line(tale.fix))
    hook(tale.remote.path / "hooks/update", "case $1 in refs/release-records/*) exit 1 ;; esac")
    assert cut(tale.clone.path).code == 7
    (tale.remote.path / "hooks/update").unlink()
    ci = tmp_path / "ci"
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(ci))
    identity = {"GIT_COMMITTER_NAME": "CI", "GIT_COMMITTER_EMAIL": "ci@example.com"}
    assert release("publish", VERSION, cwd=ci, env=identity).code == 0
    (standing,) = release("status", VERSION, "--json", cwd=tale.clone.path).json["releases"]
    assert (standing["state"], standing["missing"]) == ("released", [])
    other = answered(tale)
    done = cut(tale.clone.path)
    assert (done.code, done.json["released"]) == (0, False)
    must_end(tale, released=True)
    assert release("audit", cwd=tale.clone.path).code == 0
    forgotten = release("abort", VERSION, cwd=other.clone.path)
    assert forgotten.code == 0
    assert "nothing was public" not in forgotten.out
    assert not other.clone.git("for-each-ref", "refs/release")


def test_a_tag_of_this_clone_alone(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    tale.clone.git("tag", "-a", "-m", "mine", VERSION, tale.base)
    refused = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert (refused.code, refused.json["problems"][0]["code"]) == (4, "tag-only-here")
    (forget,) = commands(remedy(refused))
    assert typed(forget, tale.clone.path).returncode == 0
    assert cut(tale.clone.path).code == 0
    must_end(tale, released=True)


@pytest.mark.wide(2)
@pytest.mark.parametrize("stream", [2, 1])
def test_what_hooks_say_of_a_push_that_goes_well_is_shown(tale: Story, stream: int) -> None:
    """Here and on the server: a link to what the push has started, say."""
    tale.release_yaml(fix_line(tale.fix))
    hook(tale.clone.path / ".git/hooks/pre-push", f"cat > /dev/null; echo lint-77 is content >&{stream}")
    hook(tale.remote.path / "hooks/post-receive", f"cat > /dev/null; echo build 78 has begun >&{stream}")
    done = cut(tale.clone.path)
    assert done.code == 0, done.err
    assert "lint-77 is content" in done.err
    assert "build 78 has begun" in done.err


# ------------------------------------------------------------------ old news


def test_plan_says_that_a_fix_of_this_clone_alone_becomes_public(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert "pushes it there" not in release("plan", VERSION, cwd=tale.clone.path).err
    alone = tale.clone.commit("fix: mine", {"mine.py": "1\n"})
    tale.release_yaml(fix_line(alone))
    ran = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert any(alone[:12] in note and f"refs/release-sources/{VERSION}" in note for note in ran.json["notes"])


def test_check_says_where_the_remote_could_not_be_asked(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("check", "--json", cwd=tale.clone.path).json["notes"] == []
    tale.remote.path.rename(tale.remote.path.with_name("away"))
    ran = release("check", "--json", cwd=tale.clone.path)
    assert ran.code == 0
    assert [note for note in ran.json["notes"] if "cannot be read" in note and "this clone alone" in note]


def test_log_reads_the_list_of_a_tag_where_the_fix_is_not(tale: Story) -> None:
    """In a clone that has neither notes nor the topic branch, offline."""
    tale.release_yaml(fix_line(tale.fix))
    assert cut(tale.clone.path).code == 0
    there = tale.clone.path.parent / "there"
    tale.clone.git(
        "clone", "--quiet", "--single-branch", "--branch=release/v2.7", f"file://{tale.remote.path}", str(there)
    )
    for name in (tale.fix, tale.fix[:10]):
        ran = release("log", name, "--offline", "--json", cwd=there)
        assert ran.code == 0, ran.err
        assert ran.json["source"] == tale.fix
        assert [each["version"] for each in ran.json["releases"]] == [VERSION]


def test_a_changelog_of_another_name_asks_for_no_prerequisite(tale: Story) -> None:
    tale.clone.commit("docs: one", {"docs/what-is-new.md": "one\n"})
    fix = tale.clone.commit("fix: two", {"docs/what-is-new.md": "two\none\n", "two.py": "2\n"})
    tale.clone.git("push", "--quiet", "--all")
    found = []
    for name in ("CHANGELOG.md", "docs/what-is-new.md"):
        tale.release_yaml(fix_line(fix), extra=f"changelog: {name}\n")
        plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
        found.append([problem["code"] for problem in plan["problems"]])
    assert found == [["missing-prerequisite"], ["conflict"]]


@pytest.mark.wide(2)
@pytest.mark.parametrize("command", ["continue", "skip", "status", "plan"])
def test_what_heals_is_done_or_named_by_every_command(tale: Story, command: str) -> None:
    """A ref of the release that names nothing: `continue` and `skip` heal it; the others go round it."""
    tale.release_yaml(fix_line(modify_delete(tale.clone)))
    assert cut(tale.clone.path).code == 3
    for name in ("resolved", "skipped"):
        path = tale.clone.path / f".git/refs/release/{VERSION}/{name}/{'1' * 40}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1" * 40 + "\n")
    on, *_ = next_commands(tale.clone.path) if command == "continue" else [""]
    line = on or f"release {command} {VERSION}" + (" --reason later --yes" if command == "skip" else "")
    done = typed(line, tale.clone.path)
    if command == "plan":
        assert (done.returncode, f"release cut {VERSION}" in done.stderr) == (2, True), done.stderr
        done = typed(f"release cut {VERSION}", tale.clone.path)
    assert done.returncode in (0, 3), done.stderr

"""As test_printed_commands, for what is printed once something is public: tags, records, promotions, pushes, hooks."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support import guarded as making
from tests.support.cli import release
from tests.support.kills import killed_cut
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import VERSION, Repo, copied, fix_line, make_repo, story

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Ran
    from tests.support.guarded import Guarded
    from tests.support.story import Story

ODD = "up&stream"  # a legal name of a remote that a shell would take apart
RC = "v2.7.1-rc.1"


def run(clone: Path, *args: str) -> Ran:
    return release(*args, cwd=clone)


@pytest.fixture(scope="module")
def out_once(tmp_path_factory: pytest.TempPathFactory) -> Story:
    tale = story(tmp_path_factory.mktemp("out") / "story")
    tale.clone.git("remote", "rename", "origin", ODD)
    tale.release_yaml(fix_line(tale.fix), extra=f"remote: '{ODD}'\n")
    done = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    return tale


@pytest.fixture
def out(out_once: Story, tmp_path: Path) -> Story:
    """The story after v2.7.1 was released, with a remote of another name."""
    return copied(out_once, tmp_path / "out")


# ------------------------------------------------------------------ tags and records


@types("release/publish.py: git fetch {} tag {}")
def test_a_tag_that_is_not_here(out: Story) -> None:
    out.clone.git("tag", "-d", VERSION)
    works(said(run(out.clone.path, "publish", VERSION), "git fetch"), out.clone.path)
    assert run(out.clone.path, "publish", VERSION).code == 0


@types(
    "release/publish.py: git fetch --force {} refs/tags/{}:refs/tags/{}",
    "session/published.py: git fetch --force {} refs/tags/{}:refs/tags/{}",
)
@pytest.mark.parametrize("kind", ["peeled", "another"])
def test_a_tag_that_is_another_here(out: Story, kind: str) -> None:
    if kind == "peeled":
        out.clone.git("tag", "--force", VERSION, f"{VERSION}^{{}}")
    else:
        out.clone.git("tag", "--force", "-a", "-m", "other", VERSION, f"{VERSION}^{{}}")
        text = out.clone.git("cat-file", "tag", VERSION).partition("\n\n")[0]
        message = out.remote.git("cat-file", "tag", VERSION).partition("\n\n")[2]
        other = out.clone.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=f"{text}\n\n{message}\n")
        out.clone.git("update-ref", f"refs/tags/{VERSION}", other)
    works(said(run(out.clone.path, "publish", VERSION), "git fetch --force"), out.clone.path)
    assert run(out.clone.path, "publish", VERSION).code == 0


@types("release/publish.py: release publish {}", "session/published.py: git ls-remote --tags {}")
def test_no_version_is_named(out: Story) -> None:
    works(said(run(out.clone.path, "publish"), "release publish"), out.clone.path)
    unknown = run(out.clone.path, "yank", "v2.7.9", "--reason", "x", "--yes")
    assert VERSION in works(said(unknown, "git ls-remote"), out.clone.path).stdout


@types("session/published.py: release status {}", "session/published.py: git tag --list")
def test_a_version_without_a_record(out: Story) -> None:
    out.release_yaml(fix_line(out.after), version="v2.7.2", extra=f"remote: '{ODD}'\n")
    assert killed_cut(out.clone.path, "before", 4, "v2.7.2") != 0
    told = run(out.clone.path, "show", "v2.7.2")
    works(said(told, "release status"), out.clone.path)
    assert VERSION in works(said(told, "git tag --list"), out.clone.path).stdout


@types(
    "session/published.py: release cut {}", "session/published.py: release status", "plan/document.py: release cut {}"
)
def test_a_promotion_of_what_was_not_finished(tale: Story) -> None:
    """Its record is missing: the clone that began it ends it."""
    tale.release_yaml(fix_line(tale.fix), version=RC)
    assert killed_cut(tale.clone.path, "before", 8, RC) != 0
    refused = run(tale.clone.path, "promote", RC, VERSION, "--yes")
    if "not-released" in refused.err:
        works(said(refused, "release cut"), tale.clone.path)
        works(said(refused, "release status"), tale.clone.path)
    assert run(tale.clone.path, "promote", RC, VERSION, "--yes").code == 0


@types("release/promotion.py: release promote {} {}", "release/promotion.py: release abort {}",
       "release/promotion.py: release status {}")  # fmt: skip
def test_a_promotion_into_a_paused_cut(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.before), version=RC)
    assert run(tale.clone.path, "cut", RC, "--yes").code == 0
    tale.clone.commit("refactor: words", {"README.md": "# other\n"})
    fix = tale.clone.commit("fix: words", {"README.md": "# fixed\n"})
    tale.clone.git("push", "--quiet", "--all")
    tale.release_yaml(fix_line(fix))
    assert run(tale.clone.path, "cut", VERSION, "--yes").code == 3
    refused = run(tale.clone.path, "promote", RC, VERSION, "--yes")
    works(said(refused, "release status"), tale.clone.path)
    works(said(refused, "release abort"), tale.clone.path)
    wrong = run(tale.clone.path, "promote", RC, "v2.7.2", "--yes")
    works(f"{said(wrong, 'release promote')} --yes", tale.clone.path)


@types("release/cut.py: release plan {} --out FILE", "plan/document.py: release plan VERSION --out FILE")
def test_a_plan_file_that_is_old_or_none(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    file = tale.clone.path.parent / "plan.json"
    none = run(tale.clone.path, "cut", VERSION, "--yes", "--plan", str(file))
    make = said(none, "release plan").replace("FILE", str(file))
    works(make.replace("VERSION", VERSION), tale.clone.path)
    tale.release_yaml(fix_line(tale.before))
    stale = run(tale.clone.path, "cut", VERSION, "--yes", "--plan", str(file))
    assert stale.code == 4, stale.err
    works(said(stale, "release plan").replace("FILE", str(file)), tale.clone.path)
    assert run(tale.clone.path, "cut", VERSION, "--yes", "--plan", str(file)).code == 0


@types('release/yank.py: release yank VERSION --reason "..."')
def test_a_yank_without_a_reason(out: Story) -> None:
    told = run(out.clone.path, "yank", VERSION)
    works(f"{said(told, 'release yank').replace('VERSION', VERSION)} --yes", out.clone.path)


@types("audit/verify.py: git tag --list")
def test_verify_of_what_is_not_there(out: Story) -> None:
    out.clone.git("tag", "-d", VERSION)
    told = run(out.clone.path, "verify", "v2.7.9")
    works(said(told, "git fetch"), out.clone.path)
    assert VERSION in works(said(told, "git tag --list"), out.clone.path).stdout


@types("audit/verify.py: release publish {}")
def test_verify_of_a_tag_without_a_record(out: Story) -> None:
    out.remote.git("update-ref", "-d", f"refs/release-records/{VERSION}")
    out.clone.git("update-ref", "-d", f"refs/release-records/{VERSION}")
    shutil.rmtree(out.clone.path / ".git/release", ignore_errors=True)
    works(said(run(out.clone.path, "verify", VERSION, "--json"), "release publish"), out.clone.path)
    assert run(out.clone.path, "verify", VERSION).code == 0


# ------------------------------------------------------------------ pushes


@types("git/push.py: git -C {} pull --ff-only {} {}")
def test_a_branch_that_is_checked_out(tale: Story) -> None:
    place = tale.clone.path.parent / "a work tree"
    tale.clone.git("remote", "rename", "origin", ODD)
    tale.clone.git("worktree", "add", "--quiet", str(place), "release/v2.7")
    tale.release_yaml(fix_line(tale.fix), extra=f"remote: '{ODD}'\n")
    done = run(tale.clone.path, "cut", VERSION, "--yes")
    works(said(done, "git -C"), tale.clone.path)
    assert Repo(place).rev("HEAD") == tale.remote.rev("release/v2.7")


@pytest.mark.wide(2)
@types("git/push.py: git remote set-url {}--delete {} {}")
@pytest.mark.parametrize("key", ["pushurl", "url"])
def test_a_second_place_that_takes_no_push(tale: Story, key: str) -> None:
    closed = make_repo(tale.clone.path.parent / "closed+one.git", bare=True)
    (closed.path / "hooks").mkdir(exist_ok=True)
    (closed.path / "hooks/pre-receive").write_text("#!/bin/sh\nexit 1\n")
    (closed.path / "hooks/pre-receive").chmod(0o755)
    if key == "pushurl":
        tale.clone.git("config", "--add", "remote.origin.pushurl", str(tale.remote.path))
    tale.clone.git("config", "--add", f"remote.origin.{key}", str(closed.path))
    tale.release_yaml(fix_line(tale.fix))
    refused = run(tale.clone.path, "cut", VERSION, "--yes")
    assert refused.code == 7, refused.err
    works(said(refused, "git remote set-url"), tale.clone.path)
    assert run(tale.clone.path, "cut", VERSION, "--yes").code == 0


# ------------------------------------------------------------------ a guarded server, hooks, release.yaml


@pytest.fixture(scope="module")
def guarded_once(told_once: Story, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        return making.make(copied(told_once, tmp_path_factory.mktemp("guarded") / "story"))


@pytest.mark.wide
@types("guard/branch.py: release cut {}", "guard/push.py: release cut {}", "guard/branch.py: release cut")
@pytest.mark.parametrize("what", ["another commit", "a tag alone", "a light tag"])
def test_what_a_server_refuses_is_made_by_cut(guarded_once: Guarded, tmp_path: Path, what: str) -> None:
    g = making.copied(guarded_once, tmp_path / "story")
    spec = {
        "another commit": f"{g.pick(g.other, g.base)}:refs/heads/release/v2.7",
        "a tag alone": f"{g.tagged(VERSION, g.base)}:refs/tags/{VERSION}",
        "a light tag": f"{g.head}:refs/tags/{VERSION}",
    }[what]
    status, told = g.push(spec)
    assert status, told
    assert "release cut" in told
    works(f"release cut {VERSION} --yes", g.clone.path)
    assert run(g.clone.path, "verify", VERSION).code == 0


@types("config/reader.py: release init", "cli/config.py: release check", "cli/config.py: release plan")
def test_no_release_yaml(tale: Story) -> None:
    works(said(run(tale.clone.path, "plan"), "release init"), tale.clone.path)
    for start in ("release check",):
        typed(said(run(tale.clone.path, "init"), start), tale.clone.path)
    tale.release_yaml(fix_line(tale.fix))
    works("release check", tale.clone.path)
    works("release plan", tale.clone.path)

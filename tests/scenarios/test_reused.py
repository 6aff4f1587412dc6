"""A conflict that was resolved before: by a release of another line, or as git's rerere of the clone remembers it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.commit_keys import ssh_key
from tests.support.guarded import install
from tests.support.remedies import said, typed
from tests.support.story import Repo, lines, make_repo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history
YAML = "version: 1\nbranch: release/{}\nsource: main\n{}releases:\n  {}:\n    fixes:\n      - commit: {}\n"
BOTH = "both here"  # how the line in conflict is resolved


@dataclass(frozen=True)
class Lines:
    """Two release lines with another text than main, and with other texts around it; a fix, resolved in v2.7.1."""

    remote: Repo
    clone: Repo
    fix: str
    first: str  # the pick in v2.7.1

    def declare(self, line: str, version: str, extra: str = "") -> None:
        self.clone.write("release.yaml", YAML.format(line, extra, version, self.fix))
        self.clone.git("add", "release.yaml")
        self.clone.minutes += 1
        self.clone.git("commit", "--quiet", "--allow-empty", "-m", f"chore: declare {version}")
        self.clone.git("push", "--quiet", "origin", "main")

    def run(self, *args: str, cwd: Path | None = None) -> Ran:
        return release(*args, cwd=cwd or self.clone.path, env={"RELEASE_CLI_EFFORT": "0"})

    def tree(self, version: str) -> Repo:
        return Repo(self.clone.path / f".git/release/{version}/worktree")

    def message(self, version: str) -> str:
        return self.remote.git("cat-file", "tag", version)


def resolve(told: Lines, version: str, text: str) -> Ran:
    paused = told.run("cut", version, "--yes")
    assert paused.code == 3, paused.err
    tree = told.tree(version)
    tree.write("words.txt", text)
    tree.git("add", "words.txt")
    return told.run("continue", version, "--yes")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Lines:
    root = tmp_path_factory.mktemp("reused")
    remote, clone = make_repo(root / "remote.git", bare=True), make_repo(root / "clone")
    clone.git("remote", "add", "origin", str(remote.path))
    clone.commit("feat: start", {"words.txt": lines(40)})
    for line, more in (("2.7", "l2"), ("2.8", "l38")):
        clone.git("checkout", "--quiet", "-b", f"release/v{line}", "main")
        clone.commit("feat: words", {"words.txt": lines(40, l20="said here", **{more: f"of {line}"})})
        clone.git("tag", "-a", "-m", "first", f"v{line}.0")
        clone.git("checkout", "--quiet", "main")
    clone.commit("feat: other words", {"words.txt": lines(40, l20="said there")})
    fix = clone.commit("fix: the words", {"words.txt": lines(40, l20="fixed there")})
    clone.git("push", "--quiet", "--tags", "origin", "main", "release/v2.7", "release/v2.8")
    told = Lines(remote, clone, fix, "")
    told.declare("v2.7", "v2.7.1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        done = resolve(told, "v2.7.1", lines(40, l20=BOTH, l2="of 2.7"))
    assert done.code == 0, done.err
    clone.git("fetch", "--quiet", "--tags", "origin")
    return Lines(remote, clone, fix, clone.rev("v2.7.1~1"))


@pytest.fixture
def told(once: Lines, tmp_path: Path) -> Lines:
    """A copy of the clone and its remote."""
    shutil.copytree(once.clone.path.parent, tmp_path / "copy", symlinks=True)
    clone = Repo(tmp_path / "copy/clone", once.clone.minutes)
    clone.git("config", "remote.origin.url", str(tmp_path / "copy/remote.git"))
    clone.git("update-index", "--refresh")
    return Lines(Repo(tmp_path / "copy/remote.git"), clone, once.fix, once.first)


def everybody(told: Lines, version: str, place: Path) -> None:
    """Calls it right, where there is nothing but the remote."""
    told.clone.git("clone", "--quiet", str(told.remote.path), str(place))
    for judge in (("verify", version), ("publish", version)):
        ran = told.run(*judge, cwd=place)
        assert ran.code == 0, (judge, ran.out, ran.err)
    found = told.run("audit", "--json", cwd=place).json["lines"]
    bad = {each["subject"] for line in found for each in line["commits"] if not each["ok"]}
    assert bad == {"feat: words"}  # how the lines of this story began
    assert not [problem for line in found for problem in line["problems"]]


def test_a_person_looks_at_it_unless_the_file_says_otherwise(told: Lines, tmp_path: Path) -> None:
    assert install(told.remote, quick=True).code == 0
    told.declare("v2.8", "v2.8.1")
    plan = told.run("plan", "v2.8.1")
    shown_as = f"       can be resolved as in v2.7.1 ({told.first[:12]})\n"
    assert (plan.code, shown_as in plan.out) == (3, True), plan.out
    other = tmp_path / "other"
    told.clone.git("clone", "--quiet", str(told.remote.path), str(other))  # of somebody who resolved nothing
    Repo(other).git("config", "user.name", "Tom")
    Repo(other).git("config", "user.email", "tom@example.com")
    elsewhere = told.run("plan", "v2.8.1", cwd=other)
    assert (elsewhere.code, shown_as in elsewhere.out) == (3, True), elsewhere.out
    paused = told.run("cut", "v2.8.1", "--yes")
    assert paused.code == 3
    named = f"words.txt as in v2.7.1 ({told.first[:12]}, by Mia Maintainer <mia@example.com>)"
    assert f"it was resolved before, look at it: {named}" in paused.err
    tree = told.tree("v2.8.1")
    assert (tree.path / "words.txt").read_text() == lines(40, l20=BOTH, l38="of 2.8")
    assert tree.git("ls-files", "-u")  # nobody has agreed yet
    assert "still unmerged" in told.run("continue", "v2.8.1", "--yes").err
    way = said(paused, "git add").replace("continue v2.8.1", "continue v2.8.1 --yes")
    done = typed(way, tree.path)
    assert done.returncode == 0, done.stderr
    assert told.message("v2.8.1").endswith(f"\nResolved-As: {told.first} v2.7.1")
    shown = told.run("show", "v2.8.1")
    assert f"(is resolved as in v2.7.1 ({told.first[:12]}))" in shown.out
    everybody(told, "v2.8.1", tmp_path / "fresh")


@pytest.mark.wide(2)
@pytest.mark.parametrize("signed", [True, False])
def test_who_resolved_it_may_have_it_applied(told: Lines, tmp_path: Path, signed: bool) -> None:
    told.declare("v2.8", "v2.8.1", "reuse-resolutions: true\n" + "sign-commits: true\n" * signed)
    if signed:
        told.clone.git("config", "gpg.format", "ssh")
        told.clone.git("config", "user.signingKey", str(ssh_key(tmp_path / "key")))
    assert install(told.remote, quick=True).code == 0
    told.clone.git("config", "user.name", "Somebody Else")
    other = told.run("plan", "v2.8.1", "--json").json
    assert other["picks"][0]["state"] == "conflict"  # of somebody else: it is shown, and never released unseen
    told.clone.git("config", "user.name", "Mia Maintainer")
    plan = told.run("plan", "v2.8.1", "--json").json
    (pick,) = plan["picks"]
    assert (pick["state"], plan["problems"]) == ("adapted", [])
    assert pick["resolution"] == {"commit": told.first, "version": "v2.7.1"}
    done = told.run("cut", "v2.8.1", "--yes")
    assert done.code == 0, done.err
    assert told.remote.git("show", "v2.8.1:words.txt") == lines(40, l20=BOTH, l38="of 2.8").strip()
    made = told.remote.rev("v2.8.1~1")
    assert f"\nPick: adapted {told.fix} {made}\nResolved-As: {told.first} v2.7.1" in told.message("v2.8.1")
    assert told.remote.rev("v2.8.1") == told.clone.rev("v2.8.1")
    assert (pick["result"] == made, plan["head"] == told.clone.rev("v2.8.1^{}")) == (not signed, not signed)
    everybody(told, "v2.8.1", tmp_path / "fresh")


@pytest.mark.wide
def test_what_is_not_released_is_no_example(told: Lines) -> None:
    """A tag that only this clone has may be from anywhere, and a yanked version is none to follow."""
    told.declare("v2.8", "v2.8.1", "reuse-resolutions: true\n")
    tag = told.remote.rev("refs/tags/v2.7.1")
    told.remote.git("update-ref", "-d", "refs/tags/v2.7.1")
    private = told.run("plan", "v2.8.1", "--json").json["picks"][0]
    other = told.remote.git("cat-file", "tag", tag).replace("v2.7.1: ", "v2.7.1:  ") + "\n"
    forged = told.remote.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=other.replace("Mia", "Mio", 1))
    told.remote.git("update-ref", "refs/tags/v2.7.1", forged)
    differs = told.run("plan", "v2.8.1", "--json").json["picks"][0]
    told.remote.git("update-ref", "refs/tags/v2.7.1", tag)
    offline = told.run("plan", "v2.8.1", "--json", "--offline").json["picks"][0]
    released = told.run("plan", "v2.8.1", "--json").json["picks"][0]
    assert told.run("yank", "v2.7.1", "--reason", "wrong words", "--yes").code == 0
    yanked = told.run("plan", "v2.8.1", "--json").json["picks"][0]
    known = {"commit": told.first, "version": "v2.7.1"}
    assert [(pick["state"], pick["resolution"]) for pick in (private, differs, offline, released, yanked)] == [
        ("conflict", None), ("conflict", None), ("conflict", known), ("adapted", known), ("conflict", None),
    ]  # fmt: skip


LIES = ("it is not", "another commit", "another version", "a commit of nowhere", "nothing said")


@pytest.mark.wide(6)
@pytest.mark.parametrize("lie", LIES)
def test_what_a_tag_says_of_it_is_made_again(told: Lines, lie: str, tmp_path: Path) -> None:
    """One that says so of another resolution, names another commit or version, or keeps silent."""
    assert install(told.remote, quick=True).code == 0
    told.declare("v2.8", "v2.8.1")
    text = lines(40, l20="something else" if lie == "it is not" else BOTH, l38="of 2.8")
    hook = told.remote.path / "hooks/pre-receive"
    hook.rename(tmp_path / "hook")
    done = resolve(told, "v2.8.1", text)
    assert done.code == 0, done.err
    before = told.message("v2.8.1")
    assert ("Resolved-As" in before) == (lie != "it is not")
    line = f"\nResolved-As: {told.first} v2.7.1"
    forged = {
        "it is not": before + line,
        "another commit": before.replace(told.first, told.clone.rev("v2.7.0~0^{commit}")),
        "another version": before.replace(f"{told.first} v2.7.1", f"{told.first} v2.7.0"),
        "a commit of nowhere": before.replace(told.first, "1" * 40),
        "nothing said": before.replace(line, ""),
    }[lie]
    sha = told.remote.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=forged + "\n")
    base = told.clone.rev("v2.8.0^{}")
    head = told.remote.rev("v2.8.1^{}")
    told.remote.git("update-ref", "refs/heads/release/v2.8", base)
    for ref in ("refs/tags/v2.8.1", "refs/release-records/v2.8.1", "refs/release-sources/v2.8.1"):
        told.remote.git("update-ref", "-d", ref)
    (tmp_path / "hook").rename(hook)
    forger = Repo(tmp_path / "forger")
    told.clone.git("clone", "--quiet", "--no-local", str(told.remote.path), str(forger.path))
    told.remote.git("update-ref", "refs/tmp/head", head)
    told.remote.git("update-ref", "refs/tmp/tag", sha)
    forger.git("fetch", "--quiet", "origin", "+refs/tmp/head:refs/heads/x", "+refs/tmp/tag:refs/x/tag")
    pushed = forger.attempt("push", "--atomic", "origin", "x:release/v2.8", "refs/x/tag:refs/tags/v2.8.1")
    if lie == "nothing said":  # it need not be said: it is a resolution like any other
        assert pushed.returncode == 0, pushed.stderr
        return
    assert "tag-differs" in pushed.stderr
    told.remote.git("update-ref", "refs/heads/release/v2.8", head)
    told.remote.git("update-ref", "refs/tags/v2.8.1", sha)
    fresh = tmp_path / "fresh"
    told.clone.git("clone", "--quiet", str(told.remote.path), str(fresh))
    for judge in (("audit",), ("verify", "v2.8.1"), ("publish", "v2.8.1")):
        ran = told.run(*judge, cwd=fresh)
        assert ran.code == 9, (judge, ran.out, ran.err)
        assert "says of" in ran.out + ran.err


def kept(cache: Path) -> list[tuple[str, bytes]]:
    """What git remembers; `thisimage` it leaves wherever it is asked."""
    return sorted((path.name, path.read_bytes()) for path in cache.rglob("p*image"))


@pytest.mark.wide
def test_gits_own_rerere_is_honoured_and_left_as_it_was(told: Lines) -> None:
    """What the clone remembers is in the worktree, for a look; an abort leaves no trace, and what is new is kept."""
    clone = told.clone
    clone.git("tag", "--delete", "v2.7.1")  # nothing but what git remembers
    clone.git("config", "rerere.enabled", "true")
    clone.git("config", "rerere.autoUpdate", "true")  # git would add it unseen
    told.declare("v2.8", "v2.8.1")
    clone.git("checkout", "--quiet", "--detach", "release/v2.8")
    assert clone.attempt("cherry-pick", told.fix).returncode
    resolved = lines(40, l20="as I once did", l38="of 2.8")
    clone.write("words.txt", resolved)
    clone.git("add", "words.txt")
    clone.git("-c", "core.editor=true", "cherry-pick", "--continue")
    clone.git("checkout", "--quiet", "main")
    cache = clone.path / ".git/rr-cache"
    before = kept(cache)
    assert len(before) == 2
    paused = told.run("cut", "v2.8.1", "--yes")
    assert paused.code == 3, paused.err
    assert "it was resolved before, look at it: words.txt by git's rerere" in paused.err
    tree = told.tree("v2.8.1")
    assert (tree.path / "words.txt").read_text() == resolved
    assert tree.git("ls-files", "-u")
    assert told.run("abort", "v2.8.1").code == 0
    assert kept(cache) == before
    shutil.rmtree(cache)
    cache.mkdir()
    assert told.run("cut", "v2.8.1", "--yes").code == 3
    assert "<<<<<<<" in (tree.path / "words.txt").read_text()
    assert told.run("abort", "v2.8.1").code == 0
    assert not kept(cache)  # a conflict that nobody resolved is not kept
    assert resolve(told, "v2.8.1", resolved).code == 0
    assert [path.read_text() for path in cache.rglob("postimage")] == [resolved]

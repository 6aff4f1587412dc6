"""Picks that are something else than their sources by rule: submodules that go forward, files that are excluded,
strategy options.

What git makes of them, what everybody says of them in every clone, and that everybody finds what is neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.printed import types
from tests.support.remedies import said, typed
from tests.support.story import Repo, make_repo
from tests.support.walk.attacks import Attack, Attacked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Ran
    from tests.support.walk.releases import Released

pytestmark = pytest.mark.history
KINDS = ["submodule", "excluded", "sided", "adapted", "backport", "clean"]


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Attacked, Released]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        world = Attacked(tmp_path_factory.mktemp("adapted") / "world")
        made = world.release(world.lines[0], KINDS, candidate=True, turned=False, kill=0, abort=False)
        return world, made


def source_of(made: Released, kind: str) -> str:
    """The last commit that an entry of that kind brings."""
    return next(entry.brings[-1] for entry in made.line.declared[made.version] if entry.kind == kind)


@pytest.mark.wide(2)
@pytest.mark.parametrize("place", ["shallow", "offline"])
def test_everybody_calls_it_right(adapted: tuple[Attacked, Released], place: str) -> None:
    world, made = adapted
    world.judged(made, place)


def test_git_makes_the_same_of_it(adapted: tuple[Attacked, Released]) -> None:
    """Real git, with the submodule checked out, picks the very trees; and it is said in plan, tag and record."""
    world, made = adapted
    record = world._record(made)
    hand = world._worktree(record["base"])
    hand.git("clone", "--quiet", str(world.lib.path), "lib-v2.7")
    excluded = source_of(made, "excluded")
    for pick in record["picks"][: [each["source"] for each in record["picks"]].index(excluded)]:
        hand.git("-C", "lib-v2.7", "checkout", "--quiet", hand.git("rev-parse", "HEAD:lib-v2.7"))
        hand.git("cherry-pick", "-x", pick["source"])
        assert hand.rev("HEAD^{tree}") == hand.rev(f"{pick['result']}^{{tree}}")
    lib, source = world.libs["v2.7"], source_of(made, "submodule")
    assert f"\nPick: clean {source} " in world._tag_text(made)
    assert world._tag_text(made).count(f"\nSubmodule: lib-v2.7 {lib}\n") == 1
    forwarded = {pick["source"]: pick["forwarded"] for pick in record["picks"]}
    assert forwarded.pop(source) == [{"path": "lib-v2.7", "commit": lib}]
    assert not any(forwarded.values())
    assert f"submodule lib-v2.7 is fast-forwarded to {lib[:12]}" in world.must(0, made.line, "show", made.version).out


@pytest.mark.wide
def test_the_audit_says_what_it_can_prove(adapted: tuple[Attacked, Released]) -> None:
    world, made = adapted
    for where, words in (
        (world.clone.path, "is fast-forwarded to"),
        (world.cloned("full", made), "whether that is a fast-forward is not provable here"),
    ):
        (line,) = (
            each
            for each in world.must(0, made.line, "audit", "--json", cwd=where).json["lines"]
            if each["branch"] == made.line.branch
        )
        (commit,) = (each for each in line["commits"] if source_of(made, "submodule") in each["sources"])
        assert (commit["kind"], commit["ok"]) == ("proved", True)
        assert any(words in note for note in commit["notes"]), commit


def test_what_is_excluded_is_not_there(adapted: tuple[Attacked, Released]) -> None:
    world, made = adapted
    source, record = source_of(made, "excluded"), world._record(made)
    (pick,) = (each for each in record["picks"] if each["source"] == source)
    assert (pick["state"], pick["exclude"]) == ("clean", ["NEWS.txt", ".ci/**"])  # and no docs, which it has not
    changed = world.remote.git("diff-tree", "-r", "--name-only", f"{pick['result']}^", pick["result"]).split()
    assert changed == ["app.txt"]
    assert f"\nPick: clean {source} {pick['result']}\nWithout: NEWS.txt\nWithout: .ci/**\n" in world._tag_text(made)
    assert "(without NEWS.txt, .ci/**)" in world.must(0, made.line, "show", made.version).out


@pytest.mark.wide
def test_a_byte_of_an_excluded_file_is_found(adapted: tuple[Attacked, Released]) -> None:
    world, made = adapted
    source = source_of(made, "excluded")
    news = world.remote.rev(f"{source}:NEWS.txt")
    for attack in (
        Attack("not-the-pick", frozenset({"adapted"}), "differ in", entries=(("100644", news, "NEWS.txt"),)),
        Attack("not-the-pick", frozenset({"adapted"}), "differ in", files=(".ci/x.yml",)),
        Attack("tag-differs", frozenset({"tag-differs"}), "says of",
               tag=lambda text, _: text.replace("Without: NEWS.txt\n", "")),
        Attack("tag-differs", frozenset({"tag-differs"}), "says of",
               tag=lambda text, _: text.replace("Without: NEWS.txt\n", "Without: NEWS.txt\nWithout: *\n")),
    ):  # fmt: skip
        world.everybody_sees(made, attack, source)


@pytest.mark.wide
def test_what_was_merged_with_an_option_is_that(adapted: tuple[Attacked, Released]) -> None:
    """Said in tag and record; another resolution of the same conflict is found, and another word about it."""
    world, made = adapted
    source, record = source_of(made, "sided"), world._record(made)
    (pick,) = (each for each in record["picks"] if each["source"] == source)
    assert (pick["state"], pick["strategy_options"]) == ("clean", ["theirs", "find-renames=60%"])
    assert "\nStrategy-Option: theirs\nStrategy-Option: find-renames=60%\n" in world._tag_text(made)
    assert "(merged with theirs, find-renames=60%)" in world.must(0, made.line, "show", made.version).out
    before = world.remote.git("ls-tree", f"{pick['result']}^", "app.txt").split()[2]  # as with `ours`
    for attack in (
        Attack("not-the-pick", frozenset({"forged"}), "", entries=(("100644", before, "app.txt"),)),
        Attack("tag-differs", frozenset({"tag-differs"}), "says of",
               tag=lambda text, _: text.replace("Strategy-Option: theirs\n", "")),
    ):  # fmt: skip
        world.everybody_sees(made, attack, source)


@pytest.mark.wide
def test_a_third_commit_of_a_submodule_is_found(adapted: tuple[Attacked, Released]) -> None:
    world, made = adapted
    third = world.lib.commit("fix: what nobody picked", {"lib.txt": "3\n"})
    entries = (("160000", third, "lib-v2.7"),)
    for tag in (lambda text, _: text, lambda text, _: text.replace(world.libs["v2.7"], third)):
        attack = Attack("undeclared-resolution", frozenset({"unproved"}), "conflicts in", entries=entries, tag=tag)
        world.everybody_sees(made, attack, source_of(made, "submodule"))


@pytest.mark.wide
def test_what_the_tag_says_of_a_submodule_is_what_is_there(adapted: tuple[Attacked, Released]) -> None:
    world, made = adapted
    lib, source = world.libs["v2.7"], source_of(made, "submodule")
    for tag in (
        lambda text, _: text.replace(f"Submodule: lib-v2.7 {lib}\n", ""),
        lambda text, _: text.replace(f"Submodule: lib-v2.7 {lib}", f"Submodule: lib-v2.7 {'1' * 40}"),
    ):
        world.everybody_sees(made, Attack("tag-differs", frozenset({"tag-differs"}), "says of", tag=tag), source)


ALLOWED = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}


@pytest.fixture
def linked(tmp_path: Path) -> tuple[Repo, Repo, str]:
    """A library; a clone whose main brought it from 1 to 3 and whose release branch has 2, without it; that fix."""
    lib = make_repo(tmp_path / "lib")
    one, two, three = (lib.commit(f"lib {n}", {"lib.txt": f"{n}\n"}) for n in (1, 2, 3))
    remote, clone = make_repo(tmp_path / "remote.git", bare=True), make_repo(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(remote.path))
    pin(clone, "feat: start", one, {".gitmodules": f'[submodule "lib"]\n\tpath = lib\n\turl = {lib.path}\n'})
    clone.git("tag", "-a", "-m", "v2.7.0", "v2.7.0")
    clone.git("checkout", "--quiet", "-b", "release/v2.7")
    pin(clone, "fix: lib 2, here", two, {"words.txt": "ours\n"})
    clone.git("tag", "-a", "-m", "v2.7.1", "v2.7.1")
    clone.git("checkout", "--quiet", "main")
    fix = pin(clone, "fix: lib 3", three)
    clone.git("push", "--quiet", "--tags", "origin", "main", "release/v2.7")
    clone.write("release.yaml", YAML.format(fix))
    return lib, clone, fix


YAML = "version: 1\nbranch: release/v2.7\nsource: main\nreleases:\n  v2.7.2:\n    fixes:\n      - commit: {}\n"


def pin(repo: Repo, subject: str, sha: str, files: dict[str, str | bytes | None] | None = None) -> str:
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{sha},lib")
    (repo.path / "lib").mkdir(exist_ok=True)
    return repo.commit(subject, files or {})


@pytest.mark.wide
@types(
    "git/merge/submodules.py: git submodule update --init -- {}", "git/merge/submodules.py: git -C {} fetch {}origin"
)
def test_a_submodule_that_was_never_fetched_conflicts_with_a_remedy(linked: tuple[Repo, Repo, str]) -> None:
    """The command that is printed brings its commits, and then it is a fast-forward."""
    lib, clone, fix = linked

    def planned() -> Ran:
        return release("plan", "v2.7.2", "--json", "--effort", "0", cwd=clone.path)

    def types_it(start: str) -> None:
        done = typed(said(planned(), start), clone.path, ALLOWED)
        assert done.returncode == 0, done.stderr

    plan = planned()
    assert (plan.code, plan.json["picks"][0]["state"]) == (3, "conflict")
    assert "lib (submodule not initialized)" in plan.json["problems"][0]["message"]
    types_it("git submodule update")
    assert planned().json["picks"][0]["forwarded"] == [{"path": "lib", "commit": lib.rev("HEAD")}]
    four = lib.commit("lib 4", {"lib.txt": "4\n"})
    pin(clone, "fix: lib 1 again", clone.rev(f"{fix}^:lib"))
    fix = pin(clone, "fix: lib 4", four)
    clone.git("push", "--quiet", "origin", "main")
    clone.write("release.yaml", YAML.format(fix))
    assert planned().code == 3
    types_it("git -C lib fetch")
    assert planned().code == 0
    side = lib.git("commit-tree", "-p", lib.rev("HEAD~3"), "-m", "aside", "HEAD^{tree}")
    lib.git("branch", "side", side)
    pin(clone, "fix: lib 1 once more", clone.rev(f"{fix}^:lib"))
    fix = pin(clone, "fix: lib aside", side)
    clone.git("push", "--quiet", "origin", "main")
    clone.write("release.yaml", YAML.format(fix))
    assert typed("git -C lib fetch origin", clone.path, ALLOWED).returncode == 0
    (problem,) = planned().json["problems"]
    assert "conflicts in lib (submodule)" in problem["message"]  # neither contains the other: git says so too
    assert "submodule update" not in problem["remedy"]


@pytest.mark.wide
def test_who_resolves_without_the_submodule_is_right_for_those_who_have_it(linked: tuple[Repo, Repo, str]) -> None:
    """A person may even take a third commit of it: the tag answers for that."""
    lib, clone, _ = linked
    four = lib.commit("lib 4", {"lib.txt": "4\n"})
    paused = release("cut", "v2.7.2", "--yes", "--effort", "0", cwd=clone.path)
    assert paused.code == 3, paused.err
    tree = Repo(clone.path / ".git/release/v2.7.2/worktree")
    tree.git("update-index", "--cacheinfo", f"160000,{four},lib")
    assert typed("git submodule update --init -- lib", clone.path, ALLOWED).returncode == 0
    done = release("continue", "v2.7.2", "--yes", cwd=clone.path)
    assert done.code == 0, done.err
    assert clone.rev("v2.7.2:lib") == four
    for judge in (("verify", "v2.7.2"), ("publish", "v2.7.2")):
        ran = release(*judge, cwd=clone.path)
        assert ran.code == 0, (judge, ran.out, ran.err)


@pytest.mark.wide
def test_a_pause_for_a_file_has_the_submodule_settled(linked: tuple[Repo, Repo, str]) -> None:
    lib, clone, fix = linked
    assert typed("git submodule update --init -- lib", clone.path, ALLOWED).returncode == 0
    pin(clone, "fix: lib 1 again", clone.rev(f"{fix}^:lib"))
    fix = pin(clone, "fix: lib 3 and words", lib.rev("HEAD"), {"words.txt": "theirs\n"})
    clone.git("push", "--quiet", "origin", "main")
    clone.write("release.yaml", YAML.format(fix))
    paused = release("cut", "v2.7.2", "--yes", "--effort", "0", cwd=clone.path)
    assert paused.code == 3, paused.err
    assert "conflicts in words.txt [conflict]" in paused.err
    tree = Repo(clone.path / ".git/release/v2.7.2/worktree")
    assert tree.git("rev-parse", ":lib") == lib.rev("HEAD")
    tree.write("words.txt", "both\n")
    tree.git("add", "words.txt")
    assert release("continue", "v2.7.2", "--yes", cwd=clone.path).code == 0
    assert release("verify", "v2.7.2", cwd=clone.path).code == 0

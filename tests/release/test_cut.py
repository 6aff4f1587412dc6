"""The main road on real git, without an image: plan, cut, again, publish, show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.story import VERSION, Repo, fix_line, processes, traced

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


def test_plan_names_the_commit_that_git_would_make(tale: Story) -> None:
    """base, pick and picked tree are those of `git cherry-pick -x` with the same committer and date."""
    tale.release_yaml(fix_line(tale.fix))
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    tale.clone.git("checkout", "--quiet", "--detach", tale.base)
    date = tale.clone.git("log", "-1", "--format=%cd", "--date=raw", tale.fix)
    by_git = Repo(tale.clone.path, env={"GIT_COMMITTER_DATE": date})
    by_git.git("cherry-pick", "-x", tale.fix)
    assert plan["picks"][0]["result"] == by_git.rev("HEAD")
    assert plan["picked_tree"] == by_git.rev("HEAD^{tree}")
    assert plan["base"] == tale.base
    assert [pick["state"] for pick in plan["picks"]] == ["clean"]


def test_as_few_git_processes_as_it_takes(tale: Story, tmp_path: Path) -> None:
    """Those that git starts itself included, on both sides of each push: one more has to say what for."""
    tale.release_yaml(fix_line(tale.fix))
    took: dict[str, int] = {}
    for command in (("plan", VERSION), ("cut", VERSION, "--yes"), ("cut", VERSION, "--yes"), ("audit",)):
        trace = tmp_path / str(len(took))
        done = release(*command, cwd=tale.clone.path, env=traced(trace))
        assert done.code == 0, done.err
        took[trace.name] = processes(trace)
    most = {"0": 21, "1": 48, "2": 11, "3": 22}
    assert {name: number for name, number in took.items() if number > most[name]} == {}, took


def test_plan_leaves_nothing_behind(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    before, objects = tale.clone.snapshot(), tale.clone.git("count-objects", "-v")
    assert release("plan", VERSION, cwd=tale.clone.path).code == 0
    assert tale.clone.snapshot() == before
    assert tale.clone.git("count-objects", "-v") == objects


def test_cut_makes_exactly_what_was_planned(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    done = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    assert done.code == 0, done.err
    assert done.json["commit_sha"] == plan["head"]
    assert tale.remote.rev("release/v2.7") == plan["head"]
    assert tale.remote.rev(f"{VERSION}^{{commit}}") == plan["head"]
    assert tale.remote.git("cat-file", "-t", VERSION) == "tag"
    shipped = tale.remote.git("show", "release/v2.7:loader.py")
    assert "# closed" in shipped
    assert "return 99" not in shipped
    assert "trace.py" not in tale.remote.git("ls-tree", "-r", "--name-only", "release/v2.7")
    assert tale.remote.git("log", "--format=%an <%ae>", "-1", f"{plan['head']}^") == "Fay Fixer <fay@example.com>"


def test_cut_leaves_checkout_and_branches_alone(tale: Story) -> None:
    """A dirty work tree, another branch checked out, a stash: all stay; only the tag and the branch ref are new."""
    tale.release_yaml(fix_line(tale.fix))
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.write("README.md", "# changed, not committed\n")
    before = tale.clone.snapshot()
    done = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    after = tale.clone.snapshot()
    assert {key for key in before if before[key] != after[key]} <= {"refs", "files"}
    assert after["status"] == before["status"]
    assert tale.clone.rev("release/v2.7") == tale.base  # checked out: left, and said so
    record = json.loads(tale.remote.git("cat-file", "blob", f"refs/release-records/{VERSION}"))
    assert record["commit"] == tale.remote.rev("release/v2.7")


def test_again_is_a_no_op(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    refs = tale.remote.git("for-each-ref")
    again = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    assert (again.code, again.json["released"]) == (0, False)
    assert tale.remote.git("for-each-ref") == refs
    planned = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert [each["code"] for each in planned.json["problems"]] == ["version-exists"]


@pytest.mark.wide
def test_a_tag_that_only_the_remote_has_accuses_nobody(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    tale.clone.git("tag", "--delete", VERSION)
    for command in (("status", VERSION), ("audit",), ("verify", VERSION), ("cut", VERSION, "--yes")):
        ran = release(*command, cwd=tale.clone.path)
        assert ran.code == 0, (command, ran.out, ran.err)


def test_default_version_is_the_next_patch(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    done = release("cut", "--yes", "--json", cwd=tale.clone.path)
    assert done.json["version"] == VERSION


def test_next_release_follows(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    tale.release_yaml(fix_line(tale.before), version="v2.7.2")
    done = release("cut", "v2.7.2", "--yes", "--json", cwd=tale.clone.path)
    assert (done.code, done.json["previous_version"]) == (0, VERSION)
    changelog = tale.remote.git("show", "release/v2.7:CHANGELOG.md")
    assert changelog.index("## v2.7.2") < changelog.index("## v2.7.1")


def test_prerelease_then_final(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.before), version="v2.7.1-rc.1")
    assert release("cut", "v2.7.1-rc.1", "--yes", cwd=tale.clone.path).code == 0
    tale.release_yaml(fix_line(tale.fix))
    done = release("cut", "--yes", "--json", cwd=tale.clone.path)
    assert (done.json["version"], done.json["previous_version"]) == (VERSION, "v2.7.1-rc.1")


def test_range_is_picked_oldest_first(tale: Story) -> None:
    tale.release_yaml(f"      - range: {tale.before}^..{tale.after}")
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert [pick["source"] for pick in plan["picks"]] == [tale.before, tale.fix, tale.after]
    tale.release_yaml(f"      - range: {tale.before}..{tale.after}")
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert [pick["source"] for pick in plan["picks"]] == [tale.fix, tale.after]


def test_plan_file_is_obeyed_or_refused(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("plan", VERSION, "--out", "p.json", cwd=tale.clone.path).code == 0
    tale.release_yaml(fix_line(tale.before))
    stale = release("cut", VERSION, "--yes", "--plan", "p.json", cwd=tale.clone.path)
    assert stale.code == 4
    assert "release.yaml" in stale.err
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", "--plan", "p.json", cwd=tale.clone.path).code == 0
    assert release("cut", VERSION, "--yes", "--plan", "p.json", cwd=tale.clone.path).code == 0
    tale.clone.write("q.json", "no plan\n")
    assert release("cut", VERSION, "--yes", "--plan", "q.json", cwd=tale.clone.path).code == 2  # a finished one too


def test_version_files_and_changelog_groups(tale: Story) -> None:
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.commit("chore: package", {"pyproject.toml": '[project]\nversion = "2.7.0"\nname = "x"\n'})
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")
    extra = "version-files:\n  - {path: pyproject.toml, pattern: '^version = \"(.*)\"$'}\n"
    tale.release_yaml(fix_line(tale.fix) + "\n" + fix_line(tale.before), extra=extra)
    done = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    assert tale.remote.git("show", "release/v2.7:pyproject.toml").splitlines()[1] == 'version = "2.7.1"'
    text = tale.remote.git("show", "release/v2.7:CHANGELOG.md")
    assert text.index("### Fixes") < text.index("**loader:** close the workers") < text.index("### Other changes")


def test_verify_runs_for_each_pick_and_names_the_failing_one(tale: Story) -> None:
    extra = "verify:\n  - test ! -e trace.py\n"
    tale.release_yaml(fix_line(tale.fix) + "\n" + fix_line(tale.before), extra=extra)
    failed = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert failed.code == 6
    assert tale.before[:12] in failed.err
    assert tale.remote.rev("release/v2.7") == tale.base
    tale.release_yaml(fix_line(tale.fix), extra=extra)
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0


def test_notes_join_those_of_others(tale: Story) -> None:
    tale.clone.git("notes", "--ref=release", "add", "-m", "seen in production", tale.fix)
    tale.clone.git("push", "--quiet", "origin", "refs/notes/release")
    tale.clone.git("update-ref", "-d", "refs/notes/release")
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    note = tale.remote.git("notes", "--ref=release", "show", tale.fix).splitlines()
    assert "seen in production" in note
    assert any(line.startswith(f"in {VERSION} as ") for line in note)


def test_publish_proves_tag_and_release_yaml(tale: Story, tmp_path: Path) -> None:
    """A fresh clone, as CI has it: another identity, and the tag is proved all the same."""
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    ci = tmp_path / "ci"
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(ci))
    done = release("publish", "--json", cwd=ci, env={"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": VERSION})
    assert done.code == 0, done.err
    assert done.json["commit_sha"] == tale.remote.rev("release/v2.7")
    assert release("publish", VERSION, cwd=ci).code == 0


def test_publish_refuses_a_tag_on_a_tampered_commit(tale: Story, tmp_path: Path) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    evil = Repo(tmp_path / "evil")
    Repo(tmp_path).git("clone", "--quiet", "-b", "release/v2.7", str(tale.remote.path), str(evil.path))
    message = evil.git("tag", "-l", "--format=%(contents)", VERSION)
    evil.env = {
        "GIT_AUTHOR_NAME": "e",
        "GIT_AUTHOR_EMAIL": "e@x",
        "GIT_COMMITTER_NAME": "e",
        "GIT_COMMITTER_EMAIL": "e@x",
    }
    evil.write("loader.py", "import evil\n")
    evil.git("commit", "--quiet", "--amend", "--no-edit", "loader.py")
    evil.git("tag", "-f", "-a", "-F", "-", VERSION, stdin=message)
    evil.git("push", "--quiet", "--force", "origin", "release/v2.7", VERSION)
    refused = release("publish", VERSION, cwd=evil.path)
    assert refused.code == 9
    assert "loader.py" in refused.err


def test_show_reads_the_record_from_the_remote(tale: Story, tmp_path: Path) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(tmp_path / "other"))
    shown = release("show", VERSION, "--json", cwd=tmp_path / "other").json
    assert shown["picks"][0]["source"] == tale.fix
    assert shown["tag"]["object"] == tale.remote.rev(f"refs/tags/{VERSION}")

"""`verify:` on real trees: asked once, on a clean tree, and the right one is blamed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


@pytest.fixture
def count(tmp_path: Path) -> Path:
    """A file outside of every tree, in which commands leave a line for each run."""
    path = tmp_path / "runs"
    path.touch()
    return path


def runs(count: Path) -> int:
    return len(count.read_text().splitlines())


def declare(tale: Story, *commands: str, fixes: tuple[str, ...] = ()) -> None:
    """A release of these fixes (both of the story unless given) with these items under `verify:`."""
    lines = "\n".join(fix_line(sha) for sha in fixes or (tale.fix, tale.before))
    tale.release_yaml(lines, extra="verify:\n" + "".join(f"  - {command}\n" for command in commands))


@pytest.mark.wide
def test_what_passed_in_a_plan_is_not_run_in_the_cut(tale: Story, count: Path) -> None:
    declare(tale, f"echo x >> {count}")
    planned = release("plan", VERSION, "--verify", "--json", cwd=tale.clone.path)
    assert planned.code == 0, planned.err
    assert planned.json["verified"] == {"commands": 1, "trees": 2, "ran": 2, "tail": ""}
    again = release("plan", VERSION, "--verify", "--json", cwd=tale.clone.path)
    assert again.json["verified"]["ran"] == 0
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    assert runs(count) == 2


def test_a_plan_without_verify_runs_nothing(tale: Story, count: Path) -> None:
    declare(tale, f"echo x >> {count}")
    assert release("plan", VERSION, cwd=tale.clone.path).code == 0
    assert runs(count) == 0


def test_a_failure_is_run_again(tale: Story, count: Path) -> None:
    """A missing tool or a flake must not stick."""
    flag = count.with_name("flag")
    declare(tale, f"echo x >> {count}; test -e {flag}")
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 6
    assert runs(count) == 2  # the first pick, then the branch without it
    flag.touch()
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    assert runs(count) == 4


def test_the_first_pick_that_fails_is_named_with_those_that_pass(tale: Story) -> None:
    declare(tale, "true", "echo seen; test ! -e trace.py", fixes=(tale.fix, tale.before, tale.after))
    failed = release("plan", VERSION, "--verify", "--json", cwd=tale.clone.path)
    assert failed.code == 6
    (problem,) = failed.json["problems"]
    assert problem["code"] == "verify-failed"
    assert problem["where"] == "release.yaml:13"
    assert f"on pick {tale.before[:12]} 'wip: trace the loader', 2 of 3" in problem["message"]
    assert f"the 1 before it pass: {tale.fix[:12]}" in problem["message"]
    log = tale.clone.path / f".git/release/logs/plan/verify-{tale.before[:12]}.log"
    assert str(log) in problem["remedy"]
    assert log.read_text().endswith("seen\n")
    assert failed.json["verified"]["tail"] == "seen"
    assert "    seen" in failed.err


def test_the_branch_is_blamed_where_it_fails_before_any_pick(tale: Story) -> None:
    declare(tale, "test -e nowhere")
    failed = release("plan", VERSION, "--verify", "--json", cwd=tale.clone.path)
    assert failed.code == 6
    message = failed.json["problems"][0]["message"]
    assert f"on release/v2.7 itself at {tale.base[:12]}, before any pick" in message
    declare(tale, "test ! -e trace.py", fixes=(tale.before, tale.fix))
    failed = release("plan", VERSION, "--verify", "--json", cwd=tale.clone.path)
    message = failed.json["problems"][0]["message"]
    assert f"on pick {tale.before[:12]} 'wip: trace the loader', 1 of 2 (release/v2.7 without it passes)" in message


def test_only_the_paths_are_checked_out_and_a_pick_beside_them_costs_nothing(tale: Story, count: Path) -> None:
    declare(tale, f"{{run: 'ls -A >> {count}', paths: [loader.py]}}")
    done = release("plan", VERSION, "--verify", "--json", cwd=tale.clone.path)
    assert done.code == 0, done.err
    assert count.read_text() == "loader.py\n"  # `before` touches another file
    assert done.json["verified"]["ran"] == 1


def test_a_partial_tree_keeps_the_attributes_that_decide_how_files_are_written(tale: Story, count: Path) -> None:
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.commit("chore: ends", {".gitattributes": "*.txt eol=crlf\n", "a/b/x.txt": "x\n", "a/c/y.txt": "y\n"})
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")
    declare(tale, f"{{run: 'find . -type f | sort >> {count}; cat a/b/x.txt >> {count}', paths: [a/b]}}")
    assert release("plan", VERSION, "--verify", cwd=tale.clone.path).code == 0
    assert count.read_bytes() == b"./.gitattributes\n./a/b/x.txt\nx\r\n"


def test_a_path_that_is_nowhere_is_refused(tale: Story, count: Path) -> None:
    declare(tale, f"{{run: 'echo x >> {count}', paths: [loader.py, scr]}}")
    for command in (("plan", VERSION, "--verify"), ("cut", VERSION, "--yes")):
        refused = release(*command, cwd=tale.clone.path)
        assert refused.code == 2
        assert "release.yaml:11: verify: 'scr' is not on release/v2.7" in refused.err
    assert runs(count) == 0


def test_every_command_sees_a_clean_tree(tale: Story) -> None:
    """What one leaves, in whatever shape, is gone before the next: so each answer can be kept alone."""
    litter = (
        "mkdir -p .git deep/er && touch .git/x new deep/er/y && chmod 555 deep && echo x >> loader.py && rm README.md"
    )
    clean = 'test -z "$(grep -x x loader.py)" && test -e README.md && test ! -e deep -a ! -e new -a ! -e .git'
    declare(tale, f"{{run: '{clean} && {litter}'}}", f"{{run: '{clean}'}}")
    done = release("plan", VERSION, "--verify", cwd=tale.clone.path)
    assert done.code == 0, done.err


def test_a_command_that_names_a_variable_is_run_for_each_value(tale: Story, count: Path) -> None:
    declare(tale, f"{{run: 'echo $RELEASE_VERSION $RELEASE_PICK >> {count}', paths: [README.md]}}")
    assert release("plan", VERSION, "--verify", cwd=tale.clone.path).code == 0
    assert count.read_text().splitlines() == [f"{VERSION} {tale.fix}", f"{VERSION} {tale.before}"]


def test_the_password_of_the_registry_is_not_told(tale: Story) -> None:
    declare(tale, 'test -z "$RELEASE_REGISTRY_PASSWORD"')
    env = {"RELEASE_REGISTRY_USERNAME": "ci", "RELEASE_REGISTRY_PASSWORD": "hunter2"}
    assert release("plan", VERSION, "--verify", cwd=tale.clone.path, env=env).code == 0


def test_a_timeout_ends_the_whole_group(tale: Story, count: Path) -> None:
    declare(tale, f"{{run: 'sleep 3600 & echo $! > {count}; sleep 3600', timeout: 0.3}}")
    failed = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert failed.code == 6
    assert "ran longer than 0.3 s and was killed" in failed.err
    assert not _alive(int(count.read_text()))


def test_what_a_command_leaves_running_is_ended(tale: Story, count: Path) -> None:
    declare(tale, f"sleep 3600 & echo $! >> {count}")
    assert release("plan", VERSION, "--verify", cwd=tale.clone.path).code == 0
    assert runs(count) == 2
    assert not any(_alive(int(line)) for line in count.read_text().splitlines())


def _alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state) and not state.startswith("Z")


def test_a_conflict_does_not_hide_what_is_before_it(tale: Story, count: Path) -> None:
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    theirs = (tale.clone.path / "loader.py").read_text().replace("return 5\n", "return 55\n")
    tale.clone.commit("fix: other", {"loader.py": theirs})
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")
    declare(tale, f"echo $RELEASE_PICK >> {count}", fixes=(tale.before, tale.fix, tale.after))
    planned = release("plan", VERSION, "--verify", "--json", cwd=tale.clone.path)
    assert planned.code == 3
    assert count.read_text().split() == [tale.before]


def test_a_plan_that_was_verified_is_a_plan_file(tale: Story) -> None:
    declare(tale, "{run: 'true', paths: [loader.py], timeout: 1m}")
    planned = release("plan", VERSION, "--verify", "--json", cwd=tale.clone.path)
    (tale.clone.path / "p.json").write_text(planned.out)
    done = release("cut", VERSION, "--yes", "--plan", "p.json", cwd=tale.clone.path)
    assert done.code == 0, done.err


def test_no_commands_are_said(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert "release.yaml declares no commands" in release("plan", VERSION, "--verify", cwd=tale.clone.path).out


def test_nothing_is_left_but_logs_and_what_passed(tale: Story, tmp_path: Path) -> None:
    declare(tale, "mkdir locked && touch locked/x && chmod 555 locked")
    before = tale.clone.snapshot()
    assert release("plan", VERSION, "--verify", cwd=tale.clone.path).code == 0
    after = tale.clone.snapshot()
    after["files"] = "\n".join(line for line in after["files"].splitlines() if ".git/release/logs" not in line)
    assert after == before
    assert list((tmp_path / "tmp").iterdir()) == []

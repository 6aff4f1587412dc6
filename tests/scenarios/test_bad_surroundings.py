"""Settings, environments, signals and machines: none of them changes a release or leaves a half-done one."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from orchestrator.session import journal
from orchestrator.session.journal import Lock
from tests.scenarios.test_bad_input import cut, hook, plan, private
from tests.support.cli import clean_env, release
from tests.support.story import VERSION, fix_line, processes, traced
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


# ------------------------------------------------------------------ settings and surroundings


pytestmark = pytest.mark.hostile


def test_a_real_ssh_signature_and_a_missing_key(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    config = tale.clone.path / ".git/config"
    config.write_text(config.read_text() + "[tag]\n\tgpgSign\n[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = /nowhere\n")
    assert "[cannot-sign]" in cut(tale, code=2).err  # a bare `gpgSign` is true
    assert private(tale)
    key = tale.clone.path.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text()
    key.with_name("allowed").write_text(f"mia@example.com {public}")
    tale.clone.git("config", "user.signingKey", f"{key}.pub")
    tale.clone.git("config", "gpg.ssh.allowedSignersFile", str(key.with_name("allowed")))
    cut(tale, code=0)
    assert "Good " in tale.clone.attempt("verify-tag", VERSION).stderr


SETTINGS = """
[merge]
    renames = false
    conflictStyle = zdiff3
[diff]
    algorithm = histogram
    noprefix = true
[core]
    autocrlf = true
    abbrev = 4
    quotePath = false
    commentChar = v
[push]
    followTags = true
    default = nothing
[fetch]
    prune = true
    pruneTags = true
    writeCommitGraph = true
[color]
    ui = always
[column]
    ui = always
[log]
    showSignature = true
[i18n]
    logOutputEncoding = latin1
[transfer]
    fsckObjects = true
"""


@pytest.mark.wide
def test_personal_settings_replacements_and_grafts_change_no_release(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    before = plan(tale, "--json", code=0).json
    config = tale.clone.path / ".git/config"
    config.write_text(config.read_text() + SETTINGS)
    tale.clone.git("tag", "mine", "main")
    tale.clone.git("replace", tale.fix, tale.after)
    tale.clone.git("replace", tale.base, tale.before)
    grafts = tale.clone.path / ".git/info/grafts"
    grafts.parent.mkdir(exist_ok=True)
    grafts.write_text(f"{tale.fix} {tale.clone.rev('main')}\n")
    assert plan(tale, "--json", code=0).json == before
    assert cut(tale, "--json", code=0).json["commit_sha"] == before["head"]
    assert tale.clone.git("tag", "--list", "mine", "--no-column") == "mine"
    assert tale.remote.git("fsck", "--connectivity-only") == ""
    assert tale.remote.git("tag").split() == ["v2.7.0", VERSION]


@pytest.mark.wide
@pytest.mark.parametrize(
    "env",
    [
        {"GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere/i", "GIT_WORK_TREE": "/nowhere"},  # as in a hook
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "merge.renames", "GIT_CONFIG_VALUE_0": "false", "LC_ALL": "C",
         "PYTHONIOENCODING": "ascii", "TMPDIR": "/nowhere/at/all"},
        {"GIT_TRACE2": "1", "GIT_TRACE2_EVENT": "1", "GIT_TRACE_SETUP": "1", "GIT_MERGE_VERBOSITY": "0"},
    ],
)  # fmt: skip
def test_surroundings_change_no_plan(tale: Story, env: dict[str, str]) -> None:
    tale.release_yaml(fix_line(tale.fix))
    before = plan(tale, "--json", code=0).json
    assert release("plan", VERSION, "--json", cwd=tale.clone.path, env=env).json == before
    done = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path, env=env)
    assert (done.code, done.json["commit_sha"]) == (0, before["head"]), done.err


# ------------------------------------------------------------------ interrupted


@pytest.mark.wide(6)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("where", ["verify", "push"])
def test_interrupted_in_the_middle_of_a_step(tale: Story, tmp_path: Path, how: signal.Signals, where: str) -> None:
    """130, no child left at work, no temporary directory; the same command goes on."""
    reached = tmp_path / "reached"
    wait = f"touch {reached}; exec sleep 61"
    tale.release_yaml(fix_line(tale.fix), extra=f"verify: ['{wait}']\n" if where == "verify" else "")
    if where == "push":
        hook(tale.clone, "pre-push", wait)
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "cut", VERSION, "--yes", "--json"],
        cwd=tale.clone.path, env=clean_env() | {"TMPDIR": str(tmp_path / "tmp")}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(reached.exists)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # as ctrl-C does
    else:
        process.send_signal(how)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert list((tmp_path / "tmp").iterdir()) == []
    assert private(tale)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tale.remote.path) not in "\n".join(line for line in running.splitlines() if "push" in line)
    if where == "push":
        (tale.clone.path / ".git/hooks/pre-push").unlink()
    else:
        tale.release_yaml(fix_line(tale.fix))
    cut(tale, code=0)


def test_a_pick_costs_a_few_git_processes_and_a_finished_release_hardly_any(tale: Story, tmp_path: Path) -> None:
    """How long they take is measured by tools/bench, with limits."""

    def count(*command: str) -> int:
        place = tmp_path / f"trace{len(list(tmp_path.glob('trace*')))}"
        ran = release(*command, VERSION, cwd=tale.clone.path, env=traced(place))
        assert ran.code == 0, ran.err
        return processes(place)

    tale.clone.git("checkout", "--quiet", "-b", "many")
    picks = [tale.clone.commit(f"fix: {n}", {f"{n}.py": f"{n}\n"}) for n in range(10)]
    tale.clone.git("checkout", "--quiet", "main")
    planned = []
    for number in (1, 10):
        tale.release_yaml("\n".join(fix_line(sha) for sha in picks[:number]))
        planned.append(count("plan"))
    assert planned[1] - planned[0] <= 2 * 9
    assert count("cut", "--yes") <= 120
    assert count("cut", "--yes") <= 20  # it is finished


def test_a_path_with_a_line_break_is_refused(tale: Story) -> None:
    odd = tale.clone.path.rename(tale.clone.path.with_name("a\nb"))
    ran = release("plan", VERSION, cwd=odd)
    assert (ran.code, "line break" in ran.err) == (2, True)


# ------------------------------------------------------------------ streams and git


@pytest.mark.wide
def test_started_with_all_streams_closed(tale: Story) -> None:
    """As by a daemon: no file that the cut opens may take the number of stdout, where git would write into it."""
    tale.release_yaml(fix_line(tale.fix))
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "orchestrator"]
    env = clean_env()
    assert subprocess.run([*closed, "cut", VERSION, "--yes"], cwd=tale.clone.path, env=env, check=False).returncode == 0
    assert release("verify", VERSION, cwd=tale.clone.path).code == 0
    assert subprocess.run([*closed, "--version"], cwd=tale.clone.path, env=env, check=False).returncode == 0


@pytest.mark.parametrize("script", [None, "#!/bin/sh\nexit 42\n"])
@pytest.mark.wide
def test_no_git_that_runs(tale: Story, tmp_path: Path, script: str | None) -> None:
    (tmp_path / "bin").mkdir()
    if script:
        (tmp_path / "bin/git").write_text(script)
        (tmp_path / "bin/git").chmod(0o755)
    ran = release("plan", cwd=tale.clone.path, env={"PATH": str(tmp_path / "bin")})
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: there is no git on PATH that runs [git-missing]\n  do: install git")


@pytest.mark.wide
def test_a_path_that_is_no_utf8_and_a_terminal_that_is_ascii(tale: Story, tmp_path: Path) -> None:
    tale.release_yaml(f"{fix_line(tale.fix)}\n        reason: größer ✓", extra="verify:\n  - test -e loader.py\n")
    clone = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(tale.clone.path, clone, symlinks=True)
    ascii_only = {"PYTHONIOENCODING": "ascii:strict"}
    for command in (["plan"], ["cut", VERSION, "--yes"], ["doctor"], ["hook", "install"], ["verify", VERSION]):
        ran = release(*command, cwd=clone, env=ascii_only)
        assert ran.code == 0, ran.err
    assert "gr\\xf6\\xdfer \\u2713" in release("notes", VERSION, cwd=clone, env=ascii_only).out


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_the_program_is_loading(tale: Story, tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "typer.py").write_text(
        f"import pathlib, time\npathlib.Path({str(tmp_path)!r}, 'up').touch()\ntime.sleep(60)\n"
    )
    env = clean_env()
    command = [sys.executable, "-m", "orchestrator", "status"]
    with subprocess.Popen(
        command, cwd=tale.clone.path, env=env | {"PYTHONPATH": f"{tmp_path}:{env['PYTHONPATH']}"}
    ) as process:
        until((tmp_path / "up").exists)
        process.send_signal(how)
        assert process.wait(120) == 130


@pytest.mark.wide
def test_status_says_who_is_at_work_and_after_a_kill_that_nobody_is(tale: Story, tmp_path: Path) -> None:
    wait = f"touch {tmp_path}/up; until test -e {tmp_path}/go; do sleep .1; done"
    tale.release_yaml(fix_line(tale.fix), extra=f"verify:\n  - {wait}\n")
    command = [sys.executable, "-m", "orchestrator", "cut", VERSION, "--yes"]
    with subprocess.Popen(command, cwd=tale.clone.path, env=clean_env(), stderr=subprocess.DEVNULL) as process:
        until((tmp_path / "up").exists)
        (standing,) = release("status", "--json", cwd=tale.clone.path).json["releases"]
        assert standing["state"] == "running"
        assert standing["said"].startswith(f"at work: pid {process.pid} on ")
        assert standing["next"] == ["wait until it has ended"]
        assert standing["said"].partition(";")[0].endswith(f"release cut {VERSION}")
        assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 8
        process.kill()
        (tmp_path / "go").touch()
    (standing,) = release("status", "--json", cwd=tale.clone.path).json["releases"]
    assert (standing["state"], standing["said"]) == ("interrupted", "broken off; nothing is public")


def test_a_command_at_another_version_is_not_at_work_on_this_one(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix), extra="verify: ['kill -9 $PPID; kill -9 0']\n")
    command = [sys.executable, "-m", "orchestrator", "cut", VERSION, "--yes"]
    subprocess.run(
        command, cwd=tale.clone.path, env=clean_env(), start_new_session=True, check=False, capture_output=True
    )
    lock = tale.clone.path / ".git/release/lock"
    with Lock(lock, "pid 1 on here: release yank v2.6.9"):
        (standing,) = release("status", "--json", cwd=tale.clone.path).json["releases"]
    assert standing["state"] == "interrupted"
    with Lock(lock, "pid 1 on here: release cut"):
        (standing,) = release("status", "--json", cwd=tale.clone.path).json["releases"]
    assert standing["state"] == "running"


def test_who_only_looks_at_the_lock_keeps_nobody_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MOMENT", 0.5)
    path = tmp_path / "lock"
    path.write_text("pid 1: killed")
    looking = path.open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.01, looking.close).start()
    with Lock(path, "pid 2"):
        assert path.read_text() == "pid 2"


@pytest.mark.wide
def test_a_message_that_nobody_reads_changes_no_exit_code(tale: Story) -> None:
    tale.release_yaml(f"{fix_line(tale.fix)}\n        allow: [é]")
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "orchestrator", "plan"]
    ascii_only = clean_env() | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert subprocess.run(closed, cwd=tale.clone.path, env=ascii_only, check=False, capture_output=True).returncode == 2


@pytest.mark.parametrize("option", ["--outputs", "--summary"])
@pytest.mark.parametrize("place", ["nowhere/x", "."])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_published(
    tale: Story, option: str, place: str
) -> None:
    ran = release("publish", VERSION, option, place, cwd=tale.clone.path)
    assert (ran.code, "[bad-output]" in ran.err) == (2, True), ran.err


def test_a_revision_that_ends_git_is_unknown_and_the_next_is_found(tale: Story) -> None:
    tale.release_yaml("      - commit: '@{u}'\n      - commit: nope@{push}\n" + fix_line(tale.fix))
    ran = plan(tale, "--json", code=2)
    assert [problem["code"] for problem in ran.json["problems"]] == ["unknown-revision"] * 2
    assert [pick["source"] for pick in ran.json["picks"]] == [tale.fix]


def test_nobody_reads_on_is_silent(tale: Story) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "schema"], cwd=tale.clone.path, env=clean_env(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert (process.stderr.read(), process.wait(30)) == (b"", 1)


def test_a_full_disk_and_what_to_do(tale: Story) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
        ran = subprocess.run(
            [sys.executable, "-m", "orchestrator", "schema"], cwd=tale.clone.path, env=clean_env(), stdout=full,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert ran.returncode == 1
    assert "[disk-full]\n  do: free some disk, then run the same command again\n" in ran.stderr

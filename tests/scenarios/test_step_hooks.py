"""`hooks:` before and after steps: what stops, what is noted, whose commands run, what they are told."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.declaration.announcement import HOOKED_AFTER, HOOKED_BEFORE
from orchestrator.core.plan import LAND
from orchestrator.release import steps
from tests.support import kills
from tests.support.cli import release
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile
HOOKS = """\
hooks:
  - {before: pick, run: 'cat > "$PLACE/told"; env > "$PLACE/env"; ls > "$PLACE/files"; echo x >> "$PLACE/picked"'}
  - {before: land, run: 'head -c 10000000 /dev/zero | tr "\\0" x; echo; echo the gate says no; test -e "$PLACE/open"'}
  - {after: record, run: 'cat > "$PLACE/recorded"'}
  - {after: annotate, run: 'exit 3'}
"""
STRANGE = "  - {before: tag, run: 'touch \"$PLACE/strange\"'}\n"


def on_main(tale: Story, text: str) -> None:
    tale.clone.git("checkout", "--quiet", "main")
    tale.clone.commit("chore: how it is released", {"release.yaml": text})
    tale.clone.git("push", "--quiet", "origin", "main")


def protected(hooks: str) -> str:
    other = f"{{fixes: [{{commit: {'a' * 40}}}]}}"
    return f"version: 1\nbranch: release/v2.7\nsource: main\nreleases:\n  v9.9.9: {other}\n{hooks}"


def test_one_before_stops_and_one_after_is_noted(tale: Story, tmp_path: Path) -> None:
    on_main(tale, protected(HOOKS))
    tale.release_yaml(fix_line(tale.fix), extra=HOOKS + STRANGE)
    tmp_path = tmp_path / "place"
    tmp_path.mkdir()
    env = {"PLACE": str(tmp_path), "RELEASE_REGISTRY_PASSWORD": "sekret"}
    plan = release("plan", VERSION, cwd=tale.clone.path, env=env)
    assert (plan.code, [*tmp_path.iterdir()]) == (0, [])
    assert "hook before land" in plan.out
    assert "hook before tag (release.yaml:14:5) is not run: release.yaml on origin/main does not have it" in plan.out
    stopped = release("cut", VERSION, "--yes", cwd=tale.clone.path, env=env)
    assert stopped.code == 6
    assert all(each in stopped.err for each in ("[hook-failed]", "the gate says no", "land was not begun"))
    assert tale.remote.git("tag", "--list", VERSION) == ""
    told = json.loads((tmp_path / "told").read_text())
    assert (told["hook"], told["step"], told["plan"]["version"], told["record"]) == ("before", "pick", VERSION, None)
    facts = (tmp_path / "env").read_text()
    assert (f"RELEASE_VERSION={VERSION}\n" in facts, "sekret" in facts) == (True, False)
    assert "release.yaml" in (tmp_path / "files").read_text()  # of the protected branch
    assert len(stopped.err) < 3000  # of ten megabytes on one line
    (tmp_path / "open").touch()
    done = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path, env=env)
    assert done.code == 0, done.err
    assert [each for each in done.json["notes"] if "hook after annotate exited 3" in each]
    record = json.loads((tmp_path / "recorded").read_text())["record"]
    assert (record["version"], record["commit"]) == (VERSION, tale.remote.rev("release/v2.7"))
    assert ((tmp_path / "picked").read_text(), (tmp_path / "strange").exists()) == ("x\n", False)
    (tmp_path / "recorded").unlink()
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path, env=env).code == 0
    assert not (tmp_path / "recorded").exists()  # nothing of a finished release is run again
    assert release("audit", cwd=tale.clone.path).code == 0


def test_what_is_public_is_finished_whatever_becomes_of_the_protected_branch(tale: Story, tmp_path: Path) -> None:
    hooks = "hooks: [{after: record, run: 'touch \"$PLACE/ran\"'}]\n"
    on_main(tale, protected(hooks))
    tale.release_yaml(fix_line(tale.fix), extra=hooks)
    assert kills.killed_cut(tale.clone.path, "before", 7, VERSION) == -signal.SIGKILL  # pushed, not yet recorded
    declared = (tale.clone.path / "release.yaml").read_text()
    on_main(tale, "this is: [not even yaml")
    (tale.clone.path / "release.yaml").write_text(declared)
    done = release("cut", VERSION, "--yes", cwd=tale.clone.path, env={"PLACE": str(tmp_path)})
    assert (done.code, "note: no hook is run:" in done.err, (tmp_path / "ran").exists()) == (0, True, False), done.err


def test_the_steps_that_have_hooks_are_those_of_a_cut() -> None:
    names = [step.__name__.rpartition(".")[2] for step in steps.CUT]  # type: ignore[attr-defined]  # they are modules
    assert [each for each in names if each != "join"] == list(HOOKED_AFTER)
    assert HOOKED_AFTER[: HOOKED_AFTER.index(LAND) + 1] == HOOKED_BEFORE

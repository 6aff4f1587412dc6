"""From every state of a release a command that `status` prints leads to "released", and another to "nothing left".

The states are those of `release/status.py`: one without a walk fails here.
"""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest

from orchestrator.release.status import Standing
from tests.support import remedies
from tests.support.cli import release
from tests.support.kills import JOURNAL, killed_at, killed_cut
from tests.support.printed import claim, must_be_typed, types
from tests.support.remedies import commands, told, typed, works
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from tests.support.story import Story

pytestmark = pytest.mark.hostile

RC = "v2.7.1-rc.1"
OUT, NOTHING = "released", "nothing left"
PICKED, TAGGED, LANDED, RECORDED = 4, 6, 8, 10  # the record of the journal before which a cut dies
_ASKS = ("release cut", "release promote", "release skip", "release continue", "release yank")


def status(clone: Path, env: dict[str, str] | None = None) -> dict[str, Any]:
    ran = release("status", VERSION, "--json", cwd=clone, env=env)
    if "error" in ran.json:
        assert ran.json["error"]["code"] == "no-release", ran.out
        return {"state": NOTHING, "next": [], "missing": []}
    return dict(ran.json["releases"][0])


def leads(command: str, end: str) -> bool:
    away = command.startswith(("release abort", "release show", "release verify"))
    return command.startswith("release abort") if end == NOTHING else not away


def remedies_in(said: str, end: str) -> list[str]:
    """The commands that an error of the command line names."""
    return [each for remedy in told(said) for each in commands(remedy) if leads(each, end)]


def walk(clone: Path, end: str, env: dict[str, str] | None = None) -> list[str]:
    """The states on the way to an end, by nothing but what is printed; a question is answered with yes."""
    states: list[str] = []
    for _ in range(6):
        now = status(clone, env)
        states.append(now["state"])
        if now["state"] == end and not now["missing"]:
            return states
        ways = [each for line in now["next"] for each in commands(f"   | {line}") if leads(each, end)]
        assert ways, f"no way to {end!r} from {now}"
        way = ways[min(states.count(now["state"]), len(ways)) - 1]  # the next one, where the first was not enough
        done = typed(f"{way} --yes" if way.startswith(_ASKS) else way, clone, env)
        if done.returncode and (more := remedies_in(done.stderr, end)):
            typed(more[0], clone, env)
    raise AssertionError(f"{end!r} was not reached: {states}, {now}, {done.stderr}")


# ------------------------------------------------------------------ how to come into each state


def killed(number: int) -> Callable[[Story], None]:
    def arrange(tale: Story) -> None:
        tale.release_yaml(fix_line(tale.fix))
        assert killed_cut(tale.clone.path, "before", number, VERSION) != 0

    return arrange


def failed(key: str) -> Callable[[Story], None]:
    def arrange(tale: Story) -> None:
        tale.release_yaml(fix_line(tale.fix), extra="verify:\n  - test -e loader.py\n")
        ran = release("cut", VERSION, "--yes", cwd=tale.clone.path, arm=("tests.support.kills:refuse", key))
        assert "out of order" in ran.err, ran.err

    return arrange


def paused(tale: Story) -> None:
    tale.clone.commit("feat: new", {"new.py": "1\n"})
    fix = tale.clone.commit("fix: one", {"new.py": "2\n", "loader.py": "# fixed\n"})
    tale.clone.git("push", "--quiet", "--all")
    tale.release_yaml(fix_line(fix))
    assert release("cut", VERSION, "--yes", "--effort", "0", cwd=tale.clone.path).code == 3


def decided(tale: Story) -> None:
    paused(tale)
    killed_at(tale.clone.path, "before", 1, JOURNAL, "skip", VERSION, "--reason", "later", "--yes")


def removed(tale: Story) -> None:
    """Somebody removed the worktree of the pause with git, and its branch of sources is gone."""
    paused(tale)
    tale.clone.git("worktree", "remove", "--force", str(tale.clone.path / f".git/release/{VERSION}/worktree"))


def sources_gone(tale: Story) -> None:
    """The topic branch is deleted, here and there, and git has collected what was on it."""
    killed(TAGGED)(tale)
    tale.clone.git("push", "--quiet", "origin", ":refs/heads/fix/dataloader-leak")
    tale.clone.git("branch", "-D", "fix/dataloader-leak")
    tale.clone.git("reflog", "expire", "--expire=now", "--all")
    tale.clone.git("gc", "--quiet", "--prune=now")


def damaged(number: int, name: str, text: str) -> Callable[[Story], None]:
    def arrange(tale: Story) -> None:
        paused(tale) if name == "paused.json" else killed(number)(tale)
        path = tale.clone.path / f".git/release/{VERSION}" / name
        path.write_text(f"{text}\n")

    return arrange


def taken(tale: Story) -> None:
    killed(TAGGED)(tale)
    there = tale.clone.path.parent / "theirs"
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(there))
    (there / "release.yaml").write_text((tale.clone.path / "release.yaml").read_text().replace("leak", "theirs"))
    env = {"GIT_COMMITTER_NAME": "Tom", "GIT_COMMITTER_EMAIL": "tom@example.com"}
    done = release("cut", VERSION, "--yes", cwd=there, env=env)
    assert done.code == 0, done.err


def released(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0


def lost(tale: Story) -> None:
    released(tale)
    tale.remote.git("update-ref", "-d", f"refs/tags/{VERSION}")


def moved(tale: Story) -> None:
    released(tale)
    tale.remote.git("update-ref", f"refs/tags/{VERSION}", tale.base)


def lost_half_way(tale: Story) -> None:
    """The tag went away before the record was made."""
    killed(RECORDED)(tale)
    tale.remote.git("update-ref", "-d", f"refs/tags/{VERSION}")


def yanking(tale: Story) -> None:
    released(tale)
    args = ("yank", VERSION, "--reason", "loses a batch", "--yes")
    assert killed_at(tale.clone.path, "after", 1, "orchestrator.git.push:push_new_refs", *args) != 0


def promoting(number: int) -> Callable[[Story], None]:
    def arrange(tale: Story) -> None:
        tale.release_yaml(fix_line(tale.fix), version=RC)
        assert release("cut", RC, "--yes", cwd=tale.clone.path).code == 0
        assert killed_at(tale.clone.path, "before", number, JOURNAL, "promote", RC, VERSION, "--yes") != 0

    return arrange


STEPS = ("pick", "verify", "tag", "land", "record", "annotate")  # of a release without an image
BOTH, ONLY_OUT, ONLY_AWAY = (OUT, NOTHING), (OUT,), (NOTHING,)
OTHER_TOOL = '{"format": 99, "kind": "opened"}'
ROWS: dict[str, tuple[Standing, Callable[[Story], None], tuple[str, ...]]] = {
    "paused": (Standing.PAUSED, paused, BOTH),
    "paused, the worktree is gone": (Standing.PAUSED, removed, ONLY_AWAY),
    "decided": (Standing.DECIDED, decided, BOTH),
    **{f"failed: {key}": (Standing.FAILED, failed(key), BOTH if n < 4 else ONLY_OUT) for n, key in enumerate(STEPS)},
    "interrupted: opened": (Standing.INTERRUPTED, killed(2), BOTH),
    "interrupted: picked": (Standing.INTERRUPTED, killed(PICKED), BOTH),
    "interrupted: landed": (Standing.INTERRUPTED, killed(LANDED), ONLY_OUT),
    "interrupted: recorded": (Standing.INTERRUPTED, killed(RECORDED), ONLY_OUT),
    "interrupted, and the sources are gone": (Standing.INTERRUPTED, sources_gone, BOTH),
    "promotion: tagged": (Standing.INTERRUPTED, promoting(5), BOTH),
    "promotion: landed": (Standing.INTERRUPTED, promoting(LANDED), ONLY_OUT),
    "damaged journal": (Standing.DAMAGED, damaged(TAGGED, "journal.jsonl", "{}{"), ONLY_AWAY),
    "journal of another tool": (Standing.DAMAGED, damaged(TAGGED, "journal.jsonl", OTHER_TOOL), ONLY_AWAY),
    "damaged pause": (Standing.DAMAGED, damaged(0, "paused.json", "[]"), ONLY_AWAY),
    "damaged journal, public": (Standing.DAMAGED, damaged(RECORDED, "journal.jsonl", "x"), ONLY_OUT),
    "taken": (Standing.TAKEN, taken, ONLY_AWAY),
    "released": (Standing.RELEASED, released, ONLY_OUT),
    "lost": (Standing.LOST, lost, BOTH),
    "moved": (Standing.LOST, moved, ONLY_OUT),
    "lost half way": (Standing.INTERRUPTED, lost_half_way, ONLY_OUT),
    "yanking": (Standing.YANKING, yanking, ONLY_OUT),
}
# What is typed on the way to the first of the ends.
TYPES: dict[str, tuple[str, ...]] = {
    "paused": ("git/worktree.py: cd {}", "release/status.py: release continue {}"),
    "interrupted: landed": ("plan/document.py: release cut {}",),
    "promotion: tagged": ("plan/document.py: release promote {} {}",),
    "damaged journal": ("session/journal.py: release abort {}",),
    "damaged pause": ("session/state.py: release abort {}",),
    "damaged journal, public": ("session/pushes.py: git fetch --force {} {}:{} && release publish {}",),
    "yanking": ("release/status.py: release yank {} --reason {}{}",),
}
for _name, _commands in TYPES.items():
    claim(_commands, f"walk: {_name}")
WALKS = [(name, end) for name, (_, _, ends) in ROWS.items() for end in ends]


@pytest.mark.wide(16)
@pytest.mark.parametrize(("name", "end"), WALKS)
def test_a_printed_command_leads_out(tale: Story, name: str, end: str) -> None:
    standing, arrange, ends = ROWS[name]
    arrange(tale)
    remedies.TYPED.clear()
    states = walk(tale.clone.path, end)
    must_be_typed(TYPES.get(name, ()) if end == ends[0] else ())
    assert states[0] == standing
    if end == NOTHING:
        assert not tale.clone.git("for-each-ref", f"refs/release/{VERSION}")
    elif standing is not Standing.YANKING:
        done = release("verify", VERSION, cwd=tale.clone.path)
        assert done.code == 0, done.out + done.err


def test_a_release_at_work_is_waited_for(tale: Story) -> None:
    killed(TAGGED)(tale)
    path = tale.clone.path / ".git/release/lock"
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write(f"pid 1 on here since now: release cut {VERSION}")
        held.flush()
        now = status(tale.clone.path)
        assert (now["state"], now["next"]) == (Standing.RUNNING, ["wait until it has ended"])
    assert walk(tale.clone.path, OUT)[0] == Standing.INTERRUPTED


def test_every_state_and_every_step_has_a_walk(tale: Story) -> None:
    # What waits for its request is walked by tests/scenarios/test_landing.py and tests/forges/test_merge_requests.py.
    # A tag whose image CI is to build needs an engine: tests/docker/test_who_builds.py.
    elsewhere = {Standing.RUNNING, Standing.PROPOSED, Standing.TAGGED}
    assert {standing for standing, _, _ in ROWS.values()} | elsewhere == set(Standing)
    tale.release_yaml(fix_line(tale.fix), extra="verify:\n  - test -e loader.py\n")
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert tuple(plan["tasks"]) == STEPS


@types(
    "release/status.py: release verify {}",
    "release/status.py: release show {}",
    "release/status.py: release abort {}",
    "session/pushes.py: git push {}{} {}:{}",
)
def test_what_status_prints_beside(tale: Story) -> None:
    lost(tale)
    now = status(tale.clone.path)
    back, verify, forget = (each for line in now["next"] for each in commands(f"   | {line}"))
    works(back, tale.clone.path)
    works(verify, tale.clone.path)
    for line in status(tale.clone.path)["next"]:
        for each in commands(f"   | {line}"):
            works(each, tale.clone.path)
    lost(tale)
    works(forget, tale.clone.path)

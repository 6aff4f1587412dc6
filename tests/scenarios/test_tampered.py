"""After one changed byte of what is public, `audit` or `verify` says so; what they cannot know is listed here.

Who changes it is thorough: what names the changed object names the new one (tests/support/tampered.py).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from orchestrator.audit.branch import part_of
from orchestrator.audit.links import facts_of, failures, record_links
from orchestrator.audit.prove import new_commits
from orchestrator.audit.snapshot import look
from orchestrator.cli.invocation import console_of, session_of
from orchestrator.core.errors import UsageError
from orchestrator.core.record import facts_of_tag, parse_record
from orchestrator.session.options import Options
from tests.support import tampered
from tests.support.sample import SAMPLED
from tests.support.story import copied
from tests.support.tampered import RECORD, TAG, VERSION, YANK, changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.record import ReleaseFacts
    from tests.support.story import Story
    from tests.support.tampered import Public, Refs

    Part = tuple[bytes, Callable[[bytes], Refs]]

pytestmark = pytest.mark.hostile

# What only the run that made the release, or the person who took it back, knows.
TESTIMONY = {
    "record": {"finished_at", "seconds", "tool", "plan_id", "duplicate_by", "lives_on", "search"},
    "yank": {"reason", "by", "at", "tool"},
}
# Part -> each N-th of its changes is given to the commands: in a sample, and in the whole.
STEPS = {
    "tag": (797, 83), "record": (5399, 449), "yank": (257, 41), "note": (71, 13), "message": (151, 17),
    "loader.py": (367, 61), "speed.py": (13, 5), "words.txt": (7, 5), "release.yaml": (379, 61),
    "CHANGELOG.md": (193, 31),
}  # fmt: skip


@pytest.fixture(scope="module")
def public(told_once: Story, tmp_path_factory: pytest.TempPathFactory) -> Public:
    """A release, made once: each change is taken back."""
    root = tmp_path_factory.mktemp("tampered")
    tale = copied(told_once, root / "story")
    tampered.released(tale)
    return tampered.public(tale, root / "judge")


def parts(public: Public) -> dict[str, Part]:
    """What is public of a release, and who writes it with other bytes."""
    found: dict[str, Part] = {
        "tag": (_message(public.read(TAG)), public.with_tag_message),
        "record": (public.read(RECORD), public.with_record),
        "yank": (public.read(YANK), public.with_yank),
        "note": (public.note()[1], public.with_note),
        "message": (_message(public.read(public.made()[-1])), public.with_message),
    }
    files = ("loader.py", 0), ("words.txt", 1), ("speed.py", 2), ("release.yaml", 3), ("CHANGELOG.md", 3)
    for name, since in files:  # of the clean pick, the resolved one, the backport, the release commit
        found[name] = (public.read(f"{TAG}:{name}"), lambda data, at=since, name=name: public.with_file(at, name, data))  # type: ignore[misc]
    return found


def _message(data: bytes) -> bytes:
    return data.partition(b"\n\n")[2]


def nobody_knows(part: str, old: bytes, new: bytes) -> str:
    """Why nobody can find that change, or need not; "" for one that must be found."""
    if part == "words.txt":
        return "a resolved conflict is what a person decided: with another tag and record it is another decision"
    if part == "note" and old.rstrip(b"\n") == new.rstrip(b"\n"):
        return "the lines of a note are what they were"
    if part == "release.yaml" and _declared(old) == _declared(new):
        return "where the fixes were looked up; what they are is proved by their ids"
    if part not in TESTIMONY:
        return ""
    try:
        before, after = json.loads(old), json.loads(new)
    except ValueError:
        return ""
    if before == after:
        return "white space between the words of JSON"
    return "only who made it knows" if _told(before, part) == _told(after, part) else ""


def _declared(data: bytes) -> Any:
    """What release.yaml says, but for `source`."""
    try:
        found = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError):
        return data
    return {key: each for key, each in found.items() if key != "source"} if isinstance(found, dict) else data


def _told(value: Any, part: str) -> Any:
    """A document without testimony."""
    if isinstance(value, dict):
        return {key: _told(each, part) for key, each in value.items() if key not in TESTIMONY[part]}
    return [_told(each, part) for each in value] if isinstance(value, list) else value


def test_one_byte_of_each_part_by_the_commands(public: Public) -> None:
    assert not public.found({}), "nothing was changed yet"
    tried: Counter[str] = Counter()
    for part, (data, write) in parts(public).items():
        for where, new in list(changes(data))[STEPS[part][0] // 2 :: STEPS[part][0 if SAMPLED else 1]]:
            tried[part] += 1
            found = public.found(write(new))
            assert found or nobody_knows(part, data, new), f"nobody found {part} {where}"
            assert not found or part != "words.txt", "that can be found by now: take it off the list"
    assert min(tried[part] for part in STEPS) >= 2
    assert not public.found({}), "all of it was taken back"


def test_every_byte_of_the_record_and_of_the_tag(public: Public) -> None:
    """By the functions that both commands call: many changes a second."""
    options = Options(quiet=True, directory=str(public.clone.path))
    with session_of(options, console_of(options)) as session:
        world = look(session)
        tag, record = world.tags[VERSION], world.records[VERSION]
        part = part_of(world, tag, new_commits(session.scratch, world.tags["v2.7.0"].commit, tag.commit))
        facts = facts_of(session.scratch, tag, part, world.record_blobs)
    assert not failures(record_links(record, facts))
    data, step = public.read(RECORD), 29 if SAMPLED else 1
    for where, new in list(changes(data))[::step]:
        assert _refused(new, facts) or nobody_knows("record", data, new), f"nobody found the record {where}"
    for where, new in list(changes(_message(public.read(TAG))))[::step]:
        said = facts_of_tag(facts.version, tag=record.tag.object, commit=facts.commit, message=new.decode())
        forged = replace(facts, message=said.message, picks=said.picks, promoted_from=said.promoted_from)
        assert failures(record_links(record, forged)), f"nobody found the tag {where}"


@pytest.mark.wide
def test_what_release_yaml_at_the_tag_cannot_say_is_found_with_its_place(public: Public) -> None:
    data = public.read(f"{TAG}:release.yaml")
    fix = data.partition(b"- commit: ")[2][:40]
    for old, new, place in (
        (fix, b"not-a-commit", "release.yaml:8:9"),
        (b"backport: ", b"backport: x", "release.yaml:12:9"),
        (b"releases:", b"relases:", "release.yaml:4:1"),
    ):
        refs = public.with_file(3, "release.yaml", data.replace(old, new, 1))
        for command in (("audit",), ("verify", VERSION)):
            found = public.judged(refs, *command)
            assert (found.code, place in found.out) == (9, True), (new, found)


def _refused(data: bytes, facts: ReleaseFacts) -> bool:
    """Whether that is no record, or says something else than these."""
    try:
        return bool(failures(record_links(parse_record(data, RECORD), facts)))
    except UsageError:  # which `audit` and `verify` say too
        return True

"""A resolved conflict is where a person's files come into a release: what may come with it, and who says so.

Each attack is a whole release by somebody who may push: commits, tag, record and kept sources agree with each other.
The table tells what the server's hook, audit, verify, publish and promote make of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.walk.attacks import Attack, Attacked
from tests.support.walk.world import Declared

if TYPE_CHECKING:
    from tests.support.walk.releases import Released

pytestmark = pytest.mark.hostile


def _without(text: str, source: str) -> str:
    return re.sub(rf"[^\n]*\nPick: adapted {source} \w+\n\n", "", text)


def _as_clean(text: str, source: str) -> str:
    return text.replace(f"Pick: adapted {source}", f"Pick: clean {source}")


def _skipped_too(text: str, source: str) -> str:
    return f"{text.rstrip()}\n\nLeft out:\n\nfix: x\nLeft-Out: skipped {source} -- not here\n"


def _by_another(text: str) -> str:
    return re.sub(r"\nauthor [^<]*<[^>]*>", "\nauthor Eve <eve@example.com>", text)


def _other_word(text: str) -> str:
    return text.replace("fix: line", "fix: lime")


UNLISTED = frozenset({"unproved"})
STRAYS = frozenset({"adapted"})  # somebody answers for it, and not for this
DIFFERS = frozenset({"tag-differs"})
ATTACKS = {
    "no line of the tag answers for it": Attack("undeclared-resolution", UNLISTED, "differ", tag=_without),
    "the tag calls it clean": Attack("undeclared-resolution", UNLISTED, "conflicts in", tag=_as_clean),
    "the tag says that it was left out, too": Attack("tag-differs", DIFFERS, "two things", tag=_skipped_too),
    "another author": Attack("not-the-pick", DIFFERS, "differ in", commit=_by_another),
    "another word in its message": Attack("not-the-pick", DIFFERS, "differ in", commit=_other_word),
    "a file that nobody asked for": Attack("resolution-strays", STRAYS, "resolution-strays", files=("evil.py",)),
    "another release.yaml on the way": Attack(
        "resolution-strays", STRAYS, "resolution-strays", files=("release.yaml",)
    ),
    "a workflow": Attack("resolution-strays", STRAYS, "resolution-strays", files=(".github/workflows/x.yml",)),
    "attributes of git": Attack("resolution-strays", STRAYS, "resolution-strays", files=(".gitattributes",)),
    "a second parent": Attack("not-linear", frozenset({"undeclared"}), "", merge=True),
}


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Attacked, Released]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        world = Attacked(tmp_path_factory.mktemp("resolved") / "world")
        made = world.release(world.lines[0], ["adapted", "clean"], candidate=True, turned=False, kill=0, abort=False)
        assert isinstance(made.line.declared[made.version][0], Declared)
        assert not world.guard(made)
        return world, made


@pytest.mark.wide(12)
@pytest.mark.parametrize("name", ATTACKS)
def test_everybody_sees_it(resolved: tuple[Attacked, Released], name: str) -> None:
    world, made = resolved
    (source,) = (entry.brings[0] for entry in made.line.declared[made.version] if entry.kind == "adapted")
    world.everybody_sees(made, ATTACKS[name], source)

"""The decorator does what the standard library's does, for every way in which it is written here."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.core import dataclass as ours
from orchestrator.core.results import Place, Problem
from tests.support.cli import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[..., Callable[[type], type]]

STANDARD = ["config/schema.py", "image/patchfile.py"]  # `slots`; run by the build of the image, by itself
WAYS: list[dict[str, bool]] = [
    {},
    {"kw_only": True},
    {"frozen": True},
    {"frozen": True, "kw_only": True},
    {"frozen": True, "kw_only": True, "eq": False},
    {"frozen": True, "kw_only": True, "repr": False},
]


def family(decorator: Decorator, **options: bool) -> tuple[type, type, type]:
    """A class, one that inherits from it, and one without fields; made by one of the two decorators."""

    @decorator(**options)
    class Base:
        name: str
        seen: int = dataclasses.field(default=0, compare=False)
        hidden: str = dataclasses.field(default="", repr=False)
        rows: list[int] = dataclasses.field(default_factory=list, hash=False)

    @decorator(**options)
    class Child(Base):
        more: str = "x"

        def __repr__(self) -> str:
            return f"Child {self.name}"

    @decorator(**options)
    class Empty:
        pass

    return Base, Child, Empty


def outcome(action: Callable[[], object]) -> object:
    """What is answered, or the kind of the error and its text."""
    try:
        return action()
    except Exception as error:
        return type(error), re.sub(r"\S*\bfamily\.<locals>\.", "", str(error))


def account(decorator: Decorator, options: dict[str, bool]) -> list[object]:
    """What instances of the family answer, place by place."""
    base, child, empty = family(decorator, **options)

    def both(**values: object) -> tuple[Any, Any]:
        return base(**{"name": "a", **values}), base(**{"name": "a", **values})

    one, same = both()
    rows: list[Callable[[], object]] = [
        lambda: one == same,
        lambda: one == both(seen=2)[0],
        lambda: one == both(hidden="h")[0],
        lambda: one == both(rows=[1])[0],
        lambda: one == child(name="a"),
        lambda: one == "a",
        lambda: empty() == empty(),
        lambda: hash(one) == hash(same),
        lambda: hash(one) == hash(both(rows=[1])[0]),
        lambda: hash(empty()) == hash(empty()),
        lambda: re.sub(r"0x[0-9a-f]+|\S*\bfamily\.<locals>\.", "", repr(both(hidden="h", seen=3)[0])),
        lambda: repr(child(name="c")),
        lambda: setattr(one, "name", "b"),
        lambda: setattr(one, "unknown", "b") if options.get("frozen") else None,
        lambda: delattr(one, "name") if options.get("frozen") else None,
        lambda: base("a").name,
        lambda: base(),
        lambda: base(name="a", nobody=1),
        lambda: dataclasses.asdict(child(name="c")),
        lambda: dataclasses.replace(child(name="c"), more="y").more,
        lambda: [each.name for each in dataclasses.fields(child)],
        lambda: copy.deepcopy(one).name,
    ]
    return [outcome(row) for row in rows]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_it_is_the_standard_one(options: dict[str, bool]) -> None:
    decorator: Decorator = vars(ours)["dataclass"]
    assert account(decorator, options) == account(dataclasses.dataclass, options)


def test_values_travel() -> None:
    """Between processes of a pool, and as keys."""
    problem = Problem(code="a", message="b", where=str(Place(file="f", line=1)))
    assert pickle.loads(pickle.dumps(problem)) == problem  # noqa: S301 - our own
    assert {problem: 1}[dataclasses.replace(problem)] == 1


def test_every_room_can_be_imported() -> None:
    """With each option that a class is written with; some are loaded by few commands."""
    names = [path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "orchestrator").rglob("*.py")]
    for name in sorted(".".join(parts).removesuffix(".__init__") for parts in names if parts[-1] != "__main__"):
        importlib.import_module(name)


def test_every_room_uses_it() -> None:
    """A class of the standard one costs a start as much as four of ours."""
    files = [path for path in (ROOT / "orchestrator").rglob("*.py") if path.name != "dataclass.py"]
    assert len(files) > 100
    others = [
        str(path) for path in files if re.search(r"^from dataclasses import .*\bdataclass\b", path.read_text(), re.M)
    ]
    assert sorted(others) == [str(ROOT / "orchestrator" / name) for name in STANDARD]

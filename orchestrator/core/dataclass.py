"""`dataclass`, as the standard library has it, for classes that are made anew each time that a command starts.

The standard one writes, compiles and runs the text of six methods for a frozen class, which takes about 1.4 ms of
processor time on Python 3.11; a cut makes 240 such classes before it does anything.  Here the standard one makes the
fields and `__init__` alone, and the methods that compare, show and guard are the same functions for all classes: they
read the fields.  `fields`, `replace`, `asdict` and type checkers see a dataclass as ever.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        cls: type | None = None,
        /,
        *,
        frozen: bool = False,
        kw_only: bool = False,
        init: bool = True,
        eq: bool = True,
        repr: bool = True,  # noqa: A002 - named as in the standard library
    ) -> Any:
        """`dataclasses.dataclass`.  A field of a frozen instance can be set once, which is what `__init__` does."""
        if cls is None:
            return lambda given: dataclass(given, frozen=frozen, kw_only=kw_only, init=init, eq=eq, repr=repr)
        own = frozenset(vars(cls))
        made = dataclasses.dataclass(kw_only=kw_only, init=init, eq=False, repr=False)(cls)
        shared = {"__setattr__": _set_once, "__delattr__": _keep} if frozen else {}
        if repr and "__repr__" not in own:
            shared["__repr__"] = _show
        if eq:
            _compare(made, frozen=frozen, own=own, shared=shared)
        for name, method in shared.items():
            setattr(made, name, method)
        return made


def _compare(made: type, *, frozen: bool, own: frozenset[str], shared: dict[str, Any]) -> None:
    """A class with an `__eq__` of its own and no `__hash__` has had its `__hash__` set to None by Python."""
    told = dataclasses.fields(made)
    if "__eq__" not in own:
        made._compared = _values([each.name for each in told if each.compare])  # type: ignore[attr-defined]
        shared["__eq__"] = _equal
    if "__hash__" not in own or "__eq__" in own:
        made._hashed = _values(  # type: ignore[attr-defined]
            [each.name for each in told if (each.compare if each.hash is None else each.hash)]
        )
        shared["__hash__"] = _hash if frozen else None


def _values(names: list[str]) -> Callable[[object], Any]:
    return attrgetter(*names or ["__class__"])  # without fields all instances of a class are equal


def _set_once(self: object, name: str, value: object) -> None:
    held = self.__dict__
    if name in held or name not in self.__dataclass_fields__:  # type: ignore[attr-defined]
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    held[name] = value


def _keep(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


@recursive_repr("...")
def _show(self: object) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in dataclasses.fields(self) if each.repr)  # type: ignore[arg-type]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _equal(self: Any, other: object) -> bool:
    compared: Callable[[object], object] = self._compared
    return compared(self) == compared(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(self._hashed(self))

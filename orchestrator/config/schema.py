"""The shapes that release.yaml is made of: text, list, mapping, table of keys.

A shape does two things with one declaration, so that they cannot drift apart: `read` turns a node of the
file into a value and notes every fault, `schema` describes the same thing to editors.  The shapes know no
key by name; keys.py declares the format with them.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from orchestrator.config.validators import EXAMPLE, BadTextError, check_text, quoted
from orchestrator.core.results import Place, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")

Json = dict[str, object]
_FEW = 100  # faults: so many are worth a guess at what was meant


# ------------------------------------------------------------------ the file as nodes


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the file; lines and columns count from 1.  `size` counts nodes, aliases expanded."""

    line: int
    column: int
    size: int = 1


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """A text exactly as written: `2.10` is not 2.1.  `is_null` tells nothing, `~` and `null` from text."""

    text: str = ""
    is_null: bool = False


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list.  `starts` has line and column of each item, of an alias too; `last` is the last line that it fills."""

    items: tuple[Node, ...] = ()
    starts: tuple[tuple[int, int], ...] = ()
    is_flow: bool = False
    last: int = 0


@dataclass(frozen=True, slots=True)
class Pairs(Node):
    """A mapping; `last` is the last line that it fills."""

    pairs: tuple[tuple[Scalar, Node], ...] = ()
    is_flow: bool = False
    last: int = 0

    def find(self, key: str) -> tuple[Scalar, Node] | None:
        return next((pair for pair in self.pairs if pair[0].text == key), None)


def kind_of(node: Node) -> str:
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Pairs):
        return "a mapping"
    return "empty" if isinstance(node, Scalar) and node.is_null else "a text"


class Faults:
    """Collects every fault with its place, so that one run shows them all."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[tuple[int, int, Problem]] = []

    def place(self, node: Node) -> Place:
        return Place(file=self.file, line=node.line, column=node.column)

    def add(self, code: str, message: str, node: Node, remedy: str = "") -> None:
        self.add_at(code, message, self.place(node), remedy)

    def add_at(self, code: str, message: str, place: Place, remedy: str = "") -> None:
        problem = Problem(code=code, message=message, where=str(place), remedy=remedy)
        self._found.append((place.line, place.column, problem))

    @property
    def few(self) -> bool:
        return len(self._found) < _FEW

    @property
    def problems(self) -> tuple[Problem, ...]:
        """In the order of the file."""
        return tuple(entry[2] for entry in sorted(self._found, key=lambda entry: entry[:2]))


# ------------------------------------------------------------------ shapes


class Shape(Protocol[T_co]):
    """What a node must look like.  `what` completes "must be …"."""

    @property
    def what(self) -> str: ...

    def read(self, node: Node, name: str, faults: Faults) -> T_co | None:
        """The value, or None when it is so wrong that there is none; faults are noted either way."""

    def schema(self) -> Json: ...

    def tables(self) -> Iterator[Table[object]]:
        """The tables of keys within, for the reference."""


def _wrong_kind(node: Node, name: str, what: str, faults: Faults) -> None:
    if isinstance(node, Scalar) and node.is_null:
        faults.add("config-no-value", f"{name!r} has no value", node, f"give it {what}, or remove the key")
    else:
        faults.add("config-wrong-kind", f"{name!r} must be {what}, not {kind_of(node)}", node, EXAMPLE)


@dataclass(frozen=True, kw_only=True)
class Text(Generic[T]):
    """A scalar, turned into a value by `convert`, which raises BadTextError."""

    convert: Callable[[str], T]
    what: str = "a text"
    one_line: bool = True
    exact: bool = False  # white space counts, and an empty text is one too
    json: Mapping[str, object] = field(default_factory=dict)

    def read(self, node: Node, name: str, faults: Faults) -> T | None:
        if not isinstance(node, Scalar) or node.is_null:
            _wrong_kind(node, name, self.what, faults)
            return None
        try:
            text = check_text(node.text, one_line=self.one_line, exact=self.exact)
            return self.convert(text)
        except BadTextError as bad:
            shown = "" if bad.hide else f" {quoted(node.text)}"
            faults.add(bad.code, f"{name}{shown} {bad}", node, bad.remedy)
            return None

    def schema(self) -> Json:
        # A YAML editor sees a sha of digits as a number; here it stays text.
        least: Json = {} if self.exact else {"minLength": 1}
        return {"type": ["string", "number", "boolean"]} | least | dict(self.json)

    def tables(self) -> Iterator[Table[object]]:
        return iter(())


@dataclass(frozen=True, kw_only=True)
class ListOf(Generic[T]):
    """A list.  `empty_code` names the fault of an empty one, "" allows it; `unique` refuses repetitions."""

    item: Shape[T]
    what: str = "a list"
    empty_code: str = ""
    empty_remedy: str = ""
    unique: bool = False

    def read(self, node: Node, name: str, faults: Faults) -> tuple[T, ...] | None:
        if not isinstance(node, Items):
            if self.empty_code and isinstance(node, Scalar) and node.is_null:
                faults.add(self.empty_code, f"{name!r} is empty", node, self.empty_remedy)
            else:
                _wrong_kind(node, name, self.what, faults)
            return None
        if self.empty_code and not node.items:
            faults.add(self.empty_code, f"{name!r} is empty", node, self.empty_remedy)
        values: list[T] = []
        seen: set[T] = set()
        for child in node.items:
            value = self.item.read(child, name, faults)
            if value is None:
                continue
            if self.unique and value in seen:
                faults.add("config-duplicate-item", f"{name} lists {value!s} twice", child, "keep one")
            seen.add(value)
            values.append(value)
        return tuple(values)

    def schema(self) -> Json:
        found: Json = {"type": "array", "items": self.item.schema()}
        if self.empty_code:
            found["minItems"] = 1
        if self.unique:
            found["uniqueItems"] = True
        return found

    def tables(self) -> Iterator[Table[object]]:
        return self.item.tables()


@dataclass(frozen=True, kw_only=True)
class MapOf(Generic[A, T, B]):
    """A mapping whose keys are the user's own.  `join` makes the value of all entries."""

    key: Text[A]
    value: Shape[T]
    join: Callable[[Sequence[tuple[Scalar, A, T]], Faults], B]
    what: str = "a mapping"
    may_be_null: bool = False

    def read(self, node: Node, name: str, faults: Faults) -> B | None:
        if self.may_be_null and isinstance(node, Scalar) and node.is_null:
            return self.join((), faults)
        if not isinstance(node, Pairs):
            _wrong_kind(node, name, self.what, faults)
            return None
        entries: list[tuple[Scalar, A, T]] = []
        for key_node, child in node.pairs:
            key = self.key.read(key_node, f"key of {name}", faults)
            value = self.value.read(child, f"entry of {name}" if key is None else key_node.text, faults)
            if key is not None and value is not None:
                entries.append((key_node, key, value))
        return self.join(entries, faults)

    def schema(self) -> Json:
        return {
            "type": ["object", "null"] if self.may_be_null else "object",
            "propertyNames": dict(self.key.json),
            "additionalProperties": self.value.schema(),
        }

    def tables(self) -> Iterator[Table[object]]:
        return self.value.tables()


@dataclass(frozen=True, kw_only=True)
class Mapped(Generic[A, B]):
    """Another shape, its value made into something else."""

    shape: Shape[A]
    into: Callable[[A, Place], B]

    @property
    def what(self) -> str:
        return self.shape.what

    def read(self, node: Node, name: str, faults: Faults) -> B | None:
        value = self.shape.read(node, name, faults)
        return None if value is None else self.into(value, faults.place(node))

    def schema(self) -> Json:
        return self.shape.schema()

    def tables(self) -> Iterator[Table[object]]:
        return self.shape.tables()


@dataclass(frozen=True, kw_only=True)
class Either(Generic[T]):
    """A value that may be written in several ways, told apart by the kind of node."""

    what: str
    text: Shape[T]
    items: Shape[T] | None = None
    pairs: Shape[T] | None = None

    def read(self, node: Node, name: str, faults: Faults) -> T | None:
        by_kind = {Items: self.items, Pairs: self.pairs, Scalar: self.text}
        shape = by_kind[type(node)]
        if shape is None or (isinstance(node, Scalar) and node.is_null):
            _wrong_kind(node, name, self.what, faults)
            return None
        return shape.read(node, name, faults)

    def _shapes(self) -> list[Shape[T]]:
        return [shape for shape in (self.text, self.items, self.pairs) if shape is not None]

    def schema(self) -> Json:
        return {"anyOf": [shape.schema() for shape in self._shapes()]}

    def tables(self) -> Iterator[Table[object]]:
        for shape in self._shapes():
            yield from shape.tables()


# ------------------------------------------------------------------ tables of keys


@dataclass(frozen=True, kw_only=True)
class Key(Generic[T_co]):
    """A key that the tool knows.  `help` is shown by editors and in the reference, where `default` is too."""

    name: str
    shape: Shape[T_co]
    help: str
    required: bool = False
    default: str = ""


class Got:
    """What was read of one table: typed by the key that is asked for."""

    def __init__(self, node: Pairs, values: Mapping[str, object], faults: Faults) -> None:
        self.place = faults.place(node)
        self.faults = faults
        self.nodes: dict[str, Node] = {}
        for key, child in node.pairs:
            self.nodes.setdefault(key.text, child)
        self._values = values

    def __call__(self, key: Key[T], default: T) -> T:
        """The value of a key, or `default` where it is absent or faulty."""
        value = self._values.get(key.name)
        return default if value is None else cast("T", value)


@dataclass(frozen=True, kw_only=True)
class Table(Generic[T_co]):
    """A mapping with declared keys.

    `exactly_one` lists keys that exclude each other, `or_else` a key beside which none of them need stand; `needs` says
    beside which key another must.
    """

    title: str
    keys: tuple[Key[object], ...]
    build: Callable[[Got], T_co]
    exactly_one: tuple[str, ...] = ()
    or_else: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)
    what: str = "a mapping"

    def read(self, node: Node, name: str, faults: Faults) -> T_co | None:
        if not isinstance(node, Pairs):
            _wrong_kind(node, name, self.what, faults)
            return None
        known = {key.name: key for key in self.keys}
        values: dict[str, object] = {}
        for key_node, child in node.pairs:
            key = known.get(key_node.text)
            if key is None:
                self._unknown(key_node, faults)
            else:
                values[key.name] = key.shape.read(child, key.name, faults)
        self._check_presence(node, name, faults)
        return self.build(Got(node, values, faults))

    def _unknown(self, node: Scalar, faults: Faults) -> None:
        names = [key.name for key in self.keys]
        close = difflib.get_close_matches(node.text[:60].lower(), names, n=1) if faults.few else []
        remedy = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(names)}"
        faults.add("config-unknown-key", f"unknown key {quoted(node.text)} in {self.title}", node, remedy)

    def _check_presence(self, node: Pairs, name: str, faults: Faults) -> None:
        given = {key.text: key for key, _ in node.pairs}
        for key in self.keys:
            if key.required and key.name not in given:
                message = f"{key.name!r} is missing in {name}"
                faults.add("config-missing-key", message, node, key.help.partition(".")[0])
        if self.exactly_one:
            self._check_exactly_one(node, [word for word in given if word in self.exactly_one], faults)
        for word, other in self.needs.items():
            if word in given and other not in given:
                message = f"{word!r} goes with {other!r} only"
                faults.add("config-misplaced-key", message, given[word], f"remove it, or declare a {other!r}")

    def _check_exactly_one(self, node: Pairs, given: Sequence[str], faults: Faults) -> None:
        words = [repr(word) for word in (*self.exactly_one, self.or_else) if word]
        if not given and not node.find(self.or_else):
            message, remedy = f"neither {' nor '.join(words)} is given", f"give {' or '.join(words)}"
            faults.add("config-missing-key", message, node, remedy)
        elif len(given) > 1:
            place = next(key for key, _ in node.pairs if key.text == given[1])
            both = " and ".join(repr(word) for word in given)
            faults.add("config-both-keys", f"{both} exclude each other", place, "make two entries of it")

    def schema(self) -> Json:
        found: Json = {
            "type": "object",
            "additionalProperties": False,
            "properties": {key.name: key.shape.schema() | {"description": key.help} for key in self.keys},
        }
        if required := [key.name for key in self.keys if key.required]:
            found["required"] = required
        if self.exactly_one:
            ways: list[Json] = [{"required": [word]} for word in self.exactly_one]
            alone: Json = {"required": [self.or_else], "not": {"anyOf": list(ways)}}
            found["oneOf"] = [*ways, *([alone] if self.or_else else [])]
        if self.needs:
            found["dependentRequired"] = {word: [other] for word, other in self.needs.items()}
        return found

    def tables(self) -> Iterator[Table[object]]:
        yield self
        for key in self.keys:
            yield from key.shape.tables()

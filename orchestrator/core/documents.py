"""JSON that others wrote, read strictly: plain values that are safe to print, and frozen values of the right types.

`parse` reads a text.  `decode` makes a dataclass of an object: a value of the right type for each field that has no
default.  A field that the dataclass does not know is left out, because newer versions of this tool may add some;
`exact` refuses it.  A class that has `from_text` stands in JSON as its text, and None of it as "".  Each fault names
its place.
"""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError

T = TypeVar("T")
Read = Callable[[object, str], Any]  # a value and its place, to the typed one

LARGEST: Final = 8 * 1024 * 1024  # bytes of a document; the values of such a text take up to 250 MiB
DEEPEST: Final = 64  # arrays and objects in each other; ours have 5
_LONGEST_INTEGER: Final = 19  # digits: no number of 64 bits has more
_INTEGERS: Final = range(-(2**63), 2**63)
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")
_NOT_OF_A_PATH: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # U+DC80 to U+DCFF are odd bytes of paths (PEP 383)
_ESCAPED_HALF_PAIR: Final = re.compile(r"\\u[dD][89a-fA-F]")
_NAMES: Final = {str: "text", int: "a whole number", float: "a number", bool: "true or false",
                 dict: "an object", list: "a list", type(None): "null"}  # fmt: skip


class DocumentError(ValueError):
    """`place` is a path in the document such as `picks[3].source`, or a line and column where it is no JSON."""

    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(f"{place} {what}" if place else f"it {what}")
        self.what = what
        self.place = place


def parse(data: bytes | str, *, bytes_of_paths: bool = False) -> object:
    """The plain values of a JSON text in UTF-8.

    Raises DocumentError for what is no JSON, and for what no reader can be trusted with: a key that is there twice,
    NaN, numbers beyond 64 bits, half of a surrogate pair, deep nesting, more than LARGEST bytes.  `bytes_of_paths`
    lets those surrogates pass that stand for the bytes of a path which is not UTF-8.
    """
    if len(data) > LARGEST:
        raise DocumentError(f"has {len(data)} bytes, more than {LARGEST}")
    try:
        text = data if isinstance(data, str) else data.decode()
        value: object = json.loads(text, parse_int=_integer, object_pairs_hook=_without_doubles)
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise DocumentError(f"is not JSON: {error.msg}", f"line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise DocumentError(f"is nested deeper than {DEEPEST}") from error
    halves = _NOT_OF_A_PATH if bytes_of_paths else _HALF_PAIR
    if _is_deep(value) or _ESCAPED_HALF_PAIR.search(text) or halves.search(text) or _may_be_infinite(text):
        _refuse_unsafe(value, halves)
    return value


def member(place: str, key: str) -> str:
    """The place of a key in the object at `place`; a key that is no word is quoted, and cut."""
    if not _PLAIN_KEY.fullmatch(key):
        return f"{place}[{key[:40]!a}]"
    return f"{place}.{key}" if place else key


def rows(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in a list of an object; none where there is no such list."""
    found = document.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _LONGEST_INTEGER:
        raise DocumentError(f"has a number of {len(text)} digits")
    return int(text)


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DocumentError(f"has the key {key[:40]!a} twice")
            seen.add(key)
    return found


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [child for each in level for child in _children(each) if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _may_be_infinite(text: str) -> bool:
    return (
        "NaN" in text or "Infinity" in text or re.search(r"[0-9][eE]\+?[0-9]{3}|(?<![0-9])[0-9]{300}", text) is not None
    )


def _refuse_unsafe(value: object, halves: re.Pattern[str]) -> None:
    """Raise DocumentError at something that must not be there."""
    todo: list[tuple[object, str, int]] = [(value, "", 0)]
    while todo:
        each, place, depth = todo.pop()
        if depth > DEEPEST:
            raise DocumentError(f"is nested deeper than {DEEPEST}", place if len(place) < 80 else f"{place[:80]}...")
        if isinstance(each, float) and not math.isfinite(each):
            raise DocumentError("is no finite number", place)
        if isinstance(each, str) and halves.search(each):
            raise DocumentError("has half of a surrogate pair in it, which is no text", place)
        if isinstance(each, dict):
            if bad := next((key for key in each if halves.search(key)), None):
                raise DocumentError("is a key with half of a surrogate pair in it", member(place, bad))
            todo += [(child, member(place, key), depth + 1) for key, child in each.items()]
        elif isinstance(each, list):
            todo += [(child, f"{place}[{number}]", depth + 1) for number, child in enumerate(each)]


# ------------------------------------------------------------------ typed values


@dataclass(frozen=True)
class Form:
    """What a text must look like, for `Annotated[str, Form(...)]`; `name` says it in words."""

    pattern: str
    name: str


@dataclass(frozen=True)
class Before:
    """For `Annotated[X, Before(f)]`: what other versions wrote in another form goes through `f` first."""

    change: Callable[[object], object]


ObjectId = Annotated[str, Form("[0-9a-f]{40}", "an object id")]
ObjectIdOrNone = Annotated[str, Form("([0-9a-f]{40})?", 'an object id or ""')]
Digest = Annotated[str, Form("sha256:[0-9a-f]{64}", "a sha256 digest")]
Sha256 = Annotated[str, Form("[0-9a-f]{64}", "a SHA-256 in hex")]


def decode(kind: type[T], value: object, place: str = "", *, exact: bool = False) -> T:
    """`value` as a `kind`.  Raises DocumentError with the place of what is not there, or of another type."""
    hint: Any = kind
    made: T = _reader(hint, exact)(value, place)
    return made


def encode(value: Any) -> Any:
    """Plain JSON values of a value that `decode` reads."""
    if hasattr(value, "from_text") or isinstance(value, Enum):
        return str(value)
    if is_dataclass(value):
        kind: Any = type(value)
        absent = {field.name: "" for field in _fields(kind) if field.is_text}
        values = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: encode(absent.get(name) if each is None else each) for name, each in values}
    if isinstance(value, dict):
        return {str(key): encode(each) for key, each in value.items()}
    return [encode(each) for each in value] if isinstance(value, (list, tuple)) else value


def render(value: Any) -> bytes:
    """The bytes of a document that is stored."""
    return (json.dumps(encode(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


# ------------------------------------------------------------------ what reads a type


@cache
def _reader(hint: Any, exact: bool) -> Read:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(_reader(arguments[0], exact), arguments[1:])
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in arguments if each is not types.NoneType)
        return _optional(_reader(inner, exact), "" if hasattr(inner, "from_text") else None)
    if origin is tuple:
        readers = tuple(_reader(each, exact) for each in arguments if each is not ...)
        return _list(readers[0]) if ... in arguments else _row(readers)
    if origin is dict:
        return _mapping(_reader(arguments[1], exact))
    if hint in (object, Any):
        return _anything
    if hasattr(hint, "from_text"):
        return _text_form(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice(hint)
    if is_dataclass(hint):
        return _object(hint, exact)
    return _plain(hint)


def _anything(value: object, _place: str) -> object:
    return value


def _plain(kind: Any) -> Read:
    """Text, numbers, true and false."""
    accepted = (int, float) if kind is float else kind

    def read(value: object, place: str) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind in (int, float)):
            raise _wrong(value, _NAMES[kind], place)
        if isinstance(value, int) and value not in _INTEGERS:
            raise DocumentError("is a number beyond 64 bits", place)
        return value

    return read


def _annotated(inner: Read, notes: tuple[Any, ...]) -> Read:
    def read(value: object, place: str) -> Any:
        for note in notes:
            if isinstance(note, Before):
                value = note.change(value)
        found = inner(value, place)
        for note in notes:
            if isinstance(note, Form) and not re.fullmatch(note.pattern, found):
                raise DocumentError(f"is {shown(found)}, not {note.name}", place)
        return found

    return read


def _optional(inner: Read, nothing: object) -> Read:
    return lambda value, place: None if value == nothing else inner(value, place)


def _text_form(kind: Any) -> Read:
    def read(value: object, place: str) -> Any:
        if not isinstance(value, str):
            raise _wrong(value, "text", place)
        try:
            found = kind.from_text(value)
        except UsageError as error:
            raise DocumentError(f"is {shown(value)}: {error.message}", place) from error
        if str(found) != value:
            raise DocumentError(f"is {shown(value)}, which is written {found}", place)
        return found

    return read


def _choice(kind: type[Enum]) -> Read:
    known = {each.value: each for each in kind}

    def read(value: object, place: str) -> Any:
        if not isinstance(value, str) or value not in known:
            raise DocumentError(f"is {shown(value)}, not one of {', '.join(known)}", place)
        return known[value]

    return read


def _list(inner: Read) -> Read:
    def read(value: object, place: str) -> Any:
        if not isinstance(value, list):
            raise _wrong(value, "a list", place)
        return tuple(inner(each, f"{place}[{number}]") for number, each in enumerate(value))

    return read


def _row(inner: tuple[Read, ...]) -> Read:
    """A list with a type for each of its places."""

    def read(value: object, place: str) -> Any:
        if not isinstance(value, list) or len(value) != len(inner):
            raise _wrong(value, f"a list of {len(inner)}", place)
        return tuple(
            one(each, f"{place}[{number}]") for number, (one, each) in enumerate(zip(inner, value, strict=True))
        )

    return read


def _mapping(inner: Read) -> Read:
    def read(value: object, place: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(value, "an object", place)
        return {key: inner(each, member(place, key)) for key, each in value.items()}

    return read


@dataclass(frozen=True)
class _Field:
    name: str
    hint: Any
    required: bool
    is_text: bool  # None of it stands as "" in JSON


@cache
def _fields(kind: Any) -> tuple[_Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        _Field(
            each.name,
            hints[each.name],
            required=each.default is MISSING and each.default_factory is MISSING,
            is_text=any(hasattr(part, "from_text") for part in get_args(hints[each.name])),
        )
        for each in fields(kind)
    )


def _object(kind: Any, exact: bool) -> Read:
    known = {field.name: (field, _reader(field.hint, exact)) for field in _fields(kind)}

    def read(value: object, place: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(value, "an object", place)
        if exact and (strange := next((key for key in value if key not in known), None)):
            raise DocumentError("is not known to this version", member(place, strange))
        found = {}
        for name, (field, inner) in known.items():
            if name in value:
                found[name] = inner(value[name], member(place, name))
            elif field.required:
                raise DocumentError("is not there", member(place, name))
        return kind(**found)

    return read


def _wrong(value: object, wanted: str, place: str) -> DocumentError:
    kind = _NAMES.get(type(value), "something else")
    return DocumentError(f"is {kind}, not {wanted}", place)


def shown(value: object) -> str:
    """A value in a message: quoted, escaped, cut."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."

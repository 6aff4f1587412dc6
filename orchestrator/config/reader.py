"""The door to YAML: the bytes of release.yaml become a Config, or every fault in them with its place.

Reads YAML events instead of finished values, because values lose what is needed here: places, `2.10` as it
was written, a second `commit:` in one mapping.  config_keys.py declares the format.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, Protocol

from orchestrator.config.keys import FORMAT, ROOT, SCHEME, TAG_PREFIX
from orchestrator.config.schema import Faults, Items, Json, Node, Pairs, Scalar
from orchestrator.config.validators import EXAMPLE, invisible, quoted
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ConfigError
from orchestrator.core.results import Place, Problem, at_most
from orchestrator.core.versions import KINDS, Scheme, reading, use

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import yaml

    from orchestrator.core.declaration import Config

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 50_000  # aliases expanded

_NULLS = ("", "~", "null", "Null", "NULL")
_CORE = "tag:yaml.org,2002:"
_CORE_TAGS = ("!", *(f"{_CORE}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")))


def load(path: Path, *, shown_as: str, forgive: Collection[str] = ()) -> Config:
    """Read and check the file at `path`, which is this run's; messages call it `shown_as`.

    From now on versions are read as it says.  Raises ConfigError, as `parse` does.
    """
    if not path.is_file():
        exists = path.exists()
        problem = Problem(
            code="config-not-a-file" if exists else "config-missing",
            message="is not a file" if exists else "there is no such file",
            where=shown_as,
            remedy="name another with --config, or write one with `release init`",
        )
        raise ConfigError([problem])
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigError([Problem(code="config-unreadable", message=message, where=shown_as)]) from error
    config = parse(text, shown_as, forgive=forgive)
    use(config.versions)
    return config


def parse(text: bytes, file: str, *, forgive: Collection[str] = ()) -> Config:
    """Check the bytes of a release.yaml that messages call `file`.

    Raises ConfigError with all faults in the order of the file; what makes the rest unreadable (encoding,
    YAML syntax, another format) is reported alone.  Faults with a code in `forgive` count for none.
    """
    root = _Composer(_decoded(text, file), file).document()
    faults = root.faults
    _check_format(root.node, file)
    with reading(_versions(root.node)):
        config = ROOT.read(root.node, file, faults)
    problems = [problem for problem in faults.problems if problem.code not in forgive]
    if problems or config is None:
        raise ConfigError(at_most(problems or faults.problems, "config-more-faults"))
    return replace(config, text=text)


def _versions(root: Node) -> Scheme:
    """How the file says that versions are written, for whatever in it is one; the usual way where that is a fault."""
    pairs = root.pairs if isinstance(root, Pairs) else ()
    said = {key.text: value.text for key, value in pairs if isinstance(value, Scalar)}
    kind = next((each for each in KINDS if each == said.get(SCHEME.name)), KINDS[0])
    return Scheme.of(said.get(TAG_PREFIX.name, ""), kind)


def compose(text: bytes, file: str) -> Node:
    """The nodes of the file with their places, for an edit of it.  Raises ConfigError where it is no YAML."""
    return _Composer(_decoded(text, file), file).document().node


def schema() -> Json:
    """JSON Schema (draft 2020-12) of release.yaml, from the tables that `parse` reads with."""
    head: Json = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "release.yaml",
        "description": "What a release takes over, and the image that is made of it.",
    }
    return head | ROOT.schema()


def config_reference_markdown() -> str:
    """The table of keys in docs/release-yaml.md, from the same tables."""
    lines: list[str] = []
    titles: set[str] = set()
    for table in ROOT.tables():
        if table.title in titles:
            continue
        titles.add(table.title)
        heading = table.title.replace("'", "`")
        lines += [f"### {heading[0].upper()}{heading[1:]}" if table is not ROOT else "### Top level", ""]
        lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
        for key in table.keys:
            default = "**required**" if key.required else key.default or "—"
            lines.append(f"| `{key.name}` | {key.shape.what} | {default} | {key.help} |")
        lines.append("")
    return "\n".join(lines)


def _check_format(root: Node, file: str) -> None:
    """Another format makes every other message wrong, so it is told alone."""
    faults = Faults(file)
    if isinstance(root, Pairs):
        for key, value in root.pairs:
            if key.text == FORMAT.name:
                FORMAT.shape.read(value, FORMAT.name, faults)
    if faults.problems:
        raise ConfigError(faults.problems)


# ------------------------------------------------------------------ bytes


def _stop(code: str, message: str, place: Place, remedy: str = "") -> NoReturn:
    raise ConfigError([Problem(code=code, message=message, where=str(place), remedy=remedy)])


def _decoded(data: bytes, file: str) -> str:
    """The text, with plain line ends; refuses what no editor shows."""
    if len(data) > MAX_BYTES:
        _stop(
            "config-too-big",
            f"is larger than {MAX_BYTES // 1024} KiB",
            Place(file=file),
            "it holds declarations alone: " + EXAMPLE,
        )
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        place = Place(file=file, line=1, column=1)
        _stop("config-byte-order-mark", "starts with a byte order mark", place, "save it as UTF-8 without one")
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        place = _place_at(data[: error.start].decode("utf-8"), file)
        _stop("config-not-utf8", f"byte 0x{data[error.start]:02x} is not UTF-8", place, "save it as UTF-8")
    if (at := invisible(text)) >= 0:
        place = _place_at(text[:at], file)
        _stop("config-bad-character", f"holds the character U+{ord(text[at]):04X}", place, "remove it")
    return text


def _place_at(before: str, file: str) -> Place:
    """The place that follows the text `before`."""
    return Place(file=file, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))


# ------------------------------------------------------------------ YAML


class _Mark(Protocol):
    """A position as PyYAML counts, from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


@dataclass(frozen=True)
class _Document:
    """The root node, and the faults that composing it found."""

    node: Node
    faults: Faults


class _Composer:
    """YAML events -> nodes.  Limits depth and size, so that no input costs more than it weighs."""

    def __init__(self, text: str, file: str) -> None:
        import yaml  # loaded when a file is read, not for --help

        self._yaml = yaml
        self._loader = yaml.SafeLoader(text)
        self._faults = Faults(file)
        self._file = file
        self._anchors: dict[str, Node | None] = {}  # None while its node is being read
        self._count = 0
        self._last = 0  # the last line that anything read so far fills

    def document(self) -> _Document:
        """The one document of the text."""
        self._next()
        if isinstance(self._next(), self._yaml.StreamEndEvent):
            self._empty()
        node = self._node(self._next(), 0)
        self._next()
        following = self._next()
        if not isinstance(following, self._yaml.StreamEndEvent):
            place = self._place(following.start_mark)
            _stop("config-two-documents", "a second document starts here", place, "keep one")
        if isinstance(node, Scalar) and node.is_null:
            self._empty()
        return _Document(node, self._faults)

    def _empty(self) -> NoReturn:
        place = Place(file=self._file, line=1, column=1)
        _stop(
            "config-empty",
            "is empty",
            place,
            f"remove it, and let `release init` write one; {EXAMPLE}",
        )

    def _place(self, mark: _Mark | None) -> Place:
        line, column = (mark.line, mark.column) if mark else (0, 0)
        return Place(file=self._file, line=line + 1, column=column + 1)

    def _next(self) -> yaml.Event:
        """The next event; a syntax error becomes a ConfigError with its place."""
        try:
            event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call] # the stubs miss it
            self._fill(event.start_mark, event.end_mark)
            return event
        except self._yaml.MarkedYAMLError as error:
            place = self._place(error.problem_mark or error.context_mark)
            problem = error.problem or error.context or "cannot be read"
            if "end of stream" in problem and "quoted scalar" in (error.context or ""):
                place, problem = self._place(error.context_mark), "a quotation mark is opened here and never closed"
        except (ValueError, OverflowError):  # \UFFFFFFFF, %YAML 1.<5000 digits>: PyYAML lets them through
            place, problem = self._place(self._loader.get_mark()), "a number is out of range"
        if "'\\t'" in problem:
            _stop("config-tab", "a tab, where YAML wants spaces", place, "indent with spaces")
        _stop("config-syntax", f"not YAML: {problem}", place, "look at this line and the one above it; " + EXAMPLE)

    def _fill(self, start: _Mark | None, end: _Mark | None) -> None:
        """Note how far an event reaches; one without text (the end of a block) fills nothing."""
        if start and end and (start.line, start.column) != (end.line, end.column):
            # a block scalar ends where the next line begins
            self._last = end.line if end.column == 0 and end.line > start.line else end.line + 1

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = self._place(event.start_mark)
        self._count += 1
        if self._count > MAX_NODES:  # looked at early: what follows is not read any more
            _stop("config-too-big", f"holds more than {MAX_NODES} values, aliases counted", place)
        if depth > MAX_DEPTH:
            _stop(
                "config-too-deep",
                f"is nested deeper than {MAX_DEPTH} levels",
                place,
                "look for brackets that are never closed",
            )
        anchor = event.anchor if isinstance(event, self._yaml.NodeEvent) else None
        if isinstance(event, self._yaml.AliasEvent):
            return self._alias(anchor or "", place)
        if anchor is not None:
            self._anchors[anchor] = None
        node = self._fresh(event, place, depth)
        if node.size > MAX_NODES:
            _stop("config-too-big", f"holds more than {MAX_NODES} values, aliases counted", place)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, anchor: str, place: Place) -> Node:
        if anchor not in self._anchors:
            _stop(
                "config-syntax",
                f"not YAML: no anchor {quoted(anchor)} before this alias",
                place,
                "write what it stands for, or quote a `*` that is meant",
            )
        node = self._anchors[anchor]
        if node is None:
            _stop("config-recursion", f"alias {quoted(anchor)} contains itself", place, "write it out")
        return node

    def _fresh(self, event: yaml.Event, place: Place, depth: int) -> Node:
        if isinstance(event, self._yaml.SequenceStartEvent):
            self._check_tag(event.tag, place)
            return self._items(event, depth)
        if isinstance(event, self._yaml.MappingStartEvent):
            self._check_tag(event.tag, place)
            return self._pairs(event, depth)
        if not isinstance(event, self._yaml.ScalarEvent):
            _stop("config-syntax", "not YAML: a value is missing", place, EXAMPLE)
        self._check_tag(event.tag, place)
        is_null = event.implicit[0] and not event.style and event.value in _NULLS
        return Scalar(line=place.line, column=place.column, text=event.value, is_null=is_null)

    def _check_tag(self, tag: str | None, place: Place) -> None:
        if tag is not None and tag not in _CORE_TAGS:
            self._faults.add_at("config-yaml-tag", f"YAML tag {quoted(tag)} is not read", place, "remove it")

    def _items(self, start: yaml.SequenceStartEvent, depth: int) -> Items:
        place = self._place(start.start_mark)
        items: list[Node] = []
        starts: list[tuple[int, int]] = []
        while not isinstance(event := self._next(), self._yaml.SequenceEndEvent):
            at = self._place(event.start_mark)
            starts.append((at.line, at.column))
            items.append(self._node(event, depth + 1))
        return Items(
            line=place.line, column=place.column, size=1 + sum(item.size for item in items),
            items=tuple(items), starts=tuple(starts), is_flow=bool(start.flow_style), last=self._last,
        )  # fmt: skip

    def _pairs(self, start: yaml.MappingStartEvent, depth: int) -> Pairs:
        place = self._place(start.start_mark)
        pairs: list[tuple[Scalar, Node]] = []
        seen: dict[str, Node] = {}
        size = 1
        while not isinstance(event := self._next(), self._yaml.MappingEndEvent):
            is_plain = isinstance(event, self._yaml.ScalarEvent) and not event.style
            key = self._node(event, depth + 1)
            value = self._node(self._next(), depth + 1)
            size += key.size + value.size
            if isinstance(key, Scalar) and self._is_new(key, seen, is_plain=is_plain):
                seen[key.text] = key
                pairs.append((key, value))
            elif not isinstance(key, Scalar):
                remedy = "quote a value that starts with '{' or '['"
                self._faults.add("config-bad-key", "a key must be a plain text", key, remedy)
        return Pairs(
            line=place.line, column=place.column, size=size, pairs=tuple(pairs),
            is_flow=bool(start.flow_style), last=self._last,
        )  # fmt: skip

    def _is_new(self, key: Scalar, seen: dict[str, Node], *, is_plain: bool) -> bool:
        """Whether a key is the first of its name; notes the fault where it is not, or asks for a merge."""
        if key.text == "<<" and is_plain:
            self._faults.add("config-merge-key", "merge keys ('<<') are not read", key, "write the keys out")
            return False
        if first := seen.get(key.text):
            remedy = f"the first is on line {first.line}: keep one"
            message = f"{quoted(key.text)} is declared twice"
            self._faults.add("config-duplicate-key", message, key, remedy)
            return False
        return True

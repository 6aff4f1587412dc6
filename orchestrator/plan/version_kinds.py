"""Files that usually say the version of a project: found, and named where a release would leave the old one in them."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.versions import TagVersion
from orchestrator.git.trees import items_of
from orchestrator.plan.line_ends import group_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.git.objects import TreeItem
    from orchestrator.git.scratch import Scratch

# A file's name -> the line of it; `Q` is the quotation mark that the file has there.
_KINDS: Final = (
    (r"pyproject\.toml|Cargo\.toml", r"^version\s*=\s*Q([^Q]+)Q"),
    (r"__init__\.py|__about__\.py|_version\.py|version\.py", r"^__version__\s*=\s*Q([^Q]+)Q"),
    (r"setup\.cfg", r"^version\s*=\s*(\d\S*)"),
    (r"package\.json|composer\.json", r'^[ \t]*"version"\s*:\s*"([^"]+)"'),
    (r"version\.rb", r"^[ \t]*VERSION\s*=\s*Q([^Q]+)Q"),
    (r".+\.gemspec", r"^[ \t]*\w+\.version\s*=\s*Q([^Q]+)Q"),
    (r"Gemfile\.lock", r"^PATH\n  remote: \.\n  specs:\n    \S+ \(([^)]+)\)"),
    (r"version\.go", r'^(?:const|var)\s+[Vv]ersion\s*(?:string\s*)?=\s*"v?([^"]+)"'),
    (r"gradle\.properties", r"^version\s*=\s*(\S+)"),
    (r"build\.gradle(?:\.kts)?", r"^version\s*=?\s*Q([^Q]+)Q"),
    (r"CITATION\.cff", r"^version:\s*[\"']?([^\"'\s]+)"),
    (r"Chart\.yaml", r"^version:\s*[\"']?([^\"'\s]+)"),
    (r"Chart\.yaml", r"^appVersion:\s*[\"']?([^\"'\s]+)"),
    (r"VERSION", ""),
)
# Folders whose folders are looked into too.
_DEEPER: Final = ("src", "charts", "deploy", "helm", "packages", "crates", "lib", "internal")
_MOST: Final = 64  # folders of one, packages of one lock
_LARGEST: Final = 1 << 23  # bytes of a file that is read: locks are long
_NPM: Final = (
    r'\s*(?:"name"\s*:\s*"[^"]*",\s*)?"version"\s*:\s*"([^"]+)"'  # npm writes the name first, then the version
)
_LOCAL: Final = ("editable", "virtual", "directory")  # sources of uv.lock that are the project's own


@dataclass(frozen=True, kw_only=True)
class WrittenVersion:
    """A version that stands in a file; `pattern` finds it, "" where it is the whole file."""

    path: str
    pattern: str
    number: str
    line: int


def written_versions(scratch: Scratch, tree: str) -> list[WrittenVersion]:
    """What the usual files of a tree say, near its top.  What is not here is not looked at, and not fetched."""
    files = sorted(_near_the_top(scratch, tree), key=lambda each: each[0])
    return [each for path, item in files for each in _of_file(scratch, path, item)]


def left_behind(scratch: Scratch, tree: str, previous: str) -> list[str]:
    """A note for each place where a release leaves the version before standing, with what to add to release.yaml."""
    if not previous:
        return []
    old = TagVersion.from_text(previous).bare
    return [
        f"{each.path}:{each.line} still says {each.number}: if a release should write it, add"
        f" {entry_of(each.path, each.pattern)} to `version-files:`"
        for each in written_versions(scratch, tree)
        if each.number == old
    ]


def entry_of(path: str, pattern: str) -> str:
    """The entry of `version-files:` in one line."""
    return f"{{path: {_quoted(path)}, pattern: {_quoted(pattern)}}}" if pattern else _quoted(path)


def _quoted(text: str) -> str:
    """As YAML quotes what should be read as it is."""
    return "'" + text.replace("'", "''") + "'"


def patterns_of(path: str, text: bytes) -> list[str]:
    """The patterns that find what this file says of its own version; none where its kind is not known."""
    name = path.rpartition("/")[2]
    found = []
    for kind in (pattern for names, pattern in _KINDS if pattern and re.fullmatch(names, name)):
        patterns = [kind.replace("Q", mark) for mark in ('"', "'")] if "Q" in kind else [kind]
        found += [pattern for pattern in patterns if _found(path, text, pattern)][:1]
    locked = _LOCKS[name](path, text) if name in _LOCKS else []
    return found + [pattern for pattern in locked if _found(path, text, pattern)]


def _near_the_top(scratch: Scratch, tree: str) -> Iterator[tuple[str, TreeItem]]:
    for path, item in _files(scratch, tree, ""):
        if not item.is_tree:
            yield path, item
            continue
        for below, inner in _files(scratch, item.sha, f"{path}/"):
            if not inner.is_tree:
                yield below, inner
            elif path in _DEEPER:
                yield from (each for each in _files(scratch, inner.sha, f"{below}/") if not each[1].is_tree)


def _files(scratch: Scratch, tree: str, before: str) -> list[tuple[str, TreeItem]]:
    """The usual files of a folder, and its folders."""
    if not scratch.has(tree):
        return []
    items = [(item.name.decode("utf-8", "surrogateescape"), item) for item in items_of(scratch, tree)]
    folders = [(name, item) for name, item in items if item.is_tree][:_MOST]
    files = [(name, item) for name, item in items if item.mode.startswith("100") and _kinds(name)]
    return [(f"{before}{name}", item) for name, item in files + folders]


def _kinds(name: str) -> bool:
    return name in _LOCKS or any(re.fullmatch(names, name) for names, _ in _KINDS)


def _of_file(scratch: Scratch, path: str, item: TreeItem) -> Iterator[WrittenVersion]:
    if not scratch.has(item.sha) or scratch.header(item.sha)[1] > _LARGEST:
        return
    text = scratch.blob(item.sha)
    for pattern in [""] if path.rpartition("/")[2] == "VERSION" else patterns_of(path, text):
        if found := _found(path, text, pattern):
            yield found


def _found(path: str, text: bytes, pattern: str) -> WrittenVersion | None:
    place = group_place(pattern, text) if pattern else slice(0, len(text))
    number = text[place].decode("utf-8", "replace").strip() if place else ""
    if place is None or not re.fullmatch(r"\d+\.\d[0-9A-Za-z.+-]*", number):
        return None
    return WrittenVersion(path=path, pattern=pattern, number=number, line=1 + text.count(b"\n", 0, place.start))


def _npm_lock(_path: str, text: bytes) -> list[str]:
    """The root package, which newer npm writes twice, and the workspaces: never what is under node_modules."""
    packages = _read(json.loads, text).get("packages", {})
    own = [path for path in packages if "node_modules/" not in path] if isinstance(packages, dict) else []
    return [rf"\A\s*\{{{_NPM}", *(rf'^[ \t]*"{re.escape(path)}"\s*:\s*\{{{_NPM}' for path in own[:_MOST])]


def _cargo_lock(_path: str, text: bytes) -> list[str]:
    """The crates of the workspace: those without a source."""
    own = [name for name, source in _locked(text) if not source]
    return [rf'^name = "{re.escape(name)}"\nversion = "([^"]+)"\n(?!source)' for name in own[:_MOST]]


def _uv_lock(_path: str, text: bytes) -> list[str]:
    own = [name for name, source in _locked(text) if isinstance(source, dict) and any(key in source for key in _LOCAL)]
    return [
        rf'^name = "{re.escape(name)}"\nversion = "([^"]+)"\nsource = \{{ (?:{"|".join(_LOCAL)}) '
        for name in own[:_MOST]
    ]


def _locked(text: bytes) -> list[tuple[str, object]]:
    """Name and source of each package of a lock that is TOML."""
    packages = _read(tomllib.loads, text).get("package", [])
    tables = [each for each in packages if isinstance(each, dict)] if isinstance(packages, list) else []
    return [(str(each.get("name", "")), each.get("source")) for each in tables]


def _read(load: Callable[[str], object], text: bytes) -> Mapping[str, object]:
    """What the file says; nothing where it can't be read, which is not a release's matter."""
    try:
        found = load(text.decode())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _maven(path: str, text: bytes) -> list[str]:
    """The project's own version; of a module that of its parent too, which is often all that it says."""
    plain = re.sub(rb"<!--[\s\S]*?-->", b"", text)
    head, parent, tail = plain.partition(b"<parent>")
    inside, _, after = tail.partition(b"</parent>")
    names = [re.search(rb"<artifactId>\s*([\w.-]+)\s*</artifactId>", part) for part in (head + after, inside)]
    wanted = names if parent and "/" in path else names[:1]
    return [
        rf"<artifactId>{re.escape(name[1].decode())}</artifactId>\s*(?:<packaging>[\w-]+</packaging>\s*)?<version>([^<$]+)</version>"
        for name in wanted
        if name
    ]


_LOCKS: Final[Mapping[str, Callable[[str, bytes], list[str]]]] = {
    "package-lock.json": _npm_lock,
    "npm-shrinkwrap.json": _npm_lock,
    "Cargo.lock": _cargo_lock,
    "uv.lock": _uv_lock,
    "pom.xml": _maven,
}

"""Files that usually say the version of a project: found, and named where a release would leave the old one in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.versions import TagVersion
from orchestrator.git.trees import items_of
from orchestrator.plan.line_ends import group_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.git.objects import TreeItem
    from orchestrator.git.scratch import Scratch

# A file's name -> the line of it; `Q` is the quotation mark that the file has there.
_KINDS: Final = (
    (r"pyproject\.toml|Cargo\.toml", r"^version\s*=\s*Q([^Q]+)Q"),
    (r"__init__\.py|_version\.py|version\.py", r"^__version__\s*=\s*Q([^Q]+)Q"),
    (r"setup\.cfg", r"^version\s*=\s*(\d\S*)"),
    (r"package\.json", r'^\s*"version"\s*:\s*"([^"]+)"'),
    (r"Chart\.yaml", r"^version:\s*[\"']?([^\"'\s]+)"),
    (r"Chart\.yaml", r"^appVersion:\s*[\"']?([^\"'\s]+)"),
    (r"VERSION", ""),
)
_DEEPER: Final = ("src", "charts", "deploy", "helm", "packages")  # folders whose folders are looked into too
_MOST: Final = 64  # folders of one
_LARGEST: Final = 1 << 20  # bytes of a file that is read


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
    """A note for each place where a release leaves the version before standing."""
    if not previous:
        return []
    old = TagVersion.from_text(previous).bare
    return [
        f"{each.path}:{each.line} still says {each.number}: name it in `version-files:` if a release should write it"
        for each in written_versions(scratch, tree)
        if each.number == old
    ]


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


def _kinds(name: str) -> list[str]:
    return [pattern for names, pattern in _KINDS if re.fullmatch(names, name)]


def _of_file(scratch: Scratch, path: str, item: TreeItem) -> Iterator[WrittenVersion]:
    if not scratch.has(item.sha) or scratch.header(item.sha)[1] > _LARGEST:
        return
    text = scratch.blob(item.sha)
    for kind in _kinds(path.rpartition("/")[2]):
        patterns = [kind.replace("Q", mark) for mark in ('"', "'")] if "Q" in kind else [kind]
        found = next((each for pattern in patterns if (each := _found(path, text, pattern))), None)
        if found:
            yield found


def _found(path: str, text: bytes, pattern: str) -> WrittenVersion | None:
    place = group_place(pattern, text) if pattern else slice(0, len(text))
    number = text[place].decode("utf-8", "replace").strip() if place else ""
    if place is None or not re.fullmatch(r"\d+\.\d[0-9A-Za-z.+-]*", number):
        return None
    return WrittenVersion(path=path, pattern=pattern, number=number, line=1 + text.count(b"\n", 0, place.start))

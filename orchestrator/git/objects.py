"""Commit objects as bytes: read exactly, written exactly."""

from __future__ import annotations

import codecs
import hashlib
import re
from datetime import date, timedelta
from itertools import takewhile

from orchestrator.core.commit_message import visible
from orchestrator.core.dataclass import dataclass

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

_LATEST = 1 << 62  # seconds; git cannot write a date beyond its time_t

# What Python decodes and iconv, by which git does it, does not know.
_NOT_OF_ICONV = ("idna", "punycode", "raw_unicode_escape", "unicode_escape", "utf_8_sig")
_SIGNATURE = b"gpgsig"  # the header of a SHA-1 repository's commits
_SIGNED = re.compile(rb"\ngpgsig [^\n]*(?:\n [^\n]*)*")
_PARENT = re.compile(rb"\nparent [0-9a-f]{40}")
_DATE = re.compile(rb"(-?\d+) ([+-]\d+)")


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Author or committer line, without the date."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


@dataclass(frozen=True, kw_only=True)
class When:
    """Seconds since the epoch and git's zone text (`+0200`)."""

    seconds: int
    zone: str

    def __str__(self) -> str:
        return f"{self.seconds} {self.zone}"

    @property
    def day(self) -> str:
        """The date where it was, as `git log --date=short` shows it: `2026-11-28`; the last there is beyond that."""
        digits = self.zone.lstrip("+-")
        east = (int(digits[:-2] or 0) * 60 + int(digits[-2:])) * (-60 if self.zone.startswith("-") else 60)
        try:
            return str(date(1970, 1, 1) + timedelta(seconds=self.seconds + east))
        except OverflowError:
            return str(date.max)


def later(first: When, second: When) -> When:
    """The later of two dates; the first on a tie."""
    return second if second.seconds > first.seconds else first


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit.  `author` is the raw author line (name, mail, date) in UTF-8, `message` UTF-8 bytes."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: bytes
    committer: Signature
    when: When
    message: bytes
    signed: bool = False  # it carries a signature, of whomever

    @property
    def text(self) -> str:
        """The message as git shows it, which ends at a NUL."""
        return visible(self.message).decode("utf-8", "replace")

    @property
    def subject(self) -> str:
        """First paragraph on one line, as `git log --format=%s` shows it."""
        paragraph = self.text.lstrip("\n").split("\n\n", 1)[0]
        return " ".join(line.strip() for line in paragraph.splitlines() if line.strip())

    @property
    def author_name(self) -> str:
        """`Name <mail>`."""
        found = person(self.author)
        return str(found[0]) if found else ""


def person(line: bytes) -> tuple[Signature, When] | None:
    """Who and when of an author or committer line, `Name <mail> seconds zone`; None where it is none.

    The mail begins at the first `<` after which nothing but the mail's own end closes one.
    """
    who, closed, when = line.rpartition(b"> ")
    date = _DATE.fullmatch(when)
    start = who.find(b"<", who.rfind(b">") + 1)
    if not closed or not date or start < 0 or b"\n" in who[:start]:
        return None
    name, mail = (part.decode(errors="replace") for part in (who[:start].removesuffix(b" "), who[start + 1 :]))
    return Signature(name=name, email=mail), When(seconds=int(date[1][:30]), zone=date[2].decode())


def parse_commit(sha: str, data: bytes) -> Commit:
    """Parse the content of a commit object.  Raises ValueError when it is none, or one that git cannot date.

    As git does it: the tree first, then the parents, and of a header that stands there twice the first.
    """
    head, _, message = data.partition(b"\n\n")
    rows = [line.partition(b" ")[::2] for line in head.split(b"\n") if not line.startswith(b" ")]
    parents = [value.decode() for _, value in takewhile(lambda row: row[0] == b"parent", rows[1:])]
    first = dict(reversed(rows))
    if rows[0][0] != b"tree" or not {b"author", b"committer"} <= set(first):
        raise ValueError(f"{sha} is not a well-formed commit")
    encoding = first.get(b"encoding", b"utf-8").decode("ascii", "replace")
    committer = person(_line(first[b"committer"], encoding))
    if not committer or committer[1].seconds >= _LATEST:
        raise ValueError(f"{sha} is not a well-formed commit")
    return Commit(
        sha=sha,
        tree=first[b"tree"].decode(),
        parents=tuple(parents),
        author=_line(first[b"author"], encoding),
        committer=committer[0],
        when=committer[1],
        message=_utf8(message, encoding),
        signed=_SIGNATURE in first,
    )


def without_signature(data: bytes, parent: str = "") -> bytes:
    """The content of a commit as it was before it was signed; where given, on another `parent` than its first."""
    head, separator, message = data.partition(b"\n\n")
    head = _SIGNED.sub(b"", head)
    if parent:
        head = _PARENT.sub(b"\nparent " + parent.encode(), head, count=1)
    return head + separator + message


def signature(data: bytes) -> bytes:
    """The header of a commit that holds its signature, b"" for none."""
    found = _SIGNED.search(data.partition(b"\n\n")[0])
    return found[0].lstrip(b"\n") if found else b""


def _line(data: bytes, encoding: str) -> bytes:
    """An author or committer line in UTF-8.  Git parses the bytes, so in an encoding of two bytes it stays as it is."""
    text = _utf8(data, encoding)
    return text if person(text) else data


def _utf8(data: bytes, encoding: str) -> bytes:
    """Re-encode as git does for a commit with an `encoding` header; unknown or wrong encodings stay as they are."""
    if encoding.lower() in {"utf-8", "utf8"}:
        return data
    try:
        name = codecs.lookup(encoding).name.replace("-", "_")
        return data if name in _NOT_OF_ICONV else data.decode(encoding).encode()
    except (LookupError, ValueError):
        return data


def encode_commit(*, tree: str, parents: tuple[str, ...], author: bytes, committer: bytes, message: bytes) -> bytes:
    """The content of a commit object; `author` and `committer` are whole lines with their dates."""
    lines = [b"tree " + tree.encode(), *(b"parent " + parent.encode() for parent in parents)]
    return b"\n".join([*lines, b"author " + author, b"committer " + committer, b"", message])


def object_id(kind: str, data: bytes) -> str:
    """The SHA-1 id of an object with this content."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, kw_only=True)
class TreeItem:
    """An entry of one tree object: octal mode as git stores it (`40000` for a directory), raw name, id."""

    mode: str
    name: bytes
    sha: str

    @property
    def is_tree(self) -> bool:
        return self.mode == "40000"


def parse_tree(data: bytes) -> list[TreeItem]:
    """The entries of a tree object (SHA-1 repositories: ids of 20 bytes)."""
    items, at = [], 0
    while at < len(data):
        space, end = data.index(b" ", at), data.index(b"\0", at)
        sha = data[end + 1 : end + 21].hex()
        items.append(TreeItem(mode=data[at:space].decode(), name=data[space + 1 : end], sha=sha))
        at = end + 21
    return items


def encode_tree(items: list[TreeItem]) -> bytes:
    """The content of a tree object: git sorts a directory as if its name ended in a slash."""
    ordered = sorted(items, key=lambda item: item.name + b"/" if item.is_tree else item.name)
    return b"".join(item.mode.encode() + b" " + item.name + b"\0" + bytes.fromhex(item.sha) for item in ordered)

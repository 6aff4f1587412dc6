"""Commit messages as git writes and reads them: trailers, `-x` lines, reverts, Conventional Commit subjects.

Pure text.  The rule of what a trailer block is follows git's trailer.c (2.39); tests compare the result with
`git cherry-pick -x` itself.
"""

from __future__ import annotations

import re

from orchestrator.core.dataclass import dataclass

_BLANKS = b" \t\r\n"  # what git calls space: no vertical tab, no form feed
_SIGNED_OFF = b"Signed-off-by: "
_GENERATED = (_SIGNED_OFF, b"(cherry picked from commit ")
_PICKED = re.compile(r"^\(cherry picked from commit ([0-9a-f]{40}|[0-9a-f]{64})\)$", re.MULTILINE)
_COPIED = re.compile(
    r"\((?:cherry[ -]picked|back-?ported) from commit ([0-9a-f]{7,40})\b[^)\n]*\)"
    r"|^\[ ?[Uu]pstream commit ([0-9a-f]{7,40}) ?\]|^commit ([0-9a-f]{7,40}) upstream\b",
    re.MULTILINE,
)
_APPENDED = re.compile(r"^(?:[A-Z][A-Za-z]*-(?:[Bb]y|[Tt]o)|Cc|CC|Fixes|Change-Id|Link):\s")
_REVERTS = re.compile(r"\bThis reverts commit ([0-9a-f]{7,64})\b")
_MERGE_REVERTED = re.compile(
    r"\b[Tt]his reverts commit ([0-9a-f]{7,64}),\s+reversing\s+changes\s+made\s+to\s+([0-9a-f]{7,64})\b"
)
_CONVENTIONAL = re.compile(r"^(?P<type>[a-zA-Z]+)(?:\((?P<scope>[^()\r\n]*)\))?(?P<breaking>!)?: (?P<text>\S.*)$")
_TAKEN_BACK = re.compile(r'^(?P<word>Revert|Reapply) "(?P<inner>.*)"$')  # how git revert names it
_MOST_REVERTS = 16  # of a revert of a revert ...
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE(?::[ \t]*| #)(?P<text>.*(?:\n.+)*)", re.MULTILINE)


def visible(message: bytes) -> bytes:
    """What git shows of a message, and picks of it: what is behind a NUL it never sees."""
    return message.partition(b"\0")[0]


def picked(message: bytes, source: str, signer: str = "") -> bytes:
    """`message` as `git cherry-pick -x` would write it for a pick of `source` (a full id); with a `signer`, `Name
    <mail>`, as `git cherry-pick -s -x`.

    Unlike git, who signed off once does not do so again after the line of the pick.
    """
    text = _skip_blank_lines(visible(message))
    if text and not text.endswith(b"\n"):
        text += b"\n"
    if not has_trailer_block(text):
        text += b"\n"
    return _strip_space(signed_off(text + b"(cherry picked from commit " + source.encode() + b")\n", signer))


def signed_off(message: bytes, signer: str) -> bytes:
    """`message` with the `Signed-off-by:` of a `signer`, among its trailers and not twice; as it is for ""."""
    line = _SIGNED_OFF + signer.encode()
    if not signer or (has_trailer_block(message) and line in _last_paragraph(message)):
        return message
    text = message if message.endswith(b"\n") else message + b"\n"
    return text + (b"" if has_trailer_block(text) else b"\n") + line + b"\n"


def _last_paragraph(text: bytes) -> list[bytes]:
    return text.rstrip(b"\n").rpartition(b"\n\n")[2].split(b"\n")


def _strip_space(message: bytes) -> bytes:
    """`git stripspace`, which `cherry-pick -x` applies: no blanks at line ends, single empty lines, none around."""
    kept: list[bytes] = []
    for line in (line.rstrip(_BLANKS) for line in message.split(b"\n")):
        if line or (kept and kept[-1]):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return b"\n".join(kept) + b"\n"


def _skip_blank_lines(message: bytes) -> bytes:
    while message:
        line, newline, rest = message.partition(b"\n")
        if line.strip(_BLANKS):
            return message
        if not newline:
            return b""
        message = rest
    return message


def has_trailer_block(text: bytes) -> bool:
    """Whether the last paragraph is what git takes for trailers, so that another may follow directly."""
    lines = text.split(b"\n")
    if lines and lines[-1] == b"":
        lines.pop()
    title_end = next((n for n, line in enumerate(lines) if _is_blank(line)), len(lines))
    trailers = others = continuation = 0
    recognised = seen = False
    for line in reversed(lines[title_end:]):
        if line.startswith(b"#"):
            others, continuation = others + continuation, 0
        elif _is_blank(line):
            if seen:
                others += continuation
                return (recognised and trailers * 3 >= others) or (trailers > 0 and others == 0)
        elif line.startswith(_GENERATED):
            trailers, continuation, recognised, seen = trailers + 1, 0, True, True
        elif line[:1] in (b" ", b"\t", b"\r"):
            continuation, seen = continuation + 1, True
        elif _separator(line) >= 1:
            trailers, continuation, seen = trailers + 1, 0, True
        else:
            others, continuation, seen = others + 1 + continuation, 0, True
    return False


def _is_blank(line: bytes) -> bool:
    return not line.strip(_BLANKS)


def _separator(line: bytes) -> int:
    """Position of the `:` that ends a trailer's key, or -1: letters, digits, dashes, then blanks."""
    blank = False
    for position, char in enumerate(line):
        if char == ord(":"):
            return position
        if not blank and (chr(char).isascii() and (chr(char).isalnum() or char == ord("-"))):
            continue
        if position and char in b" \t":
            blank = True
            continue
        break
    return -1


def origins(message: str) -> tuple[str, ...]:
    """Ids named by `(cherry picked from commit ...)` lines, in order: the last is the direct source."""
    return tuple(_PICKED.findall(message))


def copied_from(message: str) -> tuple[str, ...]:
    """Ids (perhaps abbreviated) that a message says it is a copy of, in order, in git's words or a project's own."""
    if "from commit" not in message and "pstream" not in message:
        return ()
    return tuple(found for match in _COPIED.finditer(message) for found in match.groups() if found)


def without_origins(message: str) -> str:
    """The message without the notes that `copied_from` reads."""
    return _COPIED.sub("", message)


def without_trailers(message: str) -> str:
    """What a message says, without the trailers and notes of origin that a pick may add."""
    lines = [line.rstrip() for line in without_origins(message).splitlines()]
    return "\n".join(line for line in lines if line and not _APPENDED.match(line))


def reverted(message: str) -> tuple[str, ...]:
    """Ids (perhaps abbreviated) that the message says it reverts."""
    return tuple(_REVERTS.findall(message))


def reverted_merges(message: str) -> tuple[tuple[str, str], ...]:
    """(merge, the parent whose side was kept): the merges that git says it reverts, perhaps abbreviated both."""
    return tuple(_MERGE_REVERTED.findall(message))


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A Conventional Commit subject; `type` is "" where the subject is not one."""

    type: str = ""
    scope: str = ""
    breaking: bool = False
    text: str = ""


def conventional(subject: str) -> Subject:
    """Parse a subject by conventionalcommits.org 1.0; git's own `Revert "..."` has the type `revert`.

    What takes back a revert brings the change in again, so it has that change's type.
    """
    takes_back = False
    for _ in range(_MOST_REVERTS):
        if not (undone := _TAKEN_BACK.match(subject)):
            break
        takes_back ^= undone["word"] == "Revert"
        subject = undone["inner"]
    if takes_back:
        return Subject(type="revert", text=subject)
    match = _CONVENTIONAL.match(subject)
    if not match:
        return Subject(text=subject)
    return Subject(
        type=match["type"].lower(),
        scope=match["scope"] or "",
        breaking=bool(match["breaking"]),
        text=match["text"],
    )


def is_feature(message: str) -> bool:
    """Whether a commit adds a feature by its own words; `feature` is what some write for `feat`."""
    return conventional(_first_line(message)).type in ("feat", "feature")


def breaks(message: str) -> str:
    """What a commit breaks by its own words: the `BREAKING CHANGE` footer, or the subject with `!`; else ""."""
    text = message.replace("\r\n", "\n").strip()
    footer = _BREAKING.search(text, text.find("\n") + 1) if "\n" in text else None
    if footer:
        lines = footer["text"].split("\n")
        own = [line for n, line in enumerate(lines) if n == 0 or _separator(line.encode()) < 1]
        return " ".join(" ".join(own).split()) or "a breaking change"
    subject = conventional(_first_line(text))
    return subject.text if subject.breaking else ""


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0].rstrip()

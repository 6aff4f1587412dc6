"""A yank: the mark that a released version is not to be used any more.

It is a JSON blob at `refs/release-yanks/<version>`, made once and never changed, beside the record of the release.  The
ref is the mark; what cannot be read in it is still one.  Tags, images and records of a yanked version stay.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from orchestrator import tool_version
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError
from orchestrator.core.versions import parse_tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

SCHEMA_VERSION = 1
PREFIX = "refs/release-yanks/"
NOWHERE = "none"  # --floating-to: leave the floating tags where they are
PENDING = "yank"  # private ref of a release, from before the mark is public until the last tag has moved


@dataclass(frozen=True, kw_only=True)
class Move:
    """A floating tag of a repository that goes from one digest back to another."""

    repository: str
    tag: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Yank:
    """`back_to` is the version that the floating tags go to, "" where none goes anywhere.

    `digests` are those of the yanked images; `moves` is what was to be moved when the yank was made, and `left` a line
    for each floating tag that was to stay.
    """

    version: str
    reason: str
    by: str = ""  # "Name <mail>"
    at: str = ""  # UTC, RFC 3339
    commit: str = ""
    back_to: str = ""
    digests: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """When, by whom and why, in words."""
        who = f" by {self.by}" if self.by else ""
        when = f" on {self.at[:10]}" if self.at else ""
        return f"yanked{when}{who}: {self.reason}"


_KEYS = {"schema_version", "tool", *(each.name for each in fields(Yank))}


def yank_ref(version: str) -> str:
    """The ref that marks a version, here and on the remote."""
    return f"{PREFIX}{version}"


def document(yank: Yank) -> dict[str, Any]:
    """A yank as other tools read it."""
    return {"schema_version": SCHEMA_VERSION, **asdict(yank)}


def render(yank: Yank) -> bytes:
    """The bytes that are stored."""
    data = {**document(yank), "tool": {"name": "release", "version": tool_version()}}
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read(version: str, data: bytes) -> Yank:
    """The yank of a version; one that cannot be read is a yank without details."""
    return parse(version, data) or Yank(
        version=version, reason=f"{yank_ref(version)} holds no account that this tool can read"
    )


def parse(version: str, data: bytes) -> Yank | None:
    """The yank of a version, None for what is none, or one of another version."""
    try:
        return _parsed(version, json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _parsed(version: str, data: Mapping[str, Any]) -> Yank:
    if (data["schema_version"], data["version"]) != (SCHEMA_VERSION, version):
        raise ValueError(data["version"])
    tool = data.get("tool")
    ours = not isinstance(tool, dict) or tool.get("version") == tool_version()
    if ours and (strange := set(data) - _KEYS):  # another version of this tool may write more
        raise ValueError(strange)
    return Yank(
        version=version,
        reason=str(data["reason"]),
        by=str(data["by"]),
        at=str(data["at"]),
        commit=str(data["commit"]),
        back_to=str(data["back_to"]),
        digests=tuple(str(digest) for digest in data["digests"]),
        moves=tuple(Move(**{key: str(value) for key, value in move.items()}) for move in data["moves"]),
        left=tuple(str(line) for line in data["left"]),
    )


def known(repository: Repository, scratch: Scratch, remote: str, refs: Mapping[str, str]) -> dict[str, Yank]:
    """Version -> yank, of refs (name -> object) of this clone or of the remote.  Nothing in the clone changes."""
    marks = {ref: sha for ref, sha in refs.items() if ref.startswith(PREFIX) and parse_tag(ref.removeprefix(PREFIX))}
    missing = [ref for ref, sha in marks.items() if not scratch.has(sha)]
    if missing:
        repository.bring(scratch, remote, missing)
    return {ref.removeprefix(PREFIX): _of(scratch, ref.removeprefix(PREFIX), sha) for ref, sha in marks.items()}


def _of(scratch: Scratch, version: str, sha: str) -> Yank:
    kind, data = scratch.read(sha)
    return read(version, data if kind == "blob" else b"")


def ask(repository: Repository, scratch: Scratch, remote: str) -> dict[str, Yank]:
    """All yanks, by the remote's word.  Raises RemoteError."""
    return known(repository, scratch, remote, repository.ls_remote(remote, f"{PREFIX}*").refs)


def heard(repository: Repository, scratch: Scratch, remote: str, *, offline: bool) -> tuple[dict[str, Yank], str]:
    """All yanks as far as they can be heard of: the remote's, else this clone's; and what to say of that, or ""."""
    said = ""
    if not offline and repository.remote_url(remote):
        try:
            return ask(repository, scratch, remote), ""
        except RemoteError as error:
            said = f"{error.message}: who yanked what is told by this clone alone"
    return known(repository, scratch, remote, repository.refs(PREFIX.rstrip("/"))), said

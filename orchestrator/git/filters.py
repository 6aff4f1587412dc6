"""Files as git stores them: what its clean filters (line ends, `ident`, a filter of the user) make of a file."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.git.process import Git

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

_IDENT = re.compile(rb"\$Id:[^$\r\n]*\$")
_ATTRIBUTES = ("text", "eol", "ident")
_CRLF, _LF = b"\r\n", b"\n"


def as_added(repository: Repository, scratch: Scratch, path: str) -> bytes:
    """What `git add` would store of a file of the work tree.  Nothing in the repository changes.

    Raises UsageError where a filter that is required cannot run.
    """
    env = scratch.borrowing(repository.common_dir / "objects") | {"GIT_INDEX_FILE": str(scratch.path / "index")}
    here = repository.git.run("ls-files", "--stage", "-z", "--", f":(literal,top){path}").stdout
    git = Git(repository.top, env={**repository.git.env, **env}, config=(("core.safecrlf", "false"),))
    git.run("update-index", "-z", "--index-info", stdin=here)  # whether a file had CRLF before counts
    output = git.attempt("update-index", "--add", "--", path)
    if output.status:
        raise UsageError(
            f"git cannot store {path}: {(output.stderr.strip().splitlines() or ['no message'])[-1]}",
            where=path,
            remedy=f"`git add -- {path}` must work: install or correct its filter (`git check-attr -a -- {path}`)",
            code="filter-failed",
            detail=output.stderr,
        )
    row = git.run("ls-files", "--stage", "-z", "--", f":(literal,top){path}").fields()[0]
    return scratch.blob(row.split(" ")[1])


def as_stored(scratch: Scratch, tree: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as a commit on `tree` must have them, so that a clone of it is clean: by the attributes there."""
    attributes = _attributes(scratch, tree, list(files))
    return {path: _cleaned(data, scratch.file(tree, path), attributes.get(path, {})) for path, data in files.items()}


def _cleaned(data: bytes, old: bytes | None, attributes: Mapping[str, str]) -> bytes:
    text, eol = attributes.get("text", "unspecified"), attributes.get("eol", "unspecified")
    is_text = text == "set" or (text == "unspecified" and eol in ("lf", "crlf"))
    if text == "auto":  # a file that was stored with CRLF keeps them
        is_text = b"\0" not in data and (old is None or _CRLF not in old)
    if is_text:
        data = data.replace(_CRLF, _LF)
    return _IDENT.sub(b"$Id$", data) if attributes.get("ident") == "set" else data


def _attributes(scratch: Scratch, tree: str, paths: list[str]) -> dict[str, dict[str, str]]:
    """Path -> attribute -> value, by the `.gitattributes` of a tree."""
    found: dict[str, dict[str, str]] = {}
    if not (files := scratch.attribute_files(tree)):
        return found
    with tempfile.TemporaryDirectory(dir=scratch.path) as folder:
        for path, sha in files:
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(scratch.blob(sha))
        git = Git(Path(folder), env={**scratch.git.env, "GIT_WORK_TREE": folder})
        fields = git.run("check-attr", "-z", *_ATTRIBUTES, "--", *paths).fields()
    for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        found.setdefault(path, {})[name] = value
    return found

"""Commits as a file: a git bundle of those that the release branch and its sources do not have."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.git.records.place import Clone
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Layer

LARGEST: Final = 64 * 1024 * 1024  # bytes
_ID: Final = re.compile(r"[0-9a-f]{40}")


def is_id(text: str) -> bool:
    """Whether this is the full id of an object."""
    return _ID.fullmatch(text) is not None


def has(repository: Clone, sha: str) -> bool:
    """Whether a commit is here."""
    return repository.git.attempt("cat-file", "-e", f"{sha}^{{commit}}").status == 0


def made(repository: Clone, ref: str, sha: str, without: Sequence[str]) -> bytes | None:
    """What `ref` of this clone, which is `sha`, has and these refs have not, as far as they are here.

    None where it is too large, or this clone has not all of it.
    """
    known = [f"^{tip}" for tip in map(repository.resolve, without) if tip and tip != sha]
    with tempfile.TemporaryDirectory(prefix="release-bundle-") as where:
        path = Path(where) / "bundle"
        if repository.git.attempt("bundle", "create", "--quiet", str(path), ref, *dict.fromkeys(known)).status:
            return None
        return path.read_bytes() if path.stat().st_size <= LARGEST else None


def download(registry: Registry, layer: Layer) -> bytes:
    """A file of some size.  Raises RemoteError for one that is too large."""
    out = io.BytesIO()
    registry.download_blob(layer.digest, out, limit=LARGEST)
    return out.getvalue()


def bring(repository: Clone, registry: Registry, layer: Layer, sha: str) -> bool:
    """Have the commits of a bundle in the repository, under no ref; whether `sha` is one of them."""
    with tempfile.TemporaryDirectory(prefix="release-bundle-") as where:
        path = Path(where) / "bundle"
        path.write_bytes(download(registry, layer))
        done = repository.git.attempt("bundle", "unbundle", str(path))
    return done.status == 0 and has(repository, sha)

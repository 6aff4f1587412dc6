"""A few refs of a remote repository, for somebody without a clone."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.git.process import Git
from orchestrator.git.repository import unreachable
from orchestrator.git.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@contextmanager
def fetch_refs(url: str, refs: Sequence[str]) -> Iterator[tuple[Scratch, Mapping[str, str]]]:
    """A store with what these refs hold, and ref -> id for those that are there.  Raises RemoteError.

    Only the newest commit of each is brought.
    """
    with tempfile.TemporaryDirectory(prefix="release-remote-") as where:
        git = Git(Path(where))
        git.run("init", "--quiet", "--bare", ".")
        output = git.attempt("ls-remote", "--", url, *refs)
        if output.status:
            raise unreachable(url, output)
        rows = [line.split("\t") for line in output.lines()]
        found = {name: sha for sha, name in rows if name in refs}
        if found:
            fetched = git.attempt(
                "fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--", url,
                *(f"+{ref}:{ref}" for ref in found),
            )  # fmt: skip
            if fetched.status:
                raise unreachable(url, fetched)
        with Scratch.open(Path(where) / "objects") as scratch:
            yield scratch, found

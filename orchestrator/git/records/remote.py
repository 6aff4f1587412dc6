"""A remote asked without a clone: what some of its refs hold, in a store of its own."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.git.process import FETCH, Git
from orchestrator.git.repository import unreachable
from orchestrator.git.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.git.conversation import Silence


@contextmanager
def fetch_refs(url: str, refs: Sequence[str], silence: Silence) -> Iterator[tuple[Scratch, Mapping[str, str]]]:
    """A store with what these refs hold, and ref -> id for those that are there.  Raises RemoteError.

    Only the newest commit of each is brought.
    """
    with tempfile.TemporaryDirectory(prefix="release-remote-") as where:
        git = Git(Path(where), env={"GIT_DIR": where})  # named, for who has safe.bareRepository=explicit
        git.silence = silence
        git.run("init", "--quiet", "--bare")
        output = git.talk(url, "ls-remote", "--", url, *refs)
        if output.status:
            raise unreachable(url, output)
        rows = [line.split("\t") for line in output.lines()]
        found = {name: sha for sha, name in rows if name in refs}
        if found:
            fetched = git.talk(url, *FETCH, "--depth=1", "--", url, *(f"+{ref}:{ref}" for ref in found))
            if fetched.status:
                raise unreachable(url, fetched)
        with Scratch.open(Path(where) / "objects") as scratch:
            yield scratch, found

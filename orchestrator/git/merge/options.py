"""Picks that a person gives git's strategy options for.

`merge-tree` takes none before git 2.44.  So git's own cherry-pick does it, in a work tree from which everything is left
out: an index of the branch's tree, and no file but those in conflict.  Attributes are read from that index.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.pick import Conflict
from orchestrator.git.merge.result import Merge, links_among
from orchestrator.git.process import Git, failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SPARSE = (("core.sparseCheckout", "true"), ("core.sparseCheckoutCone", "false"), ("rerere.enabled", "false"))
_NO_FILE = "/.git/none\n"  # a pattern that no file of a tree can match
_SAID = re.compile(r"^CONFLICT \(([^)]*)\): (.*)$", re.MULTILINE)
_NOBODY = {"GIT_COMMITTER_NAME": "release", "GIT_COMMITTER_EMAIL": "release@localhost"}


def picked_with(options: Sequence[str], *, gitdir: Path, env: Mapping[str, str], ours: str, theirs: str) -> Merge:
    """What `git cherry-pick -X OPTION` makes of commit `theirs`, against its parent, on tree `ours`."""
    (gitdir / "info").mkdir(exist_ok=True)
    (gitdir / "info/sparse-checkout").write_text(_NO_FILE)
    with tempfile.TemporaryDirectory(dir=gitdir.parent) as folder:
        place = Path(folder) / "tree"
        place.mkdir()
        where = {"GIT_WORK_TREE": str(place), "GIT_INDEX_FILE": f"{folder}/index"}
        git = Git(place, env={**env, **_NOBODY, **where}, config=_SPARSE)
        git.run("read-tree", "-m", "-u", ours)
        args = ("cherry-pick", "--no-commit", *(f"-X{each}" for each in options), theirs)
        output = git.attempt(*args)
        if output.status not in (0, 1):
            raise failure(args, output)
        if output.status == 0:
            return Merge(tree=git.text("write-tree"))
        stages = git.run("ls-files", "-u", "-z").fields()
        if not stages:
            raise failure(args, output)
        aside = re.compile(rf"~(?:HEAD|{theirs[:7]}[0-9a-f]* \(x\))$")  # a file in a directory's way
        paths = sorted({aside.sub("", stage.partition("\t")[2]) for stage in stages})
        said = _SAID.findall(output.text)
        return Merge(
            tree=git.text("rev-parse", "AUTO_MERGE"),
            conflicts=tuple(Conflict(path=path, kind=_kind(path, said)) for path in paths),
            links=links_among(stages),
        )


def _kind(path: str, said: Sequence[tuple[str, str]]) -> str:
    """In git's word, by what it says of the file."""
    return next((kind for kind, words in said if path in words.split(" ")), "content")

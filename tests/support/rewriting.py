"""Written anew by somebody who has the whole server: some commits of a release, and its tag on what came of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.story import Repo

BRANCH, TAG, RECORD = "refs/heads/release/v2.7", "refs/tags/v2.7.1", "refs/release-records/v2.7.1"


def rewrite(server: Repo, number: int, change: Callable[[int, str], str]) -> dict[str, str]:
    """Change the last `number` commits of a release as text, oldest first; branch and tag follow, the record goes.

    Returns old id -> new id.
    """
    head = server.rev(f"{TAG}^{{commit}}")
    ids: dict[str, str] = {}
    for at, old in enumerate(server.git("rev-list", "--reverse", f"-{number}", head).split()):
        text = server.attempt("cat-file", "commit", old).stdout
        parent = re.findall("^parent ([0-9a-f]{40})$", text, re.MULTILINE)[0]
        text = change(at, text.replace(parent, ids.get(parent, parent), 1))
        ids[old] = server.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text)
    tag = server.attempt("cat-file", "tag", TAG).stdout
    for old, new in ids.items():
        tag = tag.replace(old, new)
    server.git("update-ref", BRANCH, ids[head])
    server.git("update-ref", TAG, server.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=tag))
    server.git("update-ref", "-d", RECORD)
    return ids

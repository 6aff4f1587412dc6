"""A bare repository whose server takes branches and tags, and no other ref."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.story import Repo

_HOOK = """#!/bin/sh
while read -r old new ref; do
  case "$ref" in refs/heads/*|refs/tags/*) ;; *) echo "ref $ref is not allowed here" >&2; exit 1;; esac
done
"""


def only_heads_and_tags(remote: Repo) -> None:
    """From now on a push of any other ref is refused."""
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_HOOK)
    hook.chmod(0o755)


def other_refs(remote: Repo) -> list[str]:
    """What there is beside branches and tags."""
    refs = remote.git("for-each-ref", "--format=%(refname)").split()
    return [ref for ref in refs if not ref.startswith(("refs/heads/", "refs/tags/"))]

"""A bare repository whose server lets onto release branches only commits that it likes, beside the tool's own hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Repo

# As the push rules of forges do it: each new commit of a release branch, judged by git in the quarantine of the push.
_HOOK = """#!/bin/sh
refs=$(cat)
own="$(dirname "$0")/pre-receive.own"
echo "$refs" | while read -r old new ref; do
  case "$ref" in refs/heads/release/*) ;; *) continue ;; esac
  [ "$new" = 0000000000000000000000000000000000000000 ] && continue
  for commit in $(git rev-list "$new" --not --all); do
    {rule} || exit 1
  done
done || exit 1
[ -x "$own" ] || exit 0
echo "$refs" | "$own"
"""
SIGNED_OFF = r"""
    who=$(git show -s --format='Signed-off-by: %cn <%ce>' "$commit")
    git show -s --format=%B "$commit" | git interpret-trailers --parse | grep -qxF "$who" ||
      { echo "push rule: $commit is not signed off by its committer" >&2; false; }
"""
SIGNED = r"""
    git verify-commit "$commit" 2>/dev/null || { echo "push rule: $commit is not signed" >&2; false; }
"""


def demand(server: Repo, rule: str) -> Path:
    """From now on the server has that rule, before the hook that it has already."""
    hook = server.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    if hook.exists():
        hook.rename(hook.with_name("pre-receive.own"))
    hook.write_text(_HOOK.replace("{rule}", "{ " + rule.strip() + "; }"))
    hook.chmod(0o755)
    return hook

"""Records that a branch keeps (`records: branch NAME`), judged as the refs that they stand for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import ON_BRANCH
from orchestrator.core.errors import Exit
from orchestrator.core.results import Problem
from orchestrator.git.push import ZERO
from orchestrator.git.records.entries import entries, linked
from orchestrator.guard.received_push import Update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.git.scratch import Scratch
    from orchestrator.guard.repository import GuardedRepository

_HEADS = "refs/heads/"


@dataclass(kw_only=True)
class StoredRecords:
    """The branches that release.yaml of the protected branch keeps records on."""

    standing: GuardedRepository
    scratch: Scratch

    @cached_property
    def branches(self) -> set[str]:
        told = (line.config.records for line in self.standing.known_lines)
        return {each.removeprefix(ON_BRANCH) for each in told if each.startswith(ON_BRANCH)}

    def learn(self) -> None:
        """From now on what they keep are refs of the repository."""
        refs = self.standing.receiving.refs
        for name in self.branches:
            self.standing.receiving.learn(self._kept(refs.get(_HEADS + name, ZERO)))

    def updates(self, update: Update) -> list[Update]:
        """What a push to such a branch does to the refs that it stands for, which may be older than the branch."""
        if not update.ref.startswith(_HEADS) or update.short not in self.branches:
            return []
        before, after, refs = self._kept(update.old), self._kept(update.new), self.standing.receiving.refs
        return [
            Update(ref=ref, old=before.get(ref) or refs.get(ref, ZERO), new=after.get(ref, ZERO))
            for ref in sorted({**before, **after})
            if before.get(ref) != after.get(ref)
        ]

    def lost(self, update: Update) -> list[Problem]:
        """What the branch says to keep, and does not."""
        for sha in dict.fromkeys(linked(self.scratch.git, update.new)):
            if self.scratch.git.attempt("merge-base", "--is-ancestor", sha, update.new).status:
                return [Problem(
                    code="sources-differ", message=f"{update.short} names {sha[:12]}, and does not keep it",
                    where=update.ref, remedy="leave it to the release that writes it", exit_code=Exit.REFUSED,
                )]  # fmt: skip
        return []

    def _kept(self, tip: str) -> Mapping[str, str]:
        return {} if tip == ZERO or self.scratch.header(tip)[0] != "commit" else entries(self.scratch.git, tip)

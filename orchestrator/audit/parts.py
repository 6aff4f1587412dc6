"""The commits that a version brought; of a release that landed as one commit those that were proposed.

They are judged in its place, and it is held to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.audit.verdicts import CommitVerdict, Kind
from orchestrator.core.plan import Form
from orchestrator.landing.forms import squash_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.core.pick import Pick
    from orchestrator.git.scratch import Scratch
    from orchestrator.plan.account import Account


@dataclass(frozen=True, kw_only=True)
class Part:
    """The commits that one version brought, oldest first; `version` "" for those that no tag holds.

    `config` is release.yaml as it counts for them; None: nobody knows what was declared, and nothing is undeclared.
    `account` is what the version says of itself; None for a tag that lists no picks, and where none is.  `head` is the
    commit that the version names.  `other_tool`: another version of this tool wrote the changelog, so its text may
    differ.
    """

    version: str
    commits: tuple[str, ...]
    config: Config | None = None
    config_path: str = "release.yaml"
    account: Account | None = None
    head: str = ""
    other_tool: bool = False

    def listed(self, sha: str) -> tuple[Pick, ...]:
        """The picks that the tag lists as this commit."""
        return self.account.shipped_as(sha) if self.account else ()


@dataclass(frozen=True, kw_only=True)
class Unfolded:
    """The parts with what was proposed in place of what was squashed; the verdict of each such commit, by its id."""

    parts: tuple[Part, ...]
    verdicts: Mapping[str, CommitVerdict]


def unfold(scratch: Scratch, parts: Sequence[Part]) -> Unfolded:
    """Where a squash is not what was proposed, or that is not here, its verdict says so, and nothing is unfolded."""
    found: list[Part] = []
    verdicts: dict[str, CommitVerdict] = {}
    for part in parts:
        landing = part.account.landing if part.account else None
        if landing is None or landing.form is not Form.SQUASH or part.head not in part.commits:
            found.append(part)
            continue
        verdicts[part.head] = verdict = _verdict(scratch, part)
        planned = part.account.proposed if part.account and verdict.kind is Kind.SQUASH else ()
        at = part.commits.index(part.head)
        commits = (*part.commits[:at], *planned, *part.commits[at + 1 :])
        found.append(replace(part, commits=commits, head=planned[-1] if planned else part.head))
    return Unfolded(parts=tuple(found), verdicts=verdicts)


def _verdict(scratch: Scratch, part: Part) -> CommitVerdict:
    account, commit = part.account, scratch.commit(part.head)
    planned = account.landing.planned if account and account.landing else ""
    sources = tuple(pick.source for pick in account.picks if pick.result == part.head) if account else ()
    made = CommitVerdict(
        sha=part.head, subject=commit.subject, version=part.version, kind=Kind.SQUASH, proof=Kind.SQUASH,
        sources=sources, listed=True,
    )  # fmt: skip
    if not account or not account.proposed:
        return replace(made, kind=Kind.UNKNOWN, proof=Kind.UNKNOWN, sources=(), missing=(planned,))
    fault = squash_fault(scratch, part.head, account.proposed)
    if not fault:
        return made
    return replace(made, kind=Kind.FOREIGN, proof=Kind.FOREIGN, sources=(), notes=(f"as a squash it {fault}",))

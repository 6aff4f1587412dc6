"""What was proposed in a guarded repository: what landed by a pull request is held against it, and believed no further.

A merge that adds nothing to what it merges is walked through; what a forge squashed is proved by the commits that were
proposed; and a release without a tag yet may have been decided as its proposal says.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import LARGEST
from orchestrator.core.errors import ReleaseError
from orchestrator.core.plan import LandingForm, proposed_version
from orchestrator.core.tag_message import landed_as, renamed
from orchestrator.core.versions import parse_tag
from orchestrator.git.batch import outside
from orchestrator.landing import forms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch

_TAG = re.compile(r"object ([0-9a-f]{40})\ntype commit\ntag ([^\n]*)\n")


@dataclass(frozen=True, kw_only=True)
class ProposedVersions:
    """`refs` are all refs of the repository as it was before the push."""

    scratch: Scratch
    refs: Mapping[str, str]

    @cached_property
    def _known(self) -> dict[str, tuple[str, str]]:
        """Version -> (release commit, message of its tag object), of what is well formed."""
        found = {}
        for ref, sha in self.refs.items():
            version = proposed_version(ref)
            if parse_tag(version) is None:
                continue
            kind, size = self.scratch.header(sha)
            data = self.scratch.read(sha)[1] if kind == "tag" and size <= LARGEST else b""
            head, _, message = data.decode("utf-8", "replace").partition("\n\n")
            tag = _TAG.match(head + "\n")
            if tag and tag[2] == version and self.scratch.is_commit(tag[1]):
                found[version] = (tag[1], message)
        return found

    def rebased(self, version: str, made: str, commit: Commit) -> bool:
        """Whether a release commit is one that was proposed, under another committer and date."""
        wanted = self.scratch.commit(made)
        same = (wanted.tree, wanted.parents, wanted.message) == (commit.tree, commit.parents, commit.message)
        return same and version in self._known

    def message(self, version: str, commit: str) -> str:
        """What was decided, by the proposal of this release commit, or of one that it is the rebase of; "" for none."""
        head, message = self._known.get(version, ("", ""))
        if not head or head == commit:
            return message
        planned, landed = self._chains(message, head, commit)
        if not landed or forms.rebase_fault(self.scratch, landed, planned):
            return ""
        return renamed(message, dict(zip(planned, landed, strict=True)))

    def before_rebase(self, version: str, commit: str) -> Commit | None:
        """The release commit that was proposed, where a forge rebased it to this one; None for any other."""
        head, _ = self._known.get(version, ("", ""))
        return self.scratch.commit(head) if head not in ("", commit) and self.message(version, commit) else None

    def squashed(self, commit: Commit) -> list[str]:
        """The proposed commits that a commit is the squash of, oldest first; empty where it is none."""
        for head, message in self._known.values():
            planned = forms.chain(self.scratch, head, message)
            if not planned or head == commit.sha or forms.squash_fault(self.scratch, commit.sha, planned):
                continue
            if len(planned) > 1 or forms.rebase_fault(self.scratch, [commit.sha], planned):
                return planned
        return []

    def merged(self, commit: Commit) -> bool:
        """Whether a commit is a merge of something proposed that adds nothing to it, on what that stands on."""
        if not self._known or len(commit.parents) != 2:
            return False
        onto, brought = commit.parents
        if self.scratch.tree_of(brought) != commit.tree:
            return False
        return not outside(self.scratch, [onto], [brought])

    def fault(self, version: str, message: str, commit: str) -> str:
        """What is wrong with the way in which a tag says that it landed, as the end of a sentence."""
        landing = landed_as(message, commit)
        if landing is None:
            return ""
        head, told = self._known.get(version, ("", ""))
        if landing.planned != head:
            return f"says that {landing.planned[:12]} was proposed, and nobody proposed that here"
        planned, landed = self._chains(told, head, commit)
        try:
            if landing.form is LandingForm.SQUASH:
                wrong = forms.squash_fault(self.scratch, commit, planned)
            else:
                wrong = forms.rebase_fault(self.scratch, landed, planned) if landed else "has another history"
        except ReleaseError as error:
            wrong = error.message
        return f"is no {landing.form} of {head[:12]}: it {wrong}" if wrong else ""

    def _chains(self, message: str, head: str, commit: str) -> tuple[list[str], list[str]]:
        planned, landed = (forms.chain(self.scratch, sha, message) for sha in (head, commit))
        return planned, landed if planned else []

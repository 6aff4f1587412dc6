"""What a commit of a release branch is a pick of: by its trailers, by equal patches, by the number of a request.

All of these only name candidates.  The change must bear them out: it is equal, or half of the lines of the smaller one
are in both.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import copied_from
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import DecisionError
from orchestrator.git import changes
from orchestrator.git.batch import outside
from orchestrator.picks.equivalents import TRAILER, match, unlike
from orchestrator.picks.requests import frozen, written

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.git.changes import CommitChange
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.undeclared import Since

_NUMBER = re.compile(r"(?:[#!]|/(?:pull|pulls|merge_requests)/)([1-9][0-9]{0,8})\b")


@dataclass(frozen=True, kw_only=True)
class FoundOrigin:
    """A commit of the branch, and what it is a pick of: itself where nothing tells.  `by` is what told."""

    change: CommitChange
    sources: tuple[str, ...]
    by: str = ""
    why: str = ""  # why a name that it has does not count, as the middle of a sentence
    taken: tuple[str, ...] = ()  # those found that are declared already, by an entry or for an earlier commit

    @property
    def subject(self) -> str:
        return self.change.message.partition("\n")[0]

    @property
    def is_made_here(self) -> bool:
        return self.sources == (self.change.sha,)


@dataclass(kw_only=True)
class SourceSearch:
    """Looks for the sources of the commits that came to a branch; `tips` are the source branches."""

    scratch: Scratch
    since: Since
    tips: Sequence[str]

    def find(self, kept: Sequence[CommitChange], declared: Collection[str]) -> list[FoundOrigin]:
        """What each is, in their order.  A source that is `declared`, or that an earlier commit carries, is taken."""
        told = self._by_trailer(kept)
        alike = self._by_patch([change for change in kept if change.sha not in told])
        rest = [change for change in kept if change.sha not in told and change.sha not in alike]
        asked = self._by_request(rest) if rest else {}
        taken, found = set(declared), []
        for change in kept:
            names, by = next((each[change.sha] for each in (told, alike, asked) if change.sha in each), ((), ""))
            free = tuple(sha for sha in names if sha not in taken)
            why = ", though it names one whose change it does not carry" if self._claims(change) and not names else ""
            taken.update(free)
            others = tuple(sha for sha in names if sha not in free)
            found.append(FoundOrigin(change=change, sources=free or (change.sha,), by=by, why=why, taken=others))
        return found

    # -------------------------------------------------------------- trailers

    def _claims(self, change: CommitChange) -> tuple[str, ...]:
        """The commits that its message says it is copied from and that are here, but not of the branch itself.

        Of a chain through several branches the one on a source branch counts, else the last.
        """
        named = (self.scratch.resolve(name) for name in copied_from(change.message))
        names = tuple(dict.fromkeys(sha for sha in named if sha and sha not in self.since.parents))
        if len(names) < 2:
            return names
        on_source = [sha for sha in names if self._is_on_source(sha)]
        behind = {origin for sha in on_source for origin in self._named_by(sha)}
        return tuple(sha for sha in on_source if sha not in behind) or names[-1:]

    def _named_by(self, sha: str) -> set[str]:
        return {full for name in copied_from(self.scratch.commit(sha).text) if (full := self.scratch.resolve(name))}

    def _is_on_source(self, sha: str) -> bool:
        return any(not outside(self.scratch, [sha], [tip]) for tip in self.tips)

    def _by_trailer(self, kept: Sequence[CommitChange]) -> dict[str, tuple[tuple[str, ...], str]]:
        claims = {change.sha: self._claims(change) for change in kept}
        borne_out = self._borne_out(kept, claims)
        return {sha: (found, TRAILER) for sha in claims if (found := borne_out.get(sha))}

    # -------------------------------------------------------------- equal patches

    def _by_patch(self, kept: Sequence[CommitChange]) -> dict[str, tuple[tuple[str, ...], str]]:
        """By the commits of the sources that the branch has not: the newest of several that are equal."""
        if not (kept and self.tips):
            return {}
        limits = (*self.tips, "--not", self.since.base)
        wanted = changes.of(self.scratch, {change.sha: change.parent for change in kept})
        paths = {path for change in wanted for path in change.paths}
        own = changes.messages(self.scratch, *limits)
        near = changes.log(self.scratch, *limits, paths=sorted(paths)) if own else []
        twins = match(self.scratch, wanted, own, near)
        return {sha: ((twin.sha,), twin.signals[0]) for sha, twin in twins.items()}

    # -------------------------------------------------------------- requests

    def _by_request(self, kept: Sequence[CommitChange]) -> dict[str, tuple[tuple[str, ...], str]]:
        """By the number of a request of a source branch that a commit, or the merge that brought it, speaks of."""
        merged = self._merge_texts()
        numbers = {
            change.sha: list(dict.fromkeys(map(int, _NUMBER.findall(f"{change.message}\n{merged[change.sha]}"))))
            for change in kept
        }
        found: dict[str, tuple[tuple[str, ...], str]] = {}
        for number in dict.fromkeys(each for named in numbers.values() for each in named):
            wanted = [change for change in kept if number in numbers[change.sha] and change.sha not in found]
            commits = self._commits_of(number) if wanted else ()
            borne_out = self._borne_out(wanted, {change.sha: commits for change in wanted})
            found |= {sha: (those, f"request #{number}") for sha, those in borne_out.items() if those}
        return found

    def _merge_texts(self) -> defaultdict[str, str]:
        """Commit -> the messages of the merges that brought it to the branch."""
        texts: defaultdict[str, str] = defaultdict(str)
        for merge in self.since.merges:
            for sha in self.since.brought(merge):
                texts[sha] += f"{self.scratch.commit(merge).text}\n"
        return texts

    def _commits_of(self, number: int) -> tuple[str, ...]:
        if number not in self._requests:
            return ()
        try:
            found = frozen(self.scratch, number, self.tips)
        except DecisionError:  # it was merged twice: nobody knows which one was picked
            return ()
        if found is None:
            return ()
        ids = self.scratch.rev_list("--reverse", found.last, f"^{found.first}", "--") if found.first else [found.last]
        return tuple(sha for sha in ids if sha not in self.since.parents)

    @cached_property
    def _requests(self) -> set[int]:
        """The numbers of the requests that the source branches have and the branch has not."""
        if not self.tips:
            return set()
        output = self.scratch.git.run(
            "log", "-z", "--encoding=UTF-8", "--format=%B", *self.tips, "--not", self.since.base, "--"
        )
        texts = output.fields()
        return {number for text in texts for number in map(int, _NUMBER.findall(text)) if written(number, text)}

    # -------------------------------------------------------------- what bears them out

    def _borne_out(
        self, kept: Sequence[CommitChange], claims: Mapping[str, Sequence[str]]
    ) -> dict[str, tuple[str, ...]]:
        """Commit -> those of the sources claimed for it whose change it carries."""
        mine = changes.of(self.scratch, {change.sha: change.parent for change in kept if claims[change.sha]})
        parents = {sha: next(iter(self.scratch.commit(sha).parents), "") for names in claims.values() for sha in names}
        theirs = changes.of(self.scratch, parents)
        digests = {change.sha: change.digest for change in theirs}
        pairs = [(change.sha, sha) for change in mine for sha in claims[change.sha]]
        strange = unlike(self.scratch, mine, theirs, pairs)
        return {
            change.sha: tuple(
                sha for sha in claims[change.sha]
                if (change.sha, sha) not in strange or digests[sha] == change.digest
            )
            for change in mine
        }  # fmt: skip

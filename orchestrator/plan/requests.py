"""Fixes named by a pull or merge request, frozen: plan, and release.yaml as the release commit carries it, have ids.

Git alone tells which commits a request became, so a server's hook and an audit find the same.  The forge, where it may
be asked, tells what git cannot: whether the number is an issue's, what became of the request, what was approved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.config import editor
from orchestrator.core.errors import DecisionError, ReleaseError, RemoteError, UsageError, as_problem
from orchestrator.core.plan import Judgement
from orchestrator.git.batch import outside
from orchestrator.landing.request import connect
from orchestrator.picks.requests import HEADS, Frozen, frozen
from orchestrator.picks.sources import moving
from orchestrator.session.branch_state import branch_and_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.declaration import Config, Fix
    from orchestrator.core.results import Problem
    from orchestrator.forges import Forge, RequestFacts
    from orchestrator.picks.requests import Frozen
    from orchestrator.session.session import Session


def freeze(session: Session, config: Config, version: str, tips: Mapping[str, str]) -> tuple[Config, Judgement]:
    """The file with the commits of each request that a version names, in its values and in its text, and what is wrong.

    `tips` are those of the source branches.  An entry that cannot be told is left out, and is a problem.
    """
    entry = config.release(version)
    if entry is None or all(fix.is_frozen for fix in entry.fixes):
        return config, Judgement()
    finder = _Finder(session, config, tips)
    found: dict[int, Frozen] = {}
    fixes: list[Fix] = []
    problems: list[Problem] = []
    notes: list[str] = []
    for fix in entry.fixes:
        if fix.is_frozen:
            fixes.append(fix)
            continue
        try:
            found[fix.pr] = made = finder.find(fix.pr)
        except ReleaseError as error:
            error.where = error.where or str(fix.place)
            problems.append(as_problem(error))
            continue
        fixes.append(made.of(fix))
        said = " ".join(made.keys.values())
        notes.append(f"request {fix.declared} is {said}: release.yaml in the release commit says so")
    made_entry = replace(entry, fixes=tuple(fixes))
    releases = tuple(made_entry if each is entry else each for each in config.releases)
    text = config.text
    if not problems:
        text = editor.freeze(text, version, {number: each.keys for number, each in found.items()}, config.place.file)
    return replace(config, releases=releases, text=text), Judgement(problems=tuple(problems), notes=tuple(notes))


def naming_problems(session: Session, config: Config) -> list[Problem]:
    """What is wrong with how fixes are named in versions without a tag: names that move, requests that brought nothing.

    Raises ReleaseError where the branches cannot be told.
    """
    repository, scratch = session.repository, session.scratch
    done = repository.local_tags()
    open_ = [entry for entry in config.releases if entry.version not in done]
    problems = [each for entry in open_ for each in moving(entry.fixes, config.remote, repository, scratch)]
    if any(not fix.is_frozen for entry in open_ for fix in entry.fixes):
        _, tips, more = branch_and_sources(repository, scratch, config, offline=session.options.offline)
        problems += more
        problems += [each for entry in open_ for each in freeze(session, config, entry.version, tips)[1].problems]
    return problems


class _Finder:
    """Asks git, and the forge where there is a token."""

    def __init__(self, session: Session, config: Config, tips: Mapping[str, str]) -> None:
        self.session = session
        self.config = config
        self.tips = list(tips.values())
        self.online = not session.options.offline and bool(session.repository.remote_url(config.remote))
        self.forge: Forge | None = connect(session, config.remote)[0] if self.online else None

    def find(self, number: int) -> Frozen:
        """Raises ReleaseError where the request brought nothing that could be picked."""
        facts = self._asked(number)
        if facts:
            self._refuse(facts)
        landed = facts.landed if facts and facts.landed and self._is_on_source(facts.landed) else ""
        found = None if landed else frozen(self.session.scratch, number, self.tips)
        found = found or frozen(self.session.scratch, number, self.tips, head=self._head(number), landed=landed)
        if found is None:
            raise self._nothing(number, facts)
        return found

    def _asked(self, number: int) -> RequestFacts | None:
        """What the forge says; None where it is not asked, or does not answer: git tells then."""
        try:
            return self.forge.request(number) if self.forge else None
        except RemoteError as error:
            self.session.terminal.note(f"note: request #{number} is told by git alone: {error.message}")
            return None

    def _is_on_source(self, sha: str) -> bool:
        scratch = self.session.scratch
        if not scratch.is_commit(sha):
            return False
        return any(not outside(scratch, [sha], [tip]) for tip in self.tips)

    def _head(self, number: int) -> str:
        """The head of the request, brought from the remote; "" where it keeps none."""
        if not self.online:
            return ""
        repository, scratch, remote = self.session.repository, self.session.scratch, self.config.remote
        refs = repository.ls_remote(remote, *(each.format(number) for each in HEADS)).refs
        for ref, sha in refs.items():
            if not scratch.has(sha):
                repository.bring(scratch, remote, [ref])
            return sha if scratch.is_commit(sha) else ""
        return ""

    # -------------------------------------------------------------- what is wrong

    def _refuse(self, facts: RequestFacts) -> None:
        name, sources = f"request #{facts.number}", self.config.source
        if facts.is_issue:
            raise UsageError(
                f"#{facts.number} is an issue, no request",
                remedy=f"name the request that closed it; see {facts.url}",
                code="request-is-issue",
            )
        if facts.state != "merged":
            gone = "" if facts.has_fork else ", and its fork is gone"
            was = "is still open" if facts.state == "open" else "was closed without a merge"
            raise DecisionError(
                f"{name} {was}{gone}: it brought nothing",
                remedy=f"have it merged first, or declare its commits as `commit:`; see {facts.url}",
                code=f"request-{facts.state}",
            )
        if facts.target not in sources:
            raise DecisionError(
                f"{name} was merged into {facts.target}, not into {' or '.join(sources)}",
                remedy=f"add {facts.target} to `source:`, or name the request that brought it to {sources[0]}",
                code="request-elsewhere",
            )
        if facts.approved and facts.head not in facts.approved:
            raise DecisionError(
                f"{name} was changed after it was approved: {facts.approved[-1][:12]} was looked at, and"
                f" {facts.head[:12]} was merged",
                remedy="look at what was merged, then write its commits as `commit:` beside the `pr:`, with"
                " `approved-by:`",
                code="request-changed",
            )

    def _nothing(self, number: int, facts: RequestFacts | None) -> ReleaseError:
        sources, remote = " or ".join(self.config.source), self.config.remote
        others = self.session.repository.refs(f"refs/remotes/{remote}")
        elsewhere = frozen(self.session.scratch, number, list(dict.fromkeys(others.values())))
        by_hand = "write its commits as `commit:` beside the `pr:`"
        if elsewhere:
            holding = self.session.repository.git.run(
                "for-each-ref", "--format=%(refname:lstrip=3)", f"--contains={elsewhere.last}", f"refs/remotes/{remote}"
            ).lines()
            branch = next(iter(holding), "another branch")
            return DecisionError(
                f"request #{number} was merged into {branch}, not into {sources}",
                remedy=f"add {branch} to `source:`, or name the request that brought it to {self.config.source[0]}",
                code="request-elsewhere",
            )
        if facts is None and self._head(number):
            return DecisionError(
                f"request #{number} is on {remote}, and no commit of {sources} is it: it is not merged, or rewritten",
                remedy=f"have it merged first; if it is, {by_hand}",
                code="request-open",
            )
        if facts:
            return DecisionError(
                f"request #{number} was merged, and no commit of {sources} is it any more",
                remedy=by_hand,
                code="request-rewritten",
            )
        return UsageError(
            f"no commit of {sources} says that it is request #{number}, and {remote} keeps no head of one",
            remedy=f"is it an issue's number? else {by_hand}" + ("" if self.online else "; or leave --offline out"),
            code="request-unknown",
        )

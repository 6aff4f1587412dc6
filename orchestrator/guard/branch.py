"""That what continues a release branch is what release.yaml declares: the picks are made again, and compared.

What counts is release.yaml, and the source branches, as they stand on the protected side; never what is pushed.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from orchestrator.config import reader as configuration
from orchestrator.core.commit_message import origins, reverted
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ConfigError, ProblemsError, ReleaseError, as_problem
from orchestrator.core.pick import PickState
from orchestrator.git.batch import outside
from orchestrator.guard.commits import MOST_COMMITS, ReleaseCommits, differs, made_of, refused, well_formed
from orchestrator.guard.consistency import identity
from orchestrator.guard.decisions import (
    Protected,
    ProvedRelease,
    RefusedCommitError,
    by_hand_order,
    decisions,
    is_left_out,
    resolved_in,
    told_earlier,
)
from orchestrator.guard.policy_rules import rules
from orchestrator.guard.policy_source import NO_POLICY, PolicyResolver
from orchestrator.guard.taken import TakenCommits, taking
from orchestrator.landing.forms import below
from orchestrator.landing.signed import unsigned
from orchestrator.picks.classify import Judge, pick_of
from orchestrator.picks.equivalents import Equivalent
from orchestrator.picks.requests import with_frozen
from orchestrator.picks.resolution import resolution_fault
from orchestrator.picks.source_status import aftermath
from orchestrator.picks.sources import expand
from orchestrator.plan.picker import mark_own
from orchestrator.plan.release_commit import release_commit
from orchestrator.plan.version_rule import check_version
from orchestrator.session.branch_state import reachable_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from orchestrator.core.declaration import ReleaseEntry
    from orchestrator.core.pick import Pick
    from orchestrator.core.results import Problem
    from orchestrator.core.tag_message import TagRow
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.classify import Classification
    from orchestrator.picks.sources import Source


@dataclass(kw_only=True)
class BranchProof:
    """Judges new commits of one release branch."""

    scratch: Scratch
    protected: Protected
    told: Callable[[str, str], str]  # (version, commit) -> the message of its tag, "" where none is put on it
    refs: Mapping[str, str]  # all of the repository, after the push
    releases: list[ProvedRelease] = field(default_factory=list)
    _before: Commit | None = None  # the release commit at hand as it was proposed, where a forge committed it anew
    _there: str = ""  # the tip before the push
    landed: dict[str, str] = field(default_factory=dict)  # the last commit proposed -> what a forge squashed them to

    @property
    def _release_commits(self) -> ReleaseCommits:
        return ReleaseCommits(config=self.protected.config, tags=self.protected.tags, told=self.told)

    def prove(self, old: str, new: str) -> list[Problem]:
        """Every reason against moving the branch from `old` to `new`; `releases` has what was proved."""
        self._there = old
        try:
            old = self._taken(old, new)
            rest = self._chain(old, new)
            while rest:
                segment = self._release_commits.first(rest)
                self._segment(old, segment)
                end = segment[-1].sha
                old, rest = self.landed.get(end, end), rest[len(segment) :]
        except ProblemsError as error:
            return list(error.problems)
        except ReleaseError as error:
            return [as_problem(error)]
        return []

    def _taken(self, old: str, new: str) -> str:
        """The last commit that a version to come takes as it is; `old` where none does."""
        end = self.taken.end(old, new, self._release_commits)
        self.taken.must_be_single(self.taken.since(end, [old]))
        return end

    @property
    def taken(self) -> TakenCommits:
        return TakenCommits(scratch=self.scratch, protected=self.protected)

    def _policy(self, entry: ReleaseEntry, picks: Sequence[Pick]) -> list[Problem]:
        """What the policy of the protected branch has against the picks."""
        policy = self.protected.config.policy or NO_POLICY
        heads = dict.fromkeys(policy.protected_sources, "") | dict(self.protected.heads)
        changes = PolicyResolver(self.protected.names, self.scratch, "", heads).changes(picks, entry, policy)
        return rules(policy, changes, entry.version)

    # -------------------------------------------------------------- shape

    def _chain(self, old: str, new: str) -> list[Commit]:
        """The new commits, oldest first: a line of plain commits on `old`."""
        rows = self.scratch.rev_list("--parents", f"--max-count={MOST_COMMITS + 1}", new, f"^{old}", "--")
        if len(rows) > MOST_COMMITS:
            raise RefusedCommitError(
                f"more than {MOST_COMMITS} new commits in one push",
                where=self.protected.config.branch,
                remedy="a release branch takes declared picks only; push them in parts",
                code="too-many-commits",
            )
        parents = {sha: above for sha, *above in (row.split() for row in rows)}
        chain: list[str] = []
        sha, proposed = new, self.protected.proposed
        while sha != old and sha in parents:
            if len(parents[sha]) == 2 and proposed.merged(self.scratch.commit(sha)):
                sha = parents[sha][1]
                continue
            if len(parents[sha]) != 1:
                what = "is a merge" if parents[sha] else "has no parent"
                raise self._refused(sha, what, "not-linear", "a release branch takes picks, one by one: release cut")
            if planned := proposed.squashed(self._well_formed(sha)):
                self.landed[planned[-1]] = sha
            chain += planned[::-1] or [sha]
            sha = parents[sha][0]
        if sha != old:
            raise RefusedCommitError(
                f"{new[:12]} does not contain {old[:12]}, the tip of {self.protected.config.branch}",
                where=self.protected.config.branch,
                remedy="a release branch is never rewritten: build on its tip",
                code="rewritten",
            )
        return [self._well_formed(sha) for sha in reversed(chain)]

    def _well_formed(self, sha: str) -> Commit:
        return well_formed(self.scratch, self.protected, sha)

    def _refused(self, sha: str, says: str, code: str, remedy: str) -> RefusedCommitError:
        return refused(self.scratch, self.protected, sha, says, code, remedy)

    # -------------------------------------------------------------- one release

    def _segment(self, base: str, commits: Sequence[Commit]) -> None:
        """Prove picks on `base`, and the release commit that may end them."""
        version = self._release_commits.version(commits[-1])
        picked = list(commits[:-1] if version else commits)
        entry, tags = self._entry(version, picked), self.protected.tags
        older = [tags[tag] for tag in reachable_tags(self.scratch, base, tags)] or list(self.protected.tips.values())
        named = self.taken.named(entry, commits[-1]) if version and entry.from_branch else ()
        entry, since = taking(entry, named), self.taken.since(base, older)
        sources = self._sources(entry, since.parents if named else ())
        decided = decisions(version, self.told(version, commits[-1].sha)) if version else {}
        self._before = self.protected.proposed.before_rebase(version, commits[-1].sha)
        if bare := next((each.sha for each in commits if not each.signed), "") if self._must_sign else "":
            raise self._refused(bare, "is not signed", "not-signed", _SIGN)
        picks, tip = self._replay(base, picked, sources, decided, complete=bool(version))
        picks = mark_own(self.scratch, picks, older)
        if version and entry.from_branch:
            self.taken.must_be_whole(named, sources, picks, since, commits[-1].sha)
        judged = [source for source in sources if source.commit.sha in {pick.source for pick in picks}]
        after = aftermath(self.protected.names, self.scratch, judged, picks,
                          base=base, tips=self.protected.tips, remote="")  # fmt: skip
        if problems := [*after.problems, *self._policy(entry, after.picks)]:
            raise ProblemsError(problems)
        if version:
            self._release_commit(base, tip, commits[-1], entry, picks)
            skipped = tuple(source.commit.sha for source in sources if is_left_out(decided.get(source.commit.sha)))
            self.releases.append(self._proved(version, commits[-1].sha, picks, skipped))

    def _proved(self, version: str, head: str, picks: Sequence[Pick], skipped: tuple[str, ...]) -> ProvedRelease:
        """The release under the commit that the branch has of it: of a squash that is one for all."""
        if one := self.landed.get(head):
            picks = [replace(pick, result=one) if pick.result else pick for pick in picks]
        return ProvedRelease(version=version, commit=self.landed.get(head, head), picks=tuple(picks), skipped=skipped)

    def _entry(self, version: str, commits: Sequence[Commit]) -> ReleaseEntry:
        """What is declared for a version; where no release commit says which, what is open and holds the first pick."""
        config = self.protected.config
        if version and (entry := config.release(version)):
            return self._frozen(entry)
        if version:
            raise RefusedCommitError(
                f"release.yaml on {self.protected.branch} declares no {version}",
                where=str(config.place),
                remedy=f"declare it on {self.protected.branch}, push that, then: release cut {version}",
                code="not-declared",
            )
        open_ = [entry for entry in config.releases if entry.version not in self.protected.tags]
        named = set(origins(commits[0].text))
        for entry in open_:
            sources, _ = expand(self._frozen(entry).fixes, "", self.protected.names, self.scratch)
            if named & {source.commit.sha for source in sources}:
                return self._frozen(entry)
        if open_:
            return self._frozen(open_[0])
        raise self._refused(commits[0].sha, f"is in no release that release.yaml on {self.protected.branch} declares",
                            "undeclared", self._declare)  # fmt: skip

    def _frozen(self, entry: ReleaseEntry) -> ReleaseEntry:
        """The entry with the commits of the requests that it names, as git tells of them here."""
        tips, refs = list(self.protected.tips.values()), self.protected.proposed.refs
        return replace(entry, fixes=with_frozen(self.scratch, entry.fixes, tips, refs))

    @property
    def _declare(self) -> str:
        return f"declare it in release.yaml on {self.protected.branch} first, then: release cut"

    def _sources(self, entry: ReleaseEntry, own: Collection[str] = ()) -> list[Source]:
        """The declared commits, on a source branch all of them, or on this one: before the push, or as its `own`."""
        sources, problems = expand(entry.fixes, "", self.protected.names, self.scratch)
        for problem in problems:
            raise RefusedCommitError.of(
                replace(problem, remedy=f"correct release.yaml on {self.protected.branch}: {problem.remedy}")
            )
        ids = [source.commit.sha for source in sources]
        tips = self.protected.tips
        away = outside(self.scratch, ids, [*tips.values(), self._there])
        for source in sources:
            if source.backport and source.backport.sha != source.fix.backport:
                raise RefusedCommitError(
                    f"backport {source.fix.backport!r} is not written out: another commit can be given that name",
                    where=str(source.fix.place),
                    remedy=f"write all 40 digits in release.yaml on {self.protected.branch}",
                    code="backport-abbreviated",
                )
            if source.commit.sha in away and source.commit.sha not in own:
                raise RefusedCommitError(
                    f"{source.commit.sha[:12]} {source.commit.subject!r} is not on {' or '.join(tips) or 'any source'}",
                    where=str(source.fix.place),
                    remedy="merge the fix there and push that first; what the same push brings does not count",
                    code="not-on-source",
                )
        return sources

    def _replay(
        self,
        base: str,
        commits: list[Commit],
        sources: Sequence[Source],
        decided: Mapping[str, TagRow],
        *,
        complete: bool,
    ) -> tuple[list[Pick], str]:
        """Make each pick again on the commit before it; returns the picks and the tip.

        `decided` is what the tag of the release says: which conflicts a person resolved, what was left out and why,
        and what was picked by hand before.  A resolution counts only where the pick does conflict.
        """
        place = {commit.sha: number for number, commit in enumerate(commits)}
        earlier = told_earlier(self.scratch, decided, self.refs)
        judge = Judge(self.scratch, base, sources, resolved_in(decided, place), earlier=earlier)
        tip, picks = base, {}
        for source in sorted(sources, key=lambda source: by_hand_order(decided.get(source.commit.sha), place)):
            row = decided.get(source.commit.sha)
            if is_left_out(row):
                continue
            verdict = judge.judge(source, tip, made_of(source, commits, self.scratch.tree_of(tip)))
            if not verdict.tree and verdict.pick.state is not PickState.CONFLICT:
                picks[source.commit.sha] = verdict.pick
                continue
            if not commits:
                if complete:
                    raise self._dropped(source)
                break
            commit = commits[0]
            if fault := differs(commit, source, verdict, self._signer(commit)):
                raise self._why(commit, source, verdict, sources, fault)
            if verdict.pick.applied == commit.sha:
                self._resolution(commit, source, tip)
            made = replace(verdict.pick, result=commit.sha)
            by_hand = row and row.commit == commit.sha and row.state == "duplicate"
            picks[source.commit.sha] = pick_of(source, PickState.DUPLICATE, twin=_itself(commit)) if by_hand else made
            tip = commits.pop(0).sha
        if commits:
            raise self._why(commits[0], None, None, sources, "")
        return [picks[source.commit.sha] for source in sources if source.commit.sha in picks], tip

    def _signer(self, commit: Commit) -> str:
        """Who must have signed a commit off, "" where nobody must."""
        return str((self._before or commit).committer) if self.protected.config.signoff else ""

    @property
    def _must_sign(self) -> bool:
        """Whether release.yaml wants each commit signed; what a forge rebased was signed when it was proposed."""
        return bool(self.protected.config.sign_commits) and self._before is None

    def _resolution(self, commit: Commit, source: Source, tip: str) -> None:
        """Refuse what somebody resolved in files that the pick has nothing to do with."""
        if fault := resolution_fault(self.scratch, source, self.scratch.tree_of(tip), commit.tree):
            raise self._refused(commit.sha, fault, "resolution-strays", "resolve it in the files of the fix alone;"
                                " or name a commit that does more as `backport:`")  # fmt: skip

    def _dropped(self, source: Source) -> RefusedCommitError:
        return RefusedCommitError(
            f"{source.commit.sha[:12]} {source.commit.subject!r} is declared and missing on the branch",
            where=str(source.fix.place),
            remedy=f"pick it, or remove the entry on {self.protected.branch}, push that, and cut again",
            code="pick-missing",
        )

    def _why(
        self,
        commit: Commit,
        source: Source | None,
        verdict: Classification | None,
        sources: Sequence[Source],
        fault: str,
    ) -> RefusedCommitError:
        """What is wrong with a commit that is not the next pick."""
        named = origins(commit.text)[-1:]
        declared = {each.commit.sha for each in sources}
        if not named and reverted(commit.text):
            return self._refused(commit.sha, "takes something back, and no pick does", "foreign",
                                 f"revert on {self.protected.branch}, and declare that commit as a fix")  # fmt: skip
        if not named:
            return self._refused(commit.sha, "names no source", "foreign", self._declare)
        if named[0] not in declared:
            return self._refused(commit.sha, f"is a pick of {named[0][:12]}, which is not declared for this release",
                                 "undeclared", self._declare)  # fmt: skip
        if source is None or verdict is None:
            return self._refused(commit.sha, f"picks {named[0][:12]}, which is on the branch already", "duplicate",
                                 "leave it out")  # fmt: skip
        if source.commit.sha != named[0]:
            return self._refused(commit.sha, f"stands where {source.commit.sha[:12]} is declared", "out-of-order",
                                 "pick in the order of release.yaml, each fix once: release cut")  # fmt: skip
        if verdict.pick.state is PickState.CONFLICT:
            return self._refused(commit.sha, f"resolves a conflict of {named[0][:12]} in a way that nobody declared",
                                 "undeclared-resolution", f"push this commit to a topic branch, and name it on"
                                 f" {self.protected.branch} as `backport:` of the fix")  # fmt: skip
        short = named[0][:12]
        pick = f"git cherry-pick -s -x {short}" if self.protected.config.signoff else f"git cherry-pick -x {short}"
        return self._refused(commit.sha, f"is not the pick of {named[0][:12]}: {fault}", "not-the-pick",
                             f"pick it as it is: release cut, or: {pick}")  # fmt: skip

    # -------------------------------------------------------------- the release commit

    def _release_commit(self, base: str, tip: str, commit: Commit, entry: ReleaseEntry, picks: Sequence[Pick]) -> None:
        config, version = self.protected.config, entry.version
        where = str(entry.place)
        reachable = reachable_tags(self.scratch, base, self.protected.tags)
        reachable = (*reachable, *(release.version for release in self.releases))
        verdict = check_version(version, branch=config.branch, reachable=reachable,
                                existing=self.protected.tags, where=where)  # fmt: skip
        for problem in verdict.problems:
            raise RefusedCommitError.of(problem)
        chain = below(self.scratch, commit.sha, sum(1 for pick in picks if pick.result) + 1)
        *below_it, plain = unsigned(self.scratch, chain or [commit.sha])
        made = release_commit(
            replace(config, text=self._own_config(commit, entry)), self.protected.path, commit.committer,
            scratch=self.scratch, tip=next(reversed(below_it), tip), version=version, summary=entry.summary,
            picks=picks, previous=verdict.previous, proposed=self._before,
        )  # fmt: skip
        for problem in made.problems:
            raise RefusedCommitError.of(problem)
        one = self.scratch.commit(plain)
        if made.head != plain and not self.protected.proposed.rebased(version, made.head, one):
            says = f"is not the release commit of {version}: {self._unlike(made.tree, commit)}"
            raise self._refused(commit.sha, says, "not-the-release-commit", f"make it: release cut {version}")

    def _own_config(self, commit: Commit, entry: ReleaseEntry) -> bytes:
        """release.yaml as the release commit carries it: all that it says of this version is what is protected."""
        path, config, version = self.protected.path, self.protected.config, entry.version
        text = self.scratch.file(commit.tree, path)
        if text == config.text:
            return config.text
        remedy = f"push release.yaml to {self.protected.branch} first, then: release cut {version}"
        if text is None:
            raise self._refused(commit.sha, f"has no {path}", "config-differs", remedy)
        try:
            own = configuration.parse(text, f"{commit.sha[:12]}:{path}")
        except ConfigError as error:
            raise self._refused(commit.sha, f"has a {path} that is not valid: {error.message}", "config-differs",
                                remedy) from error  # fmt: skip
        protected = replace(config, releases=(entry,))
        ours, theirs = identity(protected, version), identity(own, version)
        if different := [key for key in ours if ours[key] != theirs[key]]:
            says = f"has another {path} than {self.protected.branch}, in {', '.join(different)}"
            raise self._refused(commit.sha, says, "config-differs", remedy)
        return text

    def _unlike(self, tree: str, commit: Commit) -> str:
        output = self.scratch.git.run("diff-tree", "-r", "--name-only", "-z", tree, commit.tree).fields()
        return "it differs in " + (", ".join(output[:5]) or "author, dates or message")


_SIGN = "git config commit.gpgSign true; and set user.signingKey (and gpg.format ssh for an ssh key); or: release cut"


def _itself(commit: Commit) -> Equivalent:
    return Equivalent(sha=commit.sha, signals=())

"""What a push may do to a guarded repository, ref by ref.  Every refusal is a Problem: what, where, remedy.

What counts is the state before the push; of what is pushed only its objects are looked at, and nothing is believed.
"""

from __future__ import annotations

import re
from dataclasses import field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import LARGEST
from orchestrator.core.errors import Exit, RefusedError, ReleaseError, as_problem
from orchestrator.core.plan import CANDIDATES
from orchestrator.core.record import PREFIX as RECORDS
from orchestrator.core.record import differences, record_ref
from orchestrator.core.results import Problem
from orchestrator.core.tag_message import promotion, tagged_reason
from orchestrator.core.text import word
from orchestrator.core.versions import final_of, in_use, parse_tag
from orchestrator.git.batch import outside
from orchestrator.git.push import ZERO
from orchestrator.git.tags import signature_fault
from orchestrator.guard import consistency
from orchestrator.guard.branch import BranchProof
from orchestrator.guard.commits import LARGEST_COMMIT
from orchestrator.guard.decisions import listing_fault
from orchestrator.guard.policy_rules import freeze_problem, frozen, unsigned_problem
from orchestrator.guard.policy_source import NO_POLICY
from orchestrator.guard.received_push import Update
from orchestrator.guard.repository import HEADS, TAGS, GuardedRepository
from orchestrator.guard.stored import StoredRecords
from orchestrator.landing.signed import fault_of_tag
from orchestrator.plan.version_rule import check_version
from orchestrator.session import kept_sources, yanks
from orchestrator.session.branch_state import reachable_tags
from orchestrator.session.published import record_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.git.scratch import Scratch
    from orchestrator.guard.consistency import ReleasedVersion
    from orchestrator.guard.decisions import Protected, ProvedRelease
    from orchestrator.guard.received_push import Receiving
    from orchestrator.guard.repository import GuardedBranch

NOTES = "refs/notes/release"
SOURCES = kept_sources.PREFIX
_ONCE = (RECORDS, SOURCES, yanks.PREFIX)  # made once, never changed
_GUARDED = (HEADS, TAGS, "refs/notes/", *_ONCE, CANDIDATES, "refs/replace/")
_TAG = re.compile(r"object ([0-9a-f]{40})\ntype (\w+)\ntag ([^\n]*)\n")


@dataclass(kw_only=True)
class PushGuard:
    """Judges one push.  `each` says that refs are judged one at a time (`update`), not the push as a whole."""

    receiving: Receiving
    scratch: Scratch
    now: int  # seconds
    each: bool = False
    proved: dict[str, list[ProvedRelease]] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)  # what could not be asked, of what is let through
    _after: dict[str, str] = field(default_factory=dict)  # ref -> id, as the push would leave it

    @cached_property
    def standing(self) -> GuardedRepository:
        return GuardedRepository(receiving=self.receiving, scratch=self.scratch, now=self.now)

    @cached_property
    def stored(self) -> StoredRecords:
        return StoredRecords(standing=self.standing, scratch=self.scratch)

    def problems(self, updates: Sequence[Update]) -> list[Problem]:
        """Every reason against a push; branches first, as tags stand on them."""
        updates = [each for update in updates for each in self._moved(update)]
        self.stored.learn()
        updates += [each for update in updates for each in self.stored.updates(update)]
        after = self._after = {**self.receiving.refs, **{update.ref: update.new for update in updates}}
        found = [_meanwhile(each) for each in updates if each.old != self.receiving.refs.get(each.ref, ZERO)]
        for update in sorted(updates, key=lambda update: not update.ref.startswith(HEADS)):
            try:
                found += self._judge(update, after)
            except ReleaseError as error:
                error.where = error.where or update.ref
                found.append(as_problem(error))
        self.standing.close()
        return found

    def _moved(self, update: Update) -> list[Update]:
        """All that a push to a ref moves: a symbolic one moves another, and others may lead to that one.

        Of branches under a second name only those count that release.yaml, or this repository, names.
        """
        real, *others = self.receiving.names(update.ref)
        others = [
            name for name in others if not name.startswith(HEADS) or self.standing.is_named(name.removeprefix(HEADS))
        ]
        return [replace(update, ref=name) for name in (real, *others)]

    def _judge(self, update: Update, after: Mapping[str, str]) -> list[Problem]:
        ref = update.ref
        folded = next((prefix for prefix in _GUARDED if ref.casefold().startswith(prefix)), "")
        if folded and not ref.startswith(folded):
            return [_no(ref, "differs from a guarded name only in its letters' case", "wrong-case", f"use {folded}...")]
        if ref.startswith(HEADS):
            return self._branch(update)
        if ref.startswith(TAGS):
            return self._tag(update, after) if self.standing.read_as(update.short) else self._other_tag(update)
        if ref.startswith(NOTES) and ref[len(NOTES) :][:1] in ("", "/"):
            return self._notes(update)
        if ref.startswith(CANDIDATES):
            return self._proposal(update)
        if ref.startswith(_ONCE):
            return self._once(update, after)
        if ref.startswith("refs/replace/"):
            return [_no(ref, "would make every reader here see other commits",
                        "replace-ref", "do not push refs/replace")]  # fmt: skip
        return []

    # -------------------------------------------------------------- branches

    def _branch(self, update: Update) -> list[Problem]:
        name = update.short
        pattern = self.standing.is_release_branch(name)
        lines = self.standing.lines if pattern else self.standing.known_lines
        line = next((line for line in lines if line.config.branch.casefold() == name.casefold()), None)
        if line or pattern:
            return self._release_branch(update, line)
        if self.standing.is_named(name):
            return self._forward(
                update, "a source of releases", "what was picked from must stay: revert, never rewrite"
            )
        if name in self.stored.branches:
            return self._forward(update, "the records of releases", "leave it as it is") or self.stored.lost(update)
        if self.standing.read_as(name) and parse_tag(name) and not update.deletes:
            return [_no(name, "is a branch named like a version, and git clone -b takes it before the tag",
                        "name-of-a-version", "give it another name")]  # fmt: skip
        return []

    def _release_branch(self, update: Update, line: GuardedBranch | None) -> list[Problem]:
        name = update.short
        if update.deletes:
            return [
                _no(name, "is a release branch and is never deleted", "branch-deleted", "leave it; it costs nothing")
            ]
        if line is None or line.config.branch != name:
            says = f"is a release branch that no release.yaml on {self.standing.branch} declares"
            return [
                _no(
                    name,
                    says,
                    "branch-not-declared",
                    f"name it as `branch:` there, and push {self.standing.branch} first",
                )
            ]
        protected = self.standing.protected(line)
        old = update.old if not update.creates else self._beginning(update, protected)
        continuation = BranchProof(scratch=self.scratch, protected=protected, told=self._told, refs=self._after)
        problems = continuation.prove(old, update.new) if old != update.new else []
        if not problems:
            self.proved[name] = continuation.releases
        return problems

    def _beginning(self, update: Update, protected: Protected) -> str:
        """Where a new release branch leaves the source: all below was there before the push."""
        rows = self.scratch.git.attempt("merge-base", update.new, *protected.tips.values())
        if rows.status:
            raise _error(update.short, f"shares no history with {', '.join(protected.tips)}", "branch-from-nowhere",
                         f"begin it on {self.standing.branch}: git push REMOTE COMMIT:{word(update.ref)}")  # fmt: skip
        return rows.text.strip()

    def _forward(self, update: Update, what: str, remedy: str) -> list[Problem]:
        """A ref that only goes forward."""
        if update.deletes:
            return [_no(update.short, f"({what}) is never deleted", "ref-deleted", remedy)]
        ahead = ("merge-base", "--is-ancestor", update.old, update.new)
        if not update.creates and self.scratch.git.attempt(*ahead).status:
            return [_no(update.short, f"({what}) only goes forward", "not-fast-forward", remedy)]
        return []

    def _notes(self, update: Update) -> list[Problem]:
        if update.ref != NOTES and not update.deletes:
            return [_no(update.ref, "stands where the notes of releases are", "bad-notes", "name it in another way")]
        if not update.deletes and self.scratch.header(update.new)[0] != "commit":
            made = "make them: git notes --ref=release add -m TEXT COMMIT"
            return [_no(update.ref, "are not notes: they are commits", "bad-notes", made)]
        remedy = f"join yours to them: git fetch REMOTE {NOTES} && git notes --ref=release merge FETCH_HEAD"
        return self._forward(update, "notes", remedy) if update.ref == NOTES else []

    # -------------------------------------------------------------- tags

    def _other_tag(self, update: Update) -> list[Problem]:
        name = update.short
        if update.deletes or not (self.standing.is_release_branch(name) or self.standing.is_named(name)):
            return []
        return [_no(update.ref, "is named like a guarded branch, and git takes a tag before a branch",
                    "name-of-a-branch", "give it another name")]  # fmt: skip

    def _tag(self, update: Update, after: Mapping[str, str]) -> list[Problem]:
        name = update.short
        if not update.creates:
            verb = "deleted" if update.deletes else "moved"
            return [_no(name, f"is a version tag and is never {verb}",
                        f"tag-{verb}", "release the next version instead")]  # fmt: skip
        if parse_tag(name) is None:
            return [
                _no(name, "looks like a version and is none", "version-malformed", f"write it as {in_use().examples}")
            ]
        commit, message = self._tag_object(update)
        line = self.standing.line_of(name)
        if line is None:
            return [_no(name, f"is a version that no release.yaml on {self.standing.branch} declares", "not-declared",
                        f"declare it on {self.standing.branch}, push that, then: release cut {name}")]  # fmt: skip
        tip = after.get(line.ref, "")
        if self.receiving.refs.get(line.ref, "") != tip and line.config.branch not in self.proved:
            return [_no(name, f"stands on {line.config.branch}, which is refused", "branch-refused", "see there")]
        release = next((each for each in self.proved.get(line.config.branch, ()) if each.commit == commit), None)
        protected = self.standing.protected(line)
        if release is None:
            self._on_branch(update, line, commit, tip)
            if promotion(message):
                return self._promotion(update, commit, message, tip, protected)
            if self._first(name, commit, tip, protected):
                return self._policy(update, line.config, message)
            release = self._prove_again(name, commit, protected)
        if release.version != name:
            return [_no(name, f"is put on the release commit of {release.version}", "tag-of-another-commit",
                        f"it has a commit of its own: release cut {name}")]  # fmt: skip
        return self._lists(name, message, release) or self._policy(update, line.config, message)

    def _lists(self, name: str, message: str, release: ProvedRelease) -> list[Problem]:
        """What is wrong with what a tag says of its release."""
        if fault := self.standing.proposed.fault(name, message, release.commit):
            return [_no(name, fault, "tag-differs", f"make it: release cut {name}")]
        fault = listing_fault(message, release) or fault_of_tag(self.scratch, message, release.commit)
        return [_no(name, fault, "tag-differs", f"make it: release cut {name}")] if fault else []

    def _policy(self, update: Update, config: Config, message: str) -> list[Problem]:
        """What the policy of the protected branch says of a tag: signed by somebody this server knows, in no freeze."""
        policy = config.policy or NO_POLICY
        found = []
        if policy.signed_tags and (fault := signature_fault(self.receiving.with_push(), update.new)):
            remedy = "git config tag.gpgSign true; who may sign: gpg.ssh.allowedSignersFile of the server's repository"
            found.append(unsigned_problem(policy, f"tag {update.short}: {fault}", remedy))
        freeze = frozen(policy, datetime.fromtimestamp(self.now, UTC).isoformat())
        if freeze and not tagged_reason(message):
            found.append(freeze_problem(freeze, f"release cut {update.short}"))
        return found

    def _told(self, version: str, commit: str) -> str:
        """The message of the version's tag, where it is put on this commit, or is there; else of its proposal."""
        sha, on, message = self._after.get(TAGS + version, ""), "", ""
        if sha and self.scratch.header(sha)[0] == "tag":
            on, message = self._tag_object(Update(ref=TAGS + version, old=ZERO, new=sha))
        return message if on == commit else self.standing.proposed.message(version, commit)

    def _tag_object(self, update: Update) -> tuple[str, str]:
        """(commit, message) of an annotated tag.  Raises for anything else."""
        kind, size = self.scratch.header(update.new)
        if kind != "tag":
            raise _error(update.short, "is a lightweight tag: it says nothing of its picks", "lightweight-tag",
                         f"make an annotated one: release cut {update.short}")  # fmt: skip
        data = self.scratch.read(update.new)[1] if size <= LARGEST else b""
        head, _, message = data.decode("utf-8", "replace").partition("\n\n")
        found = _TAG.match(head + "\n")
        if not found or found[2] != "commit" or found[3] != update.short:
            what = f"names a {found[2]} as {found[3]!r}" if found else "is malformed"
            raise _error(update.short, f"{what}, not a commit as {update.short!r}", "malformed-tag",
                         f"make it: release cut {update.short}")  # fmt: skip
        return found[1], message

    def _on_branch(self, update: Update, line: GuardedBranch, commit: str, tip: str) -> None:
        inside = bool(tip) and not outside(self.scratch, [commit], [tip])
        if not inside and self.each and tip:  # an atomic push: the branch moves after all refs were judged
            inside = not outside(self.scratch, [tip], [commit])
        if not inside:
            raise _error(update.short, f"is put on {commit[:12]}, which is not on {line.config.branch}",
                         "tag-not-on-branch", f"push branch and tag together: release cut {update.short}")  # fmt: skip

    def _promotion(self, update: Update, commit: str, message: str, tip: str, protected: Protected) -> list[Problem]:
        """A final version on the very commit of a candidate that was here before."""
        name, before = update.short, self.receiving.refs
        verdict = check_version(name, branch=protected.config.branch, existing=protected.tags, where=name,
                                reachable=reachable_tags(self.scratch, tip, protected.tags))  # fmt: skip
        if verdict.problems:
            return list(verdict.problems)
        there = [self.standing.version(each, before) for each in protected.tags if final_of(each) == name]
        fault = consistency.promotion_fault(name, commit, message, {each.version: each for each in there if each})
        candidate = (promotion(message) or ("", ""))[0]
        if not fault and yanks.yank_ref(candidate) in before:
            fault = f"is promoted from {candidate}, which was yanked"
        if fault:
            return [_no(name, fault, "not-its-candidate", f"make it: release promote CANDIDATE {name}")]
        self.unchecked += consistency.not_asked(candidate, protected.config)
        return self._policy(update, protected.config, message)

    def _first(self, name: str, commit: str, tip: str, protected: Protected) -> bool:
        """Whether this is the first version of a line, put by hand where the line leaves the source."""
        reachable = reachable_tags(self.scratch, tip, protected.tags)
        config = protected.config
        verdict = check_version(name, branch=config.branch, reachable=reachable, existing=protected.tags, where=name)
        if verdict.problems:
            raise _error(name, verdict.problems[0].message, verdict.problems[0].code, verdict.problems[0].remedy)
        inside = not outside(self.scratch, [commit], list(protected.tips.values()))
        return not verdict.previous and inside and config.release(name) is None

    def _prove_again(self, name: str, commit: str, protected: Protected) -> ProvedRelease:
        """The release of a commit that is on the branch already: from the version before, or where the line began."""
        reachable = reachable_tags(self.scratch, commit, protected.tags)
        previous = check_version(name, branch=protected.config.branch, reachable=reachable,
                                 existing=protected.tags, where=name).previous  # fmt: skip
        base = protected.tags.get(previous) or self.scratch.git.text("merge-base", commit, *protected.tips.values())
        continuation = BranchProof(scratch=self.scratch, protected=protected, told=self._told, refs=self._after)
        for problem in continuation.prove(base, commit):
            raise _error(problem.where, problem.message, problem.code, problem.remedy)
        if not continuation.releases or continuation.releases[-1].commit != commit:
            raise _error(name, f"is put on {commit[:12]}, which is no release commit", "tag-of-another-commit",
                         f"it has a commit of its own: release cut {name}")  # fmt: skip
        return continuation.releases[-1]

    # -------------------------------------------------------------- records

    def _proposal(self, update: Update) -> list[Problem]:
        """What was proposed may change until its version is tagged: then it is what a squash is proved by."""
        free = update.creates or update.ref.replace(CANDIDATES, TAGS) not in self.receiving.refs
        return [] if free else [_no(update.ref, "is what was proposed as it", "record-changed", "leave it as it is")]

    def _once(self, update: Update, after: Mapping[str, str]) -> list[Problem]:
        ref = update.ref
        if not update.creates:
            return [_no(ref, "is made once and never changed", "record-changed", "leave it as it is")]
        if ref.startswith(SOURCES):
            return self._sources(update, after)
        is_record = ref.startswith(RECORDS)
        what = "record" if is_record else "yank"
        version = ref.removeprefix(RECORDS).removeprefix(yanks.PREFIX)
        self.standing.read_as(version)
        record = record_at(self.scratch, update.new, ref) if is_record else None
        here = self.standing.version(version, after)
        if here is None:
            return [_no(ref, f"is of {version}, and there is no such version here", f"{what}-differs",
                        f"push the tag first: release cut {version}")]  # fmt: skip
        if record is None:
            return self._yank(update, here, after)
        remedy = f"write it: release cut {version}"
        return [
            _no(ref, each.fault, "record-differs", remedy)
            for each in differences(record, self.standing.facts(here, after))
        ][:1]

    def _sources(self, update: Update, after: Mapping[str, str]) -> list[Problem]:
        """The very commit that keeps what release.yaml of the version names: no file, no word, no other history."""
        ref, version = update.ref, update.ref.removeprefix(SOURCES)
        kind, size = self.scratch.header(update.new)
        if kind != "commit" or size > LARGEST_COMMIT:
            return [_no(ref, f"is a {kind} of {size} bytes, not the sources of a release", "bad-sources",
                        f"write it: release cut {version}")]  # fmt: skip
        here = self.standing.version(version, after)
        if here is None:
            return [_no(ref, f"is of {version}, and there is no such version here", "sources-differ",
                        f"push the tag first: release cut {version}")]  # fmt: skip
        wanted = kept_sources.keep(self.scratch, version, self.standing.sources(here, self.receiving.refs), here.commit)
        if update.new != wanted:
            return [_no(ref, f"does not keep the sources of {version}, and nothing else", "sources-differ",
                        f"write it: release cut {version}")]  # fmt: skip
        return []

    def _yank(self, update: Update, here: ReleasedVersion, after: Mapping[str, str]) -> list[Problem]:
        ref, remedy = update.ref, f'make it: release yank {here.version} --reason "..."'
        kind, size = self.scratch.header(update.new)
        if kind != "blob" or size > LARGEST:
            return [_no(ref, f"is a {kind} of {size} bytes, not a yank", "bad-yank", remedy)]
        yank = yanks.parse(here.version, self.scratch.blob(update.new))
        if yank is None or not yank.reason.strip():
            return [_no(ref, "is no yank of this version with a reason", "bad-yank", remedy)]
        record_name = record_ref(here.version)
        record = record_at(self.scratch, after[record_name], record_name) if record_name in after else None
        tags = (name.removeprefix(TAGS) for name in after if name.startswith(TAGS))
        good = [tag for tag in tags if parse_tag(tag) and not final_of(tag) and yanks.yank_ref(tag) not in after]
        fault = consistency.yank_fault(yank, here, record, good)
        return [_no(ref, fault, "yank-differs", remedy)] if fault else []


def _meanwhile(update: Update) -> Problem:
    """git would refuse this ref only after the others of the push have moved."""
    return _no(update.ref, "is not where the push says that it was", "moved-meanwhile", "look at it, then push again")


def _no(where: str, says: str, code: str, remedy: str) -> Problem:
    return Problem(code=code, message=f"{where} {says}", where=where, remedy=remedy, exit_code=Exit.REFUSED)


def _error(where: str, says: str, code: str, remedy: str) -> ReleaseError:
    return RefusedError(says if says.startswith(where) else f"{where} {says}", where=where, remedy=remedy, code=code)

"""Which policy counts, and what it says to a plan.

The policy that counts is the one on the protected source branch, as the remote has it: not one in somebody's work tree,
nor one that the commits to be judged bring along.  Which branch that is says the release branch (release.yaml as last
released) before the file in use does.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import SIDES, Policy
from orchestrator.core.declaration.signing import KeylessSpec
from orchestrator.core.errors import ConfigError, Exit, ReleaseError
from orchestrator.core.pick import PickState
from orchestrator.core.plan import Judgement
from orchestrator.core.results import Place, Problem
from orchestrator.git import changes
from orchestrator.git.batch import outside
from orchestrator.guard import policy_rules as rulebook
from orchestrator.session.committed import CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from orchestrator.core.declaration import Config, Fix, ReleaseEntry
    from orchestrator.core.declaration.signing import SignSpec
    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.git.objects import Commit
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch


NO_POLICY = Policy(place=Place(file="release.yaml"))
_DEFAULT_PATH = "release.yaml"
_MAKING = ("branch", "image", "verify", "changelog", "version_files", "hooks")  # what else shapes a release
_JUDGED = (PickState.CLEAN, PickState.ADAPTED, PickState.CONFLICT)


def _config_at(scratch: Scratch, tree: str, path: str, shown_as: str, branch: str) -> Config | None:
    """release.yaml in a tree: at this path or at the top, whichever is for this release branch; else that at the top.

    A file of another branch must not lend its policy: whoever releases chooses the path.
    """
    files = CommittedFiles(scratch, tree)
    named = files.config(path, shown_as)
    if path == _DEFAULT_PATH or (named and named.branch == branch and named.policy):
        return named
    try:
        top = files.config(_DEFAULT_PATH, shown_as)
    except ConfigError:  # another program's file, or a broken one: nobody knows whether it is for this branch
        if named is None or named.branch != branch:
            raise
        return named
    if named and named.branch == branch and not (top and top.branch == branch and top.policy):
        return named
    return top or named


@dataclass(frozen=True, kw_only=True)
class EffectivePolicy:
    """The policy that counts; `source` names the protected branch, "" where the remote has none.

    `declared` is release.yaml there, None when there is none; `tip` the commit that it is of.
    """

    policy: Policy
    source: str = ""
    tip: str = ""
    declared: Config | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


class PolicyResolver:
    """Finds the policy and judges plans, for one repository and one remote.

    `heads` are branches of the remote that were asked for already; None where it cannot be asked: then what was last
    fetched counts.
    """

    def __init__(self, repository: Repository, scratch: Scratch, remote: str, heads: Mapping[str, str] | None) -> None:
        self.repository = repository
        self.scratch = scratch
        self.remote = remote
        self.heads = dict(heads) if heads is not None else None

    def tip(self, branch: str) -> str:
        """The tip of a branch of the remote, its objects here; "" when it has no such branch.  Raises RemoteError."""
        if self.heads is None:
            return self.repository.resolve(f"refs/remotes/{self.remote}/{branch}")
        ref = f"refs/heads/{branch}"
        if branch not in self.heads:
            self.heads[branch] = self.repository.ls_remote(self.remote, ref).refs.get(ref, "")
        sha = self.heads[branch]
        if sha and not self.scratch.has(sha):
            self.repository.bring(self.scratch, self.remote, [ref])
        return sha

    def guard(self, config: Config, config_path: str, base: str) -> EffectivePolicy:
        """The policy that counts for a release of `config` on top of `base`."""
        own = config.policy or NO_POLICY
        try:
            source, sha = self._protected(config, config_path, base)
            there = f"{self.remote}/{source}"
            tree = self.scratch.tree_of(sha) if sha else ""
            found = _config_at(self.scratch, tree, config_path, there, config.branch) if sha else None
        except ConfigError as error:
            problems = (replace(problem, exit_code=Exit.REFUSED) for problem in error.problems)
            return EffectivePolicy(policy=own, problems=tuple(problems))
        except ReleaseError as error:
            return EffectivePolicy(policy=own, problems=(_unknown(error),))
        if found is None or found.policy is None:
            lacks = f"{there} has no {'policy' if found else 'release.yaml'} yet" if sha else (
                f"{self.remote} has no branch {source}")  # fmt: skip
            notes = (f"{lacks}: the policy in {config.place.file} counts",) if config.policy else ()
            return EffectivePolicy(policy=own, source=there if sha else "", tip=sha, declared=found, notes=notes)
        if found.policy == config.policy:
            return EffectivePolicy(policy=config.policy, source=there, tip=sha, declared=found)
        has = "another" if config.policy else "none"
        note = f"the policy of {found.policy.place.file} counts; {config.place.file} has {has}"
        return EffectivePolicy(policy=found.policy, source=there, tip=sha, declared=found, notes=(note,))

    def _protected(self, config: Config, config_path: str, base: str) -> tuple[str, str]:
        """(branch, its tip): the first source of release.yaml on the release branch, else of the file in use."""
        names = [*self._last_released(base, config_path, config.branch), config.source[0]]
        short = [name.removeprefix("refs/heads/").removeprefix(f"{self.remote}/") for name in names]
        for name in dict.fromkeys(short):
            if sha := self.tip(name):
                return name, sha
        return short[-1], ""

    def _last_released(self, base: str, config_path: str, branch: str) -> list[str]:
        try:
            found = _config_at(self.scratch, self.scratch.tree_of(base), config_path, "base", branch)
        except ConfigError:  # an old file of another format binds nobody
            return []
        return [found.source[0]] if found else []

    # -------------------------------------------------------------- a plan

    def judge(self, plan: Plan, config: Config) -> tuple[Judgement, Policy]:
        """What the policy says of a plan, and that policy."""
        guard = self.guard(config, plan.config_path, plan.base)
        entry = config.release(plan.version)
        problems = list(guard.problems)
        try:
            found = self.changes(plan.picks, entry, guard.policy) if entry else []
            problems += rulebook.rules(guard.policy, found, plan.version)
        except ReleaseError as error:
            problems.append(_unknown(error))
        if guard.policy.declared_on_source and entry:
            problems += _declared(guard, config, entry, plan.picks, self._before(guard, plan, config.branch))
        problems += _signed(guard, plan)
        signed = str(guard.policy.place_of("signed-tags")) if guard.policy.signed_tags else ""
        return Judgement(problems=tuple(problems), notes=guard.notes, signed_tag=signed), guard.policy

    def _before(self, guard: EffectivePolicy, plan: Plan, branch: str) -> Iterator[Config]:
        """Earlier states of the protected release.yaml, newest first, for what was made by one: a tag, a candidate."""
        if not (plan.tag_object or plan.promoted_from) or not guard.tip:
            return
        paths = dict.fromkeys((plan.config_path, _DEFAULT_PATH))
        for sha in self.scratch.rev_list("--first-parent", guard.tip, "--", *paths):
            with suppress(ConfigError):
                if there := _config_at(self.scratch, self.scratch.tree_of(sha), plan.config_path, "before", branch):
                    yield there

    def changes(self, judged: Sequence[Pick], entry: ReleaseEntry, policy: Policy) -> list[rulebook.PolicyChange]:
        """The picks of a release, as the rules look at them."""
        fixes = {fix.declared: fix for fix in entry.fixes}
        picks = [
            pick
            for pick in judged
            if (pick.state in _JUDGED or (entry.from_branch and pick.since_previous)) and pick.declared in fixes
        ]
        paths = self._paths(picks) if policy.required_approvals or policy.adapted_approvals else {}
        outside = self._outside(policy, [pick.source for pick in picks])
        return [
            replace(self._change(pick, fix, paths.get(pick.source, ()), outside), by_branch=fix.place == entry.place)
            for pick in picks
            for fix in [fixes[pick.declared]]
        ]

    def _change(self, pick: Pick, fix: Fix, paths: tuple[str, ...], outside: Collection[str]) -> rulebook.PolicyChange:
        commits = self._commits(pick, fix)
        stands_in = pick.state is PickState.DUPLICATE and bool(fix.backport)
        return rulebook.PolicyChange(
            where=str(fix.place),
            source=pick.source,
            subject=pick.subject,
            messages=tuple(commit.text for commit in commits),
            paths=paths,
            authors=tuple(dict.fromkeys([pick.author, *(commit.author_name for commit in commits)])),
            approvals=pick.approved_by,
            adapted=pick.state is PickState.ADAPTED or stands_in or not {*SIDES}.isdisjoint(pick.strategy_options),
            allow=fix.allow,
            on_protected_source=pick.source not in outside,
        )

    def _commits(self, pick: Pick, fix: Fix) -> list[Commit]:
        """Those that say what a pick brings: its source, or what that merges in; and the backport that stands in."""
        source = self.scratch.commit(pick.source)
        said = [source]
        if len(source.parents) > 1:
            kept = source.parents[max(pick.mainline, 1) - 1]
            brought = self.scratch.rev_list("--topo-order", "--no-merges", pick.source, f"^{kept}", "--")
            said = [self.scratch.commit(sha) for sha in brought] or said
        other = pick.carrier if pick.state is PickState.DUPLICATE else pick.applied if fix.backport else ""
        return [*said, *([self.scratch.commit(other)] if other not in ("", pick.source) else [])]

    def _paths(self, picks: list[Pick]) -> dict[str, tuple[str, ...]]:
        """Source -> the files that it changes: on the branch where it applies, else where it comes from."""
        commits: dict[str, str] = {}
        for pick in picks:
            sha = pick.carrier or pick.source
            parents = self.scratch.commit(sha).parents
            number = 0 if pick.carrier else max(pick.mainline, 1) - 1
            commits[sha] = parents[number] if parents else ""
        paths = {
            change.sha: tuple(sorted(path.decode("utf-8", "surrogateescape") for path in change.paths))
            for change in changes.of(self.scratch, commits)
        }
        return {pick.source: paths[pick.carrier or pick.source] for pick in picks}

    def _outside(self, policy: Policy, sources: list[str]) -> set[str]:
        """The sources that are on no protected branch of the remote."""
        if not policy.protected_sources or not sources:
            return set()
        tips = [sha for branch in policy.protected_sources if (sha := self.tip(branch))]
        return outside(self.scratch, sources, tips)


def _signed(guard: EffectivePolicy, plan: Plan) -> list[Problem]:
    """Images are signed where policy wants it, and with no key that the protected branch does not pin."""
    if not plan.images:
        return []
    if plan.sign is None:
        return (
            [_unsigned(guard, "`sign:` is missing", "add it: docs/signatures.md")] if guard.policy.signed_images else []
        )
    theirs = guard.declared.sign if guard.declared else None
    strange = _strange(plan.sign, theirs) if theirs else ""
    if not strange:
        return []
    return [_unsigned(guard, f"{strange}, which {guard.source} does not pin", "pin it there first, or remove it")]


def _strange(ours: SignSpec, theirs: SignSpec) -> str:
    """What is pinned here and not there, "" for nothing."""
    keys = [key for key in ours.public_keys if key not in theirs.public_keys]
    if keys:
        return f"`sign.public-keys` has {keys[0][-16:]}"
    pinned = theirs.keyless or KeylessSpec()
    if ours.keyless is None:
        return ""
    for who in ours.keyless.identities:
        if who not in pinned.identities or ours.keyless.issuer != pinned.issuer:
            return f"`sign.keyless` has {who} of {ours.keyless.issuer}"
    same = ours.keyless.trusted_root == pinned.trusted_root
    return "" if same else f"`sign.keyless` has the trusted root {ours.keyless.trusted_root or 'of sigstore itself'}"


def _unsigned(guard: EffectivePolicy, says: str, remedy: str) -> Problem:
    return Problem(
        code="policy-signed-images",
        message=f"images must be signed with a key that everybody knows: {says}",
        where=str(guard.policy.place_of("signed-images")),
        remedy=remedy,
        exit_code=Exit.REFUSED,
    )


def _unknown(error: ReleaseError) -> Problem:
    """A policy that cannot be read lets nothing through."""
    return Problem(
        code="policy-unknown",
        message=f"the policy of the remote cannot be told: {error.message}",
        where=error.where,
        remedy=error.remedy,
        exit_code=error.status,
    )


def _declared(
    guard: EffectivePolicy, config: Config, entry: ReleaseEntry, picks: Sequence[Pick], before: Iterable[Config]
) -> list[Problem]:
    """Whether the protected release.yaml declares the very same release, to be made in the same way.

    How a release is made may change there for the next one: what is made already may be made as it said `before`.
    """
    there = guard.declared.release(entry.version) if guard.declared else None
    entry = _as_declared(_as_named(entry, there), there, picks, config.exclude)
    if guard.declared is None or there is None or _bare(there) != _bare(entry):
        known = {fix.declared: _bare(fix) for fix in there.fixes} if there else {}
        odd = next((fix for fix in entry.fixes if known.get(fix.declared) != _bare(fix)), None)
        what = f"with {odd.declared} as it stands here" if there and odd else "like this"
        return [_undeclared(guard, f"{entry.version} {what}", odd.place if odd else entry.place)]
    other = _made_otherwise(config, guard.declared)
    if other and any(not _made_otherwise(config, each) for each in before):
        return []
    said = (f"`{key.replace('_', '-')}` as it stands here" for key in other)
    return [_undeclared(guard, each, config.place) for each in said]


def _as_named(entry: ReleaseEntry, there: ReleaseEntry | None) -> ReleaseEntry:
    """The entry without the commits that were found for requests which the protected branch names by number alone."""
    bare = {fix.pr for fix in there.fixes if not fix.is_frozen} if there else set()
    fixes = (replace(fix, commit="", range="", mainline=0) if fix.pr in bare else fix for fix in entry.fixes)
    return replace(entry, fixes=tuple(fixes))


def _as_declared(
    entry: ReleaseEntry, there: ReleaseEntry | None, picks: Sequence[Pick], exclude: tuple[str, ...]
) -> ReleaseEntry:
    """The entry without what it names of the branch, where the protected one takes that as it is."""
    if there is None or not (there.from_branch and entry.from_branch):
        return entry
    taken = {pick.declared for pick in picks if pick.since_previous} - {fix.declared for fix in there.fixes}
    fixes = (fix for fix in entry.fixes if not (fix.is_taken_along(exclude) and fix.declared in taken))
    return replace(entry, fixes=tuple(fixes))


def _made_otherwise(config: Config, other: Config) -> list[str]:
    mine, theirs = ({key: _bare(getattr(each, key)) for key in _MAKING} for each in (config, other))
    return [key for key in _MAKING if mine[key] != theirs[key]]


def _undeclared(guard: EffectivePolicy, what: str, where: Place) -> Problem:
    place = guard.policy.place_of("declared-on-source")
    return Problem(
        code="not-declared-on-source",
        message=f"{guard.source or 'the protected source'} does not declare {what}"
        f" (policy.declared-on-source, {place})",
        where=str(where),
        remedy="bring it to that branch first, by review, then plan again",
        exit_code=Exit.REFUSED,
    )


def _bare(value: Any) -> Any:
    """A part of release.yaml, wherever it stands."""
    if isinstance(value, tuple):
        return tuple(_bare(each) for each in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return {field.name: _bare(getattr(value, field.name)) for field in fields(value) if field.name != "place"}


# ------------------------------------------------------------------ freezes

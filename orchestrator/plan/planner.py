"""Request + release.yaml + repository -> Plan, or every problem at once.  Nothing is left behind.

The same inputs give the same ids: author from the source, committer from git's identity, committer date the later
of the parent's and the source's.  So a plan names the commit that a cut will make.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from orchestrator.core.errors import Exit
from orchestrator.core.reference import parse_repository
from orchestrator.core.results import Pick, PickState, Plan, PlannedImage, Problem, Skipped, Variant
from orchestrator.core.versions import check_version, default_version, parse_tag
from orchestrator.git.objects import later
from orchestrator.image.contents import CHECKS
from orchestrator.picks.classify import Judge
from orchestrator.picks.prerequisites import EFFORT, Finder
from orchestrator.picks.source_status import aftermath
from orchestrator.picks.sources import Source, expand
from orchestrator.plan import changelog
from orchestrator.plan.version_files import rewrite
from orchestrator.session.branch_state import Facts, gather

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.core.results import Config, ImageSpec
    from orchestrator.git.objects import Commit, Signature, When
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.prerequisites import Needs


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to plan.  `version` "" means the next patch; `offline` believes the last fetch."""

    version: str
    config: Config
    config_path: str  # relative to the repository's top, where the release commit puts it
    identity: Signature
    offline: bool = False
    effort: float = EFFORT  # seconds to look for what a conflicting pick needs; 0 does not look


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What people decided at conflicts: source id -> resolving commit, source id -> reason for leaving it out."""

    resolved: Mapping[str, str]
    skipped: Mapping[str, str]


_SAID_OF_IT = ("problems", "notes", "plan_id", "freeze_broken")  # fields of a plan that are no part of the release
_ADVICE = (
    "prerequisites",
    "search",
    "near",
    "followups",
    "lives_on",
)  # fields of a pick that are no part of the release
NO_DECISIONS = Decisions(resolved={}, skipped={})


def draft(
    request: Request, decisions: Decisions, repository: Repository, scratch: Scratch, facts: Facts | None = None
) -> Plan:
    """The plan, with every problem found; `seal` it once the order of tasks is known.

    `facts` are gathered unless given.  Raises UsageError only where nothing can be planned at all (no such branch,
    a shallow clone).
    """
    facts = facts or gather(repository, scratch, request.config, offline=request.offline)
    config = request.config
    version = request.version or default_version(config.branch, facts.reachable)
    verdict = check_version(
        version, branch=config.branch, reachable=facts.reachable, existing=facts.tags, where=_where(config, version)
    )
    problems = [*facts.problems, *verdict.problems, *_tag_in_the_way(facts, version, config),
                *_yanked(facts, version, config)]  # fmt: skip
    entry = config.release(version)
    if entry is None:
        problems.append(_undeclared(config, version))
    sources, faults = expand(entry.fixes if entry else (), config.remote, repository, scratch)
    problems += faults
    tip, picks, skipped, faults = Picker(scratch, request.identity, decisions, facts.base, request.effort).run(sources)
    problems += _without_its_own(faults, verdict.problems)
    after = aftermath(repository, scratch, sources, picks,
                      base=facts.base, tips=facts.source_tips, remote=config.remote)  # fmt: skip
    problems += after.problems
    summary = entry.summary if entry else ""
    made = release_commit(request, scratch, tip, version, summary, picks)
    problems += made.problems
    return Plan(
        plan_id="",
        version=version,
        previous=verdict.previous,
        remote=config.remote,
        branch=config.branch,
        base=facts.base,
        head=made.head,
        picked_tree=scratch.tree_of(tip),
        tree=made.tree,
        picks=after.picks,
        skipped=tuple(skipped),
        images=planned_images(config, version, made.head, verdict.previous),
        tasks=(),
        verify=config.verify,
        summary=summary,
        committer=str(request.identity),
        when=made.when,
        config_path=request.config_path,
        config_sha256=hashlib.sha256(config.text).hexdigest(),
        git_version=repository.git_version(),
        problems=tuple(problems),
        notes=(*facts.notes, *_taken_back(facts, verdict.previous), *after.notes),
    )


def _without_its_own(faults: Sequence[Problem], of_version: Sequence[Problem]) -> list[Problem]:
    """Where the version was made already its picks are on the branch, and no entry of it may be removed for that."""
    made = any(each.code == "version-exists" for each in of_version)
    return [each for each in faults if not (made and each.code == "duplicate-pick")]


def seal(plan: Plan, tasks: tuple[str, ...]) -> Plan:
    """The plan with its order of tasks and its id: SHA-256 over all content but what is only said of it.

    Problems, notes, and what other commits say of a pick may change while the source moves on; the release does not.
    """
    plan = replace(plan, tasks=tasks, plan_id="")
    content = {key: value for key, value in asdict(plan).items() if key not in _SAID_OF_IT}
    content["signed_tag"] = bool(plan.signed_tag)  # where the rule stands does not matter
    content["picks"] = [{key: pick[key] for key in pick if key not in _ADVICE} for pick in content["picks"]]
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return replace(plan, plan_id=hashlib.sha256(text.encode()).hexdigest())


class Picker:
    """Applies sources one by one to a tip.  A pick that does not apply is left out and the rest goes on."""

    def __init__(
        self, scratch: Scratch, identity: Signature, decisions: Decisions, base: str, effort: float = EFFORT
    ) -> None:
        self.scratch = scratch
        self.identity = identity
        self.decisions = decisions
        self.base = base
        self.finder = Finder(scratch, base, effort=effort)

    def run(self, sources: Sequence[Source]) -> tuple[str, list[Pick], list[Skipped], list[Problem]]:
        """(tip, picks, skipped, problems)."""
        judge = Judge(self.scratch, self.base, sources, self.decisions.resolved)
        tip = self.base
        declared = {source.commit.sha for source in sources}
        picks: list[Pick] = []
        skipped: list[Skipped] = []
        problems: list[Problem] = []
        for source in sources:
            if source.commit.sha in self.decisions.skipped:
                skipped.append(
                    Skipped(
                        source=source.commit.sha,
                        subject=source.commit.subject,
                        reason=self.decisions.skipped[source.commit.sha],
                    )
                )
                continue
            verdict = judge.judge(source, tip)
            pick = verdict.pick
            if verdict.tree:
                tip = write_pick(self.scratch, tip, verdict.tree, source.commit, verdict.like, self.identity)
                pick = replace(pick, result=tip)
            if pick.state is PickState.CONFLICT and not pick.applied:
                needs = self._needs(source, pick, tip, picks)
                pick = replace(pick, prerequisites=needs.commits, near=needs.near, search=needs.said)
                problems += [lacking(self.scratch, problem, needs, declared) for problem in verdict.problems]
            else:
                problems += verdict.problems
            picks.append(pick)
        return tip, picks, skipped, problems

    def _needs(self, source: Source, pick: Pick, tip: str, before: Sequence[Pick]) -> Needs:
        paths = [conflict.path for conflict in pick.conflicts]
        return self.finder.find(source, tip, paths, [each.source for each in before if each.result])


def lacking(scratch: Scratch, problem: Problem, needs: Needs, declared: Collection[str]) -> Problem:
    """The problem of a conflict, with what was found out about it; with a proof, the decision to make instead.

    `declared` are the sources of the whole list: what stands behind the pick already must only be moved.
    """
    if not needs.proved:
        return replace(problem, message=f"{problem.message}; {needs.said}") if needs.said else problem
    names = " and ".join(f"{sha[:12]} {scratch.commit(sha).subject!r}" for sha in needs.commits)
    behind = " and ".join(sha[:12] for sha in needs.commits if sha in declared)
    ways = [f"move {behind} above it in release.yaml"] if behind else []
    if any(sha not in declared for sha in needs.commits):
        ways.append("declare what it needs before it (`release plan --write` does)")
    return replace(
        problem,
        code="missing-prerequisite",
        message=f"{problem.message}; with {names} picked first it applies",
        remedy=f"{', and '.join(ways)}; or let `release cut` pause there",
        exit_code=Exit.DECISION,
    )


def write_pick(
    scratch: Scratch, tip: str, tree: str, source: Commit, like: Commit, identity: Signature, when: When | None = None
) -> str:
    """The commit of a pick: author and message of `like` (the source, or its backport), `-x` naming the source."""
    from orchestrator.core.commit_message import with_origin

    when = when or later(scratch.commit(tip).when, source.when)
    return scratch.write_commit(
        tree=tree,
        parents=(tip,),
        author=like.author,
        committer=f"{identity} {when}".encode(),
        message=with_origin(like.message, source.sha),
    )


@dataclass(frozen=True, kw_only=True)
class Made:
    head: str
    tree: str
    when: str
    problems: tuple[Problem, ...]


def release_commit(
    request: Request, scratch: Scratch, tip: str, version: str, summary: str, picks: Sequence[Pick]
) -> Made:
    """The release commit: release.yaml as used, the changelog section, version files."""
    config, parent = request.config, scratch.commit(tip)
    files, problems = release_files(config, request.config_path, scratch, parent.tree, version, summary, picks)
    problems += [_in_the_way(path, there, config) for path in files if (there := scratch.in_the_way(parent.tree, path))]
    tree = scratch.change_files(parent.tree, files)
    who = f"{request.identity} {parent.when}".encode()
    head = scratch.write_commit(
        tree=tree,
        parents=(tip,),
        author=who,
        committer=who,
        message=changelog.commit_message(version, summary, picks),
    )
    return Made(head=head, tree=tree, when=str(parent.when), problems=tuple(problems))


def release_files(
    config: Config, config_path: str, scratch: Scratch, tree: str, version: str, summary: str, picks: Sequence[Pick]
) -> tuple[dict[str, bytes], list[Problem]]:
    """What a release commit writes on a tree, by path, and a problem for each version file that cannot be."""
    text = changelog.section(version, summary, picks, config.repository_url)
    files = {config_path: config.text, config.changelog: changelog.insert(scratch.file(tree, config.changelog), text)}
    rewritten, problems = rewrite(config.version_files, version, lambda path: scratch.file(tree, path))
    return files | rewritten, problems


def _tag_in_the_way(facts: Facts, version: str, config: Config) -> list[Problem]:
    """Git keeps refs as paths: beside `v2.7.1/rc` there is no room for `v2.7.1` on the remote."""
    return [
        Problem(
            code="tag-in-the-way",
            message=f"tag {tag} on {config.remote} leaves no room for tag {version}",
            where=_where(config, version),
            remedy=f"remove it there: git push {config.remote} :refs/tags/{tag}",
            exit_code=Exit.REFUSED,
        )
        for tag in facts.public_tags
        if tag.startswith(f"{version}/")
    ]


def _yanked(facts: Facts, version: str, config: Config) -> list[Problem]:
    """The number of a yanked version is never used again, not even where somebody removed its tag."""
    if version not in facts.yanks:
        return []
    return [
        Problem(
            code="version-yanked",
            message=f"{version} was {facts.yanks[version].said}",
            where=_where(config, version),
            remedy="a version is never made twice: release the next one",
            exit_code=Exit.REFUSED,
        )
    ]


def _taken_back(facts: Facts, previous: str) -> list[str]:
    """A note for each yanked version since the last good one: this release is built on top of them."""
    last = parse_tag(previous)
    versions = [each for tag in facts.reachable if (each := parse_tag(tag)) and last and each.version <= last.version]
    newest = [str(each) for each in sorted(versions, key=lambda each: each.version, reverse=True)]
    return [
        f"{tag} was {facts.yanks[tag].said}; this release is made on top of it"
        for tag in takewhile(facts.yanks.__contains__, newest)
    ]


def _in_the_way(path: str, there: str, config: Config) -> Problem:
    return Problem(
        code="path-in-the-way",
        message=f"the release commit writes {path}, but on {config.branch} {there} is in the way",
        where=str(config.place),
        remedy="name another path (`changelog:`, --config), or make it a regular file on the branch first",
        exit_code=Exit.USAGE,
    )


def planned_images(config: Config, version: str, head: str, previous: str = "") -> tuple[PlannedImage, ...]:
    """The images of a release, the default variant first.

    A candidate's name comes from the commit, so a rerun finds it again.  The default variant is published under
    the plain version and, where variants are declared, under its own name too.
    """
    spec = config.image
    if spec is None:
        return ()
    if not spec.variants:
        return (_planned(spec, Variant(place=spec.place, name=""), (version, previous), head, plain=True),)
    versions = (version, previous)
    return tuple(_planned(spec, each, versions, head, plain=each is spec.variants[0]) for each in spec.variants)


def _planned(spec: ImageSpec, variant: Variant, versions: tuple[str, str], head: str, *, plain: bool) -> PlannedImage:
    """`versions`: this one, and the one before or ""."""
    version, previous = versions
    repository = parse_repository(spec.repository)
    # Twice the same where there are no variants; the first is the reference.
    endings = list(dict.fromkeys(("", variant.suffix) if plain else (variant.suffix,)))
    names = [str(repository.tag(f"{version}{ending}")) for ending in endings]
    return PlannedImage(
        repository=str(repository),
        reference=names[0],
        candidate=str(repository.tag(f"candidate-{head[:12]}{endings[0]}")),
        dockerfile=spec.dockerfile,
        context=spec.context,
        build_args=tuple({**dict(spec.build_args), **dict(variant.build_args)}.items()),
        platform=variant.platform or spec.platform,
        network=spec.network,
        floating=tuple(f"{tag}{ending}" for tag in spec.floating for ending in endings),
        smoke=(*spec.smoke, *variant.smoke),
        variant=variant.name,
        aliases=tuple(names[1:]),
        lock=variant.lock or spec.lock,
        parallel=spec.parallel,
        checks=spec.checks if spec.checks is not None else _usual_checks(spec, variant),
        patches=spec.patches,
        previous=str(repository.tag(f"{previous}{endings[0]}")) if previous else "",
        delta_budget=spec.delta_budget,
        size_budget=spec.size_budget,
        max_layers=spec.max_layers,
    )


def _usual_checks(spec: ImageSpec, variant: Variant) -> tuple[str, ...]:
    """What is checked inside where release.yaml does not say: what there is something to check against."""
    if variant.lock or spec.lock:
        return tuple(CHECKS)
    return ("patches",) if spec.patches else ()


def _where(config: Config, version: str) -> str:
    entry = config.release(version)
    return str(entry.place if entry else config.place)


def _undeclared(config: Config, version: str) -> Problem:
    declared = ", ".join(entry.version for entry in config.releases) or "nothing"
    return Problem(
        code="not-declared",
        message=f"release.yaml declares no {version} (it declares {declared})",
        where=str(config.place),
        remedy=f"add under `releases:` an entry `{version}:` with its fixes",
        exit_code=Exit.USAGE,
    )

"""PlanRequest + release.yaml + repository -> Plan, or every problem at once.  Nothing is left behind.

The same inputs give the same ids: author from the source, committer from git's identity, committer date the later
of the parent's and the source's.  So a plan names the commit that a cut will make.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields, is_dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from orchestrator.core.errors import Exit
from orchestrator.core.plan import Decisions, Judgement, Plan, PlannedImage
from orchestrator.core.results import Problem
from orchestrator.core.text import word
from orchestrator.core.versions import parse_tag
from orchestrator.git.batch import outside
from orchestrator.picks.resolutions.known import Earlier, known_here
from orchestrator.picks.source_status import aftermath
from orchestrator.picks.sources import expand, moving, named, unknown
from orchestrator.picks.undeclared import older, undeclared
from orchestrator.plan import document
from orchestrator.plan.images import planned_images
from orchestrator.plan.picker import Picker, mark_own
from orchestrator.plan.release_commit import PlanRequest, release_commit
from orchestrator.plan.version_kinds import left_behind
from orchestrator.plan.version_rule import check_version, default_version
from orchestrator.session.branch_state import Facts, gather
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.kept_sources import bring_for, sources_ref

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.core.declaration import Config, ReleaseEntry
    from orchestrator.core.pick import Pick, Skipped
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Source


_SAID_OF_IT = (
    "problems",
    "notes",
    "plan_id",
    "freeze_broken",
    "elsewhere",
)  # fields of a plan that are no part of the release
_NEWER = (
    "request",
    "landed",
    "sign",
    "one_by_one",
    "records",
    "sign_commits",
    "signed_from",
    "built_by",
)  # fields that count where they say something: ids of older plans stay as they were
_NEWER_OF_PICK = ("forwarded", "exclude", "strategy_options", "resolution")  # the same, of a pick
_ADVICE = (
    "prerequisites",
    "search",
    "near",
    "followups",
    "lives_on",
)  # fields of a pick that are no part of the release


def draft(
    request: PlanRequest, decisions: Decisions, repository: Repository, scratch: Scratch, facts: Facts | None = None
) -> Plan:
    """The plan as far as the repository tells it; `seal` it with what is said of it and its order of tasks.

    `facts` are gathered unless given.  Raises UsageError only where nothing can be planned at all (no such branch,
    a shallow clone).
    """
    facts = facts or gather(repository, scratch, request.config, offline=request.offline)
    config = request.config
    version = request.version or default_version(config.branch, facts.reachable)
    verdict = check_version(
        version, branch=config.branch, reachable=facts.reachable, existing=facts.tags, where=_where(config, version)
    )
    verdict = replace(verdict, problems=_by_place(facts, version, config, verdict.problems))
    problems = [*facts.problems, *verdict.problems, *_tag_in_the_way(facts, version, config),
                *_yanked(facts, version, config)]  # fmt: skip
    entry = config.release(version)
    if entry is None:
        problems.append(_undeclared(config, version, verdict.problems))
    if entry and not request.offline:
        _bring_named(request, entry, repository, scratch)
    sources, faults = expand(entry.fixes if entry else (), config.remote, repository, scratch)
    problems += faults
    have_contents(
        repository, scratch, (facts.base, *facts.source_tips.values()), named(sources), offline=request.offline
    )
    is_made = bool(decisions.made or decisions.present)
    if entry and not is_made:
        problems += moving(entry.fixes, config.remote, repository, scratch)
    tip, picks, skipped, faults = Picker(
        scratch,
        request.identity,
        decisions,
        facts.base,
        request.effort,
        config.changelog,
        config.signoff,
        earlier=Earlier(known=known_here(repository, scratch), told=decisions.told)
        if is_made
        else _earlier(request, facts, repository, scratch),
    ).run(sources)
    problems += _without_its_own(faults, verdict.problems)
    picks = picks if is_made else mark_own(scratch, picks, older(facts))
    after = aftermath(repository, scratch, sources, picks,
                      base=facts.base, tips=facts.source_tips, remote=config.remote)  # fmt: skip
    problems += after.problems
    summary = entry.summary if entry else ""
    made = release_commit(
        config, request.config_path, request.identity,
        scratch=scratch, tip=tip, version=version, summary=summary, picks=picks, previous=verdict.previous,
    )  # fmt: skip
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
        images=_images(config, version, made.head, verdict.previous, made.tree, scratch),
        tasks=(),
        verify=config.verify,
        summary=summary,
        committer=str(request.identity),
        when=made.when,
        tag_object=request.tag_object,
        config_path=request.config_path,
        config_sha256=hashlib.sha256(scratch.file(made.tree, request.config_path) or config.text).hexdigest(),
        git_version=repository.git_version(),
        sign=config.sign,
        sources=named(sources),
        problems=tuple(problems),
        notes=(
            *facts.notes,
            *verdict.notes,
            *_only_here(facts, version, config),
            *_taken_back(facts, verdict.previous),
            *after.notes,
            *made.notes,
            *(left_behind(scratch, made.tree, verdict.previous) if entry and not is_made else ()),
            *(_strangers(facts, config, scratch, picks, skipped) if entry and not is_made else ()),
            *(_private_sources(facts, config, repository, scratch, version, sources) if not is_made else ()),
        ),
    )


def _earlier(request: PlanRequest, facts: Facts, repository: Repository, scratch: Scratch) -> Earlier:
    """What released versions resolved; who released it may have it applied without a question.

    What is here alone, or another tag here than on the remote, is not released; what was yanked is no example.
    """
    known = known_here(repository, scratch, facts.tag_objects, facts.yanks)
    own = str(request.identity) if request.config.reuse_resolutions else ""
    return Earlier(known=known, own=own, public=facts.public_tags)


def _images(
    config: Config, version: str, head: str, previous: str, tree: str, scratch: Scratch
) -> tuple[PlannedImage, ...]:
    """The images of the release, with their heavy bases where release.yaml has some."""
    images = planned_images(config, version, head, previous)
    if config.image is None or config.image.heavy is None:
        return images
    from orchestrator.thin.planned import with_heavy

    return with_heavy(images, config.image, scratch, tree)


def _bring_named(request: PlanRequest, entry: ReleaseEntry, repository: Repository, scratch: Scratch) -> None:
    """What is declared and not here: kept with a version that was made already, or given by the server by its id."""
    remote = request.config.remote
    if lacking := unknown(entry.fixes, remote, repository, scratch):
        bring_for(repository, scratch, remote, entry.version, lacking)


def _strangers(
    facts: Facts, config: Config, scratch: Scratch, picks: Sequence[Pick], skipped: Sequence[Skipped]
) -> list[str]:
    """What came to the branch by hand and is not declared."""
    declared = {pick.source for pick in picks} | {each.source for each in skipped}
    declared |= {pick.duplicate_of for pick in picks}
    picked = {pick.source for pick in picks if pick.result}
    return undeclared(scratch, config, facts.base, older(facts), declared, picked)


def _private_sources(
    facts: Facts, config: Config, repository: Repository, scratch: Scratch, version: str, sources: Sequence[Source]
) -> list[str]:
    """A note for each commit that nobody but this clone has: the release publishes it, with all that it is built on."""
    if facts.heads is None or not sources:
        return []
    public = {*repository.refs(f"refs/remotes/{config.remote}").values(), *facts.heads.values()}
    public |= {facts.tags[tag] for tag in facts.public_tags}
    known = [sha for sha in public if sha and scratch.is_commit(sha)]
    names = named(sources)
    alone = outside(scratch, names, known)
    return [
        f"{sha[:12]} is on no branch of {config.remote} that this clone knows: the release pushes it there,"
        f" with what it is built on ({sources_ref(version)})"
        for sha in names
        if sha in alone
    ]


def _without_its_own(faults: Sequence[Problem], of_version: Sequence[Problem]) -> list[Problem]:
    """Where the version was made already its picks are on the branch, and no entry of it may be removed for that."""
    made = any(each.code == "version-exists" for each in of_version)
    return [each for each in faults if not (made and each.code == "duplicate-pick")]


def judged(draft: Plan, *judgements: Judgement) -> Plan:
    """The plan with all that is said of it."""
    return replace(
        draft,
        problems=(*draft.problems, *(each for said in judgements for each in said.problems)),
        notes=(*draft.notes, *(each for said in judgements for each in said.notes)),
        signed_tag=next((said.signed_tag for said in judgements if said.signed_tag), ""),
        freeze_broken=next((said.freeze_broken for said in judgements if said.freeze_broken), ""),
    )


def seal(draft: Plan, tasks: tuple[str, ...], *judgements: Judgement) -> Plan:
    """The plan with all that is said of it, its tasks and its id: SHA-256 over all content but what is only said of it.

    Problems, notes, and what other commits say of a pick may change while the source moves on; the release does not.
    """
    plan = replace(judged(draft, *judgements), tasks=tasks, plan_id="")
    content = {key: value for key, value in document.values(plan).items() if key not in _SAID_OF_IT}
    content = {key: value for key, value in content.items() if value or key not in _NEWER}
    content["signed_tag"] = bool(plan.signed_tag)  # where the rule stands does not matter
    content["picks"] = [
        {key: value for key, value in pick.items() if key not in _ADVICE and (value or key not in _NEWER_OF_PICK)}
        for pick in content["picks"]
    ]
    content["images"] = [_asked_for(image) for image in content["images"]]
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return replace(plan, plan_id=hashlib.sha256(text.encode()).hexdigest())


def _asked_for(image: Mapping[str, Any]) -> dict[str, Any]:
    """What an id holds of an image: not who builds it, and nothing of a field that came later and is not used."""
    names = [field.name for field in fields(PlannedImage)]
    later = {field.name: _plain(field.default) for field in fields(PlannedImage)[names.index("engine") :]}
    used = {
        key: value for key, value in image.items() if key != "engine" and not (key in later and value == later[key])
    }
    if "heavy" in used:
        used["heavy"] = {key: value for key, value in used["heavy"].items() if key != "builder"}
    return used | ({"parts": [_asked_for(part) for part in used["parts"]]} if "parts" in used else {})


def _plain(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _local_tags(facts: Facts) -> list[str]:
    """Version tags of this clone that the remote has not; none where it was not asked."""
    return [tag for tag in facts.tags if facts.heads is not None and tag not in facts.public_tags and parse_tag(tag)]


def _by_place(facts: Facts, version: str, config: Config, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The problems of a version, told otherwise where its tag is in this clone only: then it was never released."""
    if version not in _local_tags(facts):
        return tuple(problems)
    here = Problem(
        code="tag-only-here",
        message=f"tag {version} is in this clone only, not on {config.remote}: an earlier try, perhaps by hand",
        where=_where(config, version),
        remedy=f"git tag -d {version}",
        exit_code=Exit.REFUSED,
    )
    return (here, *(each for each in problems if each.code != "version-exists"))


def _only_here(facts: Facts, version: str, config: Config) -> list[str]:
    """A note for each other tag on the branch that nobody else sees, though the version rule counts it."""
    return [
        f"tag {tag} is in this clone only: git push {word(config.remote)} refs/tags/{tag}, or: git tag -d {tag}"
        for tag in _local_tags(facts)
        if tag in facts.reachable and tag != version
    ]


def _tag_in_the_way(facts: Facts, version: str, config: Config) -> list[Problem]:
    """Git keeps refs as paths: beside `v2.7.1/rc` there is no room for `v2.7.1` on the remote."""
    return [
        Problem(
            code="tag-in-the-way",
            message=f"tag {tag} on {config.remote} leaves no room for tag {version}",
            where=_where(config, version),
            remedy=f"remove it there: git push {word(config.remote)} {word(f':refs/tags/{tag}')}",
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
    versions = [each for tag in facts.reachable if (each := parse_tag(tag)) and last and each.order <= last.order]
    newest = [str(each) for each in sorted(versions, key=lambda each: each.order, reverse=True)]
    return [
        f"{tag} was {facts.yanks[tag].said}; this release is made on top of it"
        for tag in takewhile(facts.yanks.__contains__, newest)
    ]


def _where(config: Config, version: str) -> str:
    entry = config.release(version)
    return str(entry.place if entry else config.place)


def _undeclared(config: Config, version: str, problems: Collection[Problem]) -> Problem:
    """With another remedy where the file has it in another spelling, which one file can't hold beside this."""
    declared = ", ".join(entry.version for entry in config.releases) or "nothing"
    asked = parse_tag(version)
    same = next((each for each in config.releases if asked and _bare(each.version) == asked.bare), None)
    remedy = f"add under `releases:` an entry `{version}:` with its fixes"
    if same:
        is_wrong = any(each.code == "version-prefix" for each in problems)
        remedy = (
            f"give {same.version}, as it is declared" if is_wrong else f"write {version} in place of {same.version}"
        )
    return Problem(
        code="not-declared",
        message=f"release.yaml declares no {version} (it declares {declared})",
        where=str(same.place if same else config.place),
        remedy=remedy,
        exit_code=Exit.USAGE,
    )


def _bare(version: str) -> str:
    tag = parse_tag(version)
    return tag.bare if tag else ""

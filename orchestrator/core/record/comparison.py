"""A record, held in one place against what tag, plan, release.yaml and git say of the release."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from orchestrator import tool_version
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError
from orchestrator.core.record.document import record_ref
from orchestrator.core.tag_message import (
    built_later,
    landed_as,
    onto,
    promotion,
    shipped,
    signed_from,
    tagged_account,
    tagged_reason,
    written_account,
    written_message,
)
from orchestrator.core.versions import TagVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.core.record.document import Record
    from orchestrator.core.reference import Reference
    from orchestrator.core.tag_message import TaggedPick, TagRow

_TOLD = ("subject", "declared", "reason", "approved_by", "author", "type", "breaking", "mainline", "confirm", "applied",
         "duplicate_of", "exclude", "strategy_options", "resolution")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """What a tag or a plan says of a release.  None stands for what nobody told: it is not compared.

    `images` are the digests by reference, "" where only the name is known.  `base` is the commit below what was made,
    `told` the picks as release.yaml and their sources tell them.
    """

    version: TagVersion
    commit: str
    tag: str | None = None
    tree: str | None = None
    picked_tree: str | None = None
    base: str | None = None
    committer: str | None = None
    picks: tuple[TaggedPick, ...] | None = None
    message: str | None = None  # of the tag
    promoted_from: tuple[str, str] | None = None  # version and tag object of the candidate; ("", "") for none
    candidate_record: str | None = None  # the blob of that candidate's record
    config_path: str | None = None
    config_sha256: str | None = None
    branch: str | None = None
    told: tuple[Pick, ...] | None = None
    images: Mapping[Reference, str] | None = None


def facts_of_tag(version: TagVersion, tag: str, commit: str, message: str, **more: Any) -> ReleaseFacts:
    """What an annotated tag says; `more` are fields that its commit tells."""
    return ReleaseFacts(
        version=version,
        tag=tag,
        commit=commit,
        message=message,
        picks=tuple((row.state, row.source, row.commit) for row in tagged_account(message) if row.shipped),
        promoted_from=promotion(message) or ("", ""),
        **more,
    )


def facts_of_plan(plan: Plan, tag: str, digests: Mapping[Reference, str]) -> ReleaseFacts:
    """What a plan says, with the tag object and the digests that carrying it out gave."""
    origin = plan.promoted_from
    return ReleaseFacts(
        version=TagVersion.from_text(plan.version),
        tag=tag,
        commit=plan.head,
        tree=plan.tree,
        picked_tree=plan.picked_tree,
        base=plan.base,
        picks=_brought(plan.picks),
        promoted_from=(origin.version, origin.tag_object) if origin else ("", ""),
        config_path=plan.config_path,
        config_sha256=plan.config_sha256,
        branch=plan.branch,
        told=None if origin else plan.picks,
        images={image.reference: digests.get(image.reference, "") for image in plan.images},
    )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One thing that the record and a tag or plan tell: `actual` is theirs, for people.

    `fault` says how the record differs, as the end of a sentence that begins with "the record"; "" where it agrees.
    """

    name: str
    actual: str
    fault: str = ""


def differences(record: Record, facts: ReleaseFacts) -> list[Comparison]:
    """In what a record is not what tag and plan say; empty for one that agrees."""
    return [each for each in comparisons(record, facts) if each.fault]


def comparisons(record: Record, facts: ReleaseFacts) -> Iterator[Comparison]:
    """Everything that both tell, whether it agrees or not."""
    for name, recorded, actual in (
        ("version", str(record.version), str(facts.version)),
        ("tag name", str(record.tag.name), str(facts.version)),
        ("tag", record.tag.object, facts.tag),
        ("commit", record.commit, facts.commit),
        ("tree", record.tree, facts.tree),
        ("picked tree", record.picked_tree, facts.picked_tree),
        ("base", record.base, facts.base),
        ("committer", record.committer, facts.committer),
        ("branch", record.branch, facts.branch),
        ("path of release.yaml", record.config.path, facts.config_path),
        ("release.yaml", record.config.sha256, facts.config_sha256),
    ):
        if actual is not None:
            yield _equal(name, recorded, actual)
    if facts.promoted_from is not None:
        yield _origins(record, facts)
    if facts.picks is not None:
        yield (picks := _picks(record, facts.picks))
        if facts.message is not None and not picks.fault:
            yield _rows(record, facts.message)
    if facts.message is not None:
        yield from _message(record, str(facts.version), facts.message)
    if facts.told is not None and record.tool.version == tool_version():  # another one may read messages otherwise
        yield _told(record, facts.told)
    if facts.images is not None:
        yield _images(record, facts.images)


def _equal(name: str, recorded: str, actual: str) -> Comparison:
    fault = "" if recorded == actual else f"says {name} {recorded or 'nothing'}, and it is {actual or 'not there'}"
    return Comparison(name=name, actual=actual, fault=fault)


def _origins(record: Record, facts: ReleaseFacts) -> Comparison:
    origin, actual = record.promoted_from, facts.promoted_from or ("", "")
    recorded = (str(origin.version), origin.tag) if origin else ("", "")
    said, told = (" ".join(each).strip() or "no candidate" for each in (recorded, actual))
    fault = "" if recorded == actual else f"says that it was promoted from {said}, and the tag from {told}"
    if origin and not fault and origin.version_inside != origin.version:
        fault = f"says that the images call themselves {origin.version_inside}, and they were made as {origin.version}"
    if origin and not fault and facts.candidate_record not in (None, origin.record):
        fault = f"says that the record of {origin.version} is {origin.record}, and it is {facts.candidate_record}"
    return Comparison(name="promoted from", actual=told, fault=fault)


def _brought(picks: Sequence[Pick]) -> tuple[TaggedPick, ...]:
    """The picks that a version brings, as a tag lists them."""
    return tuple((str(pick.state), pick.source, pick.carrier) for pick in shipped(picks))


def _picks(record: Record, actual: tuple[TaggedPick, ...]) -> Comparison:
    """Those that the version brings, in their order."""
    recorded = _brought(record.picks)
    fault = ""
    if len(recorded) != len(actual):
        fault = f"has {len(recorded)} picks, and the tag lists {len(actual)}"
    elif wrong := next((pair for pair in zip(recorded, actual, strict=True) if pair[0] != pair[1]), None):
        said, told = (f"{source[:12]} {state} as {result[:12]}" for state, source, result in wrong)
        fault = f"has the pick {said}, and the tag lists {told}"
    return Comparison(name="picks", actual=f"{len(actual)} picks", fault=fault)


def _message(record: Record, version: str, message: str) -> Iterator[Comparison]:
    """What the tag says in words."""
    title, said = message.partition("\n")[0], " ".join(message.split())
    wanted = f"{version}: {' '.join(record.summary.split())}"
    same = said.startswith(wanted) if record.summary else title == version
    yield Comparison(
        name="summary", actual=title, fault="" if same else f"has the summary {record.summary!r}, the tag {title!r}"
    )
    yield _equal("reason to break a freeze", " ".join(record.freeze_broken.split()), tagged_reason(message).strip())
    yield _equal("commit before it was signed", record.signed_from, signed_from(message))
    if place := onto(message):
        yield _equal("branch in the tag", record.branch, place[0])
        yield _equal("version before", str(record.previous or ""), place[1])
    if record.tool.version == tool_version():  # another one may write it otherwise
        yield _text(record, version, message)


def _text(record: Record, version: str, message: str) -> Comparison:
    """The whole message, line by line; a signature below it is no part of it."""
    origin = record.promoted_from
    wanted = written_message(
        record,
        version=version,
        previous=str(record.previous or ""),
        promoted_from=(str(origin.version), origin.tag) if origin else None,
        landed=landed_as(message),
        built_later=built_later(message),
    )
    told = message.partition("-----BEGIN ")[0] if "\n-----BEGIN " in message else message
    pairs = zip_longest(wanted.split("\n"), told.split("\n"), fillvalue="nothing")
    wrong = next(((ours, theirs) for ours, theirs in pairs if ours != theirs), None)
    fault = "makes the tag say {!r}, and it says {!r}".format(*wrong) if wrong else ""
    return Comparison(name="words of the tag", actual=f"{len(told.splitlines())} lines", fault=fault)


def _rows(record: Record, message: str) -> Comparison:
    """The words of each fix, and what was left out; tags of before lack the lines of the latter."""
    actual, recorded = tagged_account(message), written_account(record.picks, record.skipped)
    if all(row.shipped for row in actual):
        recorded = [row for row in recorded if row.shipped]
    return Comparison(name="left out", actual=_counted(actual), fault=_unlike(recorded, actual))


def _counted(rows: Sequence[TagRow]) -> str:
    return f"{sum(not row.shipped for row in rows)} left out"


def _unlike(recorded: Sequence[TagRow], actual: Sequence[TagRow]) -> str:
    if len(recorded) != len(actual):
        return f"tells of {len(recorded)} fixes, and the tag of {len(actual)}"
    wrong = next((pair for pair in zip(recorded, actual, strict=True) if pair[0] != pair[1]), None)
    return f"tells of {wrong[0].said}, and the tag of {wrong[1].said}" if wrong else ""


def _told(record: Record, told: Sequence[Pick]) -> Comparison:
    """What release.yaml and the sources themselves say of each fix."""
    known = {pick.source: pick for pick in told}
    fault = ""
    for pick in record.picks:
        other = known.get(pick.source, pick)
        if key := next((key for key in _TOLD if getattr(pick, key) != getattr(other, key)), ""):
            fault = f"says of {pick.source[:12]} {key} {getattr(pick, key)!r}, and it is {getattr(other, key)!r}"
            break
    return Comparison(name="fixes", actual=f"{len(known)} fixes", fault=fault)


def _images(record: Record, actual: Mapping[Reference, str]) -> Comparison:
    recorded = {image.reference: image.digest for image in record.images}
    fault = ""
    for name in (*recorded, *actual):
        if name not in actual:
            fault = f"has {name}, which release.yaml there does not declare"
        elif name not in recorded:
            fault = f"has no {name}, which release.yaml there declares"
        elif actual[name] not in ("", recorded[name]):
            fault = f"says that {name} is {recorded[name]}, and it is {actual[name]}"
        if fault:
            break
    return Comparison(name="images", actual=f"{len(actual)} images", fault=fault)


def must_agree(record: Record, facts: ReleaseFacts) -> None:
    """Raises MismatchError naming the first difference."""
    for each in differences(record, facts):
        raise MismatchError(
            f"the record of {record.version} {each.fault}",
            where=record_ref(facts.version),
            remedy=f"find out who made it: release show {facts.version}; prove it: release verify {facts.version}",
            code="record-differs",
        )

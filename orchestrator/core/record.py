"""The record of a release: one JSON document that says what was declared, made, checked and published.

It is read strictly before anything in it is believed, and compared in one place with what tag and plan say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core import documents
from orchestrator.core.documents import Digest, DocumentError, ObjectId, Sha256
from orchestrator.core.errors import MismatchError, UsageError
from orchestrator.core.pick import Pick, Skipped
from orchestrator.core.reference import Reference
from orchestrator.core.results import CheckResult
from orchestrator.core.tag_message import TaggedPick, promotion, shipped, tagged_picks
from orchestrator.core.versions import TagVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.core.plan import Plan

SCHEMA_VERSION: Final = 1
PREFIX: Final = "refs/release-records/"


def record_ref(version: TagVersion | str) -> str:
    """The ref that holds a version's record, here and on the remote."""
    return f"{PREFIX}{version}"


# ------------------------------------------------------------------ the document


@dataclass(frozen=True, kw_only=True)
class _Version:
    schema_version: int


@dataclass(frozen=True, kw_only=True)
class RecordedTag:
    name: TagVersion
    object: ObjectId


@dataclass(frozen=True, kw_only=True)
class RecordedConfig:
    """release.yaml as used."""

    path: str
    sha256: Sha256


@dataclass(frozen=True, kw_only=True)
class RecordedVerify:
    """How many commands ran on how many trees; `image` is always ""."""

    image: str = ""
    commands: int
    trees: int


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The candidate that was promoted: its version, tag object, record, and what the bytes say of themselves."""

    version: TagVersion
    tag: ObjectId
    record: ObjectId
    version_inside: TagVersion


@dataclass(frozen=True, kw_only=True)
class RecordedTool:
    name: str
    version: str
    git: str


@dataclass(frozen=True, kw_only=True)
class Delta:
    """What a client that has `previous` must pull: compressed bytes, manifest and config included, and layers.

    `unknown` says why nothing could be measured, "" where it was.
    """

    previous: str = ""
    size: int = 0
    layers: int = 0
    unknown: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordedBase:
    """The image that it was built on, "" for none."""

    name: str
    id: str


@dataclass(frozen=True, kw_only=True)
class RecordedHeavy:
    """The heavy base under a thin image: its name, a hash of what it is made from, and its digest."""

    reference: Reference
    key: Sha256
    digest: Digest


@dataclass(frozen=True, kw_only=True)
class RecordedLock:
    path: str
    sha256: Sha256


@dataclass(frozen=True, kw_only=True)
class RecordedPatch:
    name: str
    sha256: Sha256
    subject: str
    origin: str
    commit: str


@dataclass(frozen=True, kw_only=True)
class RecordedFloating:
    """The floating tags that moved to the image, and a line for each that was left where it was."""

    moved: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RecordedImage:
    """An image as it was published; sizes in bytes, `layers` are diff_ids."""

    reference: Reference
    variant: str = ""
    aliases: tuple[Reference, ...] = ()
    digest: Digest
    image_id: str
    engine: str = "classic"  # who built it
    builder: str = ""  # of BuildKit's builders, which one
    size: int
    compressed_size: int
    delta: Delta = Delta(unknown="not measured by the version of this tool that uploaded it")
    layers: tuple[str, ...] = ()
    base: RecordedBase
    heavy: RecordedHeavy | None = None
    lock: RecordedLock | None = None
    patches: tuple[RecordedPatch, ...] = ()
    context_sha256: str
    labels: dict[str, str]
    checks: tuple[CheckResult, ...]
    floating: RecordedFloating | None

    @property
    def names(self) -> tuple[Reference, ...]:
        """Everything that version tags call it."""
        return (self.reference, *self.aliases)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record that was read, or that is about to be written."""

    version: TagVersion
    previous: TagVersion | None
    summary: str
    branch: str
    base: ObjectId
    commit: ObjectId
    tree: ObjectId
    picked_tree: ObjectId
    tag: RecordedTag
    plan_id: Sha256
    config: RecordedConfig
    committer: str
    picks: tuple[Pick, ...]
    freeze_broken: str = ""
    skipped: tuple[Skipped, ...]
    verify: RecordedVerify | None
    promoted_from: Origin | None = None
    images: tuple[RecordedImage, ...]
    tool: RecordedTool
    finished_at: str
    seconds: dict[str, float]

    def image(self, reference: Reference) -> RecordedImage:
        """The image of that name.  Raises MismatchError when there is none."""
        found = next((image for image in self.images if image.reference == reference), None)
        if found is None:
            raise MismatchError(
                f"the record of {self.version} has no image {reference}",
                where=record_ref(self.version),
                remedy="release.yaml at its tag declares an image that it did not publish: release the next version",
                code="record-differs",
            )
        return found


def document(record: Record) -> dict[str, Any]:
    """The document of a record."""
    data: dict[str, Any] = documents.encode(record)
    return {"schema_version": SCHEMA_VERSION, **data}


def render(record: Record) -> bytes:
    """The bytes that are stored."""
    return documents.render(document(record))


def parse_record(data: bytes, where: str, remote: str = "") -> Record:
    """The record at the ref `where`.  Raises UsageError `bad-record`, with the place of what is wrong in it."""
    try:
        values = documents.parse(data)
        version = documents.decode(_Version, values).schema_version
        if version != SCHEMA_VERSION:
            raise UsageError(
                f"the record has format {version}, this tool reads {SCHEMA_VERSION}",
                where=where,
                remedy="use a newer version of this tool",
                code="bad-record",
            )
        return documents.decode(Record, values)
    except DocumentError as error:
        raise bad_record(error, where, remote) from error


def bad_record(error: DocumentError, where: str, remote: str = "") -> UsageError:
    """`remote` is where the ref was read, "" for this repository."""
    look = f"git ls-remote {remote} {where}" if remote else f"git for-each-ref {where}"
    return UsageError(
        f"this is not a release record: {error}",
        where=where,
        remedy=f"somebody else wrote that ref; see: {look}",
        code="bad-record",
    )


# ------------------------------------------------------------------ compared with what tag and plan say


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """What a tag or a plan says of a release.  None stands for what nobody told: it is not compared.

    `images` are the digests by reference, "" where only the name is known.
    """

    version: TagVersion
    commit: str
    tag: str | None = None
    tree: str | None = None
    picks: tuple[TaggedPick, ...] | None = None
    promoted_from: tuple[str, str] | None = None  # version and tag object of the candidate; ("", "") for none
    config_sha256: str | None = None
    images: Mapping[Reference, str] | None = None


def facts_of_tag(version: TagVersion, tag: str, commit: str, message: str, **more: Any) -> ReleaseFacts:
    """What an annotated tag says; `more` are fields that its commit tells: tree, config_sha256, images."""
    return ReleaseFacts(
        version=version,
        tag=tag,
        commit=commit,
        picks=tuple(tagged_picks(message)),
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
        picks=_brought(plan.picks),
        promoted_from=(origin.version, origin.tag_object) if origin else ("", ""),
        config_sha256=plan.config_sha256,
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
        ("release.yaml", record.config.sha256, facts.config_sha256),
    ):
        if actual is not None:
            fault = "" if recorded == actual else f"says {name} {recorded}, and it is {actual or 'not there'}"
            yield Comparison(name=name, actual=actual, fault=fault)
    if facts.promoted_from is not None:
        yield _origins(record, facts.promoted_from)
    if facts.picks is not None:
        yield _picks(record, facts.picks)
    if facts.images is not None:
        yield _images(record, facts.images)


def _origins(record: Record, actual: tuple[str, str]) -> Comparison:
    origin = record.promoted_from
    recorded = (str(origin.version), origin.tag) if origin else ("", "")
    said, told = (" ".join(each).strip() or "no candidate" for each in (recorded, actual))
    fault = "" if recorded == actual else f"says that it was promoted from {said}, and the tag from {told}"
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
            remedy=f"find out who made it: release show {facts.version}; release verify {facts.version}",
            code="record-differs",
        )

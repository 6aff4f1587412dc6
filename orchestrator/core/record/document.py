"""The record of a release: one JSON document that says what was declared, made, checked and published.

It is read strictly before anything in it is believed.
"""

from __future__ import annotations

from typing import Any, Final

from orchestrator import tool_version
from orchestrator.core import documents
from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import Digest, DocumentError, ObjectId, ObjectIdOrNone, Sha256
from orchestrator.core.errors import MismatchError, UsageError
from orchestrator.core.pick import Pick, Skipped
from orchestrator.core.reference import Reference
from orchestrator.core.results import CheckResult
from orchestrator.core.versions import TagVersion

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
class RecordedCache:
    """The caches that a build might take over, and the one that it left: its private tag, and by its digest."""

    taken: tuple[Reference, ...] = ()
    tag: str = ""
    left: Reference | None = None


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
class _RecordedBuild:
    """What was made and uploaded; sizes in bytes, `layers` are diff_ids."""

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
    cache: RecordedCache | None = None
    lock: RecordedLock | None = None
    patches: tuple[RecordedPatch, ...] = ()
    context_sha256: str
    labels: dict[str, str]
    checks: tuple[CheckResult, ...]


@dataclass(frozen=True, kw_only=True)
class RecordedPlatform(_RecordedBuild):
    """The image of one platform, of those that an index lists."""

    platform: str


@dataclass(frozen=True, kw_only=True)
class RecordedImage(_RecordedBuild):
    """An image as it was published.

    Of an index `platforms` has what is true of each image, and the fields here what is true of all together: sizes are
    sums, `delta` is the largest, the checks are those of all, each named after its platform.
    """

    reference: Reference
    variant: str = ""
    aliases: tuple[Reference, ...] = ()
    platforms: tuple[RecordedPlatform, ...] = ()  # of an index
    floating: RecordedFloating | None

    @property
    def names(self) -> tuple[Reference, ...]:
        """Everything that version tags call it."""
        return (self.reference, *self.aliases)

    def of_platform(self, platform: str) -> RecordedImage | RecordedPlatform | None:
        """What it says of the image of one platform: of an index of that one, else of the image itself."""
        if not self.platforms:
            return self
        return next((each for each in self.platforms if each.platform == platform), None)


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
    signed_from: ObjectIdOrNone = ""  # what the commit was before it was signed, as it was planned
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
        record = documents.decode(Record, values)
        if record.tool.version == tool_version():  # it writes no other keys; one that came later may
            keys = documents.decode(dict[str, object], values)
            documents.decode(Record, {key: each for key, each in keys.items() if key != "schema_version"}, exact=True)
        return record
    except DocumentError as error:
        raise bad_record(error, where, remote) from error


def bad_record(error: DocumentError, where: str, remote: str = "") -> UsageError:
    """`remote` is where the ref was read, "" for this repository."""
    look = f"git ls-remote {remote} {where}" if remote else f"git for-each-ref {where}"
    return UsageError(
        f"this is not a release record: {error}",
        where=where,
        remedy=f"no release of this tool wrote that; see: {look}",
        code="bad-record",
    )

"""What a release will make, as a value: computed before anything moves, and obeyed afterwards."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import BY_CI, PLAIN_BUILD, platform_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.declaration import BuildOptions, SmokeCommand, VerifyCommand
    from orchestrator.core.declaration.signing import SignSpec
    from orchestrator.core.pick import Pick, Resolution, Skipped
    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Problem


# Keys of tasks that others than their steps ask the journal for; keys never change, a journal holds them.
TAG: Final = "tag"
SMOKE: Final = "smoke"  # for each image, as the next
UPLOAD: Final = "upload"  # for each image: PlannedImage.task
LAND: Final = "land"
PROPOSE: Final = "propose"
RECORD: Final = "record"

KEEP: Final = "keep"
LATER: Final = "later"  # images that `release publish` is to build, wherever somebody types it
TO_BE_BUILT: Final = {  # Plan.built_by, in words
    BY_CI: "CI builds its image from the tag (image.built-by)",
    LATER: "its image is not built yet (--no-image)",
}

HEAVY_PLATFORM: Final = "linux/amd64"  # of a heavy base where none is declared: its name depends on no engine
NO_ENGINE: Final = "none"  # as the engine of an image: the registry client writes it


@dataclass(frozen=True, kw_only=True)
class PlannedHeavy:
    """The heavy base of an image.  `key` is a hash of what it is made from; "" where its stage cannot be read.

    `is_thin`: a builder needs none of its bytes for a release; `is_direct`: no builder is needed at all.
    """

    stage: str
    epoch: int  # seconds: the time of everything in it
    repository: str
    key: str = ""
    reference: Reference | None = None
    is_thin: bool = False
    is_direct: bool = False
    ends: int = 0  # the first line of the Dockerfile behind its stage
    builder: str = "classic"  # who makes it for an image that no engine makes; "" where nobody has to, or was asked

    @property
    def name(self) -> str:
        """Its tag."""
        return self.reference.tag if self.reference else ""


@dataclass(frozen=True, kw_only=True)
class PlannedImage:
    """An image that the release will publish."""

    repository: str
    reference: Reference  # what people pull; names the image in outcomes and in the record
    candidate: Reference  # under which the bytes are uploaded first
    dockerfile: str
    context: str
    build_args: tuple[tuple[str, str], ...] = ()
    platform: str = ""
    network: str = ""
    floating: tuple[str, ...] = ()
    smoke: tuple[SmokeCommand, ...] = ()
    variant: str = ""  # "" where release.yaml declares no variants
    aliases: tuple[Reference, ...] = ()  # further version tags of the same digest
    lock: str = ""
    parallel: int = 1
    checks: tuple[str, ...] = ()
    patches: str = ""
    previous: Reference | None = None  # what the version before was published as; None for the first of a line
    repository_url: str = ""  # the repository's page, where release.yaml names it
    delta_budget: int = 0
    size_budget: int = 0
    max_layers: int = 0
    engine: str = "classic"  # who builds it, "auto" until somebody may ask what there is
    # From `engine` on, a field counts for the plan's id only where it is used: planner.seal.
    options: BuildOptions = PLAIN_BUILD
    heavy: PlannedHeavy | None = None
    allow: tuple[str, ...] = ()  # differences to `previous` that are meant
    parts: tuple[PlannedImage, ...] = ()  # of an index: an image for each platform, under private names
    part_of: str = ""  # of a part: the tag of its index

    @property
    def builds(self) -> tuple[PlannedImage, ...]:
        """What is built for it: itself, or its parts."""
        return self.parts or (self,)

    @property
    def names(self) -> tuple[Reference, ...]:
        """Everything that version tags will call it."""
        return (self.reference, *self.aliases)

    def task(self, step: str) -> str:
        """The key of what a step does for this image: `build/v2.7.1`, `build/v2.7.1@linux-arm64`."""
        return f"{step}/{self.short}"

    @property
    def log(self) -> str:
        """The file with the log of its build."""
        words = ("build", self.variant, platform_word(self.platform) if self.part_of else "")
        return f"{'-'.join(filter(None, words))}.log"

    @property
    def short(self) -> str:
        """It in keys, titles and names of files: the tag, of a part with its platform."""
        return f"{self.part_of}@{platform_word(self.platform)}" if self.part_of else self.reference.tag


@dataclass(frozen=True, kw_only=True)
class PromotedFrom:
    """The candidate whose commit and images a release takes over: its version, tag object and record (a blob's id).

    `tip` is where the branch must stand when the tag is pushed; "" once it is public.
    """

    version: str
    tag_object: str
    record: str
    tip: str = ""


_SOURCES: Final = ".sources"
CANDIDATES: Final = "refs/release-candidates/"  # on the remote: the tag object of a release that is proposed


class LandingForm(StrEnum):
    """What a forge made of proposed commits."""

    FAST_FORWARD = "fast-forward"
    MERGE = "merge"  # the very commits, below a merge commit that adds nothing
    REBASE = "rebase"  # commits of the same content, under other ids
    SQUASH = "squash"  # one commit of the same content


@dataclass(frozen=True, kw_only=True)
class Landing:
    """How a proposed release came onto its branch.

    `planned` is the release commit that was proposed, `commit` the one of the same tree that the version names.  `tip`
    is the branch when it was found there, "" where a tag tells of it.
    """

    form: LandingForm
    planned: str
    commit: str
    tip: str = ""


def candidate_sources_ref(version: str) -> str:
    """What keeps the sources of a proposed release, beside what is proposed, until its record does."""
    return f"{CANDIDATES}{version}{_SOURCES}"


def candidate_ref(version: str) -> str:
    """The ref of a proposed version on the remote: its tag object, which has no public name yet."""
    return f"{CANDIDATES}{version}"


def proposed_version(ref: str) -> str:
    """The version whose tag object a ref of the remote keeps while it is proposed; "" for any other ref."""
    return ref.removeprefix(CANDIDATES) if ref.startswith(CANDIDATES) and not ref.endswith(_SOURCES) else ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a cut will do, as a value.  `plan_id` is a hash of all but what is only said of it: planner.seal."""

    plan_id: str
    version: str
    previous: str  # tag name, "" for the first release of a line
    remote: str
    branch: str
    base: str
    head: str  # the release commit, over the picks that apply
    picked_tree: str
    tree: str  # tree of the release commit
    picks: tuple[Pick, ...]
    skipped: tuple[Skipped, ...]
    images: tuple[PlannedImage, ...]
    tasks: tuple[str, ...]
    verify: tuple[VerifyCommand, ...] = ()
    summary: str = ""
    committer: str = ""  # "Name <mail>"; part of every commit id
    when: str = ""  # committer date of the release commit, `seconds zone`
    tag_object: str = ""  # for `publish`: the tag that exists already
    promoted_from: PromotedFrom | None = None  # its commit and images are taken: no pick, no build
    request: str = ""  # the branch that it is proposed on, to be landed by a pull request; "" to push it
    landed: Landing | None = None  # what a proposed one became on its branch
    sign_commits: str = ""  # how its commits are signed: `gpg`, `ssh`, `x509`; "" for not at all
    signed_from: str = ""  # once they are: the release commit before, as it was planned
    built_by: str = ""  # who builds the images from the tag: BY_CI, LATER; "": who makes this release
    one_by_one: bool = False  # the branch is pushed first, then the tag, for a server that takes no atomic push
    records: str = ""  # where they are kept, as in release.yaml: "" for refs of their own
    config_path: str = ""  # relative to the repository's top
    config_sha256: str = ""
    git_version: str = ""
    signed_tag: str = ""  # the place of the rule that wants the tag signed; "" where none does
    elsewhere: tuple[str, ...] = ()  # platforms whose images other jobs of CI upload, or have uploaded
    freeze_broken: str = ""  # the reason given for releasing in a freeze; no part of the id
    sign: SignSpec | None = None
    sources: tuple[str, ...] = ()  # every commit that release.yaml names for it: they are kept, beside the record
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def builds(self) -> tuple[PlannedImage, ...]:
        """Every image of one platform that this run builds, smoke-tests and uploads."""
        found = (each for image in self.images for each in image.builds)
        return tuple(each for each in found if not (each.part_of and each.platform in self.elsewhere))

    @property
    def branch_move(self) -> tuple[str, str]:
        """From which commit to which the push moves the branch; a promotion, and what landed, hold it where it is."""
        if self.landed:
            return (self.landed.tip, self.landed.tip)
        return (self.promoted_from.tip, self.promoted_from.tip) if self.promoted_from else (self.base, self.head)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What somebody who judges a drafted plan says of it: its policy, a freeze, its images.

    All of them are collected first, and the plan is built once (planner.seal).
    """

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    signed_tag: str = ""
    freeze_broken: str = ""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What people decided at conflicts: source id -> resolving commit, source id -> reason for leaving it out.

    Of a release that was made already, also what became of the others, as its tag tells: `present` are the picks that
    no commit was made for, `made` the sources that one was made for, with that commit.  History is not asked about them
    again.
    """

    resolved: Mapping[str, str]
    skipped: Mapping[str, str]
    present: Mapping[str, Pick] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, Resolution] = field(
        default_factory=dict
    )  # where a conflict was resolved before, as its tag says


NO_DECISIONS = Decisions(resolved={}, skipped={})

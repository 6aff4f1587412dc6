"""What release.yaml declares, as values."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.versions import Kind, Scheme

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from orchestrator.core.declaration.announcement import ForgeReleaseSpec, StepHook, Webhook
    from orchestrator.core.declaration.signing import SignSpec
    from orchestrator.core.results import Place


# The built-in checks of what is inside an image, in the order they are shown; image.contents has one function for each.
IMAGE_CHECKS: Final = (
    "installed", "patches", "torch-build", "gpu-code", "libraries", "imports", "user", "workspace", "host-keys", "sshd",
    "jupyter", "gloo", "gpu",
)  # fmt: skip


# What `image.allow` may name: how an image may differ from that of the version before, else taken for a mistake.
IMAGE_ALLOWED: Final = {
    "platform": "another platform than that of the version before",
    "shrunk": "less than a tenth of what the version before weighs",
}

LOCK_IN_COMMAND: Final = "{lock}"  # in `image.lock-command`: the lock's path
PLATFORM_IN_LOCK: Final = "{platform}"  # in `image.lock`: `linux-arm64`

DEFAULT_BRANCH: Final = "release-candidate/{version}"
BY_PUSH, BY_REQUEST = "push", "pull-request"
NOTES: Final = "refs/notes/release"  # of picked commits: in which release each is
NOWHERE, ON_BRANCH, REGISTRY = "none", "branch ", "registry"  # `records: none`, `branch NAME`, `registry`
WAYS: Final = (BY_PUSH, BY_REQUEST)  # the values of `land:`


@dataclass(frozen=True, kw_only=True)
class Fix:
    """One entry under `fixes:`.  At most one of `commit` and `range` is non-empty; none only where `pr` is given."""

    place: Place
    pr: int = 0  # the number of the request that brought it, 0 where it is not named by one
    commit: str = ""
    range: str = ""
    reason: str = ""
    approved_by: tuple[str, ...] = ()  # names or links
    backport: str = ""  # a hand-made commit applied in place of `commit`
    mainline: int = 0  # parent number of a merge commit, 0 when not given
    allow: tuple[str, ...] = ()  # findings that the author knows of; values in ALLOWED
    confirm: bool = False  # a person must say yes to each of its picks
    again: bool = False  # pick it whatever the branch is said to have
    exclude: tuple[str, ...] = ()  # patterns of files that are not picked of it; those for all fixes first
    strategy_options: tuple[str, ...] = ()  # given to git, as it takes them

    @property
    def declared(self) -> str:
        """As people named it."""
        return f"#{self.pr}" if self.pr else self.commit or self.range

    def is_taken_along(self, exclude: tuple[str, ...]) -> bool:
        """Whether it says no more than `from-branch` writes: which commit of the branch it is, and of what source.

        `exclude` is what its file excludes from all fixes.
        """
        bare = Fix(
            place=self.place, commit=self.commit, backport=self.backport, mainline=self.mainline,
            allow=("duplicate",), exclude=exclude,
        )  # fmt: skip
        return self == bare

    @property
    def is_frozen(self) -> bool:
        """Whether it says itself which commits it is."""
        return bool(self.commit or self.range)


# What `allow:` may name: leave the pick out silently when it is already there; with a reason, pick what the source
# took back, or what a patch release does not take.
ALLOWED_WITH_REASON = {
    "reverted": "a fix is released that its source took back",
    "feature": "a patch release adds a feature",
    "breaking": "a patch release breaks what its users rely on",
}


# What `strategy-option:` may name, besides `find-renames=N`; the first two decide conflicts by themselves.
SIDES: Final = ("ours", "theirs")
STRATEGY_OPTIONS: Final = (
    *SIDES, "ignore-space-change", "ignore-all-space", "ignore-space-at-eol", "ignore-cr-at-eol", "patience",
    "diff-algorithm=patience", "diff-algorithm=minimal", "diff-algorithm=histogram", "diff-algorithm=myers",
    "no-renames",
)  # fmt: skip


ALLOWED = ("duplicate", "empty", *ALLOWED_WITH_REASON)


@dataclass(frozen=True, kw_only=True)
class ReleaseEntry:
    """What release.yaml declares for one version."""

    version: str
    place: Place
    summary: str = ""
    ticket: str = ""  # for `release-commit`
    fixes: tuple[Fix, ...] = ()
    from_branch: bool = False  # it has what came to the branch since the version before; `fixes` are picked on top


@dataclass(frozen=True, kw_only=True)
class SmokeCommand:
    """A command run in the built image.  A string in release.yaml is run by `/bin/sh -c`."""

    name: str
    command: tuple[str, ...]
    timeout: float = 300.0  # seconds
    network: str = "none"


@dataclass(frozen=True, kw_only=True)
class VerifyCommand:
    """A command run by `/bin/sh -c` on the tree of each pick.  With `paths` the checkout holds only those."""

    run: str
    paths: tuple[str, ...] = ()
    timeout: float = 3600.0  # seconds
    line: int = 0  # of release.yaml


BUILDERS: Final = ("auto", "classic", "buildx")  # of `image.builder`


@dataclass(frozen=True, kw_only=True)
class BuildSecret:
    """A secret of a build by its id: the variable or the file that has its value.  One of the two is ""."""

    name: str
    env: str = ""
    file: str = ""
    required: bool = True


BY_CUT, BY_CI = "cut", "ci"
BUILT_BY: Final = (BY_CUT, BY_CI)  # the values of `image.built-by`


PREVIOUS: Final = "previous"  # in `image.cache.from`: what the version before left


@dataclass(frozen=True, kw_only=True)
class CacheSpec:
    """What a build may take over (`PREVIOUS`, or `REPOSITORY[:TAG]@DIGEST`), and the repository for what it leaves."""

    sources: tuple[str, ...] = ()
    to: str = ""


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How an image is built."""

    builder: str = "auto"  # of BUILDERS
    builders: tuple[str, ...] = ()  # of buildx's, by name
    target: str = ""  # the stage, "" for the last one
    secrets: tuple[BuildSecret, ...] = ()
    ssh: tuple[str, ...] = ()
    shm_size: int = 0  # bytes, 0 for the builder's default
    gpus: str = ""
    pull: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    compression: str = ""  # of new layers: "zstd" or "zstd:LEVEL"; "" is gzip
    cache: CacheSpec = CacheSpec()


PLAIN_BUILD: Final = BuildOptions()


@dataclass(frozen=True, kw_only=True)
class Variant:
    """An image of the same release with other contents.  What it does not say, the `image:` section says."""

    place: Place
    name: str
    build_args: tuple[tuple[str, str], ...] = ()  # added to the image's own, and stronger
    platform: str = ""
    platforms: tuple[str, ...] = ()
    suffix: str = ""  # of its tags; begins with "-", "." or "_"
    smoke: tuple[SmokeCommand, ...] = ()  # added to the image's own
    lock: str = ""
    locks: tuple[tuple[str, str], ...] = ()
    target: str = ""  # the stage that it is, "" for the image's own


@dataclass(frozen=True, kw_only=True)
class HeavySpec:
    """The stage of the Dockerfile that is built once, and kept in the registry as a base for releases."""

    place: Place = field(compare=False)
    stage: str
    repository: str = ""  # "": the image's own
    epoch: int = 1_745_366_400  # seconds; 2025-04-23, any fixed moment would do


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """The `image:` section.  `repository` is kept as written; reference.py parses it."""

    place: Place
    repository: str
    dockerfile: str = "Dockerfile"  # relative to the repository's top
    context: str = "."
    build_args: tuple[tuple[str, str], ...] = ()
    floating: tuple[str, ...] = ()
    smoke: tuple[SmokeCommand, ...] = ()
    platform: str = ""
    platforms: tuple[str, ...] = ()  # several are one image with one tag: an index
    network: str = ""
    lock: str = ""  # repository path of a lock file, or of a folder whose *.txt files are the lock together
    locks: tuple[tuple[str, str], ...] = ()  # the same for each platform, where they differ by more than its name
    lock_command: str = ""  # what makes a lock, LOCK_IN_COMMAND in it
    variants: tuple[Variant, ...] = ()  # the first is the default one: it has the plain version tag too
    parallel: int = 1  # variants built at the same time
    checks: tuple[str, ...] | None = None  # built-in checks of what is inside; None: all where there is a lock
    delta_budget: int = 0  # bytes a client of the previous version may have to pull, 0 for no limit
    patches: str = ""  # repository path of the folder with patches to installed packages
    size_budget: int = 0  # bytes of the image, unpacked; 0 for no limit
    max_layers: int = 0  # 0 for no limit
    options: BuildOptions = PLAIN_BUILD
    places: tuple[tuple[str, Place], ...] = field(default=(), compare=False)  # key of `options` -> where it stands
    heavy: HeavySpec | None = None
    allow: tuple[str, ...] = ()  # differences to the version before that are meant; values in IMAGE_ALLOWED
    built_by: str = ""  # one of BUILT_BY; "": the cut, or the CI job where the image is not there

    def platforms_of(self, variant: Variant) -> tuple[str, ...]:
        """What a variant is built for; "" stands for the engine's own platform."""
        own = variant.platforms or ((variant.platform,) if variant.platform else ())
        return own or self.platforms or (self.platform,)

    def lock_of(self, variant: Variant, platform: str) -> str:
        """The lock of a variant for a platform, "" for none."""
        given: Variant | ImageSpec = variant if variant.lock or variant.locks else self
        return dict(given.locks).get(platform, given.lock).replace(PLATFORM_IN_LOCK, platform_word(platform))


def platform_word(platform: str) -> str:
    """A platform as a word of names and paths: `linux-arm64`."""
    return platform.replace("/", "-")


@dataclass(frozen=True, kw_only=True)
class VersionFile:
    """A file whose version string the release commit rewrites.

    `pattern` is a regular expression with exactly one group, searched line by line; "" means that the whole
    file is the version.  The number is written without the tag's prefix.
    """

    place: Place
    path: str
    pattern: str = ""


@dataclass(frozen=True, kw_only=True)
class CodeOwners:
    """Who may approve changes of the files under a pattern, as a line of CODEOWNERS; anybody when empty."""

    place: Place = field(compare=False)
    path: str
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """No release is made from `start` on and before `end`; both have a time zone."""

    place: Place = field(compare=False)
    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The `policy:` section: who may release what.  Two are equal when their rules are, wherever they are written."""

    place: Place = field(compare=False)
    places: tuple[tuple[str, Place], ...] = field(default=(), compare=False)  # key -> its value
    required_approvals: int = 0
    adapted_approvals: int = 0  # never fewer than the others
    code_owners: tuple[CodeOwners, ...] = ()
    types: tuple[str, ...] = ()  # Conventional Commit types, all when empty
    conventional_commits: bool = False  # a subject must be one
    signed_tags: bool = False
    protected_sources: tuple[str, ...] = ()  # branches of the remote; every fix must be on one
    signed_images: bool = False
    declared_on_source: bool = False  # the release must be declared in the protected release.yaml
    freeze: tuple[Freeze, ...] = ()

    def place_of(self, key: str) -> Place:
        """Where a key's value stands; the section where the key is not given."""
        return dict(self.places).get(key, self.place)


@dataclass(frozen=True, kw_only=True)
class LandSpec:
    """The `land:` section: how a release comes onto its branch."""

    place: Place = field(compare=False)
    by: str = BY_PUSH
    branch: str = DEFAULT_BRANCH  # that it is proposed on; `{version}` stands for the version
    atomic: bool = True  # branch and tag are pushed together, both or neither
    provider: str = ""  # github or gitlab, "" as the remote's URL tells
    api: str = ""  # the root of the forge's API, "" for the provider's own
    repository: str = ""  # on the forge, "" as the remote's URL tells

    def branch_of(self, version: str) -> str:
        """The branch that a version is proposed on."""
        return self.branch.replace("{version}", version)


@dataclass(frozen=True, kw_only=True)
class ReleaseCommitSpec:
    """The `release-commit:` section: the message of the release commit, as templates (commit_message/release.py)."""

    place: Place | None = field(default=None, compare=False)
    subject: str = "chore(release): {tag}"
    body: str = "{summary}\n\n{picks}"
    trailers: tuple[tuple[str, str], ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.subject, self.body, *(value for _, value in self.trailers))


PLAIN_COMMIT: Final = ReleaseCommitSpec()


@dataclass(frozen=True, kw_only=True)
class Config:
    """release.yaml, checked.  `text` is the file's exact bytes: the release commit carries them."""

    place: Place
    text: bytes
    branch: str
    source: tuple[str, ...]
    remote: str = "origin"
    releases: tuple[ReleaseEntry, ...] = ()
    image: ImageSpec | None = None
    verify: tuple[VerifyCommand, ...] = ()
    changelog: str = "CHANGELOG.md"  # "": none is written
    version_files: tuple[VersionFile, ...] = ()
    policy: Policy | None = None
    land: LandSpec | None = None  # None: by a push
    records: str = ""  # where they are kept: NOWHERE, REGISTRY, ON_BRANCH and a name; "": refs of their own
    sign: SignSpec | None = None
    exclude: tuple[str, ...] = ()  # patterns of files that are never picked; each fix has them too
    reuse_resolutions: bool = False  # one's own released resolutions of the same conflict are applied by themselves
    signoff: bool = False  # the release's commits carry the committer's `Signed-off-by:`
    release_commit: ReleaseCommitSpec = PLAIN_COMMIT
    notify: tuple[Webhook, ...] = ()
    hooks: tuple[StepHook, ...] = ()
    forge_release: ForgeReleaseSpec | None = None
    sign_commits: bool | None = None  # the release's commits are signed; None: as git is set
    repository_url: str = ""  # the repository's page on its forge, without a slash at the end
    tag_prefix: str = ""  # as written
    scheme: Kind = "semver"

    @property
    def versions(self) -> Scheme:
        """How the project writes its versions."""
        return Scheme.of(self.tag_prefix, self.scheme)

    def taking(self, branch: str, tags: Collection[str]) -> tuple[str, ...]:
        """The versions to come, without a tag, that take what is on that branch."""
        mine = self.releases if branch == self.branch else ()
        return tuple(each.version for each in mine if each.from_branch and each.version not in tags)

    def request_branch(self, version: str, *, always: bool) -> str:
        """The branch that a version is proposed on where releases land by pull requests, or `always`; "" else."""
        spec = self.land or LandSpec(place=self.place)
        return spec.branch_of(version) if always or spec.by == BY_REQUEST else ""

    def release(self, version: str) -> ReleaseEntry | None:
        return next((entry for entry in self.releases if entry.version == version), None)

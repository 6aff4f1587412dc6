"""Frozen values that every floor speaks of.  No behaviour beyond small derived properties."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# ------------------------------------------------------------------ release.yaml, as values


@dataclass(frozen=True, kw_only=True)
class Place:
    """A position in a file, 1-based; printed as `file:line:column`, the form editors jump to."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, kw_only=True)
class Fix:
    """One entry under `fixes:`.  Exactly one of `commit` and `range` is non-empty."""

    place: Place
    commit: str = ""
    range: str = ""
    reason: str = ""
    approved_by: tuple[str, ...] = ()  # names or links
    backport: str = ""  # a hand-made commit applied in place of `commit`
    mainline: int = 0  # parent number of a merge commit, 0 when not given
    allow: tuple[str, ...] = ()  # findings that the author knows of; values in ALLOWED
    confirm: bool = False  # a person must say yes to each of its picks

    @property
    def declared(self) -> str:
        return self.commit or self.range


# What `allow:` may name: leave the pick out silently when it is already there; with a reason, pick what the source
# took back, or what a patch release does not take.
ALLOWED_WITH_REASON = {
    "reverted": "a fix is released that its source took back",
    "feature": "a patch release adds a feature",
    "breaking": "a patch release breaks what its users rely on",
}
ALLOWED = ("duplicate", "empty", *ALLOWED_WITH_REASON)


@dataclass(frozen=True, kw_only=True)
class ReleaseEntry:
    """What release.yaml declares for one version."""

    version: str
    place: Place
    summary: str = ""
    fixes: tuple[Fix, ...] = ()


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


@dataclass(frozen=True, kw_only=True)
class Variant:
    """An image of the same release with other contents.  What it does not say, the `image:` section says."""

    place: Place
    name: str
    build_args: tuple[tuple[str, str], ...] = ()  # added to the image's own, and stronger
    platform: str = ""
    suffix: str = ""  # of its tags; begins with "-", "." or "_"
    smoke: tuple[SmokeCommand, ...] = ()  # added to the image's own
    lock: str = ""


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
    network: str = ""
    lock: str = ""  # repository path of a lock file, or of a folder whose *.txt files are the lock together
    variants: tuple[Variant, ...] = ()  # the first is the default one: it has the plain version tag too
    parallel: int = 1  # variants built at the same time
    checks: tuple[str, ...] | None = None  # built-in checks of what is inside; None: all where there is a lock
    delta_budget: int = 0  # bytes a client of the previous version may have to pull, 0 for no limit
    patches: str = ""  # repository path of the folder with patches to installed packages
    size_budget: int = 0  # bytes of the image, unpacked; 0 for no limit
    max_layers: int = 0  # 0 for no limit


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
    declared_on_source: bool = False  # the release must be declared in the protected release.yaml
    freeze: tuple[Freeze, ...] = ()

    def place_of(self, key: str) -> Place:
        """Where a key's value stands; the section where the key is not given."""
        return dict(self.places).get(key, self.place)


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
    changelog: str = "CHANGELOG.md"
    version_files: tuple[VersionFile, ...] = ()
    policy: Policy | None = None
    repository_url: str = ""  # the repository's page on its forge, without a slash at the end

    def release(self, version: str) -> ReleaseEntry | None:
        return next((entry for entry in self.releases if entry.version == version), None)


# ------------------------------------------------------------------ problems


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that stops a release: stable kebab-case `code`, one line, a place, what to do."""

    code: str
    message: str
    where: str = ""
    remedy: str = ""
    exit_code: int = 2  # a value of errors.Exit


# ------------------------------------------------------------------ picks and plans


class PickState(StrEnum):
    """What becomes of a declared fix on the line."""

    CLEAN = "clean"
    ADAPTED = "adapted"  # a person resolved it, or a `backport:` stands in
    DUPLICATE = "duplicate"  # on the branch already under another id
    EMPTY = "empty"  # applying it changes nothing
    CONFLICT = "conflict"


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A path that does not merge; `kind` in git's own words: content, modify/delete, add/add, ..."""

    path: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """A later commit that speaks of a pick, or of an earlier follow-up of it (`of`).

    `kind` is the strongest of what it says: `revert` (takes it back, or the merge that brought it), `fixes` (a
    `Fixes:` trailer, or "fixes <id>" in its text), `fixup` (subject `fixup!`, `squash!` or `amend!`), `mention`
    (names the id).  `stands` is false for what was itself taken back, and for a revert in spite of which the
    change is there: under another id, or on a branch without the revert.
    """

    sha: str
    kind: str
    subject: str
    of: str = ""  # full id; the pick's own also where a copy of it is spoken of
    stands: bool = True


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One source commit judged against the line.  Ids are full; `result` is "" when nothing is made."""

    source: str
    subject: str
    state: PickState
    result: str = ""
    conflicts: tuple[Conflict, ...] = ()
    duplicate_of: str = ""
    duplicate_by: tuple[str, ...] = ()  # the signals: ancestor, trailer, patch-id, zero-context patch-id
    prerequisites: tuple[str, ...] = ()  # source commits with which it was seen to apply, in the order to pick them
    search: str = ""  # how the search for them ended, "" when none was needed
    near: tuple[str, ...] = ()  # without a proof: missing source commits of the same lines or files, likeliest first
    followups: tuple[FollowUp, ...] = ()
    applied: str = ""  # the commit whose change was applied, where it is not `source` (backport, resolution)
    mainline: int = 0
    declared: str = ""  # the entry as written
    reason: str = ""
    approved_by: tuple[str, ...] = ()
    author: str = ""  # "Name <mail>"
    type: str = ""  # Conventional Commit type, "" when the subject has none
    breaking: str = ""  # what it breaks, in its own words; "" for nothing that its message tells
    confirm: bool = False  # release.yaml wants a person's yes to it
    lives_on: str = ""  # the branches that hold a source which is on no source branch, "" for one that is


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A declared fix that a person left out at a conflict, with the reason given."""

    source: str
    subject: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PlannedImage:
    """An image that the release will publish."""

    repository: str
    reference: str  # repository:tag, what people pull; names the image in outcomes and in the record
    candidate: str  # full reference under which the bytes are uploaded first
    dockerfile: str
    context: str
    build_args: tuple[tuple[str, str], ...] = ()
    platform: str = ""
    network: str = ""
    floating: tuple[str, ...] = ()
    smoke: tuple[SmokeCommand, ...] = ()
    variant: str = ""  # "" where release.yaml declares no variants
    aliases: tuple[str, ...] = ()  # further version tags of the same digest, as full references
    lock: str = ""
    parallel: int = 1
    checks: tuple[str, ...] = ()
    patches: str = ""
    previous: str = ""  # what the version before was published as, full reference; "" for the first of a line
    delta_budget: int = 0
    size_budget: int = 0
    max_layers: int = 0


@dataclass(frozen=True, kw_only=True)
class PromotedFrom:
    """The candidate whose commit and images a release takes over: its version, tag object and record (a blob's id).

    `tip` is where the branch must stand when the tag is pushed; "" once it is public.
    """

    version: str
    tag_object: str
    record: str
    tip: str = ""


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
    config_path: str = ""  # relative to the repository's top
    config_sha256: str = ""
    git_version: str = ""
    signed_tag: str = ""  # the place of the rule that wants the tag signed; "" where none does
    freeze_broken: str = ""  # the reason given for releasing in a freeze; no part of the id
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def branch_move(self) -> tuple[str, str]:
        """From which commit to which the push moves the branch; a promotion holds it where it is."""
        return (self.promoted_from.tip, self.promoted_from.tip) if self.promoted_from else (self.base, self.head)


# ------------------------------------------------------------------ talk


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A line of progress.  `item` names the moving part; `current`, `total` are bytes (layers) or steps."""

    text: str
    item: str = ""
    current: int | None = None
    total: int | None = None
    is_log: bool = False  # a raw line of somebody else's log


class CheckState(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # could not be run here; `message` says why


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The outcome of one check; a check that could not run is skipped with a reason, never passed."""

    name: str
    state: CheckState
    message: str = ""
    remedy: str = ""
    seconds: float = 0.0

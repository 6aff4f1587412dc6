"""Version tags: how a project writes them, what is read of one, and their order.

A line is a pair (major, minor), or (year, month).  Its tags carry one prefix, `v` or none, behind the project's own.
How a repository writes its versions is a fact of this run, set once from its release.yaml (`use`), because every tag,
branch, file and ref of the run is read by it.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from semver import Version

from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import shown
from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

Line = tuple[int, int]
Kind = Literal["semver", "calver", "pep440"]
Order = tuple[tuple[int, ...], int, bool, tuple[tuple[int, int, str], ...], str]

KINDS: Final[tuple[Kind, ...]] = ("semver", "calver", "pep440")
MAX_TAG = 128  # characters in an image tag, by the OCI distribution spec
_PARTS = 4  # numbers of a version that are compared; fewer count as zeros

_WORDS = "release|releases|rel|r|stable|maint|maintenance|support|branch|hotfix|lts|version|line"
_BRANCH = re.compile(
    rf"(?:(?:{_WORDS})[-_.]?)?v?(0|[1-9][0-9]{{0,8}})\.(0|[1-9][0-9]{{0,8}})(?:\.(?:[xX*]|[0-9]{{1,9}}))?"
    rf"(?:[-_](?:{_WORDS}))?"
)
_CALENDAR_BRANCH = re.compile(_BRANCH.pattern.replace("(0|[1-9][0-9]{0,8})", "([0-9]{1,9})"))
_FLOATING = re.compile(r"v?([0-9]+)(?:\.([0-9]+))?(?![0-9.])")
_NATURAL = re.compile(r"[0-9]+|[A-Za-z-]+")
_PRERELEASE = re.compile(r"(\.?[A-Za-z-]+)(\.?)(0|[1-9][0-9]*)")
# https://calver.org: two to four numbers, perhaps zero-padded; candidates as semver writes them
_CALVER = re.compile(r"([0-9]{2,4}(?:\.[0-9]{1,9}){1,3})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?")
# https://packaging.python.org/en/latest/specifications/version-specifiers: the normal form, with three or four numbers
_PEP440 = re.compile(
    r"((?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){2,3})((?:a|b|rc)(?:0|[1-9][0-9]*))?"
    r"(?:\.post(0|[1-9][0-9]{0,8}))?(\.dev(?:0|[1-9][0-9]*))?"
)
_EXAMPLES: Final[dict[Kind, tuple[str, str]]] = {
    "semver": ("v2.7.1", "v2.7.1-rc.1"), "calver": ("2026.11.1", "2026.11.1-rc.1"), "pep440": ("2.7.1", "2.7.1rc1")
}  # fmt: skip


# ------------------------------------------------------------------ how a project writes versions


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """`product` stands before every version tag of the project: "" or such as `image-`, `tinyserve/`."""

    product: str = ""
    kind: Kind = "semver"

    @classmethod
    def of(cls, prefix: str, kind: Kind) -> Scheme:
        """From what people write: in `image-v` the `v` belongs to the version."""
        bare = prefix.removesuffix("v")
        is_mark = bare != prefix and (not bare or not bare[-1].isalnum())
        return cls(product=bare if is_mark else prefix, kind=kind)

    @property
    def examples(self) -> str:
        """A version and a candidate, as a project that writes them so would."""
        final, candidate = _EXAMPLES[self.kind]
        return f"{self.product}{final} or {self.product}{candidate}"

    @property
    def example(self) -> str:
        return self.product + _EXAMPLES[self.kind][0]

    @property
    def first_example(self) -> str:
        """One that begins a line."""
        return f"{self.example.rpartition('.')[0]}.0"


_scheme = Scheme()


def use(scheme: Scheme) -> None:
    """From now on, in this run, versions are written so."""
    global _scheme
    _scheme = scheme


def in_use() -> Scheme:
    """How versions are written in this run."""
    return _scheme


@contextmanager
def reading(scheme: Scheme) -> Iterator[None]:
    """Versions are written so in a block: another file than the run's own is read."""
    before = in_use()
    use(scheme)
    try:
        yield
    finally:
        use(before)


# ------------------------------------------------------------------ one version


@dataclass(frozen=True, kw_only=True, eq=False)
class TagVersion:
    """A version tag.  `prefix` is the product's with "v" or without; two are equal when their texts are.

    `numbers` are as written (`04`); `pre` is of a candidate what tells it from others (`rc.1`, `rc1`, `.dev1`), `joint`
    what stands before that; `post` is the number of a PEP 440 post-release, -1 for none; `build` semver's metadata.
    """

    prefix: str
    numbers: tuple[str, ...]
    pre: str = ""
    joint: str = "-"
    post: int = -1
    build: str = ""

    @classmethod
    def from_text(cls, text: str) -> TagVersion:
        """As `parse_tag`.  Raises UsageError for what is no version."""
        found = parse_tag(text)
        if found is None:
            raise not_a_version(text)
        return found

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, TagVersion) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def line(self) -> Line:
        return (int(self.numbers[0]), int(self.numbers[1]))

    @property
    def is_candidate(self) -> bool:
        """Whether it is a pre-release."""
        return bool(self.pre)

    @property
    def final(self) -> TagVersion:
        """The version that it is a candidate of; itself where it is none."""
        return replace(self, pre="", build="")

    @property
    def is_patch(self) -> bool:
        """Whether it continues a version that its users have: 2.7.1 and 2.7.1-rc.1, not 2.7.0."""
        return any(int(number) for number in self.numbers[2:]) or self.post >= 0

    @property
    def order(self) -> Order:
        """What versions are sorted by: as their scheme does it, but `rc10` comes after `rc9`, as people mean it."""
        numbers = tuple(map(int, (*self.numbers, *("0",) * _PARTS)[:_PARTS]))
        parts = _NATURAL.findall(self.pre)
        natural = tuple((1, 0, part) if not part.isdigit() else (0, int(part), "") for part in parts)
        if self.pre.startswith(".dev"):  # PEP 440: they come before a, b and rc
            natural = ((0, 0, ""), *natural)
        return (numbers, self.post, not self.pre, natural, self.pre)

    @property
    def bare(self) -> str:
        """Without any prefix, as version files and changelogs hold it."""
        post, build = (f".post{self.post}" if self.post >= 0 else ""), (f"+{self.build}" if self.build else "")
        before, after = (f"{self.joint}{self.pre}", "") if not self.pre.startswith(".") else ("", self.pre)
        return f"{'.'.join(self.numbers)}{before if self.pre else ''}{post}{after}{build}"

    @property
    def name(self) -> str:
        """Without the product: what an image tag can be."""
        return str(self).removeprefix(_scheme.product)

    def __str__(self) -> str:
        return f"{self.prefix}{self.bare}"


# ------------------------------------------------------------------ reading one


def parse_tag(tag: str) -> TagVersion | None:
    """`v2.7.1`, `2.7.1-rc.1`, as this project writes them; None for anything else."""
    return _parsed(tag, _scheme)


def _parsed(tag: str, scheme: Scheme) -> TagVersion | None:
    if not tag.isascii() or not tag.startswith(scheme.product):  # \d in older semver releases takes any script's digits
        return None
    bare = tag.removeprefix(scheme.product).removeprefix("v")
    found = _READERS[scheme.kind](bare)
    return replace(found, prefix=tag[: len(tag) - len(bare)]) if found else None


def _semver(bare: str) -> TagVersion | None:
    try:
        version = Version.parse(bare)
    except ValueError:
        return None
    numbers = (str(version.major), str(version.minor), str(version.patch))
    return TagVersion(prefix="", numbers=numbers, pre=version.prerelease or "", build=version.build or "")


def _calver(bare: str) -> TagVersion | None:
    found = _CALVER.fullmatch(bare)
    if not found:
        return None
    numbers = tuple(found[1].split("."))
    is_month = len(numbers) > 2 or len(numbers[1]) == 2
    return TagVersion(prefix="", numbers=numbers, pre=found[2] or "") if is_month else None


def _pep440(bare: str) -> TagVersion | None:
    found = _PEP440.fullmatch(bare)
    if not found or (found[2] and found[4]):
        return None
    post = int(found[3]) if found[3] else -1
    return TagVersion(
        prefix="", numbers=tuple(found[1].split(".")), pre=found[2] or found[4] or "", joint="", post=post
    )


_READERS: Final = {"semver": _semver, "calver": _calver, "pep440": _pep440}


def completed(text: str) -> str:
    """A version as people type it, perhaps without the product: the name of its tag."""
    return text if parse_tag(text) or not parse_tag(f"{_scheme.product}{text}") else f"{_scheme.product}{text}"


def not_a_version(text: str) -> UsageError:
    """What is said to somebody who gave this for a version."""
    return UsageError(
        f"{shown(text)} is not a version", remedy=f"write it as {_scheme.examples}", code="version-malformed"
    )


def version_tags(tags: Iterable[str]) -> list[TagVersion]:
    """Those of the tags that are versions, in the order given."""
    return [version for tag in tags if (version := parse_tag(tag)) is not None]


def final_of(candidate: str) -> str:
    """The version that this is a pre-release of, "" for a final one."""
    parsed = parse_tag(candidate)
    return str(parsed.final) if parsed and parsed.is_candidate else ""


def line_of_branch(branch: str) -> Line | None:
    """(2, 7) of `release/v2.7`, `release-2.7`, `releases/2.7.x`, `v2.7`, `stable/2.7`; None when unclear.

    A number after any other word (`release/cuda-12.6`) is not taken for a line; the product's name may stand there.
    """
    if len(branch) >= 256:
        return None
    product = _scheme.product.rstrip("-_./")
    bare = re.sub(rf"(^|/){re.escape(product)}[-_./]", r"\1", branch, count=1) if product else branch
    found = (_CALENDAR_BRANCH if _scheme.kind == "calver" else _BRANCH).fullmatch(bare.rpartition("/")[2])
    return (int(found[1]), int(found[2])) if found else None


# ------------------------------------------------------------------ what follows one


def next_patch(highest: TagVersion) -> TagVersion:
    """The next final version: 2.7.2 after 2.7.1, 2.7.1 after 2.7.1-rc.3; 24.04.1 after 24.04."""
    if highest.is_candidate:
        return highest.final
    numbers = highest.numbers
    if len(numbers) == 2:
        return replace(highest.final, numbers=(*numbers, "1"))
    last = str(int(numbers[-1]) + 1)
    return replace(highest.final, numbers=(*numbers[:-1], last.zfill(len(numbers[-1]))), post=-1)


def first_of(line: Line, prefix: str) -> TagVersion:
    """The first version of a line."""
    return TagVersion(prefix=prefix, numbers=(str(line[0]), str(line[1]), "0"))


def candidate_parts(version: TagVersion) -> tuple[str, str, int]:
    """("rc", ".", 3) of 2.7.1-rc.3; an empty name where the pre-release has no such form."""
    found = _PRERELEASE.fullmatch(version.pre)
    return (found[1], found[2], int(found[3])) if found else ("", "", -1)


def moves_forward(current: str | None, new: str) -> bool:
    """Whether a floating tag at version `current` may move to `new`.

    None means that the tag does not exist yet.  Never to a pre-release, never back, and not where the order
    cannot be told; the same version is no move.
    """
    target = parse_tag(new)
    if target is None or target.is_candidate:
        return False
    if current is None:
        return True
    now = parse_tag(current)
    return now is not None and target.order > now.order


def names_other_line(tag: str, version: str) -> bool:
    """Whether a floating tag (`v2.7`, `2.7-cpu`, `v2`) names a line that `version` is not of; `latest` names none."""
    named, target = _FLOATING.match(tag), parse_tag(version)
    if not named or not target:
        return False
    major, minor = int(named[1]), named[2]
    return major != target.line[0] or (minor is not None and int(minor) != target.line[1])


# ------------------------------------------------------------------ tags of other schemes

_LOOKS = re.compile(r"v?[0-9]{1,9}\.[0-9]{1,9}[0-9A-Za-z.+-]*")
_LONG = 200  # characters: no tag that somebody means as a version


def not_understood(tags: Iterable[str]) -> list[str]:
    """What is to be said of tags that another scheme reads as versions: how many, and what to set.

    Where a product is declared, the tags of others are known to be theirs, unless it has none itself.
    """
    found: dict[Scheme, list[str]] = {}
    tags = sorted(tags)
    product = _scheme.product
    if product and not any(tag.startswith(product) for tag in tags):
        return _others(product, [tag for tag in tags if _scheme_of(tag)])
    for tag in tags:
        if tag.startswith(_scheme.product) and parse_tag(tag) is None and (scheme := _scheme_of(tag)):
            found.setdefault(scheme, []).append(tag)
    return [_unread(scheme, group) for scheme, group in found.items()]


def _others(product: str, tags: list[str]) -> list[str]:
    """Of a prefix that no tag has: it may be that of a new product, or a wrong one."""
    said = f"no tag begins with {product} (`tag-prefix:`), and {len(tags)} look like versions of something else"
    return [f"{said}, such as {tags[-1]}: right for a new product, else correct the prefix"] if tags else []


def suggested(tags: Collection[str]) -> Scheme:
    """How a repository seems to write its versions: the scheme in use where that reads any of its tags, else the one
    that reads most of them."""
    if any(map(parse_tag, tags)):
        return _scheme
    counted = Counter(scheme for tag in tags if (scheme := _scheme_of(tag)))
    return max(counted, key=lambda each: (counted[each], not each.product, each.kind == "semver"), default=_scheme)


def _scheme_of(tag: str) -> Scheme | None:
    """What reads the tag as a version: the first kind that does."""
    found = _LOOKS.search(tag) if len(tag) < _LONG else None
    product = tag[: found.start()] if found else ""
    schemes = (Scheme(product=product, kind=kind) for kind in KINDS)
    return next((scheme for scheme in schemes if found and _parsed(tag, scheme)), None)


def _unread(scheme: Scheme, tags: list[str]) -> str:
    what = f"{len(tags)} tags look like versions and are" if len(tags) > 1 else "1 tag looks like a version and is"
    wanted = [f"`tag-prefix: {scheme.product}`"] if scheme.product != _scheme.product else []
    wanted += [f"`scheme: {scheme.kind}`"] if scheme.kind != _scheme.kind else []
    return f"{what} none here, such as {tags[0]}: set {' and '.join(wanted)} if they are this project's"

"""Which settings of a forge guard a release: from release.yaml to wanted settings to what differs.  Pure.

The rules, for every forge:
- release branches and version tags are made and moved by the release actor only: `cut` pushes both;
- nobody, the release actor included, rewrites or deletes them;
- the source branch, whose release.yaml says what ships, changes by reviewed and checked pull requests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.core.versions import in_use, version_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.forges import Current, Setting

_LINE = re.compile(r"(?:v|(?<!\d))\d+\.\d+.*", re.DOTALL)
MAX_APPROVALS = 10  # GitHub's limit


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who may make releases: a kind in the forge's words, and its number where it has one."""

    kind: str
    id: int | None = None


@dataclass(frozen=True, kw_only=True)
class ProtectionRules:
    """What is to be guarded, before any forge's words."""

    release_branches: str  # a pattern with at most one `*`
    source: str  # the branch whose release.yaml counts
    tags: str
    actors: tuple[Actor, ...]
    approvals: int = 1
    checks: tuple[str, ...] = ()  # status checks that a pull request must pass


@dataclass(frozen=True, kw_only=True)
class SettingDifference:
    """One wanted setting against what is there: `lines` begin with `+`, `-` or two blanks."""

    setting: Setting
    before: Setting | None
    lines: tuple[str, ...]

    @property
    def state(self) -> str:
        if self.before is None:
            return "missing"
        return "differs" if any(line[0] != " " for line in self.lines) else "same"


def guard_of(
    config: Config, tags: Collection[str], *, actors: tuple[Actor, ...], approvals: int, checks: tuple[str, ...]
) -> ProtectionRules:
    """What release.yaml asks to guard; `tags` are those of the repository.  Raises UsageError."""
    if not 0 <= approvals <= MAX_APPROVALS:
        raise UsageError(f"--approvals {approvals} is not between 0 and {MAX_APPROVALS}", code="bad-approvals")
    source = config.source[0].removeprefix("refs/heads/").removeprefix(f"{config.remote}/")
    if source == "HEAD" or source.startswith("refs/"):
        raise UsageError(
            f"source {config.source[0]!r} names no branch that a forge can protect",
            where=str(config.place),
            remedy="name the branch that holds release.yaml first under `source:`",
            code="no-source-branch",
        )
    return ProtectionRules(
        release_branches=branch_pattern(config.branch), source=source, actors=actors, approvals=approvals,
        checks=checks, tags=tag_pattern([entry.version for entry in config.releases] + sorted(tags)),
    )  # fmt: skip


def branch_pattern(branch: str) -> str:
    """`release/*` for `release/v2.7`, `release-*` for `release-2.7`; the name itself where nothing stands before."""
    found = _LINE.search(branch)
    head = branch[: found.start()] if found else ""
    return f"{head}*" if head else branch


def tag_pattern(tags: Sequence[str]) -> str:
    """`v*`, or `*.*.*` where the versions here have no prefix; behind the product's."""
    versions, product = version_tags(tags), in_use().product
    marked = not versions or any(version.prefix != product for version in versions)
    return f"{product}{'v*' if marked else '*.*.*' if in_use().kind != 'calver' else '*.*'}"


def differences(
    wanted: Sequence[Setting], current: Current, words: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]
) -> list[SettingDifference]:
    """Each wanted setting with its difference.  `words(value, wanted)` says a value as lines, leaving out what
    the wanted one does not speak of (a forge fills in defaults of its own)."""
    found = []
    for setting in wanted:
        before = current.found.get(setting.key)
        want = words(setting.value, setting.value)
        have = words(before.value, setting.value) if before else []
        lines = [f"{_sign(line, want, have)} {line}" for line in sorted({*want, *have})]
        found.append(SettingDifference(setting=setting, before=before, lines=tuple(lines)))
    return found


def _sign(line: str, want: Collection[str], have: Collection[str]) -> str:
    if line in want and line in have:
        return " "
    return "+" if line in want else "-"

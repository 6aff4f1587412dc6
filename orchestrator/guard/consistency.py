"""What a pushed tag, record or yank says of a release, held against what the repository has.  Pure.

Each function returns in what the account is wrong, as the end of a sentence, "" for an account that agrees.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import REGISTRY
from orchestrator.core.tag_message import SKIPPED, promotion, tagged_account
from orchestrator.core.versions import final_of, parse_tag

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.core.record import Record
    from orchestrator.core.tag_message import TagRow
    from orchestrator.session.yanks import Yank

_PLACES = {"place", "places", "line", "text"}  # where something stands is no part of what it says


@dataclass(frozen=True, kw_only=True)
class ReleasedVersion:
    """A version that is here: its tag object, commit and tree, and what its tag says."""

    version: str
    tag: str
    commit: str
    tree: str
    message: str


def yank_fault(yank: Yank, here: ReleasedVersion, record: Record | None, good: Collection[str]) -> str:
    """In what a yank differs from the version that it takes back; `good` are the versions that may be gone back to."""
    known = {image.digest for image in record.images} if record else set()
    if yank.commit != here.commit:
        return f"says commit {yank.commit[:40] or 'nothing'}, and it is {here.commit}"
    if others := sorted(set(yank.digests) - known):
        return f"takes back {others[0][:19]}, which no record of it has"
    if yank.back_to and (yank.back_to == here.version or yank.back_to not in good):
        return f"goes back to {yank.back_to[:40]}, which is no released version that nobody yanked"
    return "moves tags, and says not to which version" if yank.moves and not yank.back_to else ""


def promotion_fault(version: str, commit: str, message: str, candidates: Mapping[str, ReleasedVersion]) -> str:
    """What is wrong with the tag of a promotion; `candidates` are the versions that were here before."""
    name, tag = promotion(message) or ("", "")
    candidate = candidates.get(name)
    if candidate is None or candidate.tag != tag:
        return f"is promoted from {name}, which is not here as {tag[:12]}"
    if final_of(name) != version or candidate.commit != commit:
        return f"is promoted from {name}, which is another version, or on another commit"
    rows = [row for each in up_to(candidate, candidates.values()) for row in tagged_account(each.message)]
    mine = tagged_account(message)
    if [row for row in mine if row.shipped] != [row for row in rows if row.shipped]:
        return f"does not list the picks of {name} and the candidates before it"
    if [row for row in mine if not row.shipped] != _left_out(rows):
        return f"does not list what {name} and the candidates before it left out"
    return ""


def not_asked(candidate: str, config: Config) -> list[str]:
    """What a promotion that is let through was not held against, and why."""
    if config.records != REGISTRY:
        return []
    why = "yanks are kept in the registry (`records: registry`), which this hook does not ask"
    return [f"whether {candidate} was yanked: {why}; a promotion made by this tool does, and so does an audit"]


def _left_out(rows: Sequence[TagRow]) -> list[TagRow]:
    """As one tag lists them: what was there already first, then what a person skipped."""
    left = [row for row in rows if not row.shipped]
    return sorted(left, key=lambda row: row.state == SKIPPED)


def up_to(candidate: ReleasedVersion, others: Collection[ReleasedVersion] | Any) -> list[ReleasedVersion]:
    """A candidate and those before it for the same final version, the oldest first."""
    last, final = parse_tag(candidate.version), final_of(candidate.version)
    parsed: Sequence[tuple[Any, ReleasedVersion]] = [(parse_tag(each.version), each) for each in others]
    mine = [(tag.order, each) for tag, each in parsed if tag and last and tag.order <= last.order]
    chain = sorted(((key, each) for key, each in mine if final_of(each.version) == final), key=lambda pair: pair[0])
    return [each for _, each in chain]


def identity(config: Config, version: str) -> dict[str, Any]:
    """All that release.yaml says for a version, wherever it stands in the file."""
    mine = replace(config, releases=tuple(entry for entry in config.releases if entry.version == version))
    return dict(_without_places(asdict(mine)))


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(each) for key, each in value.items() if key not in _PLACES}
    return [_without_places(each) for each in value] if isinstance(value, list | tuple) else value

"""`release prune`: the private names under which images were uploaded, and what of them nobody needs any more.

A candidate is removed by its digest, which every registry that removes anything knows: some take a removal by name for
one of the image, with all its names.  So what has another name stays, and costs nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.core.plan import CANDIDATES, proposed_version
from orchestrator.core.reference import parse_repository
from orchestrator.plan import document
from orchestrator.session.journal import Journal
from orchestrator.session.published import PublishedReleases, remote_name
from orchestrator.session.state import ReleaseState, in_progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Manifest
    from orchestrator.session.session import Session

_NAME: Final = re.compile(r"candidate-([0-9a-f]{12})(?:[-._][A-Za-z0-9._-]+)?")
DAYS: Final = 14


@dataclass(frozen=True, kw_only=True)
class CandidateImage:
    """A private name in the registry; `kept` says why it stays, "" where nobody needs it."""

    tag: str
    digest: str
    created: str  # as the image says, "" where it does not
    kept: str = ""
    removed: bool = False


@dataclass(frozen=True, kw_only=True)
class PruneResult:
    """Every candidate of a repository, and whether removing was asked for."""

    repository: str
    candidates: tuple[CandidateImage, ...]
    write: bool


def prune(session: Session, *, days: int, write: bool) -> PruneResult:
    """List the candidates of release.yaml's image, and with `write` remove those that nobody needs.

    Raises RemoteError where the registry does not remove anything.
    """
    spec = session.config().image
    if spec is None:
        raise UsageError("release.yaml declares no image", where=session.config_name, code="no-image")
    if session.options.offline:
        raise UsageError("--offline does not go with prune: it asks remote and registry", code="options-exclude")
    repository = str(parse_repository(spec.repository))
    registry = session.connections.registry(repository)
    tags = registry.tags()
    named = {tag: registry.manifest(tag) for tag in tags if _NAME.fullmatch(tag)}
    manifests = {tag: manifest for tag, manifest in named.items() if manifest}
    found = _judged(session, registry, tags, manifests, days)
    if write:
        found = [_removed(registry, each) for each in sorted(found, key=lambda each: not manifests[each.tag].is_index)]
    return PruneResult(repository=repository, candidates=tuple(sorted(found, key=lambda each: each.tag)), write=write)


def _judged(
    session: Session, registry: Registry, tags: Iterable[str], manifests: Mapping[str, Manifest], days: int
) -> list[CandidateImage]:
    """Each candidate with what speaks for it, the weightiest first: a version, a release at work, its age."""
    public = PublishedReleases(session, remote_name(session))
    unfinished, now = _unfinished(session, public), _moment(session.now())
    limit = now - timedelta(days=days) if now else None
    first = [
        _by_itself(tag, manifest, _created(registry, manifest), unfinished, limit, days)
        for tag, manifest in manifests.items()
    ]
    needed = _needed(public, registry, [tag for tag in tags if tag not in manifests])
    for each in first:
        if each.kept:
            needed |= dict.fromkeys(registry.parts(manifests[each.tag]), f"part of {each.tag}, which stays")
            needed.setdefault(each.digest, f"the same image as {each.tag}, which stays")
    return [replace(each, kept=needed.get(each.digest, "")) if not each.kept else each for each in first]


def _by_itself(
    tag: str, manifest: Manifest, created: str, unfinished: Mapping[str, str], limit: datetime | None, days: int
) -> CandidateImage:
    found = _NAME.fullmatch(tag)
    commit = found[1] if found else ""
    when = _moment(created)
    kept = unfinished.get(commit, "")
    if not kept and (when is None or limit is None):
        kept = "it does not say when it was made"
    if not kept and when and limit and when > limit:
        kept = f"made less than {days} days ago"
    return CandidateImage(tag=tag, digest=manifest.digest, created=created, kept=kept)


def _needed(public: PublishedReleases, registry: Registry, others: Iterable[str]) -> dict[str, str]:
    """Digest -> what needs it: every other name in the repository, with its parts, and every record of a version."""
    found: dict[str, str] = {}
    for tag in others:
        if manifest := registry.manifest(tag):
            found[manifest.digest] = f"it is {tag}"
            found |= dict.fromkeys(registry.parts(manifest), f"part of {tag}")
    for version in public.with_records():
        record = public.record(version)
        for image in record.images if record else ():
            digests = [image.digest, *(each.digest for each in image.platforms)]
            found |= {str(digest): f"an image of {version}" for digest in digests if str(digest) not in found}
    return found


def _unfinished(session: Session, public: PublishedReleases) -> dict[str, str]:
    """First 12 digits of a release commit -> which release that is not at its end made it."""
    remote = public.remote
    found = {
        public.refs.tag_commit(version)[:12]: f"{version} has a tag and no record yet"
        for version in public.versions
        if not public.record_blob(version)
    }
    proposed = session.repository.ls_remote(remote, f"{CANDIDATES}*").refs
    lacking = [ref for ref, sha in proposed.items() if not session.scratch.has(sha)]
    if lacking:
        session.repository.bring(session.scratch, remote, lacking)
    for ref, sha in proposed.items():
        if version := proposed_version(ref):
            found[session.scratch.resolve(sha)[:12]] = f"{version} is proposed"
    for version in in_progress(session.repository):
        journal = Journal(ReleaseState(session.repository, version).journal_path, session.now)
        if (stored := journal.plan()) and not journal.closed:
            found[document.recall(stored, str(journal.path)).head[:12]] = f"{version} is at work in this clone"
    return found


def _created(registry: Registry, manifest: Manifest) -> str:
    """When an image says that it was made; of an index its first one."""
    if manifest.is_index:
        platforms = registry.platforms(manifest)
        own = registry.find_image(manifest, platforms[0]) if platforms else None
        return registry.config(own).created if own else ""
    return registry.config(manifest).created


def _moment(text: str) -> datetime | None:
    """A time as RFC 3339 writes it; None for anything else."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _removed(registry: Registry, candidate: CandidateImage) -> CandidateImage:
    if candidate.kept:
        return candidate
    registry.delete(candidate.digest)
    return replace(candidate, removed=True)

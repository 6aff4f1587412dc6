"""tag <-> commit <-> release.yaml <-> record <-> digest <-> labels: each link is a check that passes, fails or is
skipped with the reason.  What could not be looked at never passes.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from orchestrator.core.declaration import NOWHERE
from orchestrator.core.errors import MismatchError, ReleaseError, RemoteError
from orchestrator.core.labels import HEAVY_KEY, REVISION, VERSION
from orchestrator.core.record import comparisons
from orchestrator.core.results import CheckResult, CheckState
from orchestrator.core.tag_message import built_later, onto, promotion, tagged_picks
from orchestrator.core.versions import final_of, parse_tag
from orchestrator.git import notes
from orchestrator.guard.consistency import ReleasedVersion, up_to, yank_fault
from orchestrator.picks.sources import named, stays
from orchestrator.plan.images import planned_images
from orchestrator.session import yanks
from orchestrator.session.kept_sources import keep, sources_ref
from orchestrator.session.published import tag_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from orchestrator.audit.snapshot import Snapshot
    from orchestrator.audit.tags import Tag
    from orchestrator.audit.verdicts import CommitVerdict, Part
    from orchestrator.core.declaration import Config
    from orchestrator.core.record import Record, RecordedHeavy, RecordedImage, ReleaseFacts
    from orchestrator.core.reference import Reference
    from orchestrator.git.scratch import Scratch
    from orchestrator.registry.client import Registry


def passed(name: str, message: str) -> CheckResult:
    return CheckResult(name=name, state=CheckState.PASSED, message=message)


def failed(name: str, message: str, remedy: str = "") -> CheckResult:
    return CheckResult(name=name, state=CheckState.FAILED, message=message, remedy=remedy)


def skipped(name: str, message: str) -> CheckResult:
    return CheckResult(name=name, state=CheckState.SKIPPED, message=message)


def compared(
    name: str, what: str, ours: object, theirs: object, said_by: str, remedy: str = "one of the two was changed later"
) -> CheckResult:
    """Two accounts of one thing; `what` is the beginning of a sentence that ends with ours."""
    if ours == theirs:
        return passed(name, f"{what} {str(ours)[:19]}, as {said_by} says")
    return failed(name, f"{what} {ours or 'not there'}, {said_by} says {theirs or 'nothing'}", remedy)


# ------------------------------------------------------------------ git's side


TO_COME = "its images are built from the tag, and no record says that they are: release publish"


def record_links(record: Record, facts: ReleaseFacts) -> list[CheckResult]:
    """The record against what the tag, its commit and release.yaml there say."""
    return [
        failed(
            f"record: {each.name}",
            f"the record {each.fault}",
            f"compare: release show {facts.version}; git cat-file tag {facts.version}",
        )
        if each.fault
        else passed(f"record: {each.name}", f"{each.actual[:19]}, as the record says")
        for each in comparisons(record, facts)
    ]


def facts_of(scratch: Scratch, tag: Tag, part: Part, records: Mapping[str, str]) -> ReleaseFacts:
    """What a version's tag, commits, release.yaml and sources say; `records` are the blobs of records by version."""
    origin, config, account = promotion(tag.message), part.config, part.account
    text = scratch.file(scratch.tree_of(tag.commit), part.config_path)
    more: dict[str, Any] = {"candidate_record": records.get(origin[0]) if origin else None}
    if text is not None:
        more["config_sha256"] = hashlib.sha256(text).hexdigest()
    if config:
        more |= {
            "branch": config.branch,
            "config_path": part.config_path,
            "images": {image.reference: "" for image in planned_images(config, tag.name, tag.commit)},
        }
    if account and not origin:
        more["told"] = account.told
    return tag_facts(scratch, tag.name, tag.object or tag.commit, tag.commit, **more)


# ------------------------------------------------------------------ the registry's side


def keeps_none(world: Snapshot, part: Part) -> bool:
    """Whether no record is kept of a version: by its own release.yaml, or by that which is here."""
    return not world.session.repository.keeps_records or bool(part.config and part.config.records == NOWHERE)


def image_links(
    tag: Tag, record: Record | None, config: Config | None, registry: Callable[[str], Registry] | None
) -> list[CheckResult]:
    """Each image of a version: the digest against the record, the labels against the tag.  No registry: offline."""
    if record is None and built_later(tag.message):
        return []  # what is missing is said of the record
    wanted = _images(tag, record, config)
    checks: list[CheckResult] = []
    for reference, digest in wanted.items():
        if registry is None:
            checks.append(skipped(f"image {reference}", "offline: the registry was not asked"))
            continue
        try:
            checks += _image(tag, origin(record) or tag.name, reference, digest, registry(str(reference.repository)))
        except MismatchError as error:
            checks.append(failed(f"image {reference}", error.message, error.remedy))
        except RemoteError as error:
            checks.append(skipped(f"image {reference}", error.message))
        except ReleaseError as error:
            checks.append(failed(f"image {reference}", error.message, error.remedy))
    return checks


def _images(tag: Tag, record: Record | None, config: Config | None) -> dict[Reference, str]:
    """Reference -> digest by the record, "" where none tells."""
    if record is not None:
        return {name: image.digest for image in record.images for name in image.names}
    planned = planned_images(config, tag.name, tag.commit) if config else ()
    return {name: "" for image in planned for name in image.names}


def _image(tag: Tag, version: str, reference: Reference, digest: str, registry: Registry) -> list[CheckResult]:
    manifest = registry.manifest(reference.tag)
    if manifest is None:
        return [
            failed(f"image {reference}", "the registry does not have it", f"make it again: release publish {version}")
        ]
    name = f"image {reference}"
    checks = [
        compared(f"{name}: digest", "the registry has", manifest.digest, digest, "the record")
        if digest
        else skipped(f"{name}: digest", f"{manifest.digest}; no record to compare with")
    ]
    labels = registry.labels(manifest)
    checks.append(compared(f"{name}: revision", "label revision is", labels.get(REVISION, ""), tag.commit, "the tag"))
    checks.append(compared(f"{name}: version", "label version is", labels.get(VERSION, ""), version, "the tag"))
    return checks


# ------------------------------------------------------------------ the heavy base under a thin image


def heavy_links(
    tag: Tag, record: Record | None, config: Config | None, scratch: Scratch, registry: Callable[[str], Registry] | None
) -> list[CheckResult]:
    """Each heavy base that the record of a version names.  No registry: offline."""
    checks: list[CheckResult] = []
    bases = [
        (image, platform, heavy) for image in (record.images if record else ()) for platform, heavy in _bases(image)
    ]
    for image, platform, heavy in bases:
        name = f"image {image.reference}: heavy base" + (f" for {platform}" if platform else "")
        key = _key(tag, image, platform, config, scratch)
        if not record or record.promoted_from is None:  # the candidate's tree is another one
            checks.append(compared(f"{name} key", "made from", heavy.key, key, "the tag's tree"))
        if registry is None:
            checks.append(skipped(name, "offline: the registry was not asked"))
            continue
        try:
            checks += _in_registry(name, image, platform, heavy, registry)
        except RemoteError as error:
            checks.append(skipped(name, error.message))
    return checks


def _bases(image: RecordedImage) -> list[tuple[str, RecordedHeavy]]:
    """Platform and heavy base of each image that has one; "" for what is no index."""
    builds = [(each.platform, each.heavy) for each in image.platforms] or [("", image.heavy)]
    return [(platform, heavy) for platform, heavy in builds if heavy]


def _key(tag: Tag, image: RecordedImage, platform: str, config: Config | None, scratch: Scratch) -> str:
    """What the tag's own tree makes the key to be, "" where it declares no such base."""
    if config is None:
        return ""
    from orchestrator.thin.planned import with_heavy

    tree = scratch.tree_of(tag.commit)
    for each in with_heavy(planned_images(config, tag.name, tag.commit), config.image, scratch, tree):
        for build in each.builds if each.reference == image.reference else ():
            if build.heavy and platform in ("", build.platform):
                return build.heavy.key
    return ""


def _in_registry(
    name: str, image: RecordedImage, platform: str, heavy: RecordedHeavy, registry: Callable[[str], Registry]
) -> list[CheckResult]:
    beside, own = registry(str(heavy.reference.repository)), registry(str(image.reference.repository))
    found, released = beside.manifest(heavy.reference.tag), own.manifest(image.reference.tag)
    checks = [compared(name, f"{heavy.reference} is", found.digest if found else "", heavy.digest, "the record")]
    base = beside.find_image(found, platform) if found else None
    if base is None:
        return checks
    said = beside.config(base).labels.get(HEAVY_KEY, "")
    checks.append(compared(f"{name} label", "it says that it is made from", said, heavy.key, "the record"))
    thin = own.find_image(released, platform) if released else None
    if thin is not None:
        below = [layer.digest for layer in beside.layers(base)]
        first = [layer.digest for layer in own.layers(thin)][: len(below)]
        checks.append(
            passed(f"{name} layers", f"the first {len(below)} layers of the image are its")
            if first == below
            else failed(f"{name} layers", "the image is not made on it", "another image was pushed after the release")
        )
    return checks


# ------------------------------------------------------------------ what callers ask


def origin(record: Record | None) -> str:
    """The candidate that a version was promoted from, "" for one that was cut: its image goes on saying that name."""
    return str(record.promoted_from.version) if record and record.promoted_from else ""


def failures(checks: Sequence[CheckResult]) -> list[CheckResult]:
    return [check for check in checks if check.state is CheckState.FAILED]


# ------------------------------------------------------------------ what stands beside

_WHO_WROTE = "somebody changed release.yaml in the commit of the tag: the server's log tells who pushed it"
_WHO = "a ref that is made once and never changed is another than the release wrote: git show it, and the server's log"


def beside(world: Snapshot, tag: Tag, part: Part) -> list[CheckResult]:
    """Sources, yank and notes of a version, where it has them."""
    return [*_sources(world, tag, part), *_yank(world, tag), *_notes(world, tag)]


def released(world: Snapshot, tag: Tag) -> ReleasedVersion:
    return ReleasedVersion(
        version=tag.name, tag=tag.object, commit=tag.commit, tree=world.session.scratch.tree_of(tag.commit),
        message=tag.message,
    )  # fmt: skip


def candidates(world: Snapshot, version: str) -> dict[str, ReleasedVersion]:
    """The candidates of a final version, by name."""
    return {name: released(world, each) for name, each in world.tags.items() if final_of(name) == version}


def _sources(world: Snapshot, tag: Tag, part: Part) -> list[CheckResult]:
    """The commit that keeps the sources of a version is the very one that its release writes."""
    refs, name = world.remote_refs.refs if world.remote_refs else {}, sources_ref(tag.name)
    if odd := _unwritten(world, tag, part):
        return [failed("sources", odd, _WHO_WROTE)]
    if name not in refs:
        return []
    wanted = _wanted(world, tag, part)
    made = keep(world.session.scratch, tag.name, wanted, tag.commit) if wanted else ""
    if lost := "" if made else _lost(world, part, refs[name]):
        return [failed("sources", f"{lost} is declared, and is not among those that {name} keeps", _WHO)]
    if not made:
        return [skipped("sources", f"not all that {tag.name} declares is in this clone")]
    if made != refs[name]:
        return [failed("sources", f"{name} is {refs[name][:12]}, and what keeps its sources is {made[:12]}", _WHO)]
    return [passed("sources", f"{made[:12]} keeps the sources of {tag.name}")]


def sources_lost(world: Snapshot, verdicts: Sequence[CommitVerdict]) -> list[str]:
    """Of versions with a record: what is on no source branch, where the ref that keeps it for other clones is gone."""
    refs = world.remote_refs.refs if world.remote_refs else None
    alone = {each.version: each.sources[0] for each in verdicts if each.on_source is False and each.sources}
    return [
        f"{version}: {sources_ref(version)} is not on {world.remote}, and {sha[:12]} is on no source branch: other"
        f" clones cannot prove it; to keep it there again: release publish {version}"
        for version, sha in alone.items()
        if refs is not None and version in world.records and sources_ref(version) not in refs
    ]


def _unwritten(world: Snapshot, tag: Tag, part: Part) -> str:
    """An entry of release.yaml at the tag that names nothing, in words that no release of this tool has there."""
    account = part.account
    if account is None or part.other_tool or tag.name not in world.records:
        return ""
    places = {problem.where for problem in account.lacking}
    written = (
        (fix.place, name)
        for fix in account.entry.fixes
        if str(fix.place) in places
        for name in (fix.commit, fix.backport, *fix.range.split(".."))
        if name and not stays(name)
    )
    return next((f"{place}: {name!r} names nothing, and a release has ids there" for place, name in written), "")


def _lost(world: Snapshot, part: Part, kept: str) -> str:
    """A commit that release.yaml at the tag names by its id, and that not even what keeps all of them has."""
    account, scratch = part.account, world.session.scratch
    if account is None or part.other_tool or not scratch.has(kept):
        return ""
    places = {problem.where for problem in account.lacking}
    named = (sha for fix in account.entry.fixes if str(fix.place) in places for sha in (fix.commit, fix.backport))
    return next((sha for sha in named if _ID.fullmatch(sha) and not world.session.repository.resolve(sha)
                 and not scratch.has(sha)), "")  # fmt: skip


def _wanted(world: Snapshot, tag: Tag, part: Part) -> tuple[str, ...]:
    """The commits to keep; of a promoted version what its candidates keep."""
    if origin := promotion(tag.message):
        known, refs = candidates(world, tag.name), world.remote_refs.refs if world.remote_refs else {}
        chain = up_to(known[origin[0]], known.values()) if origin[0] in known else []
        return tuple(refs[ref] for each in chain if (ref := sources_ref(each.version)) in refs)
    account = part.account
    return named(account.sources) if account and not account.lacking else ()


def _yank(world: Snapshot, tag: Tag) -> list[CheckResult]:
    """A yank takes back the very version that it names."""
    scratch, repository = world.session.scratch, world.session.repository
    ref = yanks.yank_ref(tag.name)
    refs = world.remote_refs.refs if world.remote_refs else repository.refs(ref)
    if ref not in refs:
        return []
    try:
        yank = yanks.known(repository, scratch, world.remote, {ref: refs[ref]})[tag.name]
    except RemoteError as error:
        return [skipped("yank", error.message)]
    good = [name for name in world.tags if parse_tag(name) and not final_of(name)]
    if fault := yank_fault(yank, released(world, tag), world.records.get(tag.name), good):
        return [failed("yank", f"the yank {fault}", _WHO)]
    return [passed("yank", yank.said)]


_ID = re.compile("[0-9a-f]{7,40}")
_EDITED = "somebody edited it: git log -p refs/notes/release; the tag and the record tell what is so"


def _notes(world: Snapshot, tag: Tag) -> list[CheckResult]:
    """The lines that a release writes on its sources, all at once: where one is, the others are, word for word.

    Other lines are other people's, and where there is none of a version nobody could write there.
    """
    place = onto(tag.message)
    if place is None or tag.calls_itself != tag.name:
        return []
    made: dict[str, set[str]] = {}
    for _, source, commit in tagged_picks(tag.message):
        made.setdefault(source, set()).add(commit)
    start = f"in {tag.name} as "
    wanted = {source: {f"{start}{each} on {place[0]}" for each in commits} for source, commits in made.items()}
    noted = _noted(world, wanted)
    lacks = [source for source, lines in wanted.items() if lines.isdisjoint(noted[source])]
    others = ((each, line) for each in lacks for line in noted[each] if _once_ours(world, each, line, tag))
    source, line = next(others, (lacks[0], "") if lacks and len(lacks) < len(made) else ("", ""))
    if source:
        says = f"says {line[:100]!r}, and it is" if line else "does not say, as those beside it do,"
        text = f"the note of {source[:12]} {says} {' or '.join(sorted(wanted[source]))!r}"
        return [failed("notes", text, _EDITED)]
    return [passed("notes", f"on {len(made)} sources, as the tag says")] if made and not lacks else []


def _once_ours(world: Snapshot, source: str, line: str, tag: Tag) -> bool:
    """Whether a line of a note is like that of this version: it begins so, or names its commit, and no other version
    has it.
    """
    for name, other in world.tags.items():
        if name != tag.name and line.startswith(f"in {name} as ") and _names_a_carrier(other, source, line):
            return False
    return line.startswith(f"in {tag.name} as ") or _names_a_carrier(tag, source, line)


def _names_a_carrier(tag: Tag, source: str, line: str) -> bool:
    return any(of == source and commit in line for _, of, commit in tagged_picks(tag.message))


def _noted(world: Snapshot, sources: Collection[str]) -> dict[str, list[str]]:
    """The lines of the notes of these commits, as far as they are here: an offline clone may lack some."""
    git, repository = world.session.scratch.git, world.session.repository
    if world.notes is None:
        refs = world.remote_refs.refs if world.remote_refs else repository.refs(notes.REF)
        tip = refs.get(notes.REF, "")
        world.notes = notes.listing(git, tip) if tip and world.session.scratch.has(tip) else {}
    blobs = {source: world.notes.get(source, "") for source in sources}
    texts = notes.blobs(git, filter(None, blobs.values()))
    return {source: texts.get(blob, b"").decode("utf-8", "replace").split("\n") for source, blob in blobs.items()}

"""`verify`: one release, link by link; or one image, for somebody who has nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.audit.branch import AT_TAG, checks_of, part_of, tag_faults
from orchestrator.audit.links import TO_COME, compared, failed, keeps_none, origin, passed, record_links, skipped
from orchestrator.audit.prove import new_commits, prove
from orchestrator.audit.snapshot import fork, look, ranges
from orchestrator.audit.tags import of_line, read_tags, tag_problems
from orchestrator.audit.verdicts import Kind
from orchestrator.core.declaration import ON_BRANCH, REGISTRY
from orchestrator.core.errors import MismatchError, RemoteError, UsageError
from orchestrator.core.labels import REVISION, SOURCE, VERSION
from orchestrator.core.record import ReleaseFacts, record_ref
from orchestrator.core.reference import parse_reference
from orchestrator.core.tag_message import built_later, promotion
from orchestrator.core.versions import TagVersion, completed, parse_tag
from orchestrator.git.batch import outside
from orchestrator.git.records.entries import entries
from orchestrator.git.records.remote import fetch_refs
from orchestrator.session.artifacts.place import record_beside
from orchestrator.session.branch_state import fetch_all
from orchestrator.session.committed import CommittedFiles
from orchestrator.session.published import other_tag, record_at, tag_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.attest.trust import Trust
    from orchestrator.audit.prove import Proving
    from orchestrator.audit.snapshot import Snapshot
    from orchestrator.audit.tags import Tag
    from orchestrator.audit.verdicts import Part
    from orchestrator.core.record import Record
    from orchestrator.core.results import CheckResult
    from orchestrator.git.scratch import Scratch
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Manifest
    from orchestrator.session.session import Session


def verify(
    session: Session, version: str, *, sources: Sequence[str] = (), require_signed: bool = False
) -> list[CheckResult]:
    """Every link of one release.  Raises UsageError when there is no such tag."""
    world = look(session, sources)
    tag = world.tags.get(version)
    if tag is None or parse_tag(version) is None:
        raise UsageError(
            f"there is no version tag {version}", remedy=f"{fetch_all(world.remote)}; git tag --list", code="no-tag"
        )
    checks = _tag_checks(world, tag, require_signed=require_signed)
    try:
        branch = ranges(world, version)[0]
    except UsageError as error:
        return [*checks, failed("branch", error.message)]
    checks.append(passed("branch", f"commit {tag.commit[:12]} is on {branch.branch}"))
    candidate = (promotion(tag.message) or (origin(world.records.get(version)), ""))[0]
    made = world.tags.get(candidate, tag)  # a promoted one was made as its candidate
    if made is not tag:
        checks.append(compared("candidate", "it is on", tag.commit, made.commit, f"its candidate {made.name}"))
    base = _before(world, made, branch.branch)
    part = part_of(world, made, new_commits(session.scratch, base, made.commit))
    entry = part.config.release(made.name) if part.config else None
    if entry:
        checks.append(passed("release.yaml", f"at the tag it declares {made.name} with {len(entry.fixes)} entries"))
    else:
        what = "it does not declare this version" if part.config else f"the tag has no {part.config_path}"
        bad = [failed("release.yaml", each.message, each.remedy) for each in world.problems if each.code == AT_TAG]
        checks += bad or [skipped("release.yaml", f"{what}: what was declared is not known")]
    proving = _proved(world, part, base, branch.branch)
    checks += _commit_checks(proving, base)
    checks += [failed(f"tag {each.name}: picks", f"it {fault}")
               for each in dict.fromkeys((made, tag)) for fault in tag_faults(world, each, part, proving)]  # fmt: skip
    asked = made.name in world.records or world.asked_for_records
    checks += [
        failed(name, f"declared, and no commit carries it: {each.subject!r}")
        if asked
        else skipped(name, "declared, and neither carried nor said to be left out: the record would tell")
        for each in proving.missing
        for name in (f"pick {each.source[:12]}",)
    ]
    return [*checks, *_record(world, tag, part), *checks_of(world, tag, part)]


def _proved(world: Snapshot, part: Part, base: str, branch: str) -> Proving:
    """The proof of its commits; where one is open, the versions above it are asked, which may answer for it."""
    scratch, names, tips = world.session.scratch, world.session.repository, list(world.tips.values())
    found = prove(scratch, [part], base=base, tips=tips, names=names)
    if all(each.ok for each in found.verdicts):
        return found
    line = of_line(branch, list(world.tags))
    above = line[line.index(part.version) + 1 :] if part.version in line else []
    accounts = (part_of(world, world.tags[name], ()).account for name in above)
    return prove(
        scratch, [part], base=base, tips=tips, names=names, later=[each for each in accounts if each is not None]
    )


def _commit_checks(proving: Proving, base: str) -> list[CheckResult]:
    """What is not what it should be; what names a source that is not here can only not be told."""
    bad = [each for each in proving.verdicts if not each.ok]
    open_ = [each for each in bad if each.kind is Kind.UNKNOWN]
    checks = [skipped(f"commit {each.sha[:12]}", f"{each.subject!r} {each.said}") for each in open_]
    checks += [
        failed(f"commit {each.sha[:12]}", f"{each.kind}: {each.subject!r} {each.said}")
        for each in bad
        if each not in open_
    ]
    proved = len(proving.verdicts) - len(bad)
    what = f"all {proved}" if not bad else f"{proved} of {len(proving.verdicts)}"
    return [*checks, passed("commits", f"{what} since {base[:12] or 'the beginning'} are proved")] if proved else checks


def _tag_checks(world: Snapshot, tag: Tag, *, require_signed: bool) -> list[CheckResult]:
    checks = [failed("tag", each.message, each.remedy) for each in tag_problems(tag, require_signed=require_signed)]
    checks = checks or [passed("tag", f"annotated, {tag.object[:12]}, of commit {tag.commit[:12]}")]
    ref = f"refs/tags/{tag.name}"
    here = world.session.repository.refs(ref).get(ref, "")
    if world.remote_refs is None:
        return [*checks, skipped("tag: remote", f"{world.remote} was not asked whether it has the same")]
    there = world.remote_refs.refs.get(ref, "")
    remedy = other_tag(world.remote, tag.name, there)
    return [*checks, compared("tag: remote", "the tag here is", here or there, there, world.remote, remedy)]


def _record(world: Snapshot, tag: Tag, part: Part) -> list[CheckResult]:
    if tag.name in world.records:
        return []
    if bad := world.refused_records.get(tag.name):
        return [failed("record", f"{bad.where}: {bad.message}", bad.remedy)]
    if keeps_none(world, part):
        return []
    if unread := world.session.repository.records_unread:
        return [skipped("record", f"not checked: {unread}")]
    if world.remote_refs is None:
        return [skipped("record", f"it is not here, and {world.remote} was not asked")]
    if built_later(tag.message):
        return [skipped("record", TO_COME)]
    return [
        failed(
            "record",
            f"there is no {record_ref(tag.name)} {world.records_place}",
            f"finish it: release publish {tag.name}",
        )
    ]


def _before(world: Snapshot, tag: Tag, branch: str) -> str:
    """The commit of the version before, or where the branch left the source branches since, as an audit has it."""
    scratch, left = world.session.scratch, fork(world, tag.commit)
    lower = of_line(branch, list(world.tags))
    lower = lower[: lower.index(tag.name)] if tag.name in lower else []
    away = outside(scratch, {world.tags[name].commit for name in lower}, [tag.commit])
    there = [name for name in lower if world.tags[name].commit not in away]
    before = world.tags[there[-1]].commit if there else ""
    if left and left != tag.commit and (not before or not outside(scratch, [before], [left])):
        return left
    return before or next(iter(scratch.commit(tag.commit).parents), "")


# ------------------------------------------------------------------ nothing but an image


def verify_image(session: Session, image: str, remote: str, key: Path | None = None) -> list[CheckResult]:
    """What an image in a registry says of itself; with the URL of a git remote, what the tag and the record there say.

    Raises RemoteError when the registry cannot be asked: then there is nothing to verify.
    """
    reference = parse_reference(image)
    registry = session.connections.registry(str(reference.repository))
    manifest = registry.manifest(reference.identifier)
    if manifest is None:
        raise UsageError(f"{reference} is not in the registry", remedy="check the name", code="no-image")
    checks = [passed("digest", f"{reference} is {manifest.digest}, by its own bytes")]
    try:
        labels = registry.labels(manifest)
    except MismatchError as error:
        return [*checks, failed("config", error.message, error.remedy)]
    version, revision = labels.get(VERSION, ""), labels.get(REVISION, "")
    if parse_tag(version) is None or not revision:
        return [*checks, failed("labels", f"it does not say which release it is (version {version!r})")]
    checks.append(passed("labels", f"version {version}, revision {revision[:12]}"))
    names = _names(reference.tag, version)
    if key or not remote:
        from orchestrator.attest.released.signatures import beside

        checks += beside(str(reference), manifest, _trust(session.directory / key if key else None), registry)
    if not remote:
        return [*checks, *_without_remote(names[0], version, labels.get(SOURCE, ""))]
    return [*checks, *_by_remote(names, version, revision, (registry, manifest), remote, session, key is not None)]


def _names(tag: str, version: str) -> list[str]:
    """The versions that an image with this tag and label may be of, the likeliest first.

    `v2.7.1-cpu` is a variant of v2.7.1, if it is no version itself.
    """
    parts = tag.split("-")
    begun = [completed("-".join(parts[:count])) for count in range(len(parts), 0, -1)]
    return list(dict.fromkeys([*(name for name in begun if parse_tag(name)), version]))


def _without_remote(name: str, version: str, source: str) -> list[CheckResult]:
    hint = f" (the image names {source})" if source else ""
    told = f"pulled as {name}: so does a promoted candidate, or a variant"
    other = [] if name == version else [skipped("labels: tag", told)]
    return [*other, skipped("git", f"tag and record were not looked at: give --remote URL{hint}")]


def _trust(path: Path | None) -> Trust:
    """The public key in a file alone is believed.  Raises UsageError."""
    from orchestrator.attest.keys import public_key
    from orchestrator.attest.trust import NO_KEY, Trust

    if path is None:
        return Trust(lacks=NO_KEY)
    try:
        return Trust(keys=(public_key(path.read_text("ascii", "replace")),))
    except OSError as error:
        raise UsageError(f"the key cannot be read: {error.strerror}", where=str(path), code="no-key") from error
    except ValueError as error:
        remedy = "give the cosign.pub of who released it"
        raise UsageError(f"the file {error}", where=str(path), remedy=remedy, code="no-key") from error


def _signed(
    scratch: Scratch, record: Record, commit: str, remote: str, digest: str, session: Session
) -> list[CheckResult]:
    """As the protected branch of the remote pins it; the tag's own release.yaml says which branch that is."""
    from orchestrator.attest.released.signatures import image_signatures
    from orchestrator.attest.trust import pinned

    files = CommittedFiles(scratch, scratch.tree_of(commit))
    config = files.config(record.config.path, str(record.version))
    if config is None:
        return []
    ref = f"refs/heads/{config.source[0].removeprefix('refs/heads/').removeprefix(f'{config.remote}/')}"
    with fetch_refs(remote, (ref,), session.silence) as (theirs, refs):
        tree = theirs.tree_of(refs[ref]) if ref in refs else ""
        there = CommittedFiles(theirs, tree)
        protected = there.config(record.config.path, ref) if tree else None
        asked = protected.sign if protected else None
        trust = pinned(asked, str(record.version), session.connections.env, there.file)
    policy = protected.policy if protected else None
    if config.sign is None and not (policy and policy.signed_images):
        return []
    return [
        check
        for each in record.images
        if each.digest == digest
        for check in image_signatures(
            record, each, config, trust,
            session.connections.registry(str(each.reference.repository)), files,
        )
    ]  # fmt: skip


def _by_remote(
    names: Sequence[str],
    version: str,
    revision: str,
    image: tuple[Registry, Manifest],
    remote: str,
    session: Session,
    by_key: bool,
) -> list[CheckResult]:
    """The first of these versions that a git remote has, by tag and record; the label are `version` and `revision`."""
    digest = image[1].digest
    patterns = tuple(ref for name in names for ref in (f"refs/tags/{name}", record_ref(name)))
    try:
        with fetch_refs(remote, patterns, session.silence) as (scratch, refs):
            name = next((each for each in names if f"refs/tags/{each}" in refs), names[0])
            tag_ref, ref = f"refs/tags/{name}", record_ref(name)
            tag = read_tags(scratch, {name: refs[tag_ref]}).get(name) if tag_ref in refs else None
            refs = {
                **refs,
                **(_kept_there(scratch, tag, ref, remote, session, image) if tag and ref not in refs else {}),
            }
            record = record_at(scratch, refs[ref], ref, remote) if ref in refs else None
            facts = ReleaseFacts(version=TagVersion.from_text(name), commit=revision)
            facts = tag_facts(scratch, name, refs[tag_ref], tag.commit) if tag else facts
            signed = [] if by_key or not tag or not record else _signed(
                scratch, record, tag.commit, remote, digest, session
            )  # fmt: skip
    except RemoteError as error:
        return [skipped("git", error.message)]
    except UsageError as error:
        return [failed("record", f"{error.where}: {error.message}", error.remedy)]
    except MismatchError as error:
        return [failed("record", error.message, error.remedy)]
    checks = [
        compared("labels: tag", "label version is", version, origin(record) or name, f"the record of {name}"),
        compared("tag", "label revision is", revision, tag.commit if tag else "", f"tag {name} there"),
    ]
    if record is None:
        return [*checks, failed("record", f"there is no {ref} on the remote, nor beside the image")]
    asked = "" if name == names[0] else names[0]
    return [*checks, *record_links(record, facts), _digest(record, digest, asked), *signed]


def _kept_there(
    scratch: Scratch, tag: Tag, ref: str, remote: str, session: Session, beside: tuple[Registry, Manifest]
) -> dict[str, str]:
    """The record that a tag's release.yaml keeps on a branch or beside the image, in the store from now on; else {}."""
    config = CommittedFiles(scratch, scratch.tree_of(tag.commit)).config("release.yaml", tag.name)
    if config and config.records == REGISTRY:
        data = record_beside(*beside, tag.name)
        return {ref: scratch.write_blob(data)} if data is not None else {}
    if config is None or not config.records.startswith(ON_BRANCH):
        return {}
    branch = f"refs/heads/{config.records.removeprefix(ON_BRANCH)}"
    with fetch_refs(remote, (branch,), session.silence) as (theirs, refs):
        kept = entries(theirs.git, refs[branch]) if branch in refs else {}
        return {ref: scratch.write_blob(theirs.read(kept[ref])[1])} if ref in kept else {}


def _digest(record: Record, digest: str, asked: str) -> CheckResult:
    """`asked` is the tag that it was pulled by, where that is not the version itself: the record must have it."""
    known = {image.digest for image in record.images}
    released = [name.tag for image in record.images if image.digest == digest for name in image.names]
    if asked and asked not in released:
        return failed("record: tag", f"{asked} is not what was released as {record.version}: {', '.join(released)}")
    if digest in known:
        return passed("record: digest", f"{digest[:19]} is the one that was released")
    return failed("record: digest", f"{digest} is not what was released: {', '.join(sorted(known))}")

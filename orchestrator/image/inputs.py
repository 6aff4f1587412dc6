"""What must be in a released tree so that its images can be built: Dockerfiles that the builder can read, and locks."""

from __future__ import annotations

import hashlib
import posixpath
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.declaration import Variant
from orchestrator.core.errors import RemoteError
from orchestrator.core.plan import NO_ENGINE, Judgement
from orchestrator.core.results import Problem, at_most
from orchestrator.core.text import word
from orchestrator.dockerfile.facts import NEEDS_BUILDKIT
from orchestrator.engines import dialect_of
from orchestrator.git.content import SUBMODULE, Pointed, filled, lfs_pointers
from orchestrator.image.builders import BUILDX, ZSTD_CLIENTS, of_base, option_problems
from orchestrator.image.lock_sources import how_to_make, outdated, requirements_of
from orchestrator.image.patches import concerning
from orchestrator.image.patches import judge as judge_patches
from orchestrator.image.pytorch_builds import judge, read_lock
from orchestrator.image.variants import claims_of, judge_claims
from orchestrator.session.committed import CommittedFiles
from orchestrator.session.work_tree import files_below, refuse_link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.core.declaration import BuildOptions, ImageSpec
    from orchestrator.core.plan import Plan, PlannedHeavy, PlannedImage
    from orchestrator.dockerfile.facts import DockerfileFacts
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch
    from orchestrator.image.patchfile import PatchEntry
    from orchestrator.image.pytorch_builds import Pin
    from orchestrator.session.connections import Connections


def image_problems(plan: Plan, scratch: Scratch, config: str, lock_command: str) -> tuple[Problem, ...]:
    """What is wrong with the images of a plan, each once; `config` is the file that declares them, as shown.

    `lock_command` is what makes a lock, "" where release.yaml does not say.
    """
    files = CommittedFiles(scratch, plan.tree)
    found = [problem for image in plan.builds for problem in _problems(plan, image, files, config, lock_command)]
    return tuple(at_most(dict.fromkeys([*found, *_patch_problems(plan, files, config)])))  # variants share a Dockerfile


def _patch_problems(plan: Plan, committed: CommittedFiles, config: str) -> list[Problem]:
    folder = next((image.patches for image in plan.images), "")
    if not folder:
        return []
    locks = [read_lock(committed.lock(image.lock))[0] for image in plan.builds if image.lock]
    files = committed.below(folder)
    missing = [] if files else [_missing("no-patches", folder, "image.patches", plan, config)]
    return [*missing, *judge_patches(folder, files, locks)]


def _problems(
    plan: Plan, image: PlannedImage, committed: CommittedFiles, config: str, lock_command: str
) -> list[Problem]:
    problems: list[Problem] = []
    scratch, files = committed.scratch, committed.lock(image.lock)
    claims, pins = claims_of(image.variant, dict(image.build_args), image.platform), read_lock(files)[0]
    problems += judge_claims(claims, pins, config)
    if image.lock:
        remedy = how_to_make(lock_command, image.lock)
        problems += judge(files, image.variant, image.platform, remedy)
        requirements = requirements_of(image.lock, image.platform)
        if files and (wanted := scratch.file(plan.tree, requirements)):
            problems += outdated(wanted, requirements, pins, remedy)
        if not files:
            missing = _missing("no-lock", image.lock, "image.lock", plan, config)
            problems.append(
                replace(missing, remedy=f"correct `image.lock`, or {remedy}; a fix brings it to the branch")
            )
    context = posixpath.normpath(image.context or ".")
    if context != "." and not scratch.has_folder(plan.tree, context):
        problems.append(_missing("no-context", f"the folder {context}", "image.context", plan, config))
    text = scratch.file(plan.tree, image.dockerfile)
    if text is None:
        return [*problems, _missing("no-dockerfile", image.dockerfile, "image.dockerfile", plan, config)]
    # What the builder would refuse, or worse, misbuild.
    return [*problems, *_examined(text, image).problems]


def _examined(text: bytes, image: PlannedImage) -> DockerfileFacts:
    target, by_none = image.options.target, image.heavy if image.engine == NO_ENGINE else None
    engine = by_none.builder or BUILDX if by_none else image.engine
    facts = _read(text, image.dockerfile, dict(image.build_args), image.platform, engine, target)
    if image.heavy is None or by_none is None:
        return facts
    end = image.heavy.ends  # what is behind it no builder reads
    return replace(
        facts,
        problems=tuple(each for each in facts.problems if not _behind(each, end)),
        notes=tuple(each for each in facts.notes if _line_of(each.partition(": ")[0]) < (end or sys.maxsize)),
    )


def _read(
    text: bytes, path: str, arguments: Mapping[str, str], platform: str, engine: str, target: str
) -> DockerfileFacts:
    """What a Dockerfile says and asks, for the engine that builds it."""
    from orchestrator.dockerfile.facts import examine

    return examine(text, path, dict(arguments), dialect_of(engine), platform=platform, target=target)


def _behind(problem: Problem, line: int) -> bool:
    """Whether it is about what a builder cannot read, at that line or below it."""
    return problem.code == NEEDS_BUILDKIT and _line_of(problem.where) >= line > 0


def _line_of(place: str) -> int:
    """The line of a place `file:line`, 0 for none."""
    number = place.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def image_notes(plan: Plan, scratch: Scratch) -> tuple[str, ...]:
    """What is worth a line and no problem, each once."""
    texts = [(image, scratch.file(plan.tree, image.dockerfile)) for image in plan.builds]
    notes = [note for image, text in texts if text for note in _examined(text, image).notes]
    if any(image.options.compression for image in plan.builds):
        notes.append(ZSTD_CLIENTS)
    return tuple(dict.fromkeys(notes))


def with_base_builders(plan: Plan, scratch: Scratch, spec: ImageSpec | None, connections: Connections | None) -> Plan:
    """The plan with who makes the heavy bases of images that no engine makes.

    Registry and builder are asked only where the classic builder could not; without `connections` nobody is.
    """

    def decided(image: PlannedImage) -> PlannedImage:
        image = replace(image, parts=tuple(decided(part) for part in image.parts))
        heavy, text = image.heavy, scratch.file(plan.tree, image.dockerfile)
        if image.parts or heavy is None or image.engine != NO_ENGINE or text is None:
            return image
        needed = any(each.code == NEEDS_BUILDKIT for each in _examined(text, image).problems)
        if not needed and not option_problems(replace(plan, images=(image,)), spec):
            return image
        builder = "" if connections is None or _is_there(heavy, connections) else of_base(image, connections)
        return replace(image, heavy=replace(heavy, builder=builder))

    return replace(plan, images=tuple(decided(image) for image in plan.images))


def _is_there(heavy: PlannedHeavy, connections: Connections) -> bool:
    """Whether the registry has it; where it does not answer, the preflight says so."""
    try:
        return heavy.reference is None or bool(connections.registry(heavy.repository).head(heavy.reference.tag))
    except RemoteError:
        return True


def judge_frontend(plan: Plan, scratch: Scratch, connections: Connections) -> Judgement:
    """Flags of a Dockerfile that the builder does not read by itself; only who uses one of these is asked."""
    found: list[Judgement] = []
    for image in plan.builds if plan.promoted_from is None else ():
        text = scratch.file(plan.tree, image.dockerfile) if image.engine == BUILDX else None
        facts = _examined(text or b"", image)
        found.append(_unread(image.dockerfile, facts, image.options, connections))
    return _together(found)


def _unread(file: str, facts: DockerfileFacts, options: BuildOptions, connections: Connections) -> Judgement:
    if not facts.tried:
        return Judgement()
    from orchestrator.image.farm import unread

    return unread(file, facts, options, connections)


def _together(found: Sequence[Judgement]) -> Judgement:
    """Each problem and note once."""
    return Judgement(
        problems=tuple(dict.fromkeys(each for said in found for each in said.problems)),
        notes=tuple(dict.fromkeys(each for said in found for each in said.notes)),
    )


def pointer_problems(plan: Plan, repository: Repository, planned: Scratch) -> tuple[Problem, ...]:
    """The submodules and Git LFS files that a build would take from its context, and that are not at hand.

    What the context does not send, or no COPY and ADD take, is not asked for.  `planned` holds the tree.
    """
    if not plan.images:
        return ()
    pointed = Pointed(repository)
    with repository.scratch(*pointed.stores, planned.gitdir / "objects") as scratch:
        entries = list(filled(scratch, plan.tree))
        missing = [entry for entry in entries if entry.mode == SUBMODULE]
        missing += [entry for entry in lfs_pointers(scratch, entries) if not pointed.lfs(scratch.blob(entry.sha))]
        taken = [_takes(scratch, plan.tree, image) for image in plan.builds if missing]
    wanted = [entry for entry in missing if any(takes_it(entry.path) for takes_it in taken)]
    return tuple(not_at_hand(entry.path, submodule=entry.mode == SUBMODULE) for entry in wanted)


def _takes(scratch: Scratch, tree: str, image: PlannedImage) -> Callable[[str], bool]:
    """Whether a path of the tree goes into the build of an image."""
    from orchestrator.dockerfile.stages import takes
    from orchestrator.image.context import sent

    root = posixpath.normpath(image.context or ".")
    is_sent = sent(lambda path: scratch.file(tree, path), root, image.dockerfile)
    sources = _examined(scratch.file(tree, image.dockerfile) or b"", image).sources
    return lambda path: is_sent(path) and takes(sources, path if root == "." else path.removeprefix(f"{root}/"))


def not_at_hand(path: str, *, submodule: bool) -> Problem:
    """A build would put an empty folder, or the text of a pointer, where that content belongs."""
    if submodule:
        return Problem(
            code="submodule-missing",
            message=f"{path} is a submodule, and the commit that it stands for is not in this clone",
            where=path,
            remedy=f"git submodule update --init --recursive -- {word(path)}; or keep it out by .dockerignore",
        )
    return Problem(
        code="lfs-missing",
        message=f"{path} is a pointer of Git LFS, and its content is not in this clone",
        where=path,
        remedy="git lfs fetch --all; or keep it out by .dockerignore",
    )


def _missing(code: str, path: str, key: str, plan: Plan, config: str) -> Problem:
    return Problem(
        code=code,
        message=f"{path} is not in the released tree of {plan.branch}",
        where=config,
        remedy=f"correct `{key}`, or bring the file to the branch by a fix",
    )


def patches_of(committed: CommittedFiles, image: PlannedImage) -> list[PatchEntry]:
    """The patches of a tree that concern what this image has installed, in order."""
    if not image.patches:
        return []
    pins, _ = read_lock(committed.lock(image.lock))
    return concerning(committed.below(image.patches), pins)


def patch_files_here(top: Path, folder: Path) -> dict[str, bytes]:
    """As `CommittedFiles.below`, of the work tree at `top`.  Raises UsageError for a link."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files_below(top, folder)}


def locks_here(spec: ImageSpec, top: Path) -> list[dict[str, Pin]]:
    """The pins of each lock that release.yaml names, as they are in the work tree."""
    paths = dict.fromkeys(
        path
        for variant in spec.variants or (Variant(place=spec.place, name=""),)
        for platform in spec.platforms_of(variant)
        if (path := spec.lock_of(variant, platform))
    )
    found = (_files_here(top, path) for path in paths)
    return [read_lock(files)[0] for files in found if files]


def judge_dockerfile_here(spec: ImageSpec, top: Path, config: str, engine: str, connections: Connections) -> Judgement:
    """As `image_problems`, of the Dockerfile as it is in the work tree; for `release check`.  `engine` is to build it.

    Where a heavy base is declared, what of it a builder reads is the plan's to say: what needs BuildKit is left to it.
    """
    place = top / spec.dockerfile
    refuse_link(top, place)
    if not place.is_file():
        message = f"{spec.dockerfile} is no file"
        remedy = "correct `image.dockerfile`, or write it"
        return Judgement(problems=(Problem(code="no-dockerfile", message=message, where=config, remedy=remedy),))
    text = place.read_bytes()
    found: list[Judgement] = []
    for variant in spec.variants or (Variant(place=spec.place, name=""),):
        arguments = {**dict(spec.build_args), **dict(variant.build_args)}
        target = variant.target or spec.options.target
        for platform in spec.platforms_of(variant):
            facts = _read(text, spec.dockerfile, arguments, platform, engine, target)
            found += [Judgement(problems=facts.problems), _unread(spec.dockerfile, facts, spec.options, connections)]
    said = _together(found)
    own = (each for each in said.problems if not (spec.heavy and each.code == NEEDS_BUILDKIT))
    return replace(said, problems=tuple(at_most(own)))


def patch_problems_here(spec: ImageSpec, top: Path, config: str) -> tuple[Problem, ...]:
    """As `image_problems`, of the patches alone and as they are in the work tree; for `release check`."""
    if not spec.patches:
        return ()
    folder = top / spec.patches
    refuse_link(top, folder)
    if not folder.is_dir():
        remedy = "correct `image.patches`, or make the folder: release patch import"
        return (Problem(code="no-patches", message=f"{spec.patches} is no folder", where=config, remedy=remedy),)
    return tuple(at_most(judge_patches(spec.patches, patch_files_here(top, folder), locks_here(spec, top))))


def lock_problems_here(spec: ImageSpec, top: Path, config: str) -> tuple[Problem, ...]:
    """As `image_problems`, of locks and of what is said of them, as they are in the work tree; for `release check`."""
    problems: list[Problem] = []
    for variant in spec.variants or (Variant(place=spec.place, name=""),):
        for platform in spec.platforms_of(variant):
            problems += _lock_problems_here(spec, variant, platform, top, config)
    return tuple(at_most(dict.fromkeys(problems)))


def _lock_problems_here(spec: ImageSpec, variant: Variant, platform: str, top: Path, config: str) -> list[Problem]:
    problems: list[Problem] = []
    path = spec.lock_of(variant, platform)
    files, remedy = _files_here(top, path) if path else {}, how_to_make(spec.lock_command, path)
    if path and not files:
        message = f"{path} is no file, and no folder with *.txt"
        correct = f"correct `image.lock`, or {remedy}"
        problems.append(Problem(code="no-lock", message=message, where=config, remedy=correct))
    claims = claims_of(variant.name, {**dict(spec.build_args), **dict(variant.build_args)}, platform)
    pins = read_lock(files)[0]
    problems += judge_claims(claims, pins, str(variant.place))
    problems += judge(files, variant.name, platform, remedy)
    requirements = requirements_of(path, platform)
    wanted = top / requirements
    if files and wanted.is_file():
        refuse_link(top, wanted)
        problems += outdated(wanted.read_bytes(), requirements, pins, remedy)
    return problems


def _files_here(top: Path, path: str) -> dict[str, bytes]:
    found = lock_files_here(top, top / path)
    return {part.relative_to(top).as_posix(): data for part, data in found.items()}


def lock_files_here(top: Path, place: Path) -> dict[Path, bytes]:
    """The lock at a place of the work tree at `top`: one file, or the `*.txt` in that folder.  Raises UsageError."""
    refuse_link(top, place)
    parts = sorted(place.glob("*.txt")) if place.is_dir() else [place] if place.is_file() else []
    for part in parts:
        refuse_link(top, part)
    return {part: part.read_bytes() for part in parts}


def lock_digest(files: dict[str, bytes]) -> str:
    """SHA-256 over the lock's files, in order, each with its path; "" for no lock."""
    if not files:
        return ""
    parts = (f"{path}\0{len(data)}\0".encode() + data for path, data in files.items())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _is_part(name: str) -> bool:
    return name.endswith(".txt") and "/" not in name

"""What must be in a released tree so that its images can be built: Dockerfiles that the builder can read, and locks."""

from __future__ import annotations

import hashlib
import posixpath
from typing import TYPE_CHECKING

from orchestrator.core.declaration import Variant
from orchestrator.core.results import Problem
from orchestrator.image.patches import concerning
from orchestrator.image.patches import judge as judge_patches
from orchestrator.image.pytorch_builds import judge, read_lock
from orchestrator.image.variants import claims_of, judge_claims
from orchestrator.session.work_tree import files_below, refuse_link

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.declaration import ImageSpec
    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.git.scratch import Scratch
    from orchestrator.image.patchfile import PatchEntry
    from orchestrator.image.pytorch_builds import Pin


def image_problems(plan: Plan, scratch: Scratch, config: str) -> tuple[Problem, ...]:
    """What is wrong with the images of a plan, each once; `config` is the file that declares them, as shown."""
    found = [problem for image in plan.images for problem in _problems(plan, image, scratch, config)]
    return tuple(dict.fromkeys([*found, *_patch_problems(plan, scratch, config)]))  # variants share a Dockerfile


def _patch_problems(plan: Plan, scratch: Scratch, config: str) -> list[Problem]:
    folder = next((image.patches for image in plan.images), "")
    if not folder:
        return []
    locks = [read_lock(lock_files(scratch, plan.tree, image.lock))[0] for image in plan.images if image.lock]
    files = patch_files(scratch, plan.tree, folder)
    missing = [] if files else [_missing("no-patches", folder, "image.patches", plan, config)]
    return [*missing, *judge_patches(folder, files, locks)]


def _problems(plan: Plan, image: PlannedImage, scratch: Scratch, config: str) -> list[Problem]:
    from orchestrator.image.dockerfile import examine

    problems: list[Problem] = []
    files = lock_files(scratch, plan.tree, image.lock) if image.lock else {}
    claims = claims_of(image.variant, dict(image.build_args), image.platform)
    problems += judge_claims(claims, read_lock(files)[0], config)
    if image.lock:
        problems += judge(files, image.variant)
        if not files:
            problems.append(_missing("no-lock", image.lock, "image.lock", plan, config))
    context = posixpath.normpath(image.context or ".")
    if context != "." and not scratch.has_folder(plan.tree, context):
        problems.append(_missing("no-context", f"the folder {context}", "image.context", plan, config))
    text = scratch.file(plan.tree, image.dockerfile)
    if text is None:
        return [*problems, _missing("no-dockerfile", image.dockerfile, "image.dockerfile", plan, config)]
    # What the classic builder would refuse, or worse, misbuild.
    return [*problems, *examine(text, image.dockerfile, dict(image.build_args)).problems]


def _missing(code: str, path: str, key: str, plan: Plan, config: str) -> Problem:
    return Problem(
        code=code,
        message=f"{path} is not in the released tree of {plan.branch}",
        where=config,
        remedy=f"correct `{key}`, or bring the file to the branch by a fix",
    )


def lock_files(scratch: Scratch, tree: str, path: str) -> dict[str, bytes]:
    """Path -> bytes of the lock at `path`: one file, or the `*.txt` files that stand in that folder, by name.

    Empty when the tree has neither.
    """
    folder = path.rstrip("/") + "/"
    parts = sorted(
        entry.path
        for entry in scratch.entries(tree)
        if entry.path == path or (entry.path.startswith(folder) and _is_part(entry.path[len(folder) :]))
    )
    found = ((part, scratch.file(tree, part)) for part in parts)
    return {part: data for part, data in found if data is not None}


def patch_files(scratch: Scratch, tree: str, folder: str) -> dict[str, bytes]:
    """Path within the folder of patches -> bytes; empty when the tree has no such folder."""
    head = folder.rstrip("/") + "/"
    paths = [each.path for each in scratch.entries(tree) if each.path.startswith(head) and each.mode != "160000"]
    found = ((path[len(head) :], scratch.file(tree, path)) for path in paths)
    return {path: data for path, data in found if data is not None}


def patches_of(scratch: Scratch, tree: str, image: PlannedImage) -> list[PatchEntry]:
    """The patches of a tree that concern what this image has installed, in order."""
    if not image.patches:
        return []
    pins, _ = read_lock(lock_files(scratch, tree, image.lock) if image.lock else {})
    return concerning(patch_files(scratch, tree, image.patches), pins)


def patch_files_here(top: Path, folder: Path) -> dict[str, bytes]:
    """As `patch_files`, of the work tree at `top`.  Raises UsageError for a link."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files_below(top, folder)}


def locks_here(spec: ImageSpec, top: Path) -> list[dict[str, Pin]]:
    """The pins of each lock that release.yaml names, as they are in the work tree."""
    paths = dict.fromkeys(path for path in (*(each.lock for each in spec.variants), spec.lock) if path)
    found = (_files_here(top, path) for path in paths)
    return [read_lock(files)[0] for files in found if files]


def patch_problems_here(spec: ImageSpec, top: Path, config: str) -> tuple[Problem, ...]:
    """As `image_problems`, of the patches alone and as they are in the work tree; for `release check`."""
    if not spec.patches:
        return ()
    folder = top / spec.patches
    refuse_link(top, folder)
    if not folder.is_dir():
        remedy = "correct `image.patches`, or make the folder: release patch import"
        return (Problem(code="no-patches", message=f"{spec.patches} is no folder", where=config, remedy=remedy),)
    return tuple(judge_patches(spec.patches, patch_files_here(top, folder), locks_here(spec, top)))


def lock_problems_here(spec: ImageSpec, top: Path, config: str) -> tuple[Problem, ...]:
    """As `image_problems`, of locks and of what is said of them, as they are in the work tree; for `release check`."""
    problems: list[Problem] = []
    for variant in spec.variants or (Variant(place=spec.place, name=""),):
        path = variant.lock or spec.lock
        files = _files_here(top, path) if path else {}
        if path and not files:
            message = f"{path} is no file, and no folder with *.txt"
            remedy = "correct `image.lock`, or make the file"
            problems.append(Problem(code="no-lock", message=message, where=config, remedy=remedy))
        arguments = {**dict(spec.build_args), **dict(variant.build_args)}
        claims = claims_of(variant.name, arguments, variant.platform or spec.platform)
        problems += judge_claims(claims, read_lock(files)[0], str(variant.place))
        problems += judge(files, variant.name)
    return tuple(dict.fromkeys(problems))


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

"""What must be in a released tree so that its images can be built: Dockerfiles that the builder can read, and locks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from orchestrator.compat import judge
from orchestrator.model import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.git.scratch import Scratch
    from orchestrator.model import ImageSpec, Plan, PlannedImage


def image_problems(plan: Plan, scratch: Scratch, config: str) -> tuple[Problem, ...]:
    """What is wrong with the images of a plan, each once; `config` is the file that declares them, as shown."""
    found = (problem for image in plan.images for problem in _problems(plan, image, scratch, config))
    return tuple(dict.fromkeys(found))  # variants share a Dockerfile


def _problems(plan: Plan, image: PlannedImage, scratch: Scratch, config: str) -> list[Problem]:
    from orchestrator.checks.dockerfile import examine

    problems: list[Problem] = []
    if image.lock:
        files = lock_files(scratch, plan.tree, image.lock)
        problems += judge(files, image.variant)
        if not files:
            problems.append(_missing("no-lock", image.lock, "image.lock", plan, config))
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


def lock_problems_here(spec: ImageSpec, top: Path, config: str) -> tuple[Problem, ...]:
    """As `image_problems`, of the locks alone and as they are in the work tree; for `release check`."""
    wanted = {(variant.lock or spec.lock, variant.name) for variant in spec.variants} or {(spec.lock, "")}
    problems: list[Problem] = []
    for path, variant in sorted(wanted - {("", variant) for _, variant in wanted}):
        place = top / path
        parts = sorted(place.glob("*.txt")) if place.is_dir() else [place] if place.is_file() else []
        if not parts:
            remedy = "correct `image.lock`, or make the lock: make lock"
            problems.append(
                Problem(
                    code="no-lock", message=f"{path} is no file, and no folder with *.txt", where=config, remedy=remedy
                )
            )
        problems += judge({part.relative_to(top).as_posix(): part.read_bytes() for part in parts}, variant)
    return tuple(dict.fromkeys(problems))


def lock_digest(files: dict[str, bytes]) -> str:
    """SHA-256 over the lock's files, in order, each with its path; "" for no lock."""
    if not files:
        return ""
    parts = (f"{path}\0{len(data)}\0".encode() + data for path, data in files.items())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _is_part(name: str) -> bool:
    return name.endswith(".txt") and "/" not in name

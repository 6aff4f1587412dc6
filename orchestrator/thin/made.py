"""A thin image of a released tree: what its last stage takes is read from git, and the image is made of it."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import field
from functools import cache
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.core.plan import HEAVY_PLATFORM
from orchestrator.git.content import SUBMODULE, filled, is_pointer
from orchestrator.image.context import ignore_rules
from orchestrator.image.inputs import not_at_hand
from orchestrator.session.committed import CommittedFiles
from orchestrator.thin.final import PREPARED, Copy, final_stage
from orchestrator.thin.layer import FileNode, Tree, add_parents
from orchestrator.thin.prepared import Patching, stamp
from orchestrator.thin.sources import read_sources
from orchestrator.thin.stages import read_stages
from orchestrator.thin.write import CopyOrigin, make_image

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from orchestrator.core.plan import PlannedHeavy, PlannedImage
    from orchestrator.git.content import Pointed
    from orchestrator.git.scratch import Scratch
    from orchestrator.registry.client import Registry
    from orchestrator.thin.final import FinalStage
    from orchestrator.thin.kept import Kept
    from orchestrator.thin.stages import Stages
    from orchestrator.thin.write import BaseImage, ThinImage

_LINK = "120000"


@dataclass(frozen=True, kw_only=True)
class ThinRelease:
    """What a version's thin image is made of.  `mtime` in seconds; `given` are the build arguments of every build."""

    image: PlannedImage
    heavy: PlannedHeavy
    tree: str
    given: Mapping[str, str]
    labels: Mapping[str, str]
    created: str
    mtime: int
    kept: Mapping[str, Kept] = field(default_factory=dict)
    before: Callable[[Patching], Tree | None] = lambda _: None  # what the patches made at the version before


def thin_image(
    release: ThinRelease, base: BaseImage, scratch: Scratch, pointed: Pointed, registry: Registry
) -> ThinImage:
    """The image, in memory.  `registry` is where the base's sources are, which only new patches ask for.

    Raises UsageError for a Dockerfile that needs a builder, or a file that it wants and is not there.
    """
    image = release.image
    arguments = {**dict(image.build_args), **release.given}
    stages, final = _read(release, arguments, scratch, base)
    copies = [step for step in final.steps if isinstance(step, Copy)]
    own = [source for step in copies if not step.origin for source in step.sources]

    @cache
    def context() -> Tree:
        return _context_tree(release, scratch, pointed, own)

    patching = _patching(release, base, scratch)
    origins = {
        "": CopyOrigin(tree=context),
        "stamp": CopyOrigin(tree=lambda: _stamp(release)),
        "patched": CopyOrigin(
            tree=lambda: _patched(release, base, patching, registry),
            inputs=patching.inputs(base.manifest.digest),
        ),
    }
    return make_image(
        base,
        final,
        origins,
        labels=release.labels,
        created=release.created,
        mtime=release.mtime,
        file=image.dockerfile,
        escape=stages.escape,
        kept=release.kept,
    )


def prepared_trees(release: ThinRelease, base: BaseImage, scratch: Scratch, registry: Registry) -> dict[str, Tree]:
    """What is given to a builder in place of the stages that are made here, of those that the Dockerfile has."""
    image = release.image
    text = scratch.file(release.tree, image.dockerfile) or b""
    stages = read_stages(text, dict(image.build_args), image.platform or HEAVY_PLATFORM)
    found: dict[str, Tree] = {}
    if stages.find("stamp"):
        found["stamp"] = _stamp(release)
    if stages.find("patched"):
        patching = _patching(release, base, scratch)
        found["patched"] = _patched(release, base, patching, registry)
    return found


def _read(
    release: ThinRelease, arguments: Mapping[str, str], scratch: Scratch, base: BaseImage
) -> tuple[Stages, FinalStage]:
    file, heavy = release.image.dockerfile, release.heavy
    stages = read_stages(scratch.file(release.tree, file) or b"", arguments, release.image.platform or HEAVY_PLATFORM)
    stage = stages.find(heavy.stage)
    if stage is None:
        raise UsageError(f"{file} has no stage {heavy.stage!r}", where=file, code="no-heavy-stage")
    final = final_stage(stages, stages.last(release.image.options.target), stage, arguments, base.env)
    for each in final.obstacles:
        raise UsageError(each.message, where=f"{file}:{each.line}", remedy=each.move, code="not-thin")
    return stages, final


def _stamp(release: ThinRelease) -> Tree:
    given, variant = release.given, dict(release.image.build_args).get("VARIANT", release.image.variant)
    return stamp(given["RELEASE_VERSION"], given["RELEASE_REVISION"], variant, release.mtime)


def _patching(release: ThinRelease, base: BaseImage, scratch: Scratch) -> Patching:
    folder = release.image.patches
    return Patching(
        folder=folder,
        files=CommittedFiles(scratch, release.tree).below(folder),
        installed=base.facts.installed if base.facts else (),
        mtime=release.heavy.epoch,
    )


def _patched(release: ThinRelease, base: BaseImage, patching: Patching, registry: Registry) -> Tree:
    """What the patches make; the base's sources are read only where the version before does not have it."""
    touched = patching.touched()
    if touched and (before := release.before(patching)):
        return before
    facts = base.facts
    return patching.result(read_sources(registry, facts.sources, facts.index, touched) if facts else {})


def _context_tree(release: ThinRelease, scratch: Scratch, pointed: Pointed, sources: Collection[str]) -> Tree:
    """What the sources name of the build context, with its folders."""
    image = release.image
    rules = ignore_rules(lambda path: scratch.file(release.tree, path), image.context, image.dockerfile)
    root = posixpath.normpath(image.context or ".")
    head = "" if root == "." else f"{root}/"
    wanted = [posixpath.normpath(f"/{source}").lstrip("/") for source in sources]
    found: Tree = {}
    for entry in filled(scratch, release.tree):
        path = entry.path.removeprefix(head)
        inside = entry.path.startswith(head) and any(_is_below(path, each) for each in wanted)
        if not inside or (rules.ignored and rules.ignored(path)):
            continue
        if entry.mode == SUBMODULE:
            raise _missing(entry.path, submodule=True)
        found[path] = _node(entry.path, entry.mode, scratch.blob(entry.sha), pointed, release.mtime)
    return add_parents(found, release.mtime)


def _is_below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _node(path: str, mode: str, data: bytes, pointed: Pointed, mtime: int) -> FileNode:
    if mode == _LINK:
        return FileNode(kind="link", mode=0o777, data=data, mtime=mtime)
    if is_pointer(data):
        content = pointed.lfs(data)
        if content is None:
            raise _missing(path, submodule=False)
        data = content.read_bytes()
    return FileNode(mode=0o755 if mode == "100755" else 0o644, data=data, mtime=mtime)


def _missing(path: str, *, submodule: bool) -> UsageError:
    problem = not_at_hand(path, submodule=submodule)
    return UsageError(problem.message, where=problem.where, remedy=problem.remedy, code=problem.code)


def content_sha256(image: ThinImage) -> str:
    """SHA-256 over the files of the layers that were made here: what a context's hash is to a builder."""
    hashed = hashlib.sha256()
    for line in _lines(image):
        hashed.update(line)
    return hashed.hexdigest()


def _lines(image: ThinImage) -> Iterator[bytes]:
    for tree in image.trees:
        for path in sorted(tree):
            node = tree[path]
            head = f"{path}\0{node.kind}\0{node.mode}\0{node.uid}\0{node.gid}\0{len(node.data)}\0"
            yield head.encode("utf-8", "surrogateescape") + node.data


def cut_off(text: bytes, stage: str) -> bytes:
    """A Dockerfile up to the end of a stage: what comes after it is not for the builder that makes that stage."""
    stages = read_stages(text, {}, "")
    found = stages.find(stage)
    end = stages.end(found) if found else 0
    return b"\n".join(text.split(b"\n")[: end - 1]) + b"\n" if end else text


def on_base(text: bytes, stage: str, reference: str) -> bytes:
    """A Dockerfile whose stage is that image, with the numbers of its other lines as they were.

    BuildKit leaves the layers of what FROM names as they are, and unread; those of a named context it reads to look at
    the times in them.  Stages that are prepared here are empty: BuildKit asks for the images below a stage also where
    it has a context in its place.
    """
    stages = read_stages(text, {}, "")
    if stages.find(stage) is None:
        return text
    lines = text.split(b"\n")
    for name, image in {**dict.fromkeys(PREPARED, "scratch"), stage: reference}.items():
        found = stages.find(name)
        if found:
            behind = (stages.end(found) or len(lines) + 1) - found.line
            named = f"FROM {image}" + (f" AS {found.name}" if found.name else "")
            lines[found.line - 1 : found.line - 1 + behind] = [named.encode(), *[b""] * (behind - 1)]
    return b"\n".join(lines)

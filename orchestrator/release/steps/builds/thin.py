"""What a thin release takes over from the version before; and by a builder: what is prepared is given as folders."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.errors import MismatchError, RemoteError
from orchestrator.core.plan import HEAVY_PLATFORM
from orchestrator.core.results import Progress
from orchestrator.thin.final import PREPARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.core.plan import PlannedImage
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Manifest
    from orchestrator.release.steps.heavy import HeavyBase
    from orchestrator.release.steps.runner import TaskContext
    from orchestrator.thin.layer import FileNode, Tree
    from orchestrator.thin.prepared import Patching


def image_before(registry: Registry, image: PlannedImage) -> Manifest | None:
    """The version before, for the same platform; None where there is none."""
    named = registry.released(image.previous.tag) if image.previous else None
    return registry.find_image(named, image.platform or HEAVY_PLATFORM) if named else None


def patched_before(context: TaskContext, image: PlannedImage, base: HeavyBase, patching: Patching) -> Tree | None:
    """What the patches made at the version before.

    None, which is said, where it has none of the same patches on that base, or its layer cannot be read.
    """
    from orchestrator.thin import kept

    registry, found, why = context.connections.registry(image.repository), None, ""
    below = context.connections.registry(base.planned.repository).layers(base.base.manifest)
    try:
        if before := image_before(registry, image):
            found = kept.patched_before(registry, before, below, patching)
            why = ", which has none of the same patches on the same heavy base"
    except (RemoteError, MismatchError) as error:
        why = f": {error.message}"
    if why and not found:
        said = f"the patched files are not taken from {image.previous}{why}; made of the heavy base's sources"
        context.report(Progress(text=said))
    return found


@contextmanager
def thin_contexts(trees: Mapping[str, Mapping[str, FileNode]]) -> Iterator[dict[str, str]]:
    """Build contexts in place of the stages of their names: each prepared tree as a folder."""
    with tempfile.TemporaryDirectory(prefix="release-") as place:
        found: dict[str, str] = {}
        for name in PREPARED:
            if name in trees:
                folder = Path(place) / name
                lay(folder, trees[name])
                found[name] = str(folder)
        yield found


def lay(folder: Path, tree: Mapping[str, FileNode]) -> None:
    """The files of a tree below a folder, with their modes and times; owners are the builder's to set."""
    folder.mkdir()
    for path in sorted(tree):
        node, place = tree[path], folder / path
        if node.kind == "folder":
            place.mkdir()
        elif node.kind == "link":
            place.symlink_to(os.fsdecode(node.data))
        else:
            place.write_bytes(node.data)
            place.chmod(node.mode)
    for path in sorted(tree, reverse=True):
        os.utime(folder / path, (tree[path].mtime, tree[path].mtime), follow_symlinks=False)

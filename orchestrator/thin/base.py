"""What is remembered of a heavy base beside it, so that a release needs none of its bytes.

A small artifact in the registry: folders that are not root's with 0755, links to folders, what is installed where, and
as blobs of their own the Python sources, which patches are applied to, and the index of these.
"""

from __future__ import annotations

import gzip
import posixpath
import re
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Final

from orchestrator.core import documents
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError
from orchestrator.registry.compression import broken, unpacked
from orchestrator.registry.manifest import Manifest, digest_of
from orchestrator.thin.layer import GZIP_LAYER, WHITEOUT, FileNode, Tree
from orchestrator.thin.sources import pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Layer

SUFFIX: Final = "-facts"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_FACTS: Final = "application/vnd.release-orchestrator.base.v1+json"
_INDEX: Final = "application/vnd.release-orchestrator.sources-index.v1+json"
_SITE: Final = re.compile(r"(.*/python3\.[0-9]+/site-packages)/([^/]+)\.dist-info/METADATA")
_OPAQUE: Final = f"{WHITEOUT}{WHITEOUT}.opq"


@dataclass(frozen=True, kw_only=True)
class OddFolder:
    """A folder that is not root's, or not 0755."""

    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class SitePackage:
    """A Python package: its name as it is written, its version, and the folder of packages that it is in."""

    name: str
    version: str
    site: str


@dataclass(frozen=True, kw_only=True)
class BaseFacts:
    """`digest` is the base that they are of; paths begin without a slash.

    `sources` is the blob of its Python sources, `index` that of its pieces, "" where an earlier version kept it.
    """

    digest: str
    folders: dict[str, OddFolder] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)  # symbolic links to folders -> their targets
    installed: tuple[SitePackage, ...] = ()
    sources: str = ""
    index: str = ""


def odd_parents(tree: Mapping[str, FileNode], facts: BaseFacts) -> list[str]:
    """The folders of a thin layer that would change the base: a line for each.

    `COPY --link` does not look at what lies below: a link to a folder is replaced, and owner and mode are reset.
    """
    found = []
    for path in sorted(tree):
        if path in facts.links:
            what = f"/{path} is a link to {facts.links[path]} in the heavy base, and would be replaced by a folder"
            found.append(f"{what}; copy to the link's target")
        odd, node = facts.folders.get(path), tree[path]
        if odd and node.kind == "folder" and (node.mode, node.uid, node.gid) != (odd.mode, odd.uid, odd.gid):
            was = f"{odd.uid}:{odd.gid} with mode {odd.mode:04o}"
            found.append(
                f"/{path} is {was} in the heavy base, and would become {node.uid}:{node.gid} with {node.mode:04o}; "
                "copy elsewhere, or let the heavy stage make the folder so"
            )
    return found


def odd_in_image(registry: Registry, manifest: Manifest, below: int, facts: BaseFacts) -> list[str]:
    """As `odd_parents`, of all layers of an image but the first `below`, as the registry has them."""
    found: Tree = {}
    for layer in registry.layers(manifest)[below:]:
        with _opened(registry, layer) as archive:
            for member in archive:
                kind = "folder" if member.isdir() else "link" if member.issym() else "file"
                path = posixpath.normpath(f"/{member.name}").lstrip("/")
                found[path] = FileNode(kind=kind, mode=member.mode & 0o7777, uid=member.uid, gid=member.gid)
    return odd_parents(found, facts)


# ------------------------------------------------------------------ reading a base


class _Scan:
    """What the layers of an image come to, base first; sources are kept as they are read."""

    def __init__(self) -> None:
        self.folders: dict[str, OddFolder | None] = {}  # None: an ordinary one
        self.links: dict[str, str] = {}
        self.sources: dict[str, bytes] = {}
        self.metadata: set[str] = set()

    def read(self, archive: tarfile.TarFile) -> None:
        for member in archive:
            self._member(archive, member)
            archive.members = []  # type: ignore[attr-defined]  # else every header of a big layer is kept

    def _member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = posixpath.normpath(f"/{member.name}").lstrip("/")
        folder, _, name = path.rpartition("/")
        if name.startswith(WHITEOUT):
            self._forget(folder if name == _OPAQUE else posixpath.join(folder, name.removeprefix(WHITEOUT)))
            return
        if member.isdir():
            mode = member.mode & 0o7777  # some engines write the type of a file there too
            ordinary = (mode, member.uid, member.gid) == (0o755, 0, 0)
            odd = OddFolder(mode=mode, uid=member.uid, gid=member.gid)
            self.folders[path] = None if ordinary else odd
            self.links.pop(path, None)
            return
        if path in self.folders:
            self._forget(path)
        self.links.pop(path, None)
        if member.issym():
            self.links[path] = member.linkname
        elif member.isfile() and "/site-packages/" in path:
            if path.endswith(".py"):
                data = archive.extractfile(member)
                self.sources[path] = data.read() if data else b""
            elif path.endswith(".dist-info/METADATA"):
                self.metadata.add(path)

    def _forget(self, path: str) -> None:
        head = f"{path}/"
        for known in (self.folders, self.links, self.sources):
            for each in [one for one in known if one == path or one.startswith(head)]:
                del known[each]
        self.metadata -= {one for one in self.metadata if one.startswith(head) or one == path}

    def links_to_folders(self) -> dict[str, str]:
        found = {}
        for path, target in self.links.items():
            place = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target)).lstrip("/")
            if place in self.folders:
                found[path] = target
        return found

    def installed(self) -> Iterable[SitePackage]:
        for path in sorted(self.metadata):
            if found := _SITE.fullmatch(path):
                name, _, version = found[2].rpartition("-")
                yield SitePackage(name=name, version=version, site=found[1])


@contextmanager
def _opened(registry: Registry, layer: Layer) -> Iterator[tarfile.TarFile]:
    """A layer that the registry has, to be read once from its beginning.  Raises RemoteError for one that is none."""
    with tempfile.TemporaryFile() as file:
        registry.download(layer, file)
        try:
            with tarfile.open(fileobj=unpacked(file), mode="r|", bufsize=1 << 20) as archive:
                yield archive
        except broken() as error:
            raise RemoteError(
                f"the layer {layer.digest} cannot be read: {error}",
                where=str(registry.repository),
                remedy="with the tag of the heavy base removed, the same command builds it again",
                code="layer-unreadable",
            ) from error


def read_base(registry: Registry, manifest: Manifest) -> tuple[BaseFacts, bytes, bytes]:
    """The facts of a base that is in the registry, its sources and their index.  Every layer is read."""
    scan = _Scan()
    for layer in registry.layers(manifest):
        with _opened(registry, layer) as archive:
            scan.read(archive)
    blob, index = pack({path: FileNode(data=data) for path, data in scan.sources.items()})
    facts = BaseFacts(
        digest=manifest.digest,
        folders={path: odd for path, odd in scan.folders.items() if odd},
        links=scan.links_to_folders(),
        installed=tuple(scan.installed()),
        sources=digest_of(blob) if blob else "",
        index=digest_of(index) if index else "",
    )
    return facts, blob, index


# ------------------------------------------------------------------ kept beside the base


def publish_facts(registry: Registry, tag: str, facts: BaseFacts, sources: bytes, index: bytes) -> None:
    """Keep them in the registry under `tag` and the ending of facts."""
    text = gzip.compress(documents.render(documents.encode(facts)), mtime=0)
    config = b"{}"
    layers = [(text, _FACTS), *([(sources, GZIP_LAYER), (index, _INDEX)] if sources else [])]
    for content in (config, *(content for content, _ in layers)):
        registry.put_blob(content)
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": _FACTS,
        "config": _described(config, "application/vnd.oci.empty.v1+json"),
        "layers": [_described(content, kind) for content, kind in layers],
    }
    manifest = Manifest(content=documents.render(document), media_type=_MANIFEST)
    registry.put_manifest(f"{tag}{SUFFIX}", manifest)


def _described(content: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}


def find_facts(registry: Registry, tag: str, digest: str) -> BaseFacts | None:
    """Those of the base `digest`; None where there are none, or they are of another one."""
    manifest = registry.manifest(f"{tag}{SUFFIX}")
    layers = registry.layers(manifest) if manifest else ()
    if not layers:
        return None
    try:
        text = gzip.decompress(registry.blob(layers[0].digest))
        facts = documents.decode(BaseFacts, documents.parse(text), exact=True)
    except (documents.DocumentError, OSError, EOFError):
        return None
    return facts if facts.digest == digest else None

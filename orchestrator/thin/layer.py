"""A layer: files as a tar, the same bytes for the same files, and the gzip of it that registries keep."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.registry.manifest import Layer, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

GZIP_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
END: Final = bytes(2 * tarfile.BLOCKSIZE)  # of a tar
WHITEOUT: Final = ".wh."  # OCI image layer specification: a file of that name hides one of the layers below
_GZIP: Final = 16 + zlib.MAX_WBITS  # zlib's word for gzip's header: without a name, and with the time 0


@dataclass(frozen=True, kw_only=True)
class FileNode:
    """A file, a folder or a symbolic link.  `data` is a file's content, or the text of a link; `mtime` in seconds."""

    kind: str = "file"  # file, folder, link
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    data: bytes = b""


Tree = dict[str, FileNode]  # by path, without a slash at its beginning and end


@dataclass(frozen=True, kw_only=True)
class MadeLayer:
    """A layer with its bytes as they are stored; `diff_id` is the digest of its tar."""

    content: bytes
    diff_id: str
    digest: str

    @property
    def described(self) -> Layer:
        return Layer(digest=self.digest, size=len(self.content), media_type=GZIP_LAYER)


def add_parents(tree: Mapping[str, FileNode], mtime: int, *, uid: int = 0, gid: int = 0) -> Tree:
    """The tree with the folders above everything in it, as a builder makes them: 0755, of that owner."""
    full = dict(tree)
    for path in tree:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = FileNode(kind="folder", mode=0o755, uid=uid, gid=gid, mtime=mtime)
            full.setdefault("/".join(parts[:depth]), folder)
    return full


def owned(tree: Mapping[str, FileNode], uid: int, gid: int) -> Tree:
    """The same files, of another owner."""
    return {path: replace(node, uid=uid, gid=gid) for path, node in tree.items()}


def make_layer(tree: Mapping[str, FileNode]) -> MadeLayer:
    """Folders stand before what is in them; names are sorted by their bytes."""
    out = io.BytesIO()
    for path in sorted(tree, key=lambda each: each.encode("utf-8", "surrogateescape")):
        out.write(entry(path, tree[path]))
    out.write(END)
    out.write(bytes(-out.tell() % tarfile.RECORDSIZE))
    tar = out.getvalue()
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    content = packer.compress(tar) + packer.flush()
    return MadeLayer(content=content, diff_id=f"sha256:{hashlib.sha256(tar).hexdigest()}", digest=digest_of(content))


def entry(path: str, node: FileNode) -> bytes:
    """What a tar has of a file, folder or link."""
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid, info.mtime = node.mode, node.uid, node.gid, node.mtime
    data = b""
    if node.kind == "folder":
        info.type = tarfile.DIRTYPE
    elif node.kind == "link":
        info.type, info.linkname = tarfile.SYMTYPE, node.data.decode("utf-8", "surrogateescape")
    else:
        data, info.size = node.data, len(node.data)
    # pax: long and non-ASCII names have exactly one spelling in it.
    head = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return head + data + bytes(-len(data) % tarfile.BLOCKSIZE)

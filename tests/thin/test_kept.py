"""What is taken over from the image of the version before, and from which it is not."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import RemoteError
from orchestrator.core.labels import INPUTS
from orchestrator.core.reference import ImageRepository
from orchestrator.registry.client import Registry
from orchestrator.registry.manifest import Layer, Manifest
from orchestrator.thin.kept import kept_layers, patched_before
from orchestrator.thin.layer import FileNode, add_parents, make_layer, owned
from tests.support.registry_images import digest_of, upload
from tests.support.registry_process import USERS, running_registry
from tests.thin.test_prepared import GONE, NAME, SITE, SOURCE, TEXT, patching

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.thin.layer import Tree

pytestmark = pytest.mark.docker
BASE = make_layer(add_parents({"opt/base": FileNode(data=b"base")}, 1)).content
PATCHES = {NAME: TEXT.encode(), "tiny-1.0/0002-gone.patch": GONE.encode()}
PATCHING = patching(PATCHES)
ORIGINALS = {f"{SITE}/tiny/__init__.py": SOURCE, f"{SITE}/tiny/old.py": b"x = 1\n"}
PATCHED = PATCHING.result(ORIGINALS)
CHANGED = f"{SITE}/tiny/__init__.py"
OTHER = make_layer(add_parents({"opt/own": FileNode(data=b"own")}, 1)).content


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        login = Credentials(username="ada", password=USERS["ada"])
        yield Registry(ImageRepository(host=running.host, path="team/image"), credentials=lambda: login)


def image(registry: Registry, *layers: bytes, annotations: Mapping[str, str] | None = None) -> Manifest:
    """An image of these layers, the last of which has the annotations."""
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    described: list[dict[str, object]] = [{"mediaType": kind, **upload(registry.repository, each)} for each in layers]
    described[-1] |= {"annotations": annotations} if annotations else {}
    config = {"rootfs": {"type": "layers", "diff_ids": [digest_of(each) for each in layers]}}
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            **upload(registry.repository, json.dumps(config).encode()),
        },
        "layers": described,
    }
    return Manifest(content=json.dumps(document).encode(), media_type=str(document["mediaType"]))


def below(content: bytes = BASE) -> list[Layer]:
    return [Layer(digest=digest_of(content), size=len(content), media_type="")]


def by_another(tree: Tree) -> bytes:
    """The layer as another builder writes it: plain, in another order and form, of another owner and time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(tree, key=lambda each: (tree[each].kind != "folder", each.swapcase())):
            node, info = tree[path], tarfile.TarInfo(f"./{path}")
            info.type = tarfile.DIRTYPE if node.kind == "folder" else tarfile.REGTYPE
            info.size, info.uid, info.mtime = len(node.data), 1000, 99
            archive.addfile(info, io.BytesIO(node.data))
    return out.getvalue()


@pytest.mark.parametrize(
    "layers",
    [(BASE, make_layer(PATCHED).content, OTHER), (BASE, OTHER, by_another(owned(PATCHED, 5, 5)))],
    ids=["by this tool", "by another builder, and further up"],
)
def test_the_files_are_the_very_same_whoever_wrote_the_layer(registry: Registry, layers: tuple[bytes, ...]) -> None:
    found = patched_before(registry, image(registry, *layers), below(), PATCHING)
    assert found == PATCHED
    assert make_layer(found).digest == make_layer(PATCHED).digest


def without(*paths: str) -> Tree:
    return {path: node for path, node in PATCHED.items() if path not in paths}


@pytest.mark.parametrize(
    "tree",
    [
        patching({NAME: TEXT.encode()}).result(ORIGINALS),
        patching({**PATCHES, NAME: TEXT.replace("odd", "any").encode()}).result(ORIGINALS),
        without(CHANGED),
        without(CHANGED) | {f"{SITE}/tiny/.wh.__init__.py": FileNode()},
        without("etc/release/patches.json"),
        without(f"{SITE}/tiny/.wh.old.py"),
        PATCHED | {f"{SITE}/tiny/more.py": FileNode(data=b"more")},
    ],
    ids=["one less", "another text", "a file less", "it is hidden", "no account", "not hidden", "a file more"],
)
def test_a_layer_of_other_patches_is_not_taken(registry: Registry, tree: Tree) -> None:
    made = image(registry, BASE, make_layer(tree).content)
    assert patched_before(registry, made, below(), PATCHING) is None


def test_nor_what_stands_on_another_base(registry: Registry) -> None:
    """As by the classic builder, which knows no heavy base; nor of another package, whose account is another one."""
    made = image(registry, OTHER, make_layer(PATCHED).content)
    assert patched_before(registry, made, below(), PATCHING) is None
    good = image(registry, BASE, make_layer(PATCHED).content)
    assert patched_before(registry, good, below(), replace(PATCHING, installed=())) is None
    assert patched_before(registry, image(registry, BASE), below(), PATCHING) is None


def test_a_layer_that_is_gone_or_damaged_is_said(registry: Registry) -> None:
    layer = make_layer(PATCHED).content
    made = image(registry, BASE, layer, annotations={INPUTS: "these"})
    assert set(kept_layers(registry, made)) == {"these"}
    nowhere = f"sha256:{'0' * 64}"
    gone = replace(made, content=made.content.replace(digest_of(layer).encode(), nowhere.encode()))
    with pytest.raises(RemoteError, match=nowhere):
        patched_before(registry, gone, below(), PATCHING)
    assert kept_layers(registry, gone) == {}
    torn = image(registry, BASE, make_layer(PATCHED).content[:-40])
    with pytest.raises(RemoteError, match="cannot be read") as caught:
        patched_before(registry, torn, below(), PATCHING)
    assert caught.value.code == "layer-unreadable"

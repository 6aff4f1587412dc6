"""What a release must know of a heavy base, and how it is read from the base's layers."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import RemoteError
from orchestrator.core.reference import ImageRepository
from orchestrator.registry.client import Registry
from orchestrator.registry.manifest import Manifest
from orchestrator.thin.base import BaseFacts, OddFolder, find_facts, odd_parents, publish_facts, read_base
from orchestrator.thin.layer import FileNode, Tree, add_parents, make_layer, owned
from orchestrator.thin.sources import read_sources
from orchestrator.thin.write import CopyOrigin, make_image, push_image, read_base_image
from tests.support.registry_images import upload
from tests.support.registry_process import USERS, running_registry
from tests.support.registry_proxy import Answer, proxied
from tests.thin.dockerfiles import final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.thin.write import ThinImage

pytestmark = pytest.mark.docker
SITE = "opt/venv/lib/python3.11/site-packages"
LOWER: Tree = {
    **add_parents({"usr/bin/sh": FileNode(data=b"sh"), f"{SITE}/tiny/__init__.py": FileNode(data=b"x = 1\n")}, 1),
    f"{SITE}/tiny/old.py": FileNode(data=b"y = 1\n"),
    f"{SITE}/tiny-1.0.dist-info/METADATA": FileNode(data=b"Name: tiny\n"),
    "lib": FileNode(kind="link", data=b"usr/bin"),
    "sh": FileNode(kind="link", data=b"usr/bin/sh"),
    **owned(
        {"home/train": FileNode(kind="folder", mode=0o700), "tmp": FileNode(kind="folder", mode=0o1777)}, 1000, 1000
    ),
    "gone": FileNode(kind="folder", mode=0o700),
}
UPPER: Tree = {
    f"{SITE}/tiny/.wh.old.py": FileNode(),
    ".wh.gone": FileNode(),
    "srv": FileNode(kind="folder", mode=0o750),
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        login = Credentials(username="ada", password=USERS["ada"])
        yield Registry(ImageRepository(host=running.host, path="team/base"), credentials=lambda: login)


@pytest.fixture(scope="module")
def base(registry: Registry) -> Manifest:
    """A base of two layers, uploaded by the plain API."""
    layers = [make_layer(tree) for tree in (LOWER, UPPER)]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "WorkingDir": "/workspace"},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created_by": "a"}, {"created_by": "b"}],
    }
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            **upload(registry.repository, json.dumps(config).encode()),
        },
        "layers": [{"mediaType": kind, **upload(registry.repository, layer.content)} for layer in layers],
    }
    manifest = Manifest(content=json.dumps(document).encode(), media_type=str(document["mediaType"]))
    registry.put_manifest("heavy-1", manifest)
    return manifest


def test_a_base_is_read_once_and_kept_beside_itself(registry: Registry, base: Manifest) -> None:
    facts, sources, index = read_base(registry, base)
    assert facts.folders == {
        "home/train": OddFolder(mode=0o700, uid=1000, gid=1000),
        "tmp": OddFolder(mode=0o1777, uid=1000, gid=1000),
        "srv": OddFolder(mode=0o750, uid=0, gid=0),
    }
    assert facts.links == {"lib": "usr/bin"}
    assert [(each.name, each.version, each.site) for each in facts.installed] == [("tiny", "1.0", SITE)]
    with tarfile.open(fileobj=io.BytesIO(sources)) as archive:
        assert archive.getnames() == [f"{SITE}/tiny/__init__.py"]
    assert find_facts(registry, "heavy-1", base.digest) is None
    publish_facts(registry, "heavy-1", facts, sources, index)
    assert find_facts(registry, "heavy-1", base.digest) == facts
    assert find_facts(registry, "heavy-1", f"sha256:{'0' * 64}") is None  # of another base
    assert read_sources(registry, facts.sources, facts.index, [f"{SITE}/tiny/__init__.py", "missing"]) == {
        f"{SITE}/tiny/__init__.py": b"x = 1\n"
    }


def test_folders_that_would_change_are_found() -> None:
    facts = BaseFacts(digest="", folders={"home/train": OddFolder(mode=0o700, uid=1, gid=1)}, links={"lib": "usr/lib"})
    assert odd_parents(add_parents({"opt/x/y": FileNode()}, 1), facts) == []
    assert "/lib is a link to usr/lib" in odd_parents(add_parents({"lib/x": FileNode()}, 1), facts)[0]
    found = odd_parents(add_parents({"home/train/x": FileNode()}, 1), facts)
    assert "/home/train is 1:1 with mode 0700" in found[0]
    kept = {"home/train": FileNode(kind="folder", mode=0o700, uid=1, gid=1)}
    assert odd_parents(kept, facts) == []


def made(registry: Registry, base: Manifest) -> ThinImage:
    return make_image(
        read_base_image(registry, base, None),
        final("COPY --link a x\nENV A=1\n"),
        {"": CopyOrigin(tree=lambda: {"a": FileNode(data=b"a")})},
        labels={"version": "v1"},
        created="2026-01-01T00:00:00Z",
        mtime=5,
        file="Dockerfile",
        escape="\\",
    )


def test_an_image_is_the_base_and_what_is_copied(registry: Registry, base: Manifest) -> None:
    image = made(registry, base)
    below = registry.layers(base)
    assert registry.layers(image.manifest)[: len(below)] == below
    assert len(image.contents) == 1
    assert sorted(image.trees[0]) == ["workspace", "workspace/x"]  # the base's working directory
    assert b'"Labels":{"version":"v1"}' in image.config


def test_a_base_of_another_repository_is_mounted_or_said(registry: Registry, base: Manifest) -> None:
    """A registry that does not mount answers as to any upload (OCI distribution): refused, and nothing is stored."""
    own, image = read_base_image(registry, base, None), made(registry, base)
    login = Credentials(username="ada", password=USERS["ada"])
    with proxied(registry.repository.host) as proxy:
        elsewhere = Registry(ImageRepository(host=proxy.host, path="team/image"), credentials=lambda: login)
        proxy.before = lambda asked: Answer(202, {"Location": "/v2/x/1"}) if "mount=" in asked.path else None
        with pytest.raises(RemoteError, match=r"does not mount sha256:\w+ from team/base") as caught:
            push_image(elsewhere, own, image)
        assert (caught.value.code, "`image.heavy.repository`" in caught.value.remedy) == ("no-mount", True)
        assert proxy.count("PUT") == 0
        proxy.before = lambda _: None
        push_image(elsewhere, own, image)
        assert elsewhere.lacking(image.manifest) == ()
        assert elsewhere.head(image.manifest.digest)

"""The build context as a real engine sees it."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.dockerfile.ignore import ignore_filter
from orchestrator.image.context import BuildContext, ContextEntry, IgnoreRules, write_context

if TYPE_CHECKING:
    from orchestrator.engines import Engine, ImageInfo
    from tests.docker.conftest import Build
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

LONG = "d" * 90 + "/" + "e" * 150


def write(tree: dict[str, tuple[str, str]], root: str, ignore: str = "") -> tuple[io.BytesIO, BuildContext]:
    out = io.BytesIO()
    context = write_context(
        [ContextEntry(path=path, mode=mode, sha=path) for path, (mode, _) in tree.items()],
        lambda entry: tree[entry.path][1].encode(),
        out,
        root=root,
        dockerfile="images/Dockerfile",
        mtime=1_750_000_000,
        rules=IgnoreRules(ignored=ignore_filter(ignore)),
    )
    return out, context


@pytest.fixture
def tree(lab: Lab) -> dict[str, tuple[str, str]]:
    return {
        "images/Dockerfile": ("100644", f"FROM {lab.base}\nCOPY . /app\n"),
        "src/a.txt": ("100644", "a\n"),
        "src/run.sh": ("100755", "#!/bin/sh\necho ran\n"),
        "src/link": ("120000", "a.txt"),
        "src/grüße/x": ("100644", "x\n"),
        f"src/{LONG}": ("100644", "long\n"),
        "src/secret.key": ("100644", "no\n"),
    }


def made(build: Build, tree: dict[str, tuple[str, str]], root: str, ignore: str = "") -> ImageInfo:
    out, context = write(tree, root, ignore)
    return build("", context=out, dockerfile=context.dockerfile_in_context, no_cache=True)


def test_every_kind_of_file_arrives(engine: Engine, build: Build, tree: dict[str, tuple[str, str]]) -> None:
    image = made(build, tree, ".").id
    assert engine.read_file(image, "/app/src/link") == b"a\n"
    assert engine.read_file(image, "/app/src/grüße/x") == b"x\n"
    assert engine.read_file(image, f"/app/src/{LONG}") == b"long\n"


def test_a_dockerfile_from_outside_is_used_and_is_not_copied(
    engine: Engine, build: Build, tree: dict[str, tuple[str, str]]
) -> None:
    image = made(build, tree, "src").id
    assert engine.read_file(image, "/app/a.txt") == b"a\n"
    assert engine.read_file(image, "/app/.release.Dockerfile") is None
    assert engine.read_file(image, "/app/.dockerignore") is None


def test_ignored_files_do_not_arrive(engine: Engine, build: Build, tree: dict[str, tuple[str, str]]) -> None:
    image = made(build, tree, "src", "*.key\n").id
    assert engine.read_file(image, "/app/secret.key") is None
    assert engine.read_file(image, "/app/a.txt") == b"a\n"


def test_the_same_tree_copied_to_the_root_gives_the_same_layer_without_a_cache(
    build: Build, tree: dict[str, tuple[str, str]], lab: Lab
) -> None:
    tree["images/Dockerfile"] = ("100644", f"FROM {lab.base}\nCOPY . /\n")
    first = made(build, tree, ".")
    time.sleep(1.1)  # a layer's times are whole seconds
    second = made(build, tree, ".")
    assert first.id != second.id
    assert first.layers == second.layers

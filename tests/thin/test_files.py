"""What COPY --link makes of its sources."""

from __future__ import annotations

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.thin.files import copied_tree
from orchestrator.thin.final import Copy
from orchestrator.thin.layer import FileNode, Tree, add_parents

ORIGIN = add_parents(
    {
        "own/etc/motd": FileNode(data=b"hello\n", mtime=5),
        "own/bin/run": FileNode(data=b"#!/bin/sh\n", mode=0o755, mtime=5),
        "own/lib": FileNode(kind="link", data=b"bin", mtime=5),
        "a": FileNode(data=b"a", mtime=5),
        "b": FileNode(data=b"b", mtime=5),
    },
    5,
)


def tree(*sources: str, to: str, folder: str = "/", owner: tuple[int, int] = (0, 0), **heredocs: bytes) -> Tree:
    copy = Copy(line=7, sources=sources, destination=to, heredocs=tuple(heredocs.items()), owner=owner, shown="COPY")
    return copied_tree(copy, ORIGIN, folder=folder, mtime=9, file="Dockerfile")


def test_a_folder_gives_what_is_in_it() -> None:
    found = tree("own", to="/")
    assert sorted(found) == ["bin", "bin/run", "etc", "etc/motd", "lib"]
    assert found["bin/run"].mode == 0o755
    assert found["lib"].kind == "link"
    assert sorted(tree("own/etc", to="/opt/x")) == ["opt", "opt/x", "opt/x/motd"]


def test_a_file_goes_to_a_name_or_into_a_folder() -> None:
    assert sorted(tree("a", to="/opt/a.txt")) == ["opt", "opt/a.txt"]
    assert sorted(tree("a", to="/opt/")) == ["opt", "opt/a"]
    assert sorted(tree("a", "b", to="/opt/")) == ["opt", "opt/a", "opt/b"]
    assert sorted(tree("a", to="x", folder="/workspace")) == ["workspace", "workspace/x"]


def test_folders_above_are_as_builders_make_them() -> None:
    found = tree("a", to="/opt/x/a", owner=(1000, 100))
    assert {(node.kind, node.mode, node.uid, node.gid) for path, node in found.items() if path != "opt/x/a"} == {
        ("folder", 0o755, 1000, 100)
    }
    assert found["opt"].mtime == 9
    assert found["opt/x/a"].mtime == 5
    assert found["opt/x/a"].uid == 1000


def test_here_documents_are_files() -> None:
    found = tree(to="/etc/version", EOF=b"v1\n")
    assert found["etc/version"] == FileNode(data=b"v1\n", mtime=9)
    assert sorted(tree(to="/etc/", A=b"1", B=b"2")) == ["etc", "etc/A", "etc/B"]


@pytest.mark.parametrize(
    ("sources", "to", "said"),
    [
        (("missing",), "/x", "is not in what the build gets"),
        (("own/lib",), "/x", "is a symbolic link"),
        (("a", "b"), "/x", "several files into /x"),
    ],
)
def test_what_a_builder_would_refuse_is_refused_with_its_line(sources: tuple[str, ...], to: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        tree(*sources, to=to)
    assert caught.value.where == "Dockerfile:7"

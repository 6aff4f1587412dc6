"""A layer's bytes: the same for the same files, and what tar and gzip make of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile

from orchestrator.audit.layers import read_layer
from orchestrator.thin.layer import FileNode, add_parents, make_layer, owned

TREE = add_parents(
    {
        "etc/motd": FileNode(data=b"hello\n", mtime=1_745_366_400),
        "lib64/x": FileNode(kind="link", data=b"../etc/motd", mode=0o777),
        "opt/ü/long" * 20: FileNode(data=b"x", mode=0o755, uid=1000, gid=100),
    },
    7,
)


def test_the_same_files_give_the_same_bytes_in_any_order() -> None:
    assert make_layer(TREE) == make_layer(dict(reversed(TREE.items())))


def test_the_bytes_are_those_of_before() -> None:
    """A release that is written again must get the digest that it had: who changes this changes every thin layer."""
    tar = gzip.decompress(make_layer(TREE).content)
    assert hashlib.sha256(tar).hexdigest() == make_layer(TREE).diff_id.removeprefix("sha256:")
    assert make_layer(TREE).diff_id == "sha256:0ef691a320d4306c53d0583f1938bdbb98a0a029021e5737c0b0faaabc875e21"


def test_gzip_says_no_name_and_no_time() -> None:
    header = make_layer(TREE).content[:10]
    assert header[:4] == b"\x1f\x8b\x08\x00"
    assert header[4:8] == b"\0\0\0\0"


def test_what_is_in_it_is_what_was_given() -> None:
    made = make_layer(TREE)
    contents = read_layer(io.BytesIO(made.content))
    assert (contents.diff_id, contents.digest) == (made.diff_id, made.digest)
    assert set(contents.files) == set(TREE)
    assert contents.files["lib64/x"].link == "../etc/motd"
    assert contents.files["etc"].mode == 0o755
    assert contents.files["opt/ü/long" * 20].owner == "1000:100"


def test_folders_come_before_what_is_in_them() -> None:
    with tarfile.open(fileobj=io.BytesIO(make_layer(TREE).content)) as archive:
        seen: set[str] = set()
        for member in archive:
            above = member.name.rpartition("/")[0]
            assert not above or above in seen, member.name
            seen.add(member.name)


def test_an_owner_is_that_of_everything() -> None:
    assert {(node.uid, node.gid) for node in owned(TREE, 5, 6).values()} == {(5, 6)}

"""What is in a layer, and in what two differ: tars made here, in every form that registries and engines give."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from typing import Any

import pytest
import zstandard

from orchestrator.audit.layer_compare import (
    Agreement,
    ConfigDifference,
    ImageComparison,
    LayerPair,
    facing,
    judge_layer,
    settings,
)
from orchestrator.audit.layers import LayerError, differences, read_layer
from orchestrator.engines.responses import saved_layers
from orchestrator.report.rebuild import rebuild_document, rebuild_lines


def member(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), 1000
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def layer(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def diff(theirs: bytes, ours: bytes) -> list[tuple[str, tuple[str, ...]]]:
    found = differences(read_layer(io.BytesIO(theirs)).files, read_layer(io.BytesIO(ours)).files)
    return [(each.path, each.differs) for each in found]


PLAIN = member("etc/a", b"one")


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (member("etc/a", b"two"), ("content",)),
        (member("etc/a", b"longer"), ("size", "content")),
        (member("etc/a", b"one", mtime=1001), ("mtime",)),
        (member("etc/a", b"one", mode=0o755), ("mode",)),
        (member("etc/a", b"one", uid=7), ("owner",)),
        (member("etc/a", b"one", gname="staff"), ("owner",)),
        (member("etc/a", b"one", pax_headers={"SCHILY.xattr.security.capability": "x"}), ("xattr",)),
        (member("etc/a", type=tarfile.DIRTYPE), ("kind", "size", "content")),
        (member("etc/a", type=tarfile.SYMTYPE, linkname="b"), ("kind", "size", "content", "link")),
    ],
)
def test_each_kind_of_difference_has_its_name(other: tuple[tarfile.TarInfo, bytes], differs: tuple[str, ...]) -> None:
    assert diff(layer(PLAIN), layer(other)) == [("etc/a", differs)]
    assert judge_layer(differences(*(read_layer(io.BytesIO(layer(each))).files for each in (PLAIN, other)))) is (
        Agreement.TIMES if differs == ("mtime",) else Agreement.CONTENT
    )


def test_more_and_less_and_where_links_and_devices_lead() -> None:
    link: dict[str, Any] = {"type": tarfile.SYMTYPE, "mode": 0o777}
    theirs = layer(PLAIN, member("l", linkname="a", **link), member("n", type=tarfile.CHRTYPE, devmajor=1, devminor=3))
    ours = layer(
        member("./etc/b"), member("l", linkname="b", **link), member("n", type=tarfile.CHRTYPE, devmajor=1, devminor=5)
    )
    assert diff(theirs, ours) == [
        ("etc/a", ("removed",)), ("etc/b", ("added",)), ("l", ("link",)), ("n", ("device",)),
    ]  # fmt: skip


def test_what_hides_something_below_is_told_from_files() -> None:
    files = read_layer(
        io.BytesIO(
            layer(member("d", type=tarfile.DIRTYPE), member("d/.wh.x"), member("d/.wh..wh..opq"), member("d/y.wh."))
        )
    ).files
    assert {path: file.kind for path, file in files.items()} == {
        "d": "directory", "d/.wh.x": "whiteout", "d/.wh..wh..opq": "opaque", "d/y.wh.": "file",
    }  # fmt: skip


def test_order_and_form_of_the_archive_are_no_difference_but_the_digest_tells() -> None:
    other = member("etc/b", b"b")
    one, two = layer(PLAIN, other), layer(other, PLAIN, form=tarfile.GNU_FORMAT)
    assert diff(one, two) == []
    assert judge_layer(()) is Agreement.TIMES
    assert read_layer(io.BytesIO(one)).diff_id != read_layer(io.BytesIO(two)).diff_id


def test_digests_are_of_all_bytes_plain_and_packed() -> None:
    plain = layer(member("big", b"x" * 3_000_000)) + bytes(4096)  # more padding than tar needs
    frames = zstandard.compress(plain[:5000]) + zstandard.compress(
        plain[5000:], 19
    )  # one after the other is one stream
    for data in (plain, gzip.compress(plain), zstandard.compress(plain), frames):
        read = read_layer(io.BytesIO(data))
        assert read.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
        assert read.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert read.files["big"].content == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert read_layer(io.BytesIO(bytes(1024))).files == {}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x28\xb5\x2f\xfd rest", "no layer"),
        (zstandard.compress(layer(PLAIN))[:-9], "cut off"),
        (b"<html>" * 200, "no layer"),
        (b"", "no layer"),
        (gzip.compress(layer(PLAIN), mtime=0)[:-9], "cut off"),
        (b"\x1f\x8b" + b"\xff" * 40, "no layer"),
    ],
)
def test_what_is_no_layer_is_said(data: bytes, said: str) -> None:
    with pytest.raises(LayerError, match=said):
        read_layer(io.BytesIO(data))


def test_names_in_any_encoding_and_longer_than_a_header() -> None:
    long = "d" * 90 + "/" + "e" * 150
    data = layer(member("caf\udce9"), member(long), form=tarfile.GNU_FORMAT)
    assert set(read_layer(io.BytesIO(data)).files) == {"caf\udce9", long}


def test_layers_face_their_equals_first_and_then_each_other() -> None:
    assert facing("abc", "axc") == [(0, 0), (1, 1), (2, 2)]
    assert facing("abc", "abxc") == [(0, 0), (1, 1), (None, 2), (2, 3)]
    assert facing("abc", "c") == [(0, None), (1, None), (2, 0)]
    assert facing("", "a") == [(None, 0)]


def test_settings_are_named_one_by_one_and_empty_is_none() -> None:
    theirs = {"Env": ["A=1", "B=2"], "Labels": {"x": "1"}, "Cmd": None, "Image": "sha256:1", "Entrypoint": ["a"]}
    ours = {"Env": ["B=2", "A=3"], "Labels": {"y": "1"}, "Volumes": {}, "Image": "sha256:2", "Entrypoint": ["b"]}
    found = settings(theirs, ours, (["FROM", "RUN a"], ["FROM", "RUN b", "RUN c"]))
    assert [(each.name, each.theirs, each.ours) for each in found] == [
        ("Entrypoint", ["a"], ["b"]),
        ("Env A", "1", "3"),
        ("Labels x", "1", None),
        ("Labels y", None, "1"),
        ("history 2", "RUN a", "RUN b"),
        ("history 3", None, "RUN c"),
    ]


@pytest.mark.parametrize("size", [13, 700, 100_000])
def test_both_layouts_of_a_saved_image_and_chunks_of_any_size(size: int) -> None:
    one, two = layer(PLAIN), layer(member("etc/b", b"x" * 5000))
    old = layer(
        member("aa/VERSION", b"1.0"), member("aa/json", b"{}"), member("aa/layer.tar", one),
        member("bb/layer.tar", two), member("cc/layer.tar", type=tarfile.SYMTYPE, linkname="../aa/layer.tar"),
        member("c.json", b"{}"), member("manifest.json", b"[]"),
    )  # fmt: skip
    new = layer(
        member("blobs", type=tarfile.DIRTYPE), member("blobs/sha256/1", b'{"config": 1}'),
        member("blobs/sha256/2", one), member("blobs/sha256/3", gzip.compress(two)),
        member("index.json", b"{}"), member("oci-layout", b"{}"),
    )  # fmt: skip
    for archive in (old, new):
        chunks = (archive[at : at + size] for at in range(0, len(archive), size))
        ids = [read_layer(stream).diff_id for stream in saved_layers(chunks)]
        assert ids == [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in (one, two)]


def test_what_people_read_names_files_old_and_new() -> None:
    old = read_layer(io.BytesIO(layer(PLAIN, member("bin/.wh.yes"), member("t"), member("gone")))).files
    new = read_layer(
        io.BytesIO(layer(member("etc/a", b"long", mode=0o600), member("bin/.wh.yes", mtime=5), member("t")))
    )
    pairs = [
        LayerPair(number=1, theirs="a", ours="a", created_by="FROM", verdict=Agreement.IDENTICAL),
        LayerPair(number=2, theirs="b", ours="c", created_by="RUN  x", verdict=Agreement.CONTENT,
                  files=differences(old, new.files)),
    ]  # fmt: skip
    image = ImageComparison(
        reference="r/i:v1", variant="cpu", digest="sha256:d", base="b", base_note="b moved", layers=tuple(pairs),
        settings=(ConfigDifference(name="Env A", theirs=None, ours="1"),), mismatches=("other digest",), log="",
    )  # fmt: skip
    assert rebuild_lines("v1", [image]) == [
        "r/i:v1@sha256:d",
        "  MISMATCH  other digest",
        "  base      b moved",
        "  identical layer 1 of 2",
        "  content   layer 2 of 2  RUN x",
        "      mode, size, content /etc/a (mode 0644 -> 0600, size 3 -> 4)",
        "      removed        /gone (only in the registry)",
        "      only the time  /bin/.wh.yes (hides a file below)",
        "  content   config: Env A",
        "      registry  (none)",
        "      rebuilt   1",
        "v1: cpu: 1 of 2 layers are identical; content differs in 1; settings that differ: 1",
    ]
    document = rebuild_document("v1", [image])
    assert (document["verdict"], document["images"][0]["layers"][1]["files"][0]["theirs"]["content"]) == ("content", "")

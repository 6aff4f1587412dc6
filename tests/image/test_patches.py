"""A folder of patches is judged against the locks, and an image against the folder."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from orchestrator.core.record import parse_record
from orchestrator.core.results import CheckState
from orchestrator.image.patches import InstalledPatches, concerning, judge, label, prove, recorded
from orchestrator.image.pytorch_builds import Pin, read_lock
from orchestrator.report.record import record_lines
from tests.support import records

FOLDER = "images/x/patches"
ORIGIN = "upstream, https://example.com/p.git"
HASH = f" --hash=sha256:{'0' * 64}"


def patch(number: int, before: str, after: str, commit: str = "") -> bytes:
    head = f"Subject: fix {number}\nOrigin: {ORIGIN}\n"
    head += f"Commit: {commit}\n" if commit else ""
    return (
        f"{head}---\ndiff --git a/p/m.py b/p/m.py\n--- a/p/m.py\n+++ b/p/m.py\n@@ -1,2 +1,2 @@\n"
        f"-{before}\n+{after}\n end\n"
    ).encode()


FIRST, SECOND = patch(1, "a", "b", "1" * 40), patch(2, "b", "c")
FILES = {"p-1.0/0001-x.patch": FIRST, "p-1.0/0002-y.patch": SECOND, "README.md": b"", "p-1.0/0001-x.py": b""}


def pins(text: str) -> dict[str, Pin]:
    return read_lock({"lock.txt": text.encode()})[0]


P = pins(f"P==1.0{HASH}\n")


def test_a_right_folder_has_no_problems() -> None:
    assert list(judge(FOLDER, FILES, [])) == []
    assert list(judge(FOLDER, FILES, [P, pins(f"p==1.0+cu118{HASH}\n"), pins(f"q==2{HASH}\n")])) == []


@pytest.mark.parametrize(
    ("files", "lock", "where", "says"),
    [
        ({"p-1.0/0001-x.patch": FIRST.replace(b"-1,2", b"-1,3")}, "", "p-1.0/0001-x.patch:8", "ends early"),
        ({"p-1.0/0001-x.patch": FIRST.replace(b"m.py", b"m.cpp")}, "", "p-1.0/0001-x.patch:5", "no Python file"),
        ({"p-1.0/x.patch": FIRST}, "", "p-1.0/x.patch", "not named"),
        ({"p-1.1/0001-x.patch": FIRST}, f"p==1.0{HASH}\n", "p-1.1", "lock.txt:1 pins p 1.0, these patches are for 1.1"),
        ({"q-1.0/0001-x.patch": FIRST}, f"p==1.0{HASH}\n", "q-1.0", "no lock pins q"),
        (
            {"p-1.0/0001-x.patch": FIRST, "p-1.0/0002-y.patch": FIRST},
            "",
            "p-1.0/0002-y.patch",
            "the same commit as p-1.0/0001-x.patch",
        ),
    ],
)
def test_what_is_wrong_has_its_place_and_remedy(files: dict[str, bytes], lock: str, where: str, says: str) -> None:
    (problem,) = judge(FOLDER, files, [pins(lock)] if lock else [])
    assert problem.where == f"{FOLDER}/{where}"
    assert says in problem.message
    assert problem.remedy


def test_label_and_record_name_what_concerns_the_image_by_its_digest() -> None:
    first, second = (hashlib.sha256(data).hexdigest() for data in (FIRST, SECOND))
    text = f"p-1.0/0001-x.patch@sha256:{first} p-1.0/0002-y.patch@sha256:{second}"
    assert label(concerning(FILES, P)) == label(concerning(FILES, {})) == text
    assert concerning(FILES, pins(f"q==1{HASH}\n")) == []
    told = [recorded(each) for each in concerning(FILES, P)]
    assert [(each.name, each.sha256, each.subject, each.commit, each.origin) for each in told] == [
        ("p-1.0/0001-x.patch", first, "fix 1", "1" * 40, ORIGIN),
        ("p-1.0/0002-y.patch", second, "fix 2", "", ORIGIN),
    ]


def test_a_record_of_before_patches_were_recorded_is_shown() -> None:
    image = records.image()
    now = record_lines(parse_record(json.dumps(records.record(images=[image])).encode(), "ref"), None)
    del image["patches"]
    before = record_lines(parse_record(json.dumps(records.record(images=[image])).encode(), "ref"), None)
    assert set(now) - set(before) == {f"    patch   p-1.0/0001-x.patch  sha256:{'f' * 16}"}


def row(name: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "applied": True, "reason": "", **more}


ROWS = [row("p-1.0/0001-x.patch", FIRST), row("p-1.0/0002-y.patch", SECOND)]


def inside(
    rows: object = ROWS, content: bytes | None = b"c\nend\n", version: str = "1.0", **more: Any
) -> InstalledPatches:
    record = {"schema_version": 1, "patches": rows} if isinstance(rows, list) else rows
    files = {"p/m.py": content} if content is not None else {}
    return InstalledPatches(record=record, installed={"P": version} if version else {}, files=files, **more)


def test_an_image_that_has_them_passes() -> None:
    state, message, _ = prove(FILES, inside())
    assert (state, "2 of 2 applied" in message) == (CheckState.PASSED, True)


ABSENT = [{**each, "applied": False, "reason": "p is not installed"} for each in ROWS]


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (inside(content=b"b\nend\n"), "0002-y.patch is not applied"),
        (inside(content=b"a\nend\n"), "0002-y.patch is not applied"),
        (inside(content=b"c\nend \n"), "0002-y.patch is not applied"),
        (inside(content=None), "p/m.py is not there"),
        (inside(stale=["p/m.py"]), "byte code of another source"),
        (inside(rows=ROWS[:1]), "0002-y.patch is not in the image"),
        (inside(rows=[*ROWS, row("p-1.0/0003-z.patch", b"")]), "0003-z.patch is in the image and not in the release"),
        (inside(rows=[row("p-1.0/0001-x.patch", b"other"), ROWS[1]]), "0001-x.patch is another one"),
        (inside(rows=ABSENT), "recorded as not applied, and p 1.0"),
        (inside(version=""), "recorded as applied, and p is not installed"),
        (inside(version="1.1"), "is of 1.0, 1.1 is installed"),
        (inside(rows=None), "has no /etc/release/patches.json"),
        (inside(rows={"patches": 3}), "not what this tool knows"),
    ],
)
def test_an_image_that_has_not_fails_with_the_reason(image: InstalledPatches, says: str) -> None:
    state, message, remedy = prove(FILES, image)
    assert state is CheckState.FAILED
    assert says in message
    assert remedy


def test_what_is_not_there_is_skipped() -> None:
    for released, image in (
        (None, inside()),
        ({}, inside(rows=None)),
        ({}, inside(rows=[])),
        (FILES, inside(rows=ABSENT, version="")),
    ):
        state, message, _ = prove(released, image)
        assert state is CheckState.SKIPPED
        assert message

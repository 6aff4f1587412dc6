"""Advisories from files: one, a list, a folder, an archive, Debian's tracker; and what cannot be read."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from orchestrator.attest.scan import snapshot
from orchestrator.core.errors import UsageError
from tests.attest.scan.advisories import BASH, RECORDS, TORCH, TRACKER

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def test_every_form_gives_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for record in RECORDS:
        write(folder / "below" / f"{record['id']}.json", record)
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("README", "no record")
        for record in RECORDS:
            made.writestr(f"{record['id']}.json", json.dumps(record))
    forms = ([folder], [archive], [write(tmp_path / "list.json", RECORDS)],
             [write(tmp_path / f"{number}.json", record) for number, record in enumerate(RECORDS)])  # fmt: skip
    for paths in forms:
        found = snapshot.load(paths, {"torch", "bash"})
        assert {each.id for each in found} == {"GHSA-aaaa-bbbb-cccc", "PYSEC-2025-7", "DSA-9-1"}, paths
    assert [each.id for each in snapshot.load([write(tmp_path / "data.json", TRACKER)], {"tini"})] == ["CVE-2020-3"]


def test_what_cannot_be_read_is_one_line_with_its_place(tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty", tmp_path / "broken.json"
    empty.mkdir()
    broken.write_text("{")
    odd = write(tmp_path / "odd.json", [TORCH, 7])
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("x.json", json.dumps([BASH]) + " " * (9 << 20))
    cut = tmp_path / "cut.zip"
    cut.write_bytes(bomb.read_bytes()[:400] + bomb.read_bytes()[420:])
    loop = tmp_path / "deep.json"
    loop.write_text("[" * 100_000)
    for path in (tmp_path / "absent", empty, broken, odd, bomb, cut, loop, write(tmp_path / "text.json", "x")):
        with pytest.raises(UsageError) as caught:
            snapshot.load([path], {"torch"})
        assert str(path) in caught.value.where
        assert caught.value.remedy

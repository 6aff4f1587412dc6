"""What changed between two versions."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.attest.differences import changes, compared
from orchestrator.report.sbom import change_lines, change_markdown
from tests.attest.bills import DEBIAN, INVENTORY, PYTHON, bill


def test_moved_new_gone_and_patched() -> None:
    newer = replace(INVENTORY, python=(replace(PYTHON[0], version="2.3.0"), *PYTHON[1:]), debian=DEBIAN[:1])
    found = changes(bill(patch=b"", version="v2.7.0"), bill(inventory=newer))
    assert [(each.name, each.before, each.after, each.patches_added) for each in found] == [
        ("tini", "0.19.0-1", "", ()),
        ("numpy", "2.2.6", "2.3.0", ()),
        ("torch", "2.7.0", "2.7.0", ("torch-2.7.0/0001-close.patch",)),
    ]
    assert changes(bill(), bill()) == ()


def test_words_and_table() -> None:
    names = ("v2.7.0", "v2.7.1")
    ((new, found),) = compared([bill(patch=b"")], [bill()])
    assert change_lines(names, new, found)[1:] == ["  Python  torch 2.7.0  +torch-2.7.0/0001-close.patch"]
    assert change_markdown(names, new, found)[-1] == (
        "| Python | `torch` | 2.7.0 | 2.7.0 | +torch-2.7.0/0001-close.patch |"
    )
    assert change_lines(names, new, ()) == [
        "registry.example.com/team/pytorch-cuda  linux/amd64: v2.7.0 to v2.7.1: the same"
    ]

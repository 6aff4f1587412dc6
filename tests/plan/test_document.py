"""The JSON of a plan: references stand in it as their texts, it reads back as it was, and the id stays."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.core.plan import Plan, PlannedImage
from orchestrator.core.reference import Reference
from orchestrator.plan import document
from orchestrator.plan.planner import seal

if TYPE_CHECKING:
    from pathlib import Path

A = "a" * 40
NAME = "registry.example.com:5000/team/cuda"
IMAGE = PlannedImage(
    repository=NAME,
    reference=Reference.from_text(f"{NAME}:v2.7.1"),
    candidate=Reference.from_text(f"{NAME}:candidate-aaaaaaaaaaaa"),
    aliases=(Reference.from_text(f"{NAME}:v2.7.1-cpu"),),
    previous=Reference.from_text(f"{NAME}:v2.7.0"),
    dockerfile="Dockerfile",
    context=".",
    build_args=(("A", "1"),),
)
FIRST = replace(IMAGE, aliases=(), previous=None)
DRAFT = Plan(
    plan_id="", version="v2.7.1", previous="v2.7.0", remote="origin", branch="release/v2.7", base=A, head=A,
    picked_tree=A, tree=A, picks=(), skipped=(), images=(IMAGE, FIRST), tasks=(),
)  # fmt: skip
PLAN = seal(DRAFT, ("pick",))


def test_references_stand_as_texts() -> None:
    first, second = json.loads(json.dumps(document.encode(PLAN)))["images"]
    assert (first["reference"], first["candidate"]) == (f"{NAME}:v2.7.1", f"{NAME}:candidate-aaaaaaaaaaaa")
    assert (first["aliases"], first["previous"]) == ([f"{NAME}:v2.7.1-cpu"], f"{NAME}:v2.7.0")
    assert (second["aliases"], second["previous"]) == ([], "")


def test_the_id_is_that_of_every_version_of_this_tool() -> None:
    assert PLAN.plan_id == "761845b8d0ce34d8cb91e63fb68d20e3d165eccf37d7fdafb7aa9e9c78feb3ae"


def test_a_plan_file_reads_back(tmp_path: Path) -> None:
    document.save(PLAN, tmp_path / "plan.json")
    assert document.load(tmp_path / "plan.json") == PLAN


def test_a_plan_file_with_a_reference_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    document.save(PLAN, file)
    file.write_text(file.read_text().replace(f"{NAME}:v2.7.0", f"https://{NAME}"))
    with pytest.raises(UsageError, match="has a scheme") as caught:
        document.load(file)
    assert caught.value.code == "bad-plan-file"

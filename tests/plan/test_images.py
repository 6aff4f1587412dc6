"""The images of a release with several platforms: their names, locks and tasks, and the plan as a document."""

from __future__ import annotations

import json

import pytest

from orchestrator.config.reader import parse
from orchestrator.core.errors import UsageError
from orchestrator.core.plan import Plan
from orchestrator.image.farm import spread
from orchestrator.plan import document
from orchestrator.plan.images import chosen, planned_images
from orchestrator.plan.planner import seal
from orchestrator.release import steps

HEAD = "0123456789abcdef0123456789abcdef01234567"
TEXT = """\
version: 1
branch: release/v2.7
source: main
releases: {}
image:
  repository: registry.example.com/cuda
  platforms: [linux/amd64, linux/arm64]
  lock: locks/{platform}
  floating: [v2.7]
  variants:
    - name: cu128
      lock: {linux/amd64: locks/a, linux/arm64: locks/b}
    - {name: cu118, platform: linux/amd64}
"""


def plan(text: str = TEXT) -> Plan:
    images = planned_images(parse(text.encode(), "release.yaml"), "v2.7.1", HEAD, "v2.7.0")
    draft = Plan(
        plan_id="", version="v2.7.1", previous="v2.7.0", remote="origin", branch="release/v2.7", base="", head=HEAD,
        picked_tree="", tree="", picks=(), skipped=(), images=images, tasks=(),
    )  # fmt: skip
    return seal(draft, steps.keys(draft))


def test_an_index_has_the_names_and_its_parts_have_private_ones() -> None:
    whole, single = plan().images
    assert ([name.tag for name in whole.names], whole.floating) == (["v2.7.1", "v2.7.1-cu128"], ("v2.7", "v2.7-cu128"))
    assert [(part.platform, part.reference.tag, part.candidate.tag, part.lock) for part in whole.parts] == [
        ("linux/amd64", "part-v2.7.1-linux-amd64", f"candidate-{HEAD[:12]}-linux-amd64", "locks/a"),
        ("linux/arm64", "part-v2.7.1-linux-arm64", f"candidate-{HEAD[:12]}-linux-arm64", "locks/b"),
    ]
    assert not any(part.aliases or part.floating or part.parts for part in whole.parts)
    assert {str(part.previous) for part in whole.parts} == {"registry.example.com/cuda:v2.7.0"}
    assert (single.parts, single.platform, single.lock) == ((), "linux/amd64", "locks/linux-amd64")
    assert [part.log for part in whole.builds] == ["build-cu128-linux-amd64.log", "build-cu128-linux-arm64.log"]


def test_each_platform_has_its_tasks_and_all_of_them_one_name() -> None:
    keys = plan().tasks
    assert [key for key in keys if key.startswith(("build", "join", "promote"))] == [
        "build/v2.7.1@linux-amd64", "build/v2.7.1@linux-arm64", "build/v2.7.1-cu118",
        "join/v2.7.1", "promote/v2.7.1", "promote/v2.7.1-cu118",
    ]  # fmt: skip


def test_a_plan_goes_through_its_document_and_its_id_knows_the_platforms() -> None:
    made = plan()
    assert document.decode(json.loads(json.dumps(document.encode(made)))) == made
    other = plan(TEXT.replace("[linux/amd64, linux/arm64]", "[linux/arm64, linux/amd64]"))
    assert other.plan_id != made.plan_id


def test_one_platform_is_no_index_and_a_variant_is_chosen_with_all_of_its_platforms() -> None:
    one = plan(TEXT.replace("[linux/amd64, linux/arm64]", "[linux/amd64]"))
    assert [image.parts for image in one.images] == [(), ()]
    assert [each.short for each in chosen(plan(), "cu128")] == ["v2.7.1@linux-amd64", "v2.7.1@linux-arm64"]
    with pytest.raises(UsageError, match="no variant 'cu127'"):
        chosen(plan(), "cu127")


def test_platforms_are_spread_over_builders_that_have_them() -> None:
    work = [image.platform for image in plan().builds]
    assert [names[0] for names in spread(work, {"a": ("linux/amd64",), "b": ("linux/arm64",)})] == ["a", "b", "a"]

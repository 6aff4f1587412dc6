"""A record is read strictly, written as before, and compared in one place with what tag and plan say."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.core.record import (
    ReleaseFacts,
    differences,
    document,
    facts_of_tag,
    parse_record,
    render,
)
from orchestrator.core.reference import Reference
from orchestrator.core.versions import TagVersion
from tests.support.records import A, B, C, image, name_of, pick, places, record

REF = "refs/release-records/v2.7.1"
WAYS = list(places(record()))
OPTIONAL = {  # what records of before did not have yet, or what may be none
    "freeze_broken", "promoted_from", "signed_from", "verify.image",
    "images[0].variant", "images[0].aliases", "images[0].delta",
    "images[0].platforms",
    "images[0].engine", "images[0].builder", "images[0].heavy", "images[0].cache",
    "images[0].cache.taken", "images[0].cache.tag", "images[0].cache.left", "images[0].lock", "images[0].patches",
    "images[0].layers", "picks[0].followups[0].of", "picks[0].followups[0].stands",
    *(f"images[0].delta.{name}" for name in ("previous", "size", "layers", "unknown")),
    *(f"images[0].checks[0].{name}" for name in ("message", "remedy", "seconds")),
    *(f"picks[0].{name}" for name in pick() if name not in ("source", "subject", "state")),
}  # fmt: skip
OTHERS: list[Any] = [None, 7, -1.5, True, "~", [], {}, [[]], {"x": []}]
NONE_IS_A_VALUE = {
    "verify", "promoted_from", "picks[0].resolution",
    *(f"images[0].{name}" for name in ("lock", "heavy", "cache", "cache.left", "floating")),
}  # fmt: skip


def parsed(data: object) -> Any:
    return parse_record(json.dumps(data).encode(), REF)


def refusal(data: bytes) -> str:
    """What is said of a record that is none: the place is in it, and it is one line."""
    with pytest.raises(UsageError) as caught:
        parse_record(data, REF)
    assert (caught.value.code, caught.value.where, caught.value.exit_code) == ("bad-record", REF, 2)
    assert "\n" not in caught.value.message
    return caught.value.message


def changed(way: tuple[str | int, ...], value: object) -> bytes:
    data = copy.deepcopy(record())
    inner: Any = data
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    return json.dumps(data).encode()


def without(way: tuple[str | int, ...]) -> bytes:
    data = copy.deepcopy(record())
    inner: Any = data
    for step in way[:-1]:
        inner = inner[step]
    del inner[way[-1]]
    return json.dumps(data).encode()


def test_what_is_read_is_written_byte_for_byte_as_before() -> None:
    data = (json.dumps(record(), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
    assert render(parse_record(data, REF)) == data
    least = record(verify=None, promoted_from=None, previous="", images=[image(lock=None, floating=None)], picks=[])
    assert document(parsed(least)) == least


def test_a_value_of_another_type_is_refused_with_its_place() -> None:
    """Every value of the document, as each type that it must not have."""
    refused = 0
    for way in WAYS:
        for value in OTHERS:
            says = refusal_or_none(changed(way, value))
            assert says is not None or is_another_good_value(way, value), (way, value)
            assert says is None or name_of(way) in says or name_of(way) == "schema_version", says
            refused += says is not None
    assert refused > 7 * len(WAYS)


def refusal_or_none(data: bytes) -> str | None:
    try:
        parse_record(data, REF)
    except UsageError:
        return refusal(data)
    return None


def is_another_good_value(way: tuple[str | int, ...], value: object) -> bool:
    inner: Any = record()
    for step in way:
        inner = inner[step]
    if value is None:
        return name_of(way) in NONE_IS_A_VALUE
    if way[0] == "seconds" or isinstance(inner, float):
        return type(value) in (int, float) or isinstance(value, dict)
    return type(value) is type(inner) or (name_of(way) == "picks[0].approved_by" and value == "~")


def test_what_is_not_there_is_refused_with_its_place() -> None:
    for way in WAYS:
        name = name_of(way)
        if name in OPTIONAL or isinstance(way[-1], int) or name.startswith(("seconds.", "images[0].labels[")):
            parse_record(without(way), REF)
        else:
            assert f"{name} is not there" in refusal(without(way))


@pytest.mark.parametrize("picks", [None, 7, {}, "", [7], [{}], [pick(state="conflicted")], [pick(source="HEAD")]])
def test_no_record_without_its_picks(picks: object) -> None:
    assert "picks" in refusal(json.dumps(record(picks=picks)).encode())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "line 1, column 1 is not JSON"),
        (b"not a record", "is not JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8 at byte 0"),
        (b"[]", "it is a list, not an object"),
        (b"{}", "schema_version is not there"),
        (b'{"schema_version": true}', "schema_version is true or false"),
        (b"[" * 100_000, "nested deeper than"),
        (b'{"a": ' * 500 + b"1" + b"}" * 500, "nested deeper than"),
        (b'{"a": NaN}', "a is no finite number"),
        (b'{"a": [1e999]}', "a[0] is no finite number"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "a number of 5001 digits"),
        (b'{"a": "\\ud800"}', "a has half of a surrogate pair"),
        (b'{"commit": 1, "commit": 2}', "has the key 'commit' twice"),
        (b" " * (9 * 1024 * 1024), "bytes, more than"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, says: str) -> None:
    assert says in refusal(data)


def test_another_format_is_told_from_a_damaged_record() -> None:
    assert "the record has format 2, this tool reads 1" in refusal(json.dumps(record(schema_version=2)).encode())


def test_a_field_of_a_newer_version_does_no_harm() -> None:
    assert parsed(record(colour="red", picks=[pick(mood=7)])) == parsed(record())


# ------------------------------------------------------------------ compared

TAG = f"""v2.7.1: leak

Promoted-From: v2.7.1-rc.1 {A}

Picked onto release/v2.7 since v2.7.0:

fix(loader): close the workers (approved by mia)
Pick: clean {A} {B}
"""


def facts() -> ReleaseFacts:
    images = {Reference.from_text("registry.example.com/team/cuda:v2.7.1"): f"sha256:{'d' * 64}"}
    return facts_of_tag(
        TagVersion.from_text("v2.7.1"), tag=B, commit=C, message=TAG, tree=A, config_sha256="3" * 64, images=images
    )


def test_a_record_that_agrees_has_no_differences() -> None:
    assert differences(parsed(record()), facts()) == []


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        ({"version": "v2.7.2"}, "version", "says version v2.7.2, and it is v2.7.1"),
        ({"tag": {"name": "v2.7.1", "object": A}}, "tag", f"says tag {A}, and it is {B}"),
        ({"tag": {"name": "v2.7.2", "object": B}}, "tag name", "says tag name v2.7.2, and it is v2.7.1"),
        ({"commit": A}, "commit", f"says commit {A}, and it is {C}"),
        ({"tree": B}, "tree", f"says tree {B}, and it is {A}"),
        ({"config": {"path": "x", "sha256": "4" * 64}}, "release.yaml", "says release.yaml 444"),
        ({"promoted_from": None}, "promoted from", "says that it was promoted from no candidate"),
        ({"picks": []}, "picks", "has 0 picks, and the tag lists 1"),
        ({"picks": [pick(result="")]}, "picks", "and the tag lists aaaaaaaaaaaa clean as bbbbbbbbbbbb"),
        ({"picks": [pick(state="adapted")]}, "picks", "has the pick aaaaaaaaaaaa adapted"),
        ({"picks": [pick(subject="another")]}, "left out", "tells of aaaaaaaaaaaa 'another (approved by mia)' clean"),
        ({"summary": "peak"}, "summary", "has the summary 'peak', the tag 'v2.7.1: leak'"),
        ({"branch": "release/v2.8"}, "branch in the tag", "it is release/v2.7"),
        ({"previous": "v2.6.9"}, "version before", "says version before v2.6.9, and it is v2.7.0"),
        ({"freeze_broken": "haste"}, "reason to break a freeze", "says reason to break a freeze haste"),
        (
            {"signed_from": A},
            "commit before it was signed",
            f"says commit before it was signed {A}, and it is not there",
        ),
        ({"images": []}, "images", "has no registry.example.com/team/cuda:v2.7.1"),
        ({"images": [image(digest=f"sha256:{'0' * 64}")]}, "images", "cuda:v2.7.1 is sha256:000"),
        (
            {"images": [image(), image(reference="evil.example.com/x:v2.7.1")]},
            "images",
            "has evil.example.com/x:v2.7.1",
        ),
    ],
)
def test_each_difference_is_named(change: dict[str, Any], name: str, says: str) -> None:
    (found,) = differences(parsed(record(**change)), facts())
    assert found.name == name
    assert says in found.fault


def test_what_was_left_out_is_compared_where_the_tag_tells_it() -> None:
    left = record(skipped=[{"source": C, "subject": "fix: x", "reason": "y"}])
    assert differences(parsed(left), facts()) == []  # tags of before have no such lines
    told = replace(facts(), message=f"{TAG}Left out:\n\nfix: x\nLeft-Out: skipped {C} -- z\n")
    (found,) = differences(parsed(left), told)
    assert found.fault == "tells of cccccccccccc 'fix: x' skipped (y), and the tag of cccccccccccc 'fix: x' skipped (z)"
    (found,) = differences(parsed(record(skipped=[])), told)
    assert found.fault == "tells of 1 fixes, and the tag of 2"


def test_what_nobody_told_is_not_compared() -> None:
    bare = ReleaseFacts(version=TagVersion.from_text("v2.7.1"), commit=C)
    assert differences(parsed(record(picks=[], images=[], tree=B)), bare) == []
    assert [each.name for each in differences(parsed(record(tree=B)), replace(bare, tree=A))] == ["tree"]

"""Provenance and picks from a record: the same bytes every time, and what each kind of pick is proved by."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.attest.statement import BUILD_TYPE, PICKS, STATEMENT, picks, provenance, signature
from orchestrator.core.pick import Pick, PickState
from orchestrator.core.record import RecordedLock, parse_record
from orchestrator.core.reference import Reference
from tests.support.records import record as document

RECORD = parse_record(json.dumps(document()).encode(), "refs/release-records/v2.7.1")
IMAGE = replace(
    RECORD.images[0],
    reference=Reference.from_text("registry.example.com/x:v2.7.1"),
    lock=RecordedLock(path="locks/cu126", sha256="9" * 64),
)
PAGE = "https://example.com/team/image"


def test_it_is_a_statement_about_the_digest_and_never_another_one() -> None:
    made = provenance(RECORD, IMAGE, PAGE)
    document = json.loads(made.content)
    assert (document["_type"], document["predicateType"]) == (STATEMENT, "https://slsa.dev/provenance/v1")
    assert document["subject"] == [
        {"name": "registry.example.com/x", "digest": {"sha256": IMAGE.digest.removeprefix("sha256:")}}
    ]
    later = replace(RECORD, finished_at="2030-01-01T00:00:00Z", seconds={"build": 9.0})
    assert provenance(later, IMAGE, PAGE).content == made.content, "no clock is in it"
    assert picks(later, IMAGE).content == picks(RECORD, IMAGE).content
    assert signature(IMAGE.reference.repository, IMAGE.digest).predicate == {}


def test_provenance_names_commits_and_locks() -> None:
    build = provenance(RECORD, IMAGE, PAGE).predicate["buildDefinition"]
    assert build["buildType"] == BUILD_TYPE
    rows = {each["name"]: each for each in build["resolvedDependencies"]}
    assert rows["release"]["uri"] == f"git+{PAGE}@{RECORD.commit}"
    assert rows["lock"] == {"name": "lock", "uri": "file:locks/cu126", "digest": {"sha256": "9" * 64}}
    assert "uri" not in provenance(RECORD, IMAGE, "").predicate["buildDefinition"]["resolvedDependencies"][0]


@pytest.mark.parametrize(
    ("state", "more", "proof"),
    [
        (PickState.CLEAN, {"result": "c" * 40}, {"kind": "replay", "commit": "a" * 40, "gives": "c" * 40}),
        (
            PickState.ADAPTED,
            {"result": "c" * 40, "applied": "d" * 40},
            {"kind": "resolution", "commit": "d" * 40, "gives": "c" * 40},
        ),
        (
            PickState.DUPLICATE,
            {"duplicate_of": "e" * 40, "duplicate_by": ("trailer",)},
            {"kind": "duplicate", "of": "e" * 40, "by": ["trailer"]},
        ),
        (PickState.EMPTY, {}, {"kind": "empty"}),
    ],
)
def test_each_pick_has_its_proof(state: PickState, more: dict[str, object], proof: dict[str, object]) -> None:
    pick = replace(Pick(source="a" * 40, subject="fix: it", state=state), **more)  # type: ignore[arg-type]  # by name
    made = picks(replace(RECORD, picks=(pick,)), IMAGE)
    assert made.predicate_type == PICKS
    (row,) = made.predicate["picks"]
    assert (row["source"], row["state"], row["proof"]) == ("a" * 40, state.value, proof)

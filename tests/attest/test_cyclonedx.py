"""CycloneDX as its own library reads it."""

from __future__ import annotations

import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from orchestrator.attest.cyclonedx import cyclonedx, hashes_in, patches_in
from orchestrator.core.labels import OWN
from tests.attest.bills import COMMIT, bill, licensed


def test_it_is_valid_and_the_same_every_time() -> None:
    text = json.dumps(cyclonedx(bill()))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == json.dumps(cyclonedx(bill()))


def test_nothing_is_said_twice_and_all_of_it_is_read_again() -> None:
    made = bill()
    document = cyclonedx(made)
    text = json.dumps(document)
    for each in made.components:
        assert text.count(json.dumps(each.purl)) == 1
        assert hashes_in(document)[each.purl] == set(each.hashes)
    assert all(patch.sha256 in patches_in(document) for each in made.components for patch in each.patches)
    assert len(document["dependencies"][0]["dependsOn"]) == len(made.components)


def test_every_id_of_a_licence_is_on_the_list() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(cyclonedx(licensed()))) is None


def test_the_validator_can_say_no() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(cyclonedx(bill()) | {"junk": 1}))


def test_patched_packages_have_a_pedigree() -> None:
    found = {each["name"]: each for each in cyclonedx(bill())["components"]}
    pedigree = found["torch"]["pedigree"]
    assert [each["uid"] for each in pedigree["commits"]] == [COMMIT]
    patch = pedigree["patches"][0]
    assert patch["type"] == "cherry-pick"
    assert patch["resolves"][0]["references"] == ["https://example.com/issues/5"]
    assert "pedigree" not in found["numpy"]


def test_licences_hashes_and_cuda() -> None:
    found = {each["name"]: each for each in cyclonedx(bill())["components"]}
    assert found["torch"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert found["bash"]["licenses"] == [{"license": {"id": "GPL-3.0-or-later"}}, {"license": {"name": "GAP"}}]
    assert found["numpy"]["hashes"] == [{"alg": "SHA-256", "content": "d" * 64}]
    assert "hashes" not in found["torch"], "the lock admits two files"
    said = {(each["name"].removeprefix(OWN), each["value"]) for each in found["torch"]["properties"]}
    assert said == {("lock", "locks/torch.txt"), ("lock:sha256", f"{'b' * 64} {'c' * 64}")}
    assert found["nvidia-cudnn-cu12"]["publisher"] == "NVIDIA Corporation"

"""CycloneDX as its own library reads it."""

from __future__ import annotations

import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from orchestrator.attest.cyclonedx import cyclonedx
from orchestrator.core.labels import OWN
from tests.attest.bills import COMMIT, bill


def test_it_is_valid_and_the_same_every_time() -> None:
    text = json.dumps(cyclonedx(bill()))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == json.dumps(cyclonedx(bill()))


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
    assert found["bash"]["licenses"] == [{"license": {"name": "GPL-3+"}}, {"license": {"name": "GFDL-1.3"}}]
    assert found["numpy"]["hashes"] == [{"alg": "SHA-256", "content": "d" * 64}]
    assert "hashes" not in found["torch"], "the lock admits two files"
    said = {(each["name"].removeprefix(OWN), each["value"]) for each in found["torch"]["properties"]}
    assert said == {("lock", "locks/torch.txt"), ("lock:sha256", "b" * 64), ("lock:sha256", "c" * 64)}
    assert found["nvidia-cudnn-cu12"]["publisher"] == "NVIDIA Corporation"

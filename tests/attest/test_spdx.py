"""SPDX as its own library reads it."""

from __future__ import annotations

import json
from typing import Any

from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from orchestrator.attest.spdx import hashes_in, patches_in, spdx
from tests.attest.bills import COMMIT, bill, licensed


def faults(document: dict[str, Any]) -> list[Any]:
    parser = JsonLikeDictParser()  # type: ignore[no-untyped-call]  # the library has no annotation there
    return list(validate_full_spdx_document(parser.parse(document)))


def test_it_is_valid_and_the_same_every_time() -> None:
    document = spdx(bill())
    assert faults(document) == []
    assert json.dumps(document) == json.dumps(spdx(bill()))


def test_hashes_and_patches_are_read_again() -> None:
    made = bill()
    document = spdx(made)
    assert all(hashes_in(document)[each.purl] == set(each.hashes) for each in made.components)
    assert all(patch.sha256 in patches_in(document) for each in made.components for patch in each.patches)


def test_every_id_of_a_licence_is_on_the_list() -> None:
    document = spdx(licensed())
    assert faults(document) == []
    declared = next(each["licenseDeclared"] for each in document["packages"] if each["name"] == "perl")
    assert "LicenseRef" not in declared


def test_the_validator_can_say_no() -> None:
    document = spdx(bill()) | {"documentNamespace": "no uri"}
    assert faults(document) != []


def test_patches_are_files_that_were_applied() -> None:
    document = spdx(bill())
    (patch,) = document["files"]
    assert COMMIT in patch["comment"]
    torch = next(each["SPDXID"] for each in document["packages"] if each["name"] == "torch")
    row = {
        "spdxElementId": patch["SPDXID"],
        "relationshipType": "PATCH_APPLIED",
        "relatedSpdxElement": torch,
    }
    assert row in document["relationships"]


def test_a_licence_that_spdx_does_not_know_is_quoted() -> None:
    document = spdx(bill())
    packages = {each["name"]: each for each in document["packages"]}
    assert packages["torch"]["licenseDeclared"] == "BSD-3-Clause"
    assert packages["bash"]["licenseDeclared"] == "GPL-3.0-or-later AND LicenseRef-GAP"
    assert "licenseDeclared" not in packages["tini"], "which version 2.3 takes for NOASSERTION"
    texts = {each["licenseId"]: each["extractedText"] for each in document["hasExtractedLicensingInfos"]}
    assert texts["LicenseRef-Other-Proprietary-License"] == "Other/Proprietary License"

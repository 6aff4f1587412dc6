"""SPDX as its own library reads it."""

from __future__ import annotations

import json
from typing import Any

from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from orchestrator.attest.spdx import spdx
from tests.attest.bills import COMMIT, bill


def faults(document: dict[str, Any]) -> list[Any]:
    parser = JsonLikeDictParser()  # type: ignore[no-untyped-call]  # the library has no annotation there
    return list(validate_full_spdx_document(parser.parse(document)))


def test_it_is_valid_and_the_same_every_time() -> None:
    document = spdx(bill())
    assert faults(document) == []
    assert json.dumps(document) == json.dumps(spdx(bill()))


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
    assert packages["bash"]["licenseDeclared"] == "GPL-3.0-or-later AND LicenseRef-GFDL-1.3"
    assert packages["tini"]["licenseDeclared"] == "NOASSERTION"
    texts = {each["licenseId"]: each["extractedText"] for each in document["hasExtractedLicensingInfos"]}
    assert texts["LicenseRef-Other-Proprietary-License"] == "Other/Proprietary License"

"""OpenVEX documents: what is wrong in one is said with its place; several become one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.attest.scan import vex
from orchestrator.core.errors import UsageError
from tests.attest.scan.advisories import document, statement


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], "is no object"),
        ({"statements": []}, "@context"),
        (document(), "statements is no list"),
        (document() | {"statements": [7]}, "statements[0] is no object"),
        (document(statement(status="safe")), "statements[0].status is 'safe'"),
        (document(statement(vulnerability={})), "statements[0].vulnerability has no name"),
        (document(statement(), statement(products=[])), "statements[1].products is no list"),
        (document(statement(products=[{"@id": "torch"}])), "statements[0].products[0] is 'torch', not a purl"),
        (document(statement(products=[7])), "statements[0].products[0]"),
        (document(statement(justification="because")), "statements[0].justification is 'because'"),
        (document(statement(justification="")), "neither justification nor impact_statement"),
        (document(statement(status="affected")), "no action_statement"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(UsageError) as caught:
        vex.read("v2.7.1:vex/a.json", encoded(value))
    assert caught.value.where == "v2.7.1:vex/a.json"
    assert place in caught.value.message
    assert caught.value.code == "bad-vex"


def test_no_json_is_said_with_its_line() -> None:
    with pytest.raises(UsageError, match="line 2, column 1"):
        vex.read("vex/a.json", b"{\n")


def test_several_documents_become_one_that_says_the_same() -> None:
    folder = {"b.json": document(statement(status="fixed")), "a.json": document(statement())}
    files = vex.documents_in({**{name: encoded(each) for name, each in folder.items()}, "README.md": b"#"})
    made = vex.merged(files)
    assert made is not None
    assert [each["status"] for each in made["statements"]] == ["not_affected", "fixed"]
    assert all(each["timestamp"] == "2025-06-05T00:00:00Z" for each in made["statements"])
    assert vex.read("merged", encoded(made))[1].status == "fixed"
    assert vex.merged(dict(reversed(files.items()))) == made
    assert vex.merged({}) is None

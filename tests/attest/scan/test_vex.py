"""OpenVEX documents: what is wrong in one is said with its place; several become one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.attest.scan import vex
from orchestrator.core.errors import UsageError
from tests.attest.scan.advisories import document, statement
from tests.support.cli import release
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from tests.support.story import Story


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


def test_check_and_plan_refuse_a_document_that_is_wrong(tale: Story) -> None:
    """What is released is what would be attested: the tree of the plan, and for `check` the work tree."""
    wrong = json.dumps(document(statement(status="safe")))
    fix = tale.clone.commit("fix: say so", {"vex/a.json": wrong})
    tale.clone.git("push", "--quiet", "origin", "main")
    tale.release_yaml(fix_line(fix), extra="image:\n  repository: registry.example.com/team/image\n")
    for args in (("check",), ("plan", VERSION, "--offline")):
        done = release(*args, cwd=tale.clone.path)
        assert done.code == 2, done.out
        assert "vex/a.json: statements[0].status is 'safe'" in done.out + done.err
    tale.clone.write("vex/a.json", json.dumps(document(statement())))
    assert release("check", cwd=tale.clone.path).code == 0

"""An image, what is known against it, and what patches and VEX statements say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.attest.scan import advisory, vex
from orchestrator.attest.scan.findings import ImageFindings, Vulnerability, VulnerabilityState, find
from orchestrator.report.scan import scan_document, scan_lines, scan_sarif
from tests.attest import bills
from tests.attest.scan.advisories import BASH, RECORDS, TORCH, TRACKER, document, statement

if TYPE_CHECKING:
    from orchestrator.attest.bill import Bill

WITHOUT_PATCH = bills.bill(patch=b"")


def scanned(
    bill: Bill = WITHOUT_PATCH, *statements: dict[str, Any], records: tuple[dict[str, Any], ...] = RECORDS
) -> ImageFindings:
    known = [each for record in records if (each := advisory.osv(record))]
    said = vex.read("vex/a.json", json.dumps(document(*statements)).encode()) if statements else []
    return find(bill, known, said)


def only(found: ImageFindings, name: str) -> Vulnerability:
    (one,) = (each for each in found.findings if each.id == name)
    return one


def test_each_vulnerability_once_the_worst_first() -> None:
    found = scanned()
    assert [each.id for each in found.findings] == ["CVE-2025-1111", "CVE-2025-2222"]  # numpy has a later version
    torch = found.findings[0]
    assert set(torch.names) == {"CVE-2025-1111", "GHSA-aaaa-bbbb-cccc", "PYSEC-2025-7"}
    assert (torch.severity, torch.fixed_in, torch.state) == ("critical", ("2.7.1rc1",), VulnerabilityState.OPEN)
    assert found.findings[1].fixed_in == ("5.2.15-2+b10",)
    assert [len(found.at_least(level)) for level in ("low", "medium", "high", "critical")] == [2, 2, 1, 1]


def test_what_debians_tracker_says_is_found_too() -> None:
    found = find(WITHOUT_PATCH, list(advisory.tracker(TRACKER)), [])
    assert [(each.id, each.severity) for each in found.findings] == [("CVE-2025-2222", "high"), ("CVE-2020-2", "none")]


def test_a_patch_that_is_the_upstream_commit_corrects_it() -> None:
    torch = only(scanned(bills.bill()), "CVE-2025-1111")
    assert torch.state is VulnerabilityState.PATCHED
    assert bills.COMMIT[:12] in torch.why
    other = bills.bill(patch=bills.PATCH.replace(bills.COMMIT.encode(), b"0" * 40))
    assert only(scanned(other), "CVE-2025-1111").state is VulnerabilityState.OPEN


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({}, "not-affected"),
        ({"status": "fixed"}, "fixed"),
        ({"status": "under_investigation"}, "open"),
        ({"status": "affected", "action_statement": "wait for v2.7.2"}, "open"),
        ({"vulnerability": {"name": "GHSA-aaaa-bbbb-cccc"}}, "not-affected"),
        ({"vulnerability": {"name": "x", "aliases": ["PYSEC-2025-7"]}}, "not-affected"),
        ({"vulnerability": "CVE-2025-1111"}, "not-affected"),
        ({"vulnerability": {"name": "CVE-2025-1112"}}, "open"),
        ({"products": [{"@id": "pkg:pypi/torch"}]}, "not-affected"),
        ({"products": [{"@id": "pkg:pypi/torch@2.7.0"}]}, "not-affected"),
        ({"products": [{"@id": "pkg:pypi/torch@2.6.0"}]}, "open"),
        ({"products": [{"@id": "pkg:oci/pytorch-cuda"}]}, "not-affected"),
        ({"products": [{"@id": "pkg:oci/another", "subcomponents": [{"@id": "pkg:pypi/torch"}]}]}, "open"),
        ({"products": [{"@id": "pkg:oci/pytorch-cuda?tag=v2.7.0"}]}, "open"),
        ({"products": [{"@id": "x", "identifiers": {"purl": "pkg:oci/pytorch-cuda?tag=v2.7.1"}}]}, "not-affected"),
    ],
)  # fmt: skip
def test_a_statement_counts_where_it_is_about_this(given: dict[str, Any], state: str) -> None:
    torch = only(scanned(WITHOUT_PATCH, statement(**given)), "CVE-2025-1111")
    assert torch.state == state
    assert bool(torch.why) == (state != "open" or given.get("status") in ("affected", "under_investigation"))


def test_the_newest_statement_counts() -> None:
    later = statement(
        status="affected", justification="", action_statement="it is used after all", timestamp="2025-06-06T00:00:00Z"
    )
    for order in ((later, statement()), (statement(), later)):
        torch = only(scanned(WITHOUT_PATCH, *order), "CVE-2025-1111")
        assert (torch.state, torch.why.partition(" (")[0]) == (VulnerabilityState.OPEN, "it is used after all")


def test_what_is_shown() -> None:
    found = [scanned(WITHOUT_PATCH, statement())]
    short, long = (scan_lines(found, every=every) for every in (False, True))
    assert "1 open (1 unknown), 1 not-affected; 6 packages were looked at" in short[1]
    assert not any("CVE-2025-1111" in line for line in short)
    assert any("CVE-2025-1111" in line and "torch 2.7.0" in line for line in long)
    (image,) = scan_document("v2.7.1", found)["images"]
    assert [each["state"] for each in image["findings"]] == ["not-affected", "open"]
    (run,) = scan_sarif(found, "release.yaml")["runs"]
    assert [each["ruleId"] for each in run["results"]] == ["CVE-2025-1111", "CVE-2025-2222"]
    assert [bool(each.get("suppressions")) for each in run["results"]] == [True, False]
    assert run["tool"]["driver"]["rules"][0]["properties"]["security-severity"] == "9.5"
    fresh = scan_lines([scanned(records=(TORCH, BASH))], every=False)
    assert any(f"release patch import {bills.COMMIT} --repo" in line for line in fresh)

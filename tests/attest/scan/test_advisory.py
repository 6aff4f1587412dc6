"""What databases write, read: ranges, severities, upstream commits; odd parts count as not there."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.attest.scan import advisory
from orchestrator.attest.scan.advisory import VersionRange
from orchestrator.core.documents import DocumentError
from tests.attest.bills import COMMIT
from tests.attest.scan.advisories import BASH, TORCH, TRACKER


def test_a_record_of_osv() -> None:
    found = advisory.osv(TORCH)
    assert found is not None
    assert found.names == ("GHSA-aaaa-bbbb-cccc", "CVE-2025-1111")
    assert (found.severity, found.fixes) == ("critical", (COMMIT,))  # the vector counts before the word
    assert found.affected[0].ranges == (VersionRange(introduced="2.6.0", fixed="2.7.1rc1"),)
    debian = advisory.osv(BASH)
    assert debian is not None
    assert (debian.aliases, debian.severity) == (("CVE-2025-2222",), "unknown")
    assert [each.ecosystem for each in debian.affected] == ["Debian:11", "Debian:12"]
    assert advisory.osv(TORCH | {"withdrawn": "2025-07-01T00:00:00Z"}) is None


def test_the_tracker_of_debian() -> None:
    found = {each.id: each for each in advisory.tracker(TRACKER)}
    assert set(found) == {"CVE-2025-2222", "CVE-2020-2", "CVE-2020-3"}  # what a release never had is left out
    assert found["CVE-2025-2222"].affected[0].ranges == (VersionRange(introduced="0", fixed="5.2.15-2+b10"),)
    assert [found[name].severity for name in sorted(found)] == ["none", "low", "high"]


@pytest.mark.parametrize(
    ("events", "ranges"),
    [
        ([{"introduced": "0"}], [("0", "", "")]),
        ([{"introduced": "1"}, {"fixed": "2"}, {"introduced": "3"}, {"last_affected": "4"}],
         [("1", "2", ""), ("3", "", "4")]),
        ([{"introduced": "1"}, {"introduced": "3"}, {"fixed": "4"}], [("1", "", ""), ("3", "4", "")]),
        ([{"fixed": "2"}], []),
        ([7, {"introduced": 3}, {"introduced": "1"}], [("1", "", "")]),
    ],
)  # fmt: skip
def test_events_become_ranges(events: list[Any], ranges: list[tuple[str, str, str]]) -> None:
    row = {"package": {"ecosystem": "PyPI", "name": "x"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    found = advisory.osv({"id": "X", "affected": [row]})
    assert found is not None
    assert [(each.introduced, each.fixed, each.last) for each in found.affected[0].ranges] == ranges


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, {"id": 7}, {"id": ""}])
def test_what_is_no_record(odd: object) -> None:
    with pytest.raises(DocumentError):
        advisory.osv(odd)


@pytest.mark.parametrize("key", ["aliases", "severity", "affected", "references", "database_specific", "summary"])
@pytest.mark.parametrize(
    "odd", [None, 7, "x", ["x"], [{}], {"x": 1}, [{"package": 7, "type": "CVSS_V3", "score": "no"}]]
)
def test_an_odd_part_of_a_record_is_not_there(key: str, odd: object) -> None:
    found = advisory.osv(TORCH | {key: odd})
    assert found is not None
    assert found.severity in advisory.LEVELS
    with pytest.raises(DocumentError):
        list(advisory.tracker({"bash": odd} if not isinstance(odd, dict) else 7))

"""Whom an advisory's fix is told of: the commit itself, what was picked from it, and who names the vulnerability."""

from __future__ import annotations

from orchestrator.attest.scan.advisory import osv
from orchestrator.attest.scan.corrections import Correction, Corrections
from tests.attest.bills import COMMIT
from tests.attest.scan.advisories import RECORDS

KNOWN = Corrections(each for record in RECORDS if (each := osv(record)))
HERE = "7" * 40


def told(sha: str, message: str) -> list[tuple[str, str]]:
    return [(each.id, each.why) for each in KNOWN.of(sha, message)]


def test_each_way_names_the_official_id_once() -> None:
    assert KNOWN.of(COMMIT, "fix: CVE-2025-1111") == (
        Correction(id="CVE-2025-1111", severity="critical", why="it is the upstream commit"),
    )
    picked = f"fix: x\n\n(cherry picked from commit {COMMIT})\n"
    assert told(HERE, picked) == [("CVE-2025-1111", "it was picked from the upstream commit")]
    for name in ("CVE-2025-1111", "GHSA-aaaa-bbbb-cccc", "PYSEC-2025-7"):
        assert told(HERE, f"fix: close {name} and others") == [("CVE-2025-1111", f"its message names {name}")]
    assert told(HERE, "fix: PYSEC-2025-8, CVE-2025-2222") == [
        ("PYSEC-2025-8", "its message names PYSEC-2025-8"),
        ("CVE-2025-2222", "its message names CVE-2025-2222"),
    ]


def test_what_no_advisory_knows_is_nobody_s() -> None:
    for message in ("fix: CVE-2025-11112", "fix: XCVE-2025-1111", f"Reverts {COMMIT}", "fix: nothing"):
        assert told(HERE, message) == [], message
    assert Corrections(()).of(COMMIT, "fix: CVE-2025-1111") == ()

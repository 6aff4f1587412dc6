"""Records as OSV and Debian write them, shortened: of one vulnerability of torch, one of bash's source, and others."""

from __future__ import annotations

from typing import Any

from tests.attest.bills import COMMIT

TORCH: dict[str, Any] = {
    "schema_version": "1.7.3",
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2025-1111"],
    "modified": "2025-06-01T00:00:00Z",
    "summary": "A loader keeps its file open",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Torch", "purl": "pkg:pypi/torch"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.6.0"}, {"fixed": "2.7.1rc1"}]}],
        }
    ],
    "references": [{"type": "FIX", "url": f"https://github.com/pytorch/pytorch/commit/{COMMIT}"}],
    "database_specific": {"severity": "LOW"},
}
SAME: dict[str, Any] = {  # of another database
    "id": "PYSEC-2025-7",
    "aliases": ["CVE-2025-1111", "GHSA-aaaa-bbbb-cccc"],
    "details": "A loader keeps its file open.\nMore words.",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "torch"}, "versions": ["2.6.0", "2.7.0"]}],
}
NUMPY: dict[str, Any] = {
    "id": "PYSEC-2025-8",
    "summary": "Of another version",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "numpy"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "2.2.5"}]}],
        }
    ],
}
BASH: dict[str, Any] = {
    "id": "DSA-9-1",
    "upstream": ["CVE-2025-2222"],
    "affected": [
        {
            "package": {"ecosystem": f"Debian:{release}", "name": "bash"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
            "ecosystem_specific": {"urgency": "not yet assigned"},
        }
        for release, fixed in (("11", "5.1-2+deb11u2"), ("12", "5.2.15-2+b10"))
    ],
}
RECORDS = (TORCH, SAME, NUMPY, BASH)
TRACKER: dict[str, Any] = {
    "bash": {
        "CVE-2025-2222": {
            "description": "A shell forgets",
            "releases": {
                "bookworm": {"status": "resolved", "fixed_version": "5.2.15-2+b10", "urgency": "high"},
                "sid": {"status": "open", "urgency": "high"},
            },
        },
        "CVE-2020-1": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "0", "urgency": "low"}}},
        "CVE-2020-2": {"releases": {"bookworm": {"status": "open", "urgency": "unimportant"}}},
    },
    "tini": {"CVE-2020-3": {"releases": {"trixie": {"status": "open", "urgency": "low"}}}},
}


def statement(**given: Any) -> dict[str, Any]:
    """A VEX statement about torch in the image of `tests.attest.bills`."""
    return {
        "vulnerability": {"name": "CVE-2025-1111"},
        "products": [{"@id": "pkg:oci/pytorch-cuda", "subcomponents": [{"@id": "pkg:pypi/torch"}]}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
        **given,
    }


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex/1",
        "author": "Rey Releaser",
        "timestamp": "2025-06-05T00:00:00Z",
        "version": 1,
        "statements": list(statements),
    }

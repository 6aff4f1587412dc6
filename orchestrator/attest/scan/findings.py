"""What was found in one image: a finding for each vulnerability and package, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.attest.scan import matching, vex
from orchestrator.attest.scan.advisory import LEVELS
from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.attest.bill import Bill, Component
    from orchestrator.attest.scan.advisory import Advisory, AffectedPackage
    from orchestrator.attest.scan.vex import VexStatement


class VulnerabilityState(StrEnum):
    """`open` until something says otherwise."""

    OPEN = "open"
    NOT_AFFECTED = "not-affected"  # a VEX statement
    FIXED = "fixed"  # a VEX statement
    PATCHED = "patched"  # a patch of the image is the upstream commit that corrects it


@dataclass(frozen=True, kw_only=True)
class Vulnerability:
    """A vulnerability of a package.  `names` are all its ids, `fixed_in` the versions that have the correction, `fixes`
    the upstream commits, `why` what its state rests on (and of an open one what is said about it).
    """

    id: str
    names: tuple[str, ...]
    severity: str
    summary: str
    component: Component
    fixed_in: tuple[str, ...]
    fixes: tuple[str, ...]
    state: VulnerabilityState = VulnerabilityState.OPEN
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class ImageFindings:
    """Of one image, the worst first."""

    bill: Bill
    findings: tuple[Vulnerability, ...]

    @property
    def open(self) -> tuple[Vulnerability, ...]:
        return tuple(each for each in self.findings if each.state is VulnerabilityState.OPEN)

    def at_least(self, level: str) -> tuple[Vulnerability, ...]:
        """The open ones of this severity and above; what nobody rated counts as medium."""
        least = LEVELS.index(level)
        return tuple(each for each in self.open if _rank(each.severity) >= least)


def _rank(severity: str) -> int:
    return LEVELS.index("medium" if severity == "unknown" else severity)


def find(bill: Bill, advisories: Sequence[Advisory], statements: Sequence[VexStatement]) -> ImageFindings:
    """Everything that is known of what is in an image."""
    by_name: dict[str, list[Advisory]] = defaultdict(list)
    for each in advisories:
        for name in {one.key for one in each.affected}:
            by_name[name].append(each)
    found = [made for component in bill.components for made in _of(bill, component, by_name, statements)]
    return ImageFindings(
        bill=bill, findings=tuple(sorted(found, key=lambda each: (-_rank(each.severity), each.component.name, each.id)))
    )


def _of(
    bill: Bill, component: Component, by_name: dict[str, list[Advisory]], statements: Sequence[VexStatement]
) -> Iterator[Vulnerability]:
    hits = [
        (each, said)
        for each in by_name.get(matching.key_of(component), ())
        if (said := list(matching.concerning(each, component)))
    ]
    for group in _same(hits):
        yield _judged(bill, _finding(component, group), statements)


def _same(hits: Sequence[tuple[Advisory, list[AffectedPackage]]]) -> list[list[tuple[Advisory, list[AffectedPackage]]]]:
    """Advisories of one vulnerability together: several databases describe it, each by its own id."""
    groups: list[tuple[set[str], list[tuple[Advisory, list[AffectedPackage]]]]] = []
    for hit in hits:
        names, rows = set(hit[0].names), [hit]
        for other in [each for each in groups if not names.isdisjoint(each[0])]:
            groups.remove(other)
            names |= other[0]
            rows = [*other[1], *rows]
        groups.append((names, rows))
    return [rows for _, rows in groups]


def _finding(component: Component, group: Sequence[tuple[Advisory, list[AffectedPackage]]]) -> Vulnerability:
    names = tuple(dict.fromkeys(name for each, _ in group for name in each.names))
    affected = [one for _, said in group for one in said]
    rated = [one.severity for one in affected if one.severity not in ("", "unknown")]
    rated = rated or [each.severity for each, _ in group]
    return Vulnerability(
        id=next((name for name in names if name.startswith("CVE-")), names[0]),
        names=names,
        severity=max(rated, key=_rank),
        summary=next((each.summary for each, _ in group if each.summary), ""),
        component=component,
        fixed_in=matching.fixed_in(component, affected),
        fixes=tuple(dict.fromkeys(commit for each, _ in group for commit in each.fixes)),
    )


def _judged(bill: Bill, finding: Vulnerability, statements: Sequence[VexStatement]) -> Vulnerability:
    """A patch that is the correction is proof; else the newest VEX statement counts."""
    for patch in finding.component.patches:
        if patch.commit and patch.commit in finding.fixes:
            return _with(
                finding, VulnerabilityState.PATCHED, f"{patch.name} is the upstream commit {patch.commit[:12]}"
            )
    about = vex.newest(
        each
        for each in statements
        if not set(each.names).isdisjoint(finding.names) and each.concerns(bill.purl, finding.component.purl)
    )
    if about is None:
        return finding
    state = {"not_affected": VulnerabilityState.NOT_AFFECTED, "fixed": VulnerabilityState.FIXED}.get(
        about.status, VulnerabilityState.OPEN
    )
    said = about.said or about.status.replace("_", " ")
    return _with(finding, state, f"{said} ({about.place})")


def _with(finding: Vulnerability, state: VulnerabilityState, why: str) -> Vulnerability:
    return replace(finding, state=state, why=why)

"""Versions are compared as their ecosystem does; Debian's packages are known by their source."""

from __future__ import annotations

import pytest

from orchestrator.attest.bill import Component
from orchestrator.attest.scan import matching
from orchestrator.attest.scan.advisory import Advisory, AffectedPackage, VersionRange


def component(kind: str, version: str, source: str = "", source_version: str = "") -> Component:
    purl = f"pkg:deb/debian/libx1@{version}?arch=amd64&distro=debian-12" if kind == "deb" else f"pkg:pypi/a-b@{version}"
    name = "libx1" if kind == "deb" else "a-b"
    return Component(
        kind=kind, name=name, version=version, purl=purl, source=source, source_version=source_version
    )  # fmt: skip


def hits(each: Component, ecosystem: str, name: str, span: VersionRange, *versions: str) -> bool:
    affected = AffectedPackage(ecosystem=ecosystem, name=name, ranges=(span,), versions=versions)
    return bool(list(matching.concerning(Advisory(id="X", affected=(affected,)), each)))


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.9", False), ("2.0rc1", False), ("2.0", True), ("2.0+cu126", True), ("2.7.1rc1", True), ("2.7.1", False),
     ("2.7.1+cu126", False), ("1!1.0", False), ("not a version", False)],
)  # fmt: skip
def test_python(version: str, expected: bool) -> None:
    span = VersionRange(introduced="2.0", fixed="2.7.1")
    assert hits(component("pypi", version), "PyPI", "A_B", span) is expected
    assert not hits(component("pypi", version), "npm", "a-b", span)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1:2.36-9+deb12u4", True), ("1:2.36-9+deb12u10", False), ("2.99", True), ("1:2.36-9~rc1", True), ("2:0", False)],
)
def test_debian(version: str, expected: bool) -> None:
    span = VersionRange(introduced="0", fixed="1:2.36-9+deb12u10")
    assert hits(component("deb", version), "Debian:12", "libx1", span) is expected
    assert hits(component("deb", "9", source="x", source_version=version), "Debian:12", "x", span) is expected
    assert not hits(component("deb", version), "Debian:13", "libx1", span)
    assert not hits(component("deb", version, source="x"), "Debian:12", "libx1", span)


def test_the_end_of_a_range() -> None:
    each = component("pypi", "2.0")
    assert hits(each, "PyPI", "a-b", VersionRange(introduced="0", last="2.0"))
    assert not hits(each, "PyPI", "a-b", VersionRange(introduced="0", last="1.9"))
    assert hits(each, "PyPI", "a-b", VersionRange(introduced="3.0"), "2.0")
    assert not hits(each, "PyPI", "a-b", VersionRange(introduced="0", fixed="no version"))
    assert not hits(each, "PyPI", "a-b", VersionRange(introduced="no version"))


def test_the_nearest_correction_comes_first() -> None:
    spans = tuple(VersionRange(introduced="0", fixed=each) for each in ("10.0", "2.1", "1.0", "?"))
    affected = [AffectedPackage(ecosystem="PyPI", name="a-b", ranges=spans)]
    assert matching.fixed_in(component("pypi", "2.0"), affected) == ("2.1", "10.0")

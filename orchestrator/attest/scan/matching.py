"""Is this version of a package one that an advisory names?  Versions are compared as each ecosystem does (univers)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from univers.versions import DebianVersion, InvalidVersion, PypiVersion

from orchestrator.attest.scan.advisory import key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.attest.bill import Component
    from orchestrator.attest.scan.advisory import Advisory, AffectedPackage, VersionRange

_KINDS: Final[Mapping[str, Any]] = {"pypi": PypiVersion, "deb": DebianVersion}
_DISTRO: Final = re.compile(r"[?&]distro=([a-z]+)-([0-9.]+)")


def package_of(component: Component) -> tuple[str, str]:
    """How databases name it: (ecosystem without a release, name); Debian's are by source package."""
    if component.kind == "pypi":
        return "PyPI", component.name
    found = _DISTRO.search(component.purl)
    return (found[1].capitalize() if found else "Debian"), component.source or component.name


def key_of(component: Component) -> str:
    return key(package_of(component)[1])


def ecosystem_of(component: Component) -> str:
    """With the release: `Debian:12`; of Python's packages `PyPI`."""
    found = _DISTRO.search(component.purl)
    ecosystem, _ = package_of(component)
    return f"{ecosystem}:{found[2]}" if found and component.kind == "deb" else ecosystem


def version_of(component: Component) -> str:
    """The one that databases speak of: Debian's is the source package's."""
    return component.source_version or component.version


def concerning(advisory: Advisory, component: Component) -> Iterator[AffectedPackage]:
    """What an advisory says of this package in this version."""
    kind = _KINDS[component.kind]
    for each in advisory.affected:
        if _same_package(each, component) and _is_affected(kind, each, version_of(component)):
            yield each


def _same_package(affected: AffectedPackage, component: Component) -> bool:
    _, name = package_of(component)
    if (key(affected.name) != key(name)) if component.kind == "pypi" else (affected.name != name):
        return False
    ours = ecosystem_of(component)
    return affected.ecosystem == ours or affected.ecosystem.startswith(f"{ours}:")


def _is_affected(kind: Any, affected: AffectedPackage, version: str) -> bool:
    public = version.partition("+")[0] if kind is PypiVersion else version  # 2.7.1+cu126 is built from 2.7.1
    if version in affected.versions or public in affected.versions:
        return True
    made = parsed(kind, public)
    return made is not None and any(_within(kind, each, made) for each in affected.ranges)


def _within(kind: Any, span: VersionRange, version: Any) -> bool:
    start, fixed, last = (parsed(kind, each) if each else None for each in (span.introduced, span.fixed, span.last))
    if span.introduced != "0" and (start is None or version < start):
        return False
    if span.fixed:
        return fixed is not None and bool(version < fixed)
    return not span.last or (last is not None and bool(version <= last))


@lru_cache(maxsize=1 << 14)
def parsed(kind: Any, text: str) -> Any:
    """A version that can be compared, None for what is none in its ecosystem."""
    try:
        return kind(text)
    except (InvalidVersion, ValueError, TypeError):
        return None


def fixed_in(component: Component, found: Iterable[AffectedPackage]) -> tuple[str, ...]:
    """The versions above this one that have the correction, the nearest first."""
    kind = _KINDS[component.kind]
    here = parsed(kind, version_of(component))
    ends = {
        span.fixed: made for each in found for span in each.ranges if (made := parsed(kind, span.fixed)) is not None
    }
    return tuple(sorted((text for text, made in ends.items() if here is None or made > here), key=ends.__getitem__))

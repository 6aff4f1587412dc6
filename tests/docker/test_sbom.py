"""The bill of materials of the image's variant for tests, held to its own lock: 99 wheels and Debian's packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.attest.bill import by_name, components, faults
from orchestrator.attest.inventory import take
from tests.docker.conftest import PROJECT, SOURCE

if TYPE_CHECKING:
    from orchestrator.engines import Engine
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker


def test_lock_and_image_agree_and_every_component_is_named(engine: Engine, notebook: str) -> None:
    folder = PROJECT / SOURCE / "locks/notebook"
    lock = {path.name: path.read_bytes() for path in sorted(folder.glob("*.txt"))}
    found = take(engine, notebook)
    assert (found.unasked, found.distro) == ("", "debian-12")
    assert faults(lock, found) == []
    inside = by_name(components(lock, found, ()))
    kinds = [kind for kind, _ in inside]
    assert kinds.count("pypi") > 90
    assert kinds.count("deb") > 90
    assert ("pypi", "jupyterlab") in inside
    assert ("deb", "openssh-server") in inside
    pinned = [each for each in inside.values() if each.locked]
    assert all(each.hashes for each in pinned)
    unlicensed = [each.name for each in inside.values() if each.kind == "pypi" and not each.licences]
    assert len(unlicensed) < 5, unlicensed
    assert sum(bool(each.licences) for each in inside.values() if each.kind == "deb") > 60
    without_numpy = {name: data.replace(b"numpy==", b"other-name==") for name, data in lock.items()}
    assert any("other-name" in each for each in faults(without_numpy, found))
    assert any("numpy" in each and "no lock" in each for each in faults(without_numpy, found))


def test_an_image_without_python_says_so(engine: Engine, lab: Lab) -> None:
    found = take(engine, lab.base)
    assert (found.python, found.debian, found.unasked) == (None, (), "there is no python3 in the image")

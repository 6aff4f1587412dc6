"""What goes into a bill of materials, and where lock and image disagree."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.attest.bill import by_name, faults
from orchestrator.attest.inventory import InstalledPackage
from tests.attest.bills import COMMIT, INVENTORY, LOCK, PYTHON, bill


def test_each_package_has_its_purl_hash_licence_and_patch() -> None:
    found = by_name(bill().components)
    assert [name for _, name in found] == ["numpy", "nvidia-cudnn-cu12", "pip", "torch", "bash", "tini"]
    torch, cudnn = found["pypi", "torch"], found["pypi", "nvidia-cudnn-cu12"]
    assert (torch.purl, torch.hashes, torch.locked) == ("pkg:pypi/torch@2.7.0", ("b" * 64, "c" * 64), "locks/torch.txt")
    assert [(patch.name, patch.commit) for patch in torch.patches] == [("torch-2.7.0/0001-close.patch", COMMIT)]
    assert (cudnn.cuda, cudnn.hashes) == ("cudnn", ("a" * 64,))
    assert found["pypi", "pip"].locked == ""
    assert found["deb", "bash"].purl == "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12"


def test_a_patch_of_another_version_is_not_in_it() -> None:
    newer = tuple(replace(each, version="2.7.1") if each.name == "torch" else each for each in PYTHON)
    found = by_name(bill(inventory=replace(INVENTORY, python=newer)).components)
    assert found["pypi", "torch"].patches == ()


def test_lock_and_image_are_held_to_each_other_both_ways() -> None:
    assert faults(LOCK, INVENTORY) == []
    other = (*PYTHON[1:3], replace(PYTHON[3], version="2.6.0"), InstalledPackage(name="stray", version="1"))
    assert sorted(faults(LOCK, replace(INVENTORY, python=other))) == [
        "numpy 2.2.6 is locked, and not installed",
        "stray 1 is installed, and in no lock",
        "torch 2.6.0 is installed, 2.7.0 is locked",
    ]
    assert faults(LOCK, replace(INVENTORY, python=None)) == []  # said as `unchecked`, never as the same


def test_the_id_is_that_of_the_image_alone() -> None:
    assert bill().serial == bill(patch=b"").serial
    assert bill().serial != replace(bill(), digest=f"sha256:{'f' * 64}").serial
    assert bill().purl == (
        f"pkg:oci/pytorch-cuda@sha256%3A{'e' * 64}"
        "?arch=amd64&repository_url=registry.example.com/team/pytorch-cuda&tag=v2.7.1"
    )

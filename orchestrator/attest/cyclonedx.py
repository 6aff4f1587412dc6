"""A bill of materials as CycloneDX 1.6 JSON: https://cyclonedx.org/docs/1.6/json/.

The same bill gives the same bytes: no clock, no random id.  It is signed in base64 and stored beside every image, so
nothing is said twice: components have short references, and licences their id of SPDX's list where there is one.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from orchestrator import __version__
from orchestrator.attest.licences import is_expression, known_id
from orchestrator.core.documents import rows
from orchestrator.core.labels import OWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.attest.bill import AppliedPatch, Bill, Component

PREDICATE: Final = "https://cyclonedx.org/bom"  # as in-toto and cosign call it
_MEDIA: Final = "text/x-diff"
_IMAGE: Final = "image"
HASHES: Final = f"{OWN}lock:sha256"  # of the files that the lock admits, where they are several


def cyclonedx(bill: Bill) -> dict[str, Any]:
    """The document of a bill."""
    subject = {
        "type": "container",
        "bom-ref": _IMAGE,
        "name": str(bill.repository),
        "version": bill.tag,
        "purl": bill.purl,
        "hashes": [_sha256(bill.digest.partition(":")[2])],
        "properties": _properties({"platform": bill.platform}),
    }
    tool = {"type": "application", "name": "release-orchestrator", "version": __version__}
    refs = {str(number): each for number, each in enumerate(bill.components, 1)}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{bill.serial}",
        "version": 1,
        "metadata": {"timestamp": bill.when, "tools": {"components": [tool]}, "component": subject},
        "components": [_component(ref, each) for ref, each in refs.items()],
        "dependencies": [{"ref": _IMAGE, "dependsOn": list(refs)}],
    }


def _component(ref: str, each: Component) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": ref,
        "name": each.name,
        "version": each.version,
        "purl": each.purl,
    }
    if each.cuda:
        found["publisher"] = "NVIDIA Corporation"
    if len(each.hashes) == 1:
        found["hashes"] = [_sha256(each.hashes[0])]
    if each.licences:
        found["licenses"] = _licences(each.licences)
    several = " ".join(each.hashes) if len(each.hashes) > 1 else ""  # one of them: which, the image does not say
    said = {"cuda-library": each.cuda, "lock": each.locked}
    if properties := [*_properties(said), *([{"name": HASHES, "value": several}] if several else [])]:
        found["properties"] = properties
    if each.patches:
        found["pedigree"] = _pedigree(each.patches)
    return found


def _licences(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """One SPDX expression, or any number of ids and names: the format knows no mixture."""
    if len(names) == 1 and is_expression(names[0]):
        return [{"expression": names[0]}]
    found = dict.fromkeys(("id", known) if (known := known_id(name)) else ("name", name) for name in names)
    return [{"license": {kind: text}} for kind, text in found]


def _pedigree(patches: tuple[AppliedPatch, ...]) -> dict[str, Any]:
    """What was changed in the package: the patches, and the upstream commits that they bring."""
    pedigree: dict[str, Any] = {"patches": [_patch(each) for each in patches]}
    if commits := [{"uid": each.commit, "message": each.subject} for each in patches if each.commit]:
        pedigree["commits"] = commits
    pedigree["notes"] = "; ".join(f"{each.name} sha256:{each.sha256} from {each.origin}" for each in patches)
    return pedigree


def _patch(each: AppliedPatch) -> dict[str, Any]:
    text = {"contentType": _MEDIA, "encoding": "base64", "content": base64.b64encode(each.data).decode()}
    found: dict[str, Any] = {"type": "cherry-pick" if each.commit else "backport", "diff": {"text": text}}
    issue: dict[str, Any] = {"type": "defect", "description": each.subject}
    if each.bug:
        issue["references"] = [each.bug]
    return found | {"resolves": [issue]}


def _sha256(value: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": value}


def _properties(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": f"{OWN}{name}", "value": value} for name, value in values.items() if value]


# ------------------------------------------------------------------ read again


def hashes_in(document: Mapping[str, Any]) -> dict[str, set[str]]:
    """purl -> the SHA-256 of the files that a document of ours names for it."""
    return {str(each.get("purl")): set(_hashes(each)) for each in rows(document, "components")}


def patches_in(document: Mapping[str, Any]) -> str:
    """What a document of ours says of patches, their SHA-256 among it."""
    return str([each.get("pedigree") for each in rows(document, "components")])


def _hashes(component: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(row.get("content")) for row in rows(component, "hashes") if row.get("alg") == "SHA-256")
    for row in rows(component, "properties"):
        if row.get("name") == HASHES:
            yield from str(row.get("value")).split()

"""A bill of materials as SPDX 2.3 JSON: https://spdx.github.io/spdx-spec/v2.3/.

The same bill gives the same bytes: no clock, no random id.  What version 2.3 takes for NOASSERTION when it is left out
(licenseConcluded, licenseDeclared, copyrightText) is left out: it is signed in base64 and stored beside every image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator import __version__
from orchestrator.attest import licences
from orchestrator.core.documents import rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.attest.bill import AppliedPatch, Bill, Component

PREDICATE: Final = "https://spdx.dev/Document"  # as in-toto and cosign call it
_IMAGE: Final = "SPDXRef-Image"
_ADMITS: Final = " admits one of these files, by SHA-256: "
_UNSAID: Final = {"downloadLocation": "NOASSERTION", "filesAnalyzed": False}  # what a package must have


def spdx(bill: Bill) -> dict[str, Any]:
    """The document of a bill."""
    named = [(f"SPDXRef-{number}", each) for number, each in enumerate(bill.components, 1)]
    patched = [(ref, patch) for ref, each in named for patch in each.patches]
    files = {f"SPDXRef-Patch-{number}": pair for number, pair in enumerate(patched, 1)}
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", _IMAGE)]
    relations += [(_IMAGE, "CONTAINS", ref) for ref, _ in named]
    relations += [(ref, "PATCH_APPLIED", package) for ref, (package, _) in files.items()]
    name = f"{bill.repository.path.rpartition('/')[2]}-{bill.tag}"
    document: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{bill.serial}",
        "creationInfo": {"created": bill.when, "creators": [f"Tool: release-orchestrator-{__version__}"]},
        "packages": [_image(bill), *(_package(ref, each) for ref, each in named)],
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in relations
        ],
    }
    if files:
        document["files"] = [_file(ref, patch) for ref, (_, patch) in files.items()]
    texts = {ref: text for each in bill.components for ref, text in map(licences.spdx, each.licences) if text}
    if texts:
        document["hasExtractedLicensingInfos"] = [
            {"licenseId": ref, "name": text, "extractedText": text} for ref, text in sorted(texts.items())
        ]
    return document


def _image(bill: Bill) -> dict[str, Any]:
    return {
        "SPDXID": _IMAGE,
        "name": str(bill.repository),
        "versionInfo": bill.tag,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": bill.digest.partition(":")[2]}],
        "externalRefs": [_purl(bill.purl)],
        **_UNSAID,
    }


def _package(ref: str, each: Component) -> dict[str, Any]:
    found: dict[str, Any] = {
        "SPDXID": ref,
        "name": each.name,
        "versionInfo": each.version,
        "externalRefs": [_purl(each.purl)],
        **_UNSAID,
    }
    if each.licences:
        found["licenseDeclared"] = _declared(each.licences)
    if each.cuda:
        found["supplier"] = "Organization: NVIDIA Corporation"
        found["summary"] = f"NVIDIA's CUDA library {each.cuda}"
    if len(each.hashes) == 1:
        found["checksums"] = [{"algorithm": "SHA256", "checksumValue": each.hashes[0]}]
    elif each.hashes:
        found["comment"] = f"{each.locked}{_ADMITS}{' '.join(each.hashes)}"
    return found


def _file(ref: str, patch: AppliedPatch) -> dict[str, Any]:
    upstream = f" (upstream commit {patch.commit})" if patch.commit else ""
    return {
        "SPDXID": ref,
        "fileName": f"./{patch.name}",
        "fileTypes": ["SOURCE"],
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": patch.sha1},
            {"algorithm": "SHA256", "checksumValue": patch.sha256},
        ],
        "comment": f"{patch.subject}; from {patch.origin}{upstream}",
    }


def _declared(names: tuple[str, ...]) -> str:
    found = dict.fromkeys(licences.spdx(name)[0] for name in names)
    parts = [f"({each})" if " " in each and len(found) > 1 else each for each in found]
    return " AND ".join(parts)


def _purl(purl: str) -> dict[str, str]:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}


# ------------------------------------------------------------------ read again


def hashes_in(document: Mapping[str, Any]) -> dict[str, set[str]]:
    """purl -> the SHA-256 of the files that a document of ours names for it."""
    packages = rows(document, "packages")
    return {
        str(ref.get("referenceLocator")): set(_hashes(each)) for each in packages for ref in rows(each, "externalRefs")
    }


def patches_in(document: Mapping[str, Any]) -> str:
    """What a document of ours says of patches, their SHA-256 among it."""
    return str([each.get("checksums") for each in rows(document, "files")])


def _hashes(package: Mapping[str, Any]) -> Iterator[str]:
    for row in rows(package, "checksums"):
        if row.get("algorithm") == "SHA256":
            yield str(row.get("checksumValue"))
    yield from str(package.get("comment", "")).partition(_ADMITS)[2].split()

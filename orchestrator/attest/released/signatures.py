"""Whether what hangs beside a released image is signed by a pinned key, about that image, and what the record says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from orchestrator.attest import cyclonedx, spdx, statement
from orchestrator.attest.attach import bundles
from orchestrator.attest.bill import hashes_of
from orchestrator.attest.scan import vex
from orchestrator.attest.trust import NO_KEY, Trust, pinned
from orchestrator.core.declaration.signing import SignSpec
from orchestrator.core.errors import MismatchError, RemoteError
from orchestrator.core.results import CheckResult, CheckState
from orchestrator.image.pytorch_builds import read_lock
from orchestrator.session.committed import VEX_FOLDER, CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.attest.bundle import Bundle
    from orchestrator.core.declaration import Config
    from orchestrator.core.record import Record, RecordedImage, RecordedPatch
    from orchestrator.guard.policy_source import EffectivePolicy
    from orchestrator.registry.manifest import Manifest
    from orchestrator.registry.reader import RegistryReader
    from orchestrator.session.session import Session

NAMES: Final = {
    statement.SIGNATURE: "signature",
    statement.PROVENANCE: "provenance",
    statement.PICKS: "picks",
    cyclonedx.PREDICATE: "SBOM (CycloneDX)",
    spdx.PREDICATE: "SBOM (SPDX)",
    vex.PREDICATE: "VEX",
}
_FORMS: Final[Mapping[str, BillForm]] = {"cyclonedx": cyclonedx, "spdx": spdx}
_WHO: Final = "do not use the image before you know who wrote that; the record and the tag say what was released"
_RESIGN: Final = "release the next version, signed; or ask who removed it from the registry"


class BillForm(Protocol):
    """A form of bills, as a module that can read what it wrote."""

    @property
    def PREDICATE(self) -> str: ...  # noqa: N802  # a constant of the module

    def hashes_in(self, document: Mapping[str, Any], /) -> dict[str, set[str]]: ...

    def patches_in(self, document: Mapping[str, Any], /) -> str: ...


def release_signatures(session: Session, policy: EffectivePolicy, record: Record, config: Config) -> list[CheckResult]:
    """The signatures of a version with this record and this release.yaml at its tag; none where nobody asks for any.

    Keys and identity are those that the protected branch pins: `policy` is what stands there.
    """
    if config.sign is None and not policy.policy.signed_images:
        return []
    protected = policy.declared.sign if policy.declared else None
    there = CommittedFiles(session.scratch, session.scratch.tree_of(policy.tip)) if policy.tip else None
    trust = pinned(protected, str(record.version), session.connections.env, there.file if there else _nothing)
    files = CommittedFiles(session.scratch, session.scratch.tree_of(record.commit))
    checks: list[CheckResult] = []
    for image in record.images:
        if session.options.offline:
            text = "offline: the registry was not asked"
            checks.append(_check(f"signature: {image.reference}", CheckState.SKIPPED, text))
            continue
        registry = session.connections.registry(str(image.reference.repository))
        checks += image_signatures(record, image, config, trust, registry, files)
    return checks


def image_signatures(
    record: Record,
    image: RecordedImage,
    config: Config,
    trust: Trust,
    registry: RegistryReader,
    released: CommittedFiles,
) -> list[CheckResult]:
    """Everything that a signed release leaves beside one of its images; release.yaml and files are those at its tag."""
    made = {each.predicate_type: each.predicate for each in (
        statement.provenance(record, image, config.repository_url), statement.picks(record, image))}  # fmt: skip
    wanted: dict[str, dict[str, Callable[[Mapping[str, Any]], str]]] = {
        image.digest: {statement.SIGNATURE: _anything, **{kind: _same(each) for kind, each in made.items()}}
    }
    if said := vex.merged(vex.documents_in(released.below(VEX_FOLDER))):
        wanted[image.digest][vex.PREDICATE] = _same(said)
    for build in image.platforms or (image,):
        files = released.lock(build.lock.path) if build.lock else {}
        here = wanted.setdefault(build.digest, {statement.SIGNATURE: _anything})
        forms = (config.sign or SignSpec()).sbom
        here |= {_FORMS[form].PREDICATE: _inventory(_FORMS[form], files, build.patches) for form in forms}
    name = f"signature: {image.reference}"
    return [check for digest, kinds in wanted.items() for check in judged(name, digest, kinds, trust, registry)]


def judged(
    name: str,
    digest: str,
    kinds: Mapping[str, Callable[[Mapping[str, Any]], str]],
    trust: Trust,
    registry: RegistryReader,
) -> list[CheckResult]:
    """A check for each kind of statement about a manifest; one that is skipped where the registry cannot be asked."""
    try:
        found = [each for _, each in bundles(registry, digest)]
    except RemoteError as error:
        return [_check(name, CheckState.SKIPPED, error.message)]
    except MismatchError as error:
        return [_check(name, CheckState.FAILED, error.message, error.remedy)]
    if trust.lacks:
        return [_check(name, CheckState.SKIPPED, f"not checked: {len(found)} bundles are there, and {trust.lacks}")]
    return list(_judged(name, digest, kinds, trust, found))


def _judged(
    name: str,
    digest: str,
    kinds: Mapping[str, Callable[[Mapping[str, Any]], str]],
    trust: Trust,
    found: Sequence[Bundle],
) -> Iterator[CheckResult]:
    refusals = [trust.refusal(each) for each in found]
    ours = [each for each, refusal in zip(found, refusals, strict=True) if not refusal]
    if found and not ours:
        text = f"{digest[:19]}: {len(found)} bundles are there, none by {trust.whom}: {refusals[0]}"
        yield _check(name, CheckState.FAILED, text, _WHO)
        return
    for kind, fault in kinds.items():
        of_kind = [each for each in ours if _kind(each) == kind]
        if not of_kind and any(_kind(each) == kind and trust.is_broken(each) for each in found):
            text = f"of {digest[:19]}: it was changed after it was signed: it names {trust.whom}, whose signature fails"
            yield _check(f"{name}: {NAMES[kind]}", CheckState.FAILED, text, _WHO)
            continue
        yield _one(f"{name}: {NAMES[kind]}", digest, of_kind, fault, trust.whom)


def _one(
    name: str, digest: str, ours: Sequence[Bundle], fault: Callable[[Mapping[str, Any]], str], whom: str
) -> CheckResult:
    """One kind of statement: it is enough that one of them is right, since a release may be signed again."""
    about = [each for each in ours if each.is_about(digest)]
    if not about:
        text = f"what is there is about another image than {digest[:19]}" if ours else f"{digest[:19]} has none"
        return _check(name, CheckState.FAILED, text, _WHO if ours else _RESIGN)
    faults = [fault(_predicate(each)) for each in about]
    if "" in faults:
        return _check(name, CheckState.PASSED, f"of {digest[:19]}, by {whom}")
    return _check(name, CheckState.FAILED, f"of {digest[:19]}: {faults[0]}", _WHO)


def _kind(each: Bundle) -> str:
    return str(each.statement.get("predicateType"))


def _predicate(each: Bundle) -> Mapping[str, Any]:
    found = each.statement.get("predicate")
    return found if isinstance(found, dict) else {}


def _check(name: str, state: CheckState, message: str, remedy: str = "") -> CheckResult:
    return CheckResult(name=name, state=state, message=message, remedy=remedy)


def beside(name: str, manifest: Manifest, trust: Trust, registry: RegistryReader) -> list[CheckResult]:
    """What hangs beside an image of which nothing else is known, by keys that somebody has at hand.

    Without keys a check that is skipped, where anything is there.
    """
    if trust.lacks:
        try:
            found = bundles(registry, manifest.digest)
        except (RemoteError, MismatchError) as error:
            return [_check(f"signature: {name}", CheckState.SKIPPED, error.message)]
        text = f"not checked: {len(found)} bundles are there, and {NO_KEY}; give --key FILE, or --remote URL"
        return [_check(f"signature: {name}", CheckState.SKIPPED, text)] if found else []
    kinds: tuple[str, ...] = (statement.SIGNATURE, statement.PROVENANCE, statement.PICKS)
    if not manifest.is_index:  # of an index each platform has its own
        kinds += _forms_beside(manifest, trust, registry)
    return judged(f"signature: {name}", manifest.digest, dict.fromkeys(kinds, _anything), trust, registry)


def _forms_beside(manifest: Manifest, trust: Trust, registry: RegistryReader) -> tuple[str, ...]:
    """The forms of SBOM that are believed there, or broken.

    One is enough: which ones were asked for is not known here, and anybody may add one of his own.
    """
    forms = tuple(each.PREDICATE for each in _FORMS.values())
    try:
        found = {
            _kind(each)
            for _, each in bundles(registry, manifest.digest)
            if trust.believes(each) or trust.is_broken(each)
        }
    except (RemoteError, MismatchError):
        return forms[:1]  # `judged` says it
    return tuple(form for form in forms if form in found) or forms[:1]


# ------------------------------------------------------------------ what they say


def _nothing(_path: str) -> None:
    """The protected branch has no file."""


def _anything(_predicate: Mapping[str, Any]) -> str:
    return ""


def _same(made: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str]:
    """The predicate is the one that the record makes."""

    def fault(said: Mapping[str, Any]) -> str:
        wrong = sorted(key for key in {*made, *said} if made.get(key) != said.get(key))
        return f"it says another thing than the record: {', '.join(wrong)}" if wrong else ""

    return fault


def _inventory(
    form: BillForm, lock: Mapping[str, bytes], patches: Sequence[RecordedPatch]
) -> Callable[[Mapping[str, Any]], str]:
    """Every pin of the tag's lock is in the document, with its hashes, and every patch that was applied."""
    pins, _ = read_lock(lock)
    hashes = hashes_of(lock)

    def fault(said: Mapping[str, Any]) -> str:
        found = form.hashes_in(said)
        for name, pin in pins.items():
            there = found.get(f"pkg:pypi/{name}@{pin.version}")
            if there is None:
                return f"{name} {pin.version} is locked, and not in it"
            if set(hashes.get(name, ())) != there:
                return f"{name} {pin.version} has other hashes there than in the lock"
        text = form.patches_in(said)
        missing = [each.name for each in patches if each.sha256 not in text]
        return f"the patch {missing[0]} is not in it" if missing and pins else ""

    return fault

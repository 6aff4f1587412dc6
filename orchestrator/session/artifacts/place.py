"""Records, yanks and kept sources as OCI artifacts that refer to the image of their version.

An artifact is one file, and says by an annotation which ref it stands for: a promoted version has the image of its
candidate, and both have a record there.  It is made once; a second one with another content is a fault, not a choice.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError, ReleaseError, RemoteError, UsageError
from orchestrator.core.labels import KEPT_OBJECT, KEPT_REF
from orchestrator.core.record import PREFIX as RECORDS
from orchestrator.core.reference import parse_repository
from orchestrator.core.versions import parse_tag
from orchestrator.git.push import RefTakenError
from orchestrator.git.records.entries import matches
from orchestrator.registry.referrers import Artifact, attach, referrers
from orchestrator.session import kept_sources, yanks
from orchestrator.session.artifacts import bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.git.records.place import Clone
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Layer, Manifest

KINDS: Final[Mapping[str, str]] = {
    RECORDS: "application/vnd.release-orchestrator.record.v1+json",
    yanks.PREFIX: "application/vnd.release-orchestrator.yank.v1+json",
    kept_sources.PREFIX: "application/vnd.release-orchestrator.sources.v1.bundle",
}
_TAGS: Final = "refs/tags/"
_MOST: Final = 500  # artifacts of one image that are looked at: anybody who may push can add some
_AT_ONCE: Final = 8  # versions that are asked for at the same time
_SMALL: Final = 4 * 1024 * 1024  # bytes that are read in one answer


@dataclass(frozen=True, kw_only=True)
class KeptArtifact:
    """What an artifact stands for, and where it is."""

    ref: str
    layer: Layer
    made: str  # the object that a bundle says to bring; "" of other kinds
    manifest: str

    @property
    def identity(self) -> str:
        """Two with the same are the same."""
        return self.made or self.layer.digest


class BesideImages:
    """The artifacts of the images of a project, as refs of its remote.

    `config` gives release.yaml, `registry` opens the registry of a repository, and `tell` hears, once, why nothing
    could be read: then there is nothing, and the repository's `records_unread` says why.
    """

    branches: tuple[str, ...] = ()

    def __init__(
        self, *, config: Callable[[], Config], registry: Callable[[str], Registry], tell: Callable[[str], object]
    ) -> None:
        self._config = config
        self._registry = registry
        self._tell = tell

    # -------------------------------------------------------------- what is asked for

    def keeps(self, ref: str) -> bool:
        """Notes are none of them: their commits grow with each release, and belong to no image."""
        return ref.startswith(tuple(KINDS))

    def concerns(self, patterns: Sequence[str]) -> bool:
        """Whether one of these may be kept here; no pattern asks for all."""
        return not patterns or any(map(self.keeps, patterns))

    def asks(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """The versions, where all of a kind are asked for."""
        return (f"{_TAGS}*",) if any("*" in each for each in patterns) else ()

    def fetched(self, repository: Clone, patterns: Sequence[str]) -> dict[str, str]:
        """Only what has refs here; a registry keeps no copy in a clone."""
        del repository, patterns
        return {}

    def complete(
        self, repository: Clone, remote: str, refs: Mapping[str, str], patterns: Sequence[str]
    ) -> dict[str, str]:
        """The remote's refs, and what lies beside the images of those versions that are asked for."""
        del remote
        found = {ref: sha for ref, sha in refs.items() if matches(ref, patterns)}
        wanted: dict[str, set[str]] = {}
        for prefix in KINDS:
            for version in self._versions(refs, patterns, prefix):
                wanted.setdefault(version, set()).add(prefix)
        try:
            return found | self._read(repository, wanted)
        except MismatchError:
            raise
        except ReleaseError as error:
            if not repository.records_unread:
                self._tell(f"note: records, yanks and kept sources were not read: {error.message}")
            repository.records_unread = error.message
            return found

    def _versions(self, refs: Mapping[str, str], patterns: Sequence[str], prefix: str) -> Iterator[str]:
        named = {each.removeprefix(prefix) for each in patterns if each.startswith(prefix) and "*" not in each}
        tags = (ref.removeprefix(_TAGS) for ref in refs if ref.startswith(_TAGS))
        of_all = not patterns or any("*" in each and fnmatchcase(f"{prefix}x", each) for each in patterns)
        yield from (each for each in {*named, *(tags if of_all else ())} if parse_tag(each))

    # -------------------------------------------------------------- reading

    def _read(self, repository: Clone, wanted: Mapping[str, set[str]]) -> dict[str, str]:
        if not wanted:
            return {}
        place = self._repository()
        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(wanted))) as threads:
            rows = threads.map(lambda version: self._beside(place, version, wanted[version]), wanted)
            found = [each for row in rows for each in row]
        made = ((each.ref, self._object(repository, place, each)) for each in found)
        return {ref: sha for ref, sha in made if sha}

    def _beside(self, place: str, version: str, prefixes: Iterable[str]) -> list[KeptArtifact]:
        """What lies beside the image of a version, one of each kind.  Raises MismatchError where two differ."""
        registry = self._registry(place)
        image = registry.head(_name(version))
        return _among(registry, image.digest, version, prefixes) if image else []

    def _object(self, repository: Clone, place: str, kept: KeptArtifact) -> str:
        """The object that an artifact is, in the repository from now on; "" where it could not be brought."""
        registry = self._registry(place)
        if not kept.made:
            data = _content(registry, kept.layer)
            return repository.git.run("hash-object", "-w", "--stdin", stdin=data).text.strip()
        if not bundle.has(repository, kept.made) and not bundle.bring(repository, registry, kept.layer, kept.made):
            self._tell(f"note: {kept.ref} was not brought: this clone lacks what it begins at")
            return ""
        return kept.made

    # -------------------------------------------------------------- writing

    def create(self, repository: Clone, remote: str, refs: Mapping[str, str], state: str) -> None:
        """Lay each beside the image of its version, or find it there.

        Raises RefTakenError for another one, MismatchError where the image is gone, RemoteError.
        """
        place = self._repository()
        registry = self._registry(place)
        for ref, sha in sorted(refs.items(), reverse=True):  # the record last: who finds it finds all
            prefix = next(each for each in KINDS if ref.startswith(each))
            version = ref.removeprefix(prefix)
            image = registry.await_manifest(_name(version))
            if image is None:
                raise MismatchError(
                    f"{place}:{_name(version)} is not in the registry, and {ref} belongs beside it",
                    remedy="run the same command again: it uploads what is missing",
                    code="image-gone",
                    state=state,
                )
            before = _among(registry, image.digest, version, [prefix])
            artifact = self._artifact(repository, remote, ref, sha, KINDS[prefix])
            if artifact and not before:
                (made,) = attach(registry, image, [artifact])
                before = self._settled(registry, image, version, prefix, made, state)
            if artifact and before and before[0].identity != _identity(artifact):
                raise RefTakenError(
                    f"{ref} beside {registry.repository}@{image.digest} is another one: {before[0].manifest}",
                    where=str(registry.repository.tag(_name(version))),
                    remedy=f"read it and find out who made it: release show {version}",
                    state=state,
                )

    def _artifact(self, repository: Clone, remote: str, ref: str, sha: str, kind: str) -> Artifact | None:
        """None where what keeps sources is too large for a registry: that is told."""
        if kind != KINDS[kept_sources.PREFIX]:
            return Artifact(kind=kind, content=repository.blob(sha), annotations={KEPT_REF: ref})
        config = self._config()
        known = [
            f"refs/remotes/{remote}/{name.removeprefix('refs/heads/')}" for name in (config.branch, *config.source)
        ]
        content = bundle.made(repository, ref, sha, [*known, f"{_TAGS}{ref.removeprefix(kept_sources.PREFIX)}"])
        if content is None:
            self._tell(f"note: {ref} is not kept: it is larger than {bundle.LARGEST} bytes, or this clone lacks some")
            return None
        return Artifact(kind=kind, content=content, annotations={KEPT_REF: ref, KEPT_OBJECT: sha})

    def _settled(
        self, registry: Registry, image: Manifest, version: str, prefix: str, made: str, state: str
    ) -> list[KeptArtifact]:
        """What is there once it is listed; a registry may show it late."""
        for seconds in (0.0, *registry.retry.looks()):
            if seconds:
                registry.retry.sleep(seconds)
            if found := _among(registry, image.digest, version, [prefix]):
                return found
        raise RemoteError(
            f"{made} was put beside {registry.repository.tag(_name(version))}, and is not listed there",
            remedy="run the same command again: it looks first, and puts only what is missing",
            code="registry-late",
            state=state,
        )

    def _repository(self) -> str:
        """The repository of the images.  Raises ReleaseError where release.yaml does not tell."""
        config = self._config()
        if config.image is None:
            raise UsageError(
                "release.yaml declares no image, and records lie beside one",
                remedy="name its repository: `image:` in release.yaml",
                code="no-image",
            )
        return str(parse_repository(config.image.repository))


def _among(registry: Registry, digest: str, version: str, prefixes: Iterable[str]) -> list[KeptArtifact]:
    """What lies beside one image of a version, one of each kind.  Raises MismatchError where two differ."""
    kinds, found = {KINDS[prefix]: f"{prefix}{version}" for prefix in prefixes}, dict[str, KeptArtifact]()
    for each in referrers(registry, digest)[:_MOST]:
        if each.artifact_type and each.artifact_type not in kinds:
            continue
        manifest = registry.manifest(each.digest)
        kept = _kept(registry, manifest, kinds) if manifest and not manifest.is_index else None
        if kept and found.setdefault(kept.ref, kept).identity != kept.identity:
            raise _doubled(registry, found[kept.ref], kept)
    return list(found.values())


def _name(version: str) -> str:
    """The tag of a version's image."""
    parsed = parse_tag(version)
    return parsed.name if parsed else version


def _identity(artifact: Artifact) -> str:
    from orchestrator.registry.manifest import digest_of

    return artifact.annotations.get(KEPT_OBJECT) or digest_of(artifact.content)


def _kept(registry: Registry, manifest: Manifest, kinds: Mapping[str, str]) -> KeptArtifact | None:
    """What a manifest stands for; None where it is none of these kinds, or makes no sense."""
    try:
        layers, said = registry.layers(manifest), registry.annotations(manifest)
    except RemoteError:  # of its form: nothing was asked
        return None
    ref = said.get(KEPT_REF, "")
    if len(layers) != 1 or not ref or kinds.get(layers[0].media_type) != ref:
        return None
    made = said.get(KEPT_OBJECT, "") if ref.startswith(kept_sources.PREFIX) else ""
    if ref.startswith(kept_sources.PREFIX) and not bundle.is_id(made):
        return None
    return KeptArtifact(ref=ref, layer=layers[0], made=made, manifest=manifest.digest)


def _content(registry: Registry, layer: Layer) -> bytes:
    return registry.blob(layer.digest) if layer.size <= _SMALL else bundle.download(registry, layer)


def _doubled(registry: Registry, one: KeptArtifact, other: KeptArtifact) -> MismatchError:
    return MismatchError(
        f"there are two of {one.ref} beside one image: {one.manifest} and {other.manifest}",
        where=str(registry.repository),
        remedy="somebody else has put one there: find out who, and remove that manifest by the registry's own means",
        code="record-differs",
    )


def record_beside(registry: Registry, image: Manifest, version: str) -> bytes | None:
    """The record of a version that lies beside an image, for somebody who has nothing else; None for none.

    Raises MismatchError where two differ, RemoteError.
    """
    found = _among(registry, image.digest, version, [RECORDS])
    return _content(registry, found[0].layer) if found else None

"""A repository in a registry: what is there, and under which digest.

Only a 404 means "not there"; what is there is believed by its own bytes.
"""

from __future__ import annotations

import hashlib
import re
from typing import IO, TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from orchestrator import __version__
from orchestrator.core.errors import MismatchError, RemoteError
from orchestrator.registry.http import CERTIFICATES, HttpClient
from orchestrator.registry.manifest import (
    DIGEST,
    IMAGES,
    INDEXES,
    NO_TYPES,
    Descriptor,
    ImageConfig,
    ImageManifest,
    Layer,
    Manifest,
    choose,
    digest_of,
    media_type_of,
    parse_annotations,
    parse_config,
    parse_image,
    parse_index,
)
from orchestrator.registry.responses import MAX_TEXT, bad_answer, failure, next_page, read_object
from orchestrator.registry.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.reference import ImageRepository
    from orchestrator.registry.documents import Documents
    from orchestrator.registry.responses import HttpRequest, HttpResponse


_ACCEPT: Final = {"Accept": ", ".join(IMAGES + INDEXES)}
# HEAD has no words, and some registries do not know it: to any other "no" than these GET is asked.
_HEAD_SAYS: Final = (401, 404, 408, 429)
_ASK_BY_GET: Final = (*(status for status in range(400, 500) if status not in _HEAD_SAYS), 501)
_NO_API: Final = (405, 501)  # a method that is not known at that place
_MAX_PAGES: Final = 1000
_MAX_TAGS: Final = 1_000_000
_LISTING_SECONDS: Final = 600.0  # for all pages together
_MAX_INDEXES: Final = 3  # inside each other

Read = TypeVar("Read")


class RegistryReader:
    """One repository of one registry.  Nothing is asked before the first verb.  Not for several threads.

    `credentials` is called when the registry wants a login, and again when it does not take that one any more.
    `plain_http` forces plain HTTP on a host that is not loopback; `certificates` is docker's folder of private CAs.
    `documents` is what is known already in this run, and to this one; without it everything is asked anew.

    Every verb raises RemoteError when the registry cannot be reached, refuses, or answers nonsense.
    """

    def __init__(
        self,
        repository: ImageRepository,
        *,
        credentials: Callable[[], Credentials | None],
        user_agent: str = f"release-orchestrator/{__version__}",
        patience: RetryPolicy | None = None,
        plain_http: bool = False,
        certificates: Path = CERTIFICATES,
        documents: Documents | None = None,
    ) -> None:
        self.repository = repository
        self._documents = documents
        self._base = f"/v2/{repository.path}"
        self._retry = patience or RetryPolicy()
        self._head_finds: bool | None = None  # whether HEAD finds what GET does; None where nothing was found so far
        self._wire = HttpClient(
            repository.host,
            credentials,
            user_agent=user_agent,
            patience=self._retry,
            plain_http=plain_http,
            certificates=certificates,
        )

    @property
    def retry(self) -> RetryPolicy:
        """How patiently it is asked."""
        return self._retry

    def follow(self, other: RegistryReader) -> None:
        """Begin with what another conversation with this registry has found out: how it is spoken to, and the login."""
        self._wire.follow(other._wire)
        self._head_finds = self._head_finds if other._head_finds is None else other._head_finds

    # -------------------------------------------------------------- reading

    def head(self, identifier: str) -> Descriptor | None:
        """What a tag or digest stands for, or None where it is not there (404, nothing else).

        Some registries answer 404 to every HEAD: until one has found something, GET has the last word.
        """
        if self._head_finds is False:
            return self._described(self.manifest(identifier))
        request, answer = self._wire.ask(
            "HEAD",
            self._manifest_path(identifier),
            what=f"look for {identifier} of {self._name}",
            expect=(200, 404, *_ASK_BY_GET),
            headers=_ACCEPT,
        )
        if answer.status == 404 and self._head_finds:
            return None
        digest, size = answer.header("Docker-Content-Digest"), answer.header("Content-Length")
        known = DIGEST.fullmatch(digest) and re.fullmatch(r"[0-9]{1,18}", size) and self._is_manifest(answer)
        if answer.status == 200 and known:
            self._head_finds = True
            self._compare(request, digest, asked=identifier)
            if self._documents:
                self._documents.saw(str(self.repository), identifier, digest)
            return Descriptor(digest=digest, media_type=answer.media_type, size=int(size))
        manifest = self.manifest(identifier)
        if manifest and answer.status != 200:
            self._head_finds = False
        return self._described(manifest)

    @staticmethod
    def _described(manifest: Manifest | None) -> Descriptor | None:
        if manifest is None:
            return None
        return Descriptor(digest=manifest.digest, media_type=manifest.media_type, size=len(manifest.content))

    def referrers(self, digest: str) -> Manifest | None:
        """The index of what refers to a digest; None where the registry has no API for it (404, nothing else)."""
        path = f"{self._base}/referrers/{self.repository.digest(digest).digest}"
        what = f"look for what refers to {digest} of {self._name}"
        request, answer = self._wire.ask(
            "GET", path, what=what, expect=(200, 404, *_NO_API), headers={"Accept": INDEXES[1]}
        )
        if answer.status == 404:
            return None
        if answer.status in _NO_API:
            remedy = (
                f"let {self._wire.host}, or the proxy before it, take GET of {self._base}/referrers/;"
                " a registry without that API answers 404"
            )
            text = f"{what}: HTTP {answer.status}, which does not say that there is nothing"
            raise failure("registry-refused", self._wire.host, text, remedy=remedy)
        index = self._manifest(answer)
        if index is None or not index.is_index:
            raise bad_answer(self._wire.host, request, f"is {answer.media_type!r}, not an index")
        return index

    def manifest(self, identifier: str) -> Manifest | None:
        """The manifest of a tag or digest, or None where it is not there (404, nothing else).

        Raises MismatchError when its bytes do not have the digest that was asked for, or that the registry
        says they have.
        """
        known = self._documents.manifest(str(self.repository), identifier) if self._documents else None
        if known and known.digest == identifier:
            return known
        request, answer = self._wire.ask(
            "GET",
            self._manifest_path(identifier),
            what=f"get manifest {identifier} of {self._name}",
            expect=(200, 304, 404) if known else (200, 404),
            headers=_ACCEPT | ({"If-None-Match": f'"{known.digest}"'} if known else {}),
        )
        if answer.status == 404:
            return None
        if known and answer.status == 304:
            return known
        manifest = self._manifest(answer)
        if manifest is None:
            kind = repr(answer.media_type) if answer.media_type else "of no type"
            raise bad_answer(self._wire.host, request, f"is {kind}, not an image manifest")
        self._compare(request, manifest.digest, asked=identifier)
        said = answer.header("Docker-Content-Digest")
        self._compare(request, manifest.digest, asked=said if DIGEST.fullmatch(said) else "")
        read_object(self._wire.host, request, answer)
        if self._documents:
            self._documents.keep_manifest(str(self.repository), identifier, manifest)
        return manifest

    def released(self, tag: str) -> Manifest | None:
        """As `manifest`, of the tag of a version that is out: it never moves, so a run asks once for it."""
        known = self._documents.manifest(str(self.repository), tag) if self._documents else None
        return known or self.manifest(tag)

    def platforms(self, manifest: Manifest) -> tuple[str, ...]:
        """The platforms that a name stands for: those of an index, or that of the image."""
        own = [each.platform for each in self._read(manifest, parse_index)] if manifest.is_index else [""]
        if own in ([], [""]):
            found = self.find_image(manifest)
            own = [self.config(found).platform] if found else []
        return tuple(own)

    def parts(self, manifest: Manifest) -> tuple[str, ...]:
        """The digests of the images that an index lists; none of an image."""
        return tuple(each.digest for each in self._read(manifest, parse_index)) if manifest.is_index else ()

    def image(self, manifest: Manifest, platform: str = "") -> Manifest:
        """As `find_image`.  Raises RemoteError also where an index has no such image."""
        found = self.find_image(manifest, platform)
        if found is None:
            raise self._broken(manifest, f"lists no image{' for ' if platform else ''}{platform}")
        return found

    def find_image(self, manifest: Manifest, platform: str = "") -> Manifest | None:
        """The image itself: of an index the one for `platform` (`os/architecture`), or its first; None for none.

        Raises RemoteError where an index makes no sense, or what it lists is not in the registry.
        """
        for _ in range(_MAX_INDEXES):
            if not manifest.is_index:
                return manifest
            entries = self._read(manifest, parse_index)
            entry = choose(entries, platform)
            if entry is None:
                return None
            found = self.manifest(entry.digest)
            if found is None:
                raise self._broken(manifest, f"lists {entry.digest}, which is not there")
            manifest = found
        raise self._broken(manifest, "lists indexes of indexes")

    def details(self, manifest: Manifest) -> ImageManifest:
        """Where an image's config and layers are.  Nothing is asked of the registry."""
        return self._read(manifest, parse_image)

    def layers(self, manifest: Manifest) -> tuple[Layer, ...]:
        """The layers of an image, base first.  Nothing is asked of the registry."""
        return self.details(manifest).layers

    def config(self, manifest: Manifest) -> ImageConfig:
        """What the image says of itself."""
        content = self.blob(self.details(manifest).config)
        return self._read(manifest, lambda _: parse_config(content))

    def annotations(self, manifest: Manifest) -> Mapping[str, str]:
        """What a manifest or index says of itself.  Nothing is asked of the registry."""
        return self._read(manifest, parse_annotations)

    def labels(self, manifest: Manifest) -> Mapping[str, str]:
        """The labels of an image, those of an index's first one."""
        return self.config(self.image(manifest)).labels

    def lacking(self, manifest: Manifest) -> tuple[str, ...]:
        """The blobs that an image names and the registry has not; empty for one that is complete."""
        details = self.details(manifest)
        named = dict.fromkeys((details.config, *(layer.digest for layer in details.layers)))
        return tuple(digest for digest in named if not self.has_blob(digest))

    def has_blob(self, digest: str) -> bool:
        """Whether a layer or a config is in the repository."""
        _, answer = self._wire.ask(
            "HEAD", self._blob_path(digest), what=f"look for blob {digest} of {self._name}", expect=(200, 404)
        )
        return answer.status == 200

    def blob(self, digest: str) -> bytes:
        """A small blob (a config; at most 4 MiB).  Raises MismatchError when its digest is another one."""
        known = self._documents.blob(str(self.repository), digest) if self._documents else None
        if known is not None:
            return known
        request, answer = self._wire.ask(
            "GET", self._blob_path(digest), what=f"get blob {digest} of {self._name}", expect=(200,)
        )
        self._compare(request, digest_of(answer.body), asked=digest)
        if self._documents:
            self._documents.keep_blob(str(self.repository), digest, answer.body)
        return answer.body

    def download(self, layer: Layer, out: IO[bytes]) -> None:
        """A layer's bytes as they are stored, of any size, into `out` from its beginning.

        Their digest is for the reader to compare, who goes through them anyway.
        """
        self._wire.ask(
            "GET",
            self._blob_path(layer.digest),
            what=f"get layer {layer.digest} of {self._name}",
            expect=(200,),
            sink=out,
            limit=layer.size,
        )
        out.seek(0)

    def download_blob(self, digest: str, out: IO[bytes], limit: int = 1 << 30) -> None:
        """As `download`, of a blob whose size nobody says; of at most `limit` bytes.  Its digest is compared."""
        self.download(Layer(digest=digest, size=limit, media_type=""), out)
        seen = hashlib.sha256()
        while chunk := out.read(1 << 20):
            seen.update(chunk)
        out.seek(0)
        if (found := f"sha256:{seen.hexdigest()}") != digest:
            raise failure("registry-bad-answer", self._wire.host, f"blob {digest} of {self._name} is {found}")

    def blob_part(self, digest: str, start: int, size: int) -> bytes | None:
        """Some bytes of a blob, for the reader to compare; None where the registry gives blobs as a whole only."""
        path, what = self._blob_path(digest), f"get a part of blob {digest} of {self._name}"
        part, answers = {"Range": f"bytes={start}-{start + size - 1}"}, (200, 206, 405, 416, 501)
        _, answer = self._wire.ask("GET", path, what=what, expect=answers, headers=part, limit=max(size, MAX_TEXT))
        return answer.body if answer.status == 206 else None

    def tags(self) -> tuple[str, ...]:
        """Every tag, in the registry's order; none where the repository does not exist yet."""
        path, tags, asked = f"{self._base}/tags/list?n=1000", dict[str, None](), set[str]()
        with self._wire.within(_LISTING_SECONDS):
            while path:
                page, request, following = self._page(path)
                tags |= dict.fromkeys(page)
                asked.add(path)
                if following in asked or len(asked) > _MAX_PAGES or len(tags) > _MAX_TAGS:
                    raise bad_answer(self._wire.host, request, f"goes on after {len(asked)} pages, {len(tags)} tags")
                path = following
        return tuple(tags)

    def _page(self, path: str) -> tuple[list[str], HttpRequest, str]:
        """Tags, the request, and the path of the next page or ""."""
        request, answer = self._wire.ask("GET", path, what=f"list the tags of {self._name}", expect=(200, 404))
        if answer.status == 404:
            return [], request, ""
        page = read_object(self._wire.host, request, answer).get("tags") or []
        if not isinstance(page, list) or not all(isinstance(tag, str) for tag in page):
            raise bad_answer(self._wire.host, request, "holds no list of tags")
        following = next_page(answer.header("Link"))
        own = self._wire.own_path(request, following) if following else ""
        if following and not own:
            raise bad_answer(self._wire.host, request, "goes on at another host")
        return page, request, own

    def await_manifest(self, identifier: str, *, before: str = "") -> Manifest | None:
        """What is there now that somebody has put something: asked until it is there, and not `before` any more.

        A registry may show a PUT late; after that time what it shows is believed.
        """
        found = self.manifest(identifier)
        for seconds in self._retry.looks():
            if found and found.digest != before:
                break
            self._retry.sleep(seconds)
            found = self.manifest(identifier)
        return found

    # -------------------------------------------------------------- small parts

    @property
    def _name(self) -> str:
        return self.repository.path

    def _manifest_path(self, identifier: str) -> str:
        """`identifier` is parsed again here, so that nothing else gets into a URL."""
        make = self.repository.digest if ":" in identifier else self.repository.tag
        return f"{self._base}/manifests/{quote(make(identifier).identifier, safe=':')}"

    def _blob_path(self, digest: str) -> str:
        return f"{self._base}/blobs/{self.repository.digest(digest).digest}"

    @staticmethod
    def _is_manifest(answer: HttpResponse) -> bool:
        return answer.media_type in IMAGES + INDEXES

    def _manifest(self, answer: HttpResponse) -> Manifest | None:
        """The manifest of an answer; of a type that says nothing (`application/json`) by its own words."""
        kind = answer.media_type
        if kind in NO_TYPES:
            kind = media_type_of(answer.body)
        return Manifest(content=answer.body, media_type=kind) if kind in IMAGES + INDEXES else None

    def _compare(self, request: HttpRequest, digest: str, *, asked: str) -> None:
        """Raises MismatchError when `asked` is a digest and not this one."""
        if asked.startswith("sha256:") and asked != digest:
            raise MismatchError(
                f"registry {self._wire.host}: {request.what}: the content is {digest}, not {asked}",
                remedy="do not use what this registry holds before its owner has found out why",
                code="digest-mismatch",
            )

    def _read(self, manifest: Manifest, parse: Callable[[Manifest], Read]) -> Read:
        try:
            return parse(manifest)
        except ValueError as error:
            raise self._broken(manifest, str(error)) from None

    def _broken(self, manifest: Manifest, what: str) -> RemoteError:
        text = f"the manifest {manifest.digest} of {self._name} {what}"
        return failure("registry-bad-answer", self._wire.host, text, remedy="build and push the image again")

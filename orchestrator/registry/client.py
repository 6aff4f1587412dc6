"""A repository in a registry: what is there, under which digest, and giving it another name.

The OCI distribution API, without moving layers: the engine uploads bytes, this client proves and names them.
Only a 404 means "not there", and a version's tag is never moved once it is there.
"""

from __future__ import annotations

import contextlib
import re
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import quote

from orchestrator import __version__
from orchestrator.core.errors import MismatchError, RefusedError, RemoteError
from orchestrator.registry.http import CERTIFICATES, HttpClient
from orchestrator.registry.manifest import _IMAGES, _INDEXES, Descriptor, Layer, Manifest, Promotion, _digest_of
from orchestrator.registry.responses import bad_answer, failure, parse_json, read_object
from orchestrator.registry.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.reference import ImageRepository, Reference
    from orchestrator.registry.responses import HttpRequest, HttpResponse


_ACCEPT: Final = {"Accept": ", ".join(_IMAGES + _INDEXES)}
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_NEXT: Final = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next\b')
_MAX_PAGES: Final = 1000


class Registry:
    """One repository of one registry.  Nothing is asked before the first verb.  Not for several threads.

    `credentials` is called when the registry wants a login, once.  `plain_http` forces plain HTTP on a host
    that is not loopback; `certificates` is docker's folder of private CAs.

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
    ) -> None:
        self.repository = repository
        self._base = f"/v2/{repository.path}"
        self._wire = HttpClient(
            repository.host,
            credentials,
            user_agent=user_agent,
            patience=patience or RetryPolicy(),
            plain_http=plain_http,
            certificates=certificates,
        )

    # -------------------------------------------------------------- may I

    def ping(self) -> None:
        """Return when the registry answers and takes the login, where it asks for one."""
        request, answer = self._wire.ask("GET", "/v2/", what="ping", expect=(200,), label="")
        if answer.media_type == "text/html":
            raise bad_answer(self._wire.host, request, "is an HTML page")

    def can_push(self) -> None:
        """Return when this login may push: an upload is opened and given up again.

        Otherwise RemoteError, `registry-unauthorized` or `registry-forbidden` where it is about the login.
        """
        request, answer = self._wire.ask(
            "POST",
            f"{self._base}/blobs/uploads/",
            what=f"may push to {self._name}",
            expect=(202,),
            label="push",
        )
        path = self._wire.own_path(request, answer.header("Location"))
        if path:
            with contextlib.suppress(RemoteError):  # registries throw abandoned uploads away themselves
                self._wire.ask("DELETE", path, what="give an upload up", expect=(200, 202, 204), label="push")

    # -------------------------------------------------------------- reading

    def head(self, identifier: str) -> Descriptor | None:
        """What a tag or digest stands for, or None where it is not there (404, nothing else)."""
        request, answer = self._wire.ask(
            "HEAD",
            self._manifest_path(identifier),
            what=f"look for {identifier} of {self._name}",
            expect=(200, 404),
            headers=_ACCEPT,
        )
        if answer.status == 404:
            return None
        digest, size = answer.header("Docker-Content-Digest"), answer.header("Content-Length")
        if _DIGEST.fullmatch(digest) and re.fullmatch(r"[0-9]{1,18}", size) and self._is_manifest(answer):
            self._compare(request, digest, asked=identifier)
            return Descriptor(digest=digest, media_type=answer.media_type, size=int(size))
        manifest = self.manifest(identifier)
        if manifest is None:
            return None
        return Descriptor(digest=manifest.digest, media_type=manifest.media_type, size=len(manifest.content))

    def manifest(self, identifier: str) -> Manifest | None:
        """The manifest of a tag or digest, or None where it is not there (404, nothing else).

        Raises MismatchError when its bytes do not have the digest that was asked for, or that the registry
        says they have.
        """
        request, answer = self._wire.ask(
            "GET",
            self._manifest_path(identifier),
            what=f"get manifest {identifier} of {self._name}",
            expect=(200, 404),
            headers=_ACCEPT,
        )
        if answer.status == 404:
            return None
        if not self._is_manifest(answer):
            kind = repr(answer.media_type) if answer.media_type else "of no type"
            raise bad_answer(self._wire.host, request, f"is {kind}, not an image manifest")
        manifest = Manifest(content=answer.body, media_type=answer.media_type)
        self._compare(request, manifest.digest, asked=identifier)
        said = answer.header("Docker-Content-Digest")
        self._compare(request, manifest.digest, asked=said if _DIGEST.fullmatch(said) else "")
        read_object(self._wire.host, request, answer)
        return manifest

    def config(self, manifest: Manifest) -> dict[str, object]:
        """The image's configuration as it is stored: `config.Labels`, `created`, `rootfs.diff_ids`."""
        config = parse_json(self.blob(self.config_digest(manifest)))
        if not isinstance(config, dict):
            raise self._broken(manifest, "has a config that is not a JSON object")
        return config

    def config_digest(self, manifest: Manifest) -> str:
        """Where `config` is.  Nothing is asked of the registry."""
        reference = self._image(manifest).get("config")
        digest = reference.get("digest") if isinstance(reference, dict) else None
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise self._broken(manifest, "names no config")
        return digest

    def layers(self, manifest: Manifest) -> tuple[Layer, ...]:
        """The layers, base first.  Nothing is asked of the registry."""
        entries = self._image(manifest).get("layers")
        if not isinstance(entries, list):
            raise self._broken(manifest, "has no list of layers")
        return tuple(self._layer(manifest, entry) for entry in entries)

    def blob(self, digest: str) -> bytes:
        """A small blob (a config; at most 4 MiB).  Raises MismatchError when its digest is another one."""
        request, answer = self._wire.ask(
            "GET", self._blob_path(digest), what=f"get blob {digest} of {self._name}", expect=(200,)
        )
        self._compare(request, _digest_of(answer.body), asked=digest)
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

    def tags(self) -> tuple[str, ...]:
        """Every tag, in the registry's order; none where the repository does not exist yet."""
        path, tags = f"{self._base}/tags/list?n=1000", list[str]()
        for _ in range(_MAX_PAGES):
            request, answer = self._wire.ask("GET", path, what=f"list the tags of {self._name}", expect=(200, 404))
            if answer.status == 404:
                break
            page = read_object(self._wire.host, request, answer).get("tags") or []
            if not isinstance(page, list) or not all(isinstance(tag, str) for tag in page):
                raise bad_answer(self._wire.host, request, "holds no list of tags")
            tags += page
            following = _NEXT.search(answer.header("Link"))
            if not following:
                break
            path = self._wire.own_path(request, following[1])
            if not path:
                raise bad_answer(self._wire.host, request, "goes on at another host")
        else:
            raise bad_answer(self._wire.host, request, f"goes on after {_MAX_PAGES} pages")
        return tuple(dict.fromkeys(tags))

    # -------------------------------------------------------------- naming

    def put_manifest(self, tag: str, manifest: Manifest, *, before_retry: Callable[[], object] | None = None) -> str:
        """Store a manifest under `tag`, over whatever was there, and return its digest.

        Its blobs must be in the repository.  `before_retry` runs before each repeated try and may raise.
        """
        request, answer = self._wire.ask(
            "PUT",
            self._manifest_path(self.repository.tag(tag).tag),
            what=f"put manifest {tag} of {self._name}",
            expect=(200, 201),
            label="push",
            headers={"Content-Type": manifest.media_type},
            body=manifest.content,
            before_retry=before_retry,
        )
        said = answer.header("Docker-Content-Digest")
        self._compare(request, manifest.digest, asked=said if _DIGEST.fullmatch(said) else "")
        return manifest.digest

    def promote(self, digest: str, tag: str) -> Promotion:
        """Give what is there as `digest` the name `tag`, once and for all.  No layer moves.

        A tag that already stands for it is left as it is.  Raises RefusedError when the tag stands for
        another digest, and MismatchError when somebody else put another one at the same moment.  Registries
        have no compare-and-swap: looking, putting and looking twice more is what can be done.
        """
        reference = self.repository.tag(tag)
        manifest = self._source(digest)
        if self._holds(reference, digest):
            return Promotion(reference=reference, digest=digest, previous=digest)
        self.put_manifest(tag, manifest, before_retry=lambda: self._holds(reference, digest))
        self._confirm(reference, digest)
        self._wire.patience.sleep(self._wire.patience.settle)
        self._confirm(reference, digest)
        return Promotion(reference=reference, digest=digest)

    def move(self, digest: str, tag: str) -> Promotion:
        """Let a floating tag stand for what is there as `digest`, whatever it stood for before."""
        reference = self.repository.tag(tag)
        manifest = self._source(digest)
        current = self.head(tag)
        previous = current.digest if current else ""
        if previous != digest:
            self.put_manifest(tag, manifest)
            self._confirm(reference, digest)
        return Promotion(reference=reference, digest=digest, previous=previous)

    def _source(self, digest: str) -> Manifest:
        manifest = self.manifest(self.repository.digest(digest).digest)
        if manifest is None:
            raise failure(
                "registry-not-found",
                self._wire.host,
                f"{self._name} has no manifest {digest}",
                remedy="upload the image first: run the same command again",
            )
        return manifest

    def _holds(self, reference: Reference, digest: str) -> bool:
        """Whether the tag stands for `digest` already.  Raises RefusedError when for another one."""
        current = self.head(reference.tag)
        if current and current.digest != digest:
            raise RefusedError(
                f"{reference} is there already, as {current.digest}; it will not be moved to {digest}",
                where=str(reference),
                remedy="release the next version: a published tag is never moved",
                code="tag-exists",
            )
        return current is not None

    def _confirm(self, reference: Reference, digest: str) -> None:
        current = self.head(reference.tag)
        if current is None or current.digest != digest:
            raise MismatchError(
                f"{reference} was put as {digest} and reads as {current.digest if current else 'not there'}",
                where=str(reference),
                remedy="somebody else pushed this tag at the same moment: find out who, and soon",
                code="tag-race",
            )

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
        return answer.media_type in _IMAGES + _INDEXES

    def _compare(self, request: HttpRequest, digest: str, *, asked: str) -> None:
        """Raises MismatchError when `asked` is a digest and not this one."""
        if asked.startswith("sha256:") and asked != digest:
            raise MismatchError(
                f"registry {self._wire.host}: {request.what}: the content is {digest}, not {asked}",
                remedy="do not use what this registry holds before its owner has found out why",
                code="digest-mismatch",
            )

    def _image(self, manifest: Manifest) -> dict[str, object]:
        document = parse_json(manifest.content)
        if manifest.is_index or not isinstance(document, dict):
            raise self._broken(manifest, "lists several platforms" if manifest.is_index else "is not JSON")
        return document

    def _layer(self, manifest: Manifest, entry: object) -> Layer:
        values = entry if isinstance(entry, dict) else {}
        digest, size, kind = values.get("digest"), values.get("size"), values.get("mediaType", "")
        if isinstance(digest, str) and isinstance(size, int) and isinstance(kind, str):
            return Layer(digest=digest, size=size, media_type=kind)
        raise self._broken(manifest, "has a layer without digest and size")

    def _broken(self, manifest: Manifest, what: str) -> RemoteError:
        text = f"the manifest {manifest.digest} of {self._name} {what}"
        return failure("registry-bad-answer", self._wire.host, text, remedy="build and push the image again")


def image_labels(registry: Registry, manifest: Manifest) -> dict[str, str]:
    """The labels in the config of an image; none for an index of several platforms."""
    if manifest.is_index:
        return {}
    config = registry.config(manifest).get("config")
    labels = config.get("Labels") if isinstance(config, dict) else None
    return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}

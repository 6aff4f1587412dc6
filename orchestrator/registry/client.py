"""Giving names in a repository of a registry, and storing what is small.

The OCI distribution API: heavy layers are uploaded by engines, this client proves and names them.
A version's tag is never moved once it is there.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from orchestrator.core.errors import MismatchError, RefusedError, RemoteError
from orchestrator.registry.manifest import DIGEST, Promotion, digest_of
from orchestrator.registry.reader import RegistryReader
from orchestrator.registry.responses import RegistryRefusedError, bad_answer, failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.reference import Reference
    from orchestrator.registry.manifest import Manifest
    from orchestrator.registry.responses import HttpResponse

MAX_MANIFEST: Final = 4 * 1024 * 1024  # bytes that a registry must take, by the OCI distribution specification
_NO_DELETE: Final = (400, 405, 501)  # how registries say that they remove nothing
_STORED: Final = range(200, 300)  # what a registry may answer when it has done what it was asked


class Registry(RegistryReader):
    """The same, with the verbs that change something."""

    # -------------------------------------------------------------- may I

    def renew_login(self) -> None:
        """Use the login that there is now: some live for minutes, and a build takes longer."""
        self._wire.renew_login()

    @property
    def has_tokens(self) -> bool:
        """Whether a token service stands before this registry, as far as it was asked."""
        return self._wire.has_tokens

    @property
    def has_short_tokens(self) -> bool:
        """Whether its tokens were seen to end before their 60 s."""
        return self._wire.has_short_tokens

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
            expect=(201, 202),
            label="push",
        )
        path = self._wire.own_path(request, answer.header("Location"))
        if path:
            with contextlib.suppress(RemoteError):  # registries throw abandoned uploads away themselves
                self._wire.ask("DELETE", path, what="give an upload up", expect=(200, 202, 204), label="push")

    # -------------------------------------------------------------- naming

    def put_blob(self, content: bytes, *, is_new: bool = False) -> str:
        """Store a small blob, unless it is there, and return its digest; what `is_new` is sent unasked."""
        digest = digest_of(content)
        if is_new or not self.has_blob(digest):
            path = self._open_upload("")
            sign = "&" if "?" in path else "?"
            self._wire.ask(
                "PUT",
                f"{path}{sign}digest={digest}",
                what=f"put blob {digest} of {self._name}",
                expect=_STORED,
                label="push",
                headers={"Content-Type": "application/octet-stream"},
                body=content,
            )
        return digest

    def mount_blob(self, digest: str, source: str) -> bool:
        """Let a blob of another repository of this registry be in this one too; no byte moves.

        False where the registry does not do that, or `source` does not have it.
        """
        return self.has_blob(digest) or not self._open_upload(f"?mount={digest}&from={quote(source, safe='/')}")

    def _open_upload(self, query: str) -> str:
        """The path where a blob is put, "" where there is no need to: it was mounted."""
        request, answer = self._wire.ask(
            "POST",
            f"{self._base}/blobs/uploads/{query}",
            what=f"upload to {self._name}",
            expect=(201, 202),
            label="push",
        )
        if answer.status == 201 and query:
            return ""
        path = self._wire.own_path(request, answer.header("Location"))
        if not path:
            raise bad_answer(self._wire.host, request, "names no place of its own for the upload")
        return path

    def put_manifest(self, tag: str, manifest: Manifest, *, before_retry: Callable[[], object] | None = None) -> str:
        """Store a manifest under `tag`, over whatever was there, and return its digest; "" is under its digest alone.

        Its blobs must be in the repository.  `before_retry` runs before each repeated try and may raise.  Raises
        RemoteError `registry-too-large` before anything is asked for one that registries do not take.
        """
        self._stored(tag, manifest, before_retry)
        return manifest.digest

    def put_referrer(self, manifest: Manifest) -> bool:
        """Store a manifest that names a subject, under its digest; whether the registry lists it as a referrer."""
        return bool(self._stored("", manifest, None).header("OCI-Subject"))

    def _stored(self, tag: str, manifest: Manifest, before_retry: Callable[[], object] | None) -> HttpResponse:
        """The answer to a manifest's PUT."""
        if len(manifest.content) > MAX_MANIFEST:
            text = f"{tag or manifest.digest} of {self._name}: a manifest of {len(manifest.content)} bytes"
            remedy = (
                f"registries take {MAX_MANIFEST} bytes (OCI distribution): fewer layers, or fewer images of an index"
            )
            raise failure("registry-too-large", self._wire.host, text, remedy=remedy)
        request, answer = self._wire.ask(
            "PUT",
            self._manifest_path(self.repository.tag(tag).tag if tag else manifest.digest),
            what=f"put manifest {tag or manifest.digest} of {self._name}",
            expect=_STORED,
            label="push",
            headers={"Content-Type": manifest.media_type},
            body=manifest.content,
            before_retry=before_retry,
        )
        said = answer.header("Docker-Content-Digest")
        self._compare(request, manifest.digest, asked=said if DIGEST.fullmatch(said) else "")
        return answer

    def store(self, tag: str, manifest: Manifest) -> None:
        """Have a manifest in the registry, under the private name `tag` where that may be moved, and see it there.

        Where tags are immutable and another one stands there, it is stored by its digest alone.
        """
        current = self.head(tag)
        if current and current.digest == manifest.digest:
            return
        try:
            self._put(self.repository.tag(tag), manifest)
        except RegistryRefusedError:
            if current is None:
                raise
            self.put_manifest("", manifest)
            tag = manifest.digest
        found = self.await_manifest(tag, before=current.digest if current else "")
        if found is None or found.digest != manifest.digest:
            raise self._taken(self.repository.tag(tag), manifest.digest, found.digest if found else "not there")

    def promote(self, digest: str, tag: str, *, settled: bool = True) -> Promotion:
        """Give what is there as `digest` the name `tag`, once and for all.  No layer moves.

        A tag that already stands for it is left as it is.  Raises RefusedError when the tag stands for
        another digest, and MismatchError when somebody else put another one at the same moment.  Registries
        have no compare-and-swap: looking, putting and looking twice more is what can be done.  The last look comes
        later (`RetryPolicy.settling`); who has other things to do meanwhile calls `settle` himself.
        """
        reference = self.repository.tag(tag)
        manifest = self._source(digest)
        looked = self._retry.clock()
        if self._holds(reference, digest):
            return Promotion(reference=reference, digest=digest, previous=digest)
        self._put(reference, manifest, before_retry=lambda: self._holds(reference, digest))
        put = self._retry.clock()
        promotion = Promotion(reference=reference, digest=digest, put_at=put, took=put - looked)
        self._confirm(reference, digest, before="")
        if settled:
            self.settle(promotion)
        return promotion

    def settle(self, promotion: Promotion) -> None:
        """The second look at a tag that was promoted and not settled.  Raises MismatchError as `promote` does."""
        left = self._retry.settling(promotion.took) - (self._retry.clock() - promotion.put_at)
        if left > 0:
            self._retry.sleep(left)
        self._confirm(promotion.reference, promotion.digest, before="")

    def move(self, digest: str, tag: str) -> Promotion:
        """Let a floating tag stand for what is there as `digest`, whatever it stood for before."""
        reference = self.repository.tag(tag)
        manifest = self._source(digest)
        current = self.head(tag)
        previous = current.digest if current else ""
        if previous != digest:
            self._put(reference, manifest)
            self._confirm(reference, digest, before=previous)
        return Promotion(reference=reference, digest=digest, previous=previous)

    # -------------------------------------------------------------- removing

    def delete(self, digest: str) -> None:
        """Remove a manifest with every name that it has here; one that is gone already is no error.

        Raises RemoteError `registry-no-delete` where the registry does not do that.
        """
        path = self._manifest_path(self.repository.digest(digest).digest)
        what = f"remove {digest} of {self._name}"
        _, answer = self._wire.ask("DELETE", path, what=what, expect=(200, 202, 204, 404, *_NO_DELETE), label="delete")
        if answer.status in _NO_DELETE:
            raise failure(
                "registry-no-delete", self._wire.host, f"{what}: this registry removes nothing that way",
                remedy="remove them by the registry's own means, or let it remove untagged and old images by itself",
            )  # fmt: skip

    def _source(self, digest: str) -> Manifest:
        manifest = self.await_manifest(self.repository.digest(digest).digest)
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

    def _put(
        self, reference: Reference, manifest: Manifest, *, before_retry: Callable[[], object] | None = None
    ) -> None:
        """Store it; a refusal counts for nothing where the tag stands for it all the same.

        The answer to a first try may be lost, and a second one is refused where tags are immutable.
        """
        try:
            self.put_manifest(reference.tag, manifest, before_retry=before_retry)
        except RemoteError:
            with contextlib.suppress(RemoteError):
                current = self.head(reference.tag)
                if current and current.digest == manifest.digest:
                    return
            raise

    def _confirm(self, reference: Reference, digest: str, *, before: str) -> None:
        """Look until the tag has been seen as what was put.

        A registry may read as it was `before` for a while ("" is: not there); only a third digest is somebody else.
        """
        for seconds in (0.0, *self._retry.looks()):
            if seconds:
                self._retry.sleep(seconds)
            current = self.head(reference.tag)
            now = current.digest if current else ""
            if now == digest:
                return
            if now not in ("", digest, before):
                raise self._taken(reference, digest, now)
        raise self._late(reference, digest, before)

    def _taken(self, reference: Reference, digest: str, now: str) -> MismatchError:
        return MismatchError(
            f"{reference} was put as {digest} and reads as {now}",
            where=str(reference),
            remedy="somebody else pushed this tag at the same moment: find out who, and soon",
            code="tag-race",
        )

    def _late(self, reference: Reference, digest: str, before: str) -> RemoteError:
        text = f"{reference} was put as {digest} and still reads as before ({before or 'not there'})"
        remedy = "run the same command again: it looks first, and puts only what is missing"
        return failure("registry-late", self._wire.host, f"{text} after {self._retry.late:g} s", remedy=remedy)

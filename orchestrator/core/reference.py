"""`registry/repository` plus `:tag` or `@digest`, parsed once and never handled as a string again.

Grammar: the OCI distribution spec (names, tags) and docker's rule that the part before the first slash is a
registry only when it holds a dot or a colon, or is `localhost`.
"""

from __future__ import annotations

import re

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::([0-9]{{1,5}}))?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

DEFAULT_REGISTRY = "docker.io"
_HUB_NAMES = (DEFAULT_REGISTRY, "index.docker.io")  # docker's own two names for one registry

_MAX_NAME = 255  # docker refuses a longer `host/path`, and so do the registries
_MAX_PORT = 65535
_REMEDY = "write it as registry.example.com/team/pytorch-cuda, without scheme and tag"


@dataclass(frozen=True, kw_only=True)
class ImageRepository:
    """A repository in a registry: `host` (with port, never a scheme) and `path`.

    Raises UsageError for anything else, however it is made: both parts go into URLs and file names.
    """

    host: str
    path: str

    def __post_init__(self) -> None:
        host = _HOST.fullmatch(self.host)
        if not host or not 0 < int(host[1] or 1) <= _MAX_PORT:
            raise _bad(f"{self.host!r} is not a registry host")
        if not _REPOSITORY.fullmatch(self.path):
            raise _bad(f"{self.path!r} in {str(self)!r} is not a repository name (lower case, no tag)")
        if len(str(self)) > _MAX_NAME:
            raise _bad(f"the repository name {str(self)[:40]!r}... is longer than {_MAX_NAME} characters")

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    def tag(self, tag: str) -> Reference:
        """The reference of `tag` here.  Raises UsageError for a tag that the OCI grammar forbids."""
        if not _TAG.fullmatch(tag):
            raise UsageError(f"{tag!r} is not a valid image tag", code="bad-reference")
        return Reference(repository=self, tag=tag)

    def digest(self, digest: str) -> Reference:
        """The reference of `digest` (`sha256:` and 64 hex) here."""
        if not _DIGEST.fullmatch(digest):
            raise UsageError(f"{digest!r} is not a sha256 digest", code="bad-reference")
        return Reference(repository=self, digest=digest)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A repository with a tag or a digest: made by `ImageRepository.tag`, `.digest` and `parse_reference`."""

    repository: ImageRepository
    tag: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        if bool(self.tag) == bool(self.digest):
            raise ValueError("a reference has a tag or a digest, one of them")

    @classmethod
    def from_text(cls, text: str) -> Reference:
        """As `parse_reference`."""
        return parse_reference(text)

    @property
    def identifier(self) -> str:
        """What the registry's manifest endpoint takes: the digest, or the tag."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def _bad(message: str) -> UsageError:
    return UsageError(message, remedy=_REMEDY, code="bad-reference")


def parse_repository(text: str) -> ImageRepository:
    """`host[:port]/path`; docker's short names get `docker.io` (and `library/`).

    Raises UsageError naming what is wrong: a scheme, a tag, upper case, an empty part.
    """
    if not text:
        raise _bad("the image repository is empty")
    if "://" in text:
        raise _bad(f"image repository {text!r} has a scheme")
    host, slash, path = text.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = DEFAULT_REGISTRY, text
    if host in _HUB_NAMES:
        host, path = DEFAULT_REGISTRY, path if "/" in path else f"library/{path}"
    return ImageRepository(host=host, path=path)


def parse_reference(text: str) -> Reference:
    """`repository[:tag][@digest]`; without either the tag is `latest`.  Raises UsageError.

    Where both are given the digest decides, as in docker; the tag must still be a valid one.
    """
    rest, at, digest = text.partition("@")
    head, slash, last = rest.rpartition("/")
    name, colon, tag = last.partition(":")
    tagged = parse_repository(f"{head}{slash}{name}").tag(tag if colon else "latest")
    return tagged.repository.digest(digest) if at else tagged

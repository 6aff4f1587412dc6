"""`registry/repository` plus `:tag` or `@digest`, parsed once and never handled as a string again.

Grammar: the OCI distribution spec (names, tags) and docker's rule that the part before the first slash is a
registry only when it holds a dot or a colon, or is `localhost`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from orchestrator.errors import UsageError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

DEFAULT_REGISTRY = "docker.io"


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository in a registry: `host` (with port, never a scheme) and `path`."""

    host: str
    path: str

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
    """A repository with a tag or a digest (exactly one of them is set)."""

    repository: Repository
    tag: str = ""
    digest: str = ""

    @property
    def identifier(self) -> str:
        """What the registry's manifest endpoint takes: the digest, or the tag."""
        return self.digest or self.tag

    def with_tag(self, tag: str) -> Reference:
        return replace(self.repository.tag(tag))

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def parse_repository(text: str) -> Repository:
    """`host[:port]/path`; docker's short names get `docker.io` (and `library/`).

    Raises UsageError naming what is wrong: a scheme, a tag, upper case, an empty part.
    """
    remedy = "write it as registry.example.com/team/pytorch-cuda, without scheme and tag"
    if "://" in text:
        raise UsageError(f"image repository {text!r} has a scheme", remedy=remedy, code="bad-reference")
    host, slash, path = text.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = DEFAULT_REGISTRY, text if slash else f"library/{text}"
    if not _HOST.fullmatch(host):
        raise UsageError(f"{host!r} in {text!r} is not a registry host", remedy=remedy, code="bad-reference")
    if not _REPOSITORY.fullmatch(path):
        raise UsageError(
            f"{path!r} in {text!r} is not a repository name (lower case, no tag)",
            remedy=remedy,
            code="bad-reference",
        )
    return Repository(host=host, path=path)


def parse_reference(text: str) -> Reference:
    """`repository[:tag|@digest]`; without either the tag is `latest`.  Raises UsageError."""
    if "@" in text:
        name, _, digest = text.partition("@")
        return parse_repository(name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name).digest(digest)
    head, slash, last = text.rpartition("/")
    name, colon, tag = last.partition(":")
    return parse_repository(f"{head}{slash}{name}").tag(tag if colon else "latest")

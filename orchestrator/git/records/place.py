"""What stands for the refs that a remote does not take: a branch of it (entries.py), or something that is no git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.git.process import Git


class Clone(Protocol):
    """What a place needs of the repository that asks it."""

    git: Git
    records_unread: str

    def resolve(self, revision: str, kind: str = "commit") -> str:
        """Full id of a revision, "" when there is none."""

    def fetch(self, remote: str, refspec: str) -> None:
        """Fetch a ref."""

    def blob(self, sha: str) -> bytes:
        """The content of a blob."""


class RecordsPlace(Protocol):
    """Where the refs are that a repository is asked for, and its remote has not."""

    @property
    def branches(self) -> tuple[str, ...]:
        """The refs, of the remote and here, that are this place and no branch that people work on."""

    def keeps(self, ref: str) -> bool:
        """Whether a ref is one that it stands for."""

    def concerns(self, patterns: Sequence[str]) -> bool:
        """Whether what a remote is asked for may be kept here; no pattern asks for all."""

    def asks(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """What the remote must be asked for besides."""

    def complete(
        self, repository: Clone, remote: str, refs: Mapping[str, str], patterns: Sequence[str]
    ) -> dict[str, str]:
        """The remote's refs with what is kept here of those that were asked for; objects are in the repository."""

    def fetched(self, repository: Clone, patterns: Sequence[str]) -> dict[str, str]:
        """What this clone has fetched of it, without asking anybody."""

    def create(self, repository: Clone, remote: str, refs: Mapping[str, str], state: str) -> None:
        """Have these refs there, or find them there with the same objects.  Raises RefTakenError, RemoteError."""

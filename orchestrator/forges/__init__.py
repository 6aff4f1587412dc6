"""What the tool asks of a forge: the settings that guard a repository, and the requests to merge into its branches.

A setting's value is in the forge's own words, as its API takes it.  Which settings there should be is
decided by `protection`; which library speaks to which forge is each module's own business.  A forge is one module with
the shape of `forges.table.ForgeModule`, and one word in `forges.table.FORGES`.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing that a forge keeps under a name: a ruleset, a protected branch, a project's merge settings."""

    kind: str
    name: str
    value: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return (self.kind, self.name)


@dataclass(frozen=True, kw_only=True)
class Current:
    """What a forge has: the wanted settings that are there, by key, and the names of others of their kinds."""

    found: Mapping[tuple[str, str], Setting]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a repository lives.  `api` is the root of the forge's API; `token` never reaches a message."""

    provider: str
    api: str
    repository: str  # `owner/name`; on GitLab with all its groups
    token: str = field(repr=False)
    is_job_token: bool = False  # GitLab's CI_JOB_TOKEN, sent in a header of its own


@dataclass(frozen=True, kw_only=True)
class MergeRequest:
    """A pull or merge request; `state` is open, closed or merged, `head` the commit that it has now."""

    number: int
    url: str
    state: str
    target: str
    head: str


@dataclass(frozen=True, kw_only=True)
class RequestFacts(MergeRequest):
    """What became of a request: `landed` is the commit of its target that it became (of several the last one).

    `approved` are the heads that people approved, oldest first; empty where the forge does not keep them.
    """

    landed: str = ""
    approved: tuple[str, ...] = ()
    has_fork: bool = True  # whether the repository that it comes from is still there
    is_issue: bool = False


@dataclass(frozen=True, kw_only=True)
class Comment:
    """What somebody said on a request.  `is_mine` is None where the token does not tell whose it is itself."""

    key: int
    url: str
    body: str
    is_mine: bool | None


@dataclass(frozen=True, kw_only=True)
class KeptSetting:
    """Whether a secret, a variable or an environment is there; never its value.  `remark` is what is odd about it."""

    is_there: bool
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class ForgeRelease:
    """A release on a forge: its page, and its assets by name with their sizes in bytes (-1: not known)."""

    tag: str
    key: str  # what the forge calls it: a number, or the tag
    url: str
    assets: Mapping[str, int]
    upload: str = ""  # where GitHub takes assets


@dataclass(frozen=True, kw_only=True)
class ReleaseText:
    """What a release on a forge says.  `is_latest`: no version is newer, so it may be shown as the project's."""

    tag: str
    body: str
    is_candidate: bool
    is_latest: bool


class Forge(Protocol):
    """A repository on a forge.  Everything raises RemoteError or RefusedError with one line and a remedy."""

    def read(self, wanted: Sequence[Setting]) -> Current:
        """What is there now.  Changes nothing."""

    def write(self, setting: Setting, before: Setting | None) -> None:
        """Make one setting so; `before` is what `read` found of it."""

    def requests(self, source: str) -> list[MergeRequest]:
        """Every request to merge the branch `source` of this repository, the newest first."""

    def request(self, number: int) -> RequestFacts | None:
        """What became of one request; None where there is none of that number."""

    def open_request(self, *, source: str, target: str, title: str, body: str) -> MergeRequest:
        """Open one."""

    def describe_request(self, number: int, *, title: str, body: str) -> None:
        """Give an open one another title and text."""

    def close_request(self, number: int) -> None:
        """Close one without a merge."""

    def comments(self, number: int) -> list[Comment]:
        """All comments on a request, the oldest first."""

    def comment(self, number: int, body: str, there: Comment | None) -> str:
        """Say something on a request, or give the comment that is `there` this text; the page of it."""

    def merged_with(self, sha: str) -> list[MergeRequest]:
        """The merged requests that a commit came with."""

    def barrier(self, branch: str) -> str:
        """What keeps this login from pushing to a branch, as the end of a sentence; "" where nothing shows."""

    def kept(self, kind: str, name: str, environment: str) -> KeptSetting:
        """What there is of a `secret`, `variable` or `environment`; the first two may be that environment's own.

        Raises ForgeDeniedError where this token may not look.
        """

    def release(self, tag: str) -> ForgeRelease | None:
        """The release of a tag; None where there is none."""

    def describe_release(self, text: ReleaseText, there: ForgeRelease | None) -> ForgeRelease:
        """Make it, or give the one that is `there` this text.  The tag must be there already."""

    def attach(self, release: ForgeRelease, name: str, content: bytes, media_type: str) -> None:
        """Put a file beside it, in place of one of that name."""

"""The address of a git repository: without its login, and the pages that a forge has for it.  Pure text."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

# What git takes as the address of a repository on a server: a URL, or scp's short form `[user@]host:path`.
_URL = re.compile(
    r"(?P<scheme>(?i:https?|ssh|git|git\+ssh|ssh\+git))://(?:[^/\s]*@)?"
    r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]+))?(?:/(?P<path>[^?#\s]*))?(?P<query>[?#]\S*)?"
)
_SCP = re.compile(r"(?P<user>[^@/\s:]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>\S+)")
_PATH = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)+")
_FORGES = re.compile(r"(?:^|\.)(?:github|gitlab|gitea|forgejo|codeberg|bitbucket)\.")

_LOGIN = re.compile(r"(?<=://)[^/\s]*@")


def without_login(text: str) -> str:
    """A text without the logins of the URLs in it: no message may hold one."""
    return _LOGIN.sub("", text)


def listed_remotes(lines: Iterable[str]) -> dict[str, tuple[str, list[str]]]:
    """What `git remote --verbose` says: name -> (URL of fetches, URLs of pushes)."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line in lines:
        name, _, rest = line.partition("\t")
        if rest.endswith("]"):  # the filter of a partial clone
            rest = rest.rpartition(" [")[0]
        url, _, way = rest.rpartition(" ")
        fetched, pushed = found.get(name, ("", []))
        if way in ("(fetch)", "(push)"):
            found[name] = (url, pushed) if way == "(fetch)" else (fetched, [*pushed, url])
    return found


@dataclass(frozen=True, kw_only=True)
class RemoteUrl:
    """The address of a repository on a server, without its login."""

    scheme: str  # in lower case; "ssh" for scp's form
    host: str  # in lower case
    port: str
    path: str  # as written below the host; scp's form has it from the root where it begins with a slash
    query: str

    @property
    def is_web(self) -> bool:
        return self.scheme in ("http", "https")

    @property
    def name(self) -> str:
        """The repository on its server: `owner/name`."""
        return self.path.strip("/").removesuffix(".git")


def read_remote(text: str) -> RemoteUrl | None:
    """The address that a git remote has; None for a path on some machine."""
    if found := _URL.fullmatch(text):
        port, path, query = found["port"] or "", found["path"] or "", found["query"] or ""
        return RemoteUrl(scheme=found["scheme"].lower(), host=found["host"].lower(), port=port, path=path, query=query)
    found = None if "://" in text else _SCP.fullmatch(text)
    return RemoteUrl(scheme="ssh", host=found["host"].lower(), port="", path=found["path"], query="") if found else None


def is_public(text: str) -> bool:
    """Whether a remote's address says something to others: a URL, or scp's form with a user, which is no drive."""
    found = _SCP.fullmatch(text)
    return "://" in text or bool(found and found["user"])


def page_of(remote_url: str) -> str:
    """The repository's page for the URL of a git remote, without its login; "" where the host is no known forge."""
    found = read_remote(remote_url)
    if not found or found.query or found.path.startswith("/") or not _FORGES.search(found.host):
        return ""
    return f"https://{found.host}/{found.name}" if _PATH.fullmatch(found.name) else ""


def source_url(remote_url: str) -> str:
    """Where the source is, as a page: https, without login and `.git`; "" for a path on some machine.

    A port is kept where it is that of a page, and plain HTTP where the remote has nothing better.
    """
    found = read_remote(remote_url)
    if not found or found.query or not found.name:
        return ""
    port = f":{found.port}" if found.is_web and found.port else ""  # that of ssh is no page's
    return f"{'http' if found.scheme == 'http' else 'https'}://{found.host}{port}/{found.name}"


def commit_page(page: str, sha: str) -> str:
    """The page of a commit: as GitHub, Gitea and Forgejo have it, or in GitLab's or Bitbucket's way."""
    host = _host(page)
    if "gitlab" in host:
        return f"{page}/-/commit/{sha}"
    return f"{page}/commits/{sha}" if "bitbucket" in host else f"{page}/commit/{sha}"


def compare_page(page: str, old: str, new: str) -> str:
    """The page that shows what lies between two tags; "" on Bitbucket, whose form has the two the other way round."""
    host = _host(page)
    if "bitbucket" in host:
        return ""
    return f"{page}/-/compare/{old}...{new}" if "gitlab" in host else f"{page}/compare/{old}...{new}"


def _host(page: str) -> str:
    return page.partition("://")[2].partition("/")[0]


def is_loopback(hostname: str) -> bool:
    """Whether a name, without port, is this machine by its very form: localhost, 127.0.0.0/8, ::1."""
    try:
        return ipaddress.ip_address(hostname.strip("[]")).is_loopback
    except ValueError:
        return hostname.lower() == "localhost"

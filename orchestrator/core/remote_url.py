"""The address of a git repository: without its login, and the pages that a forge has for it.  Pure text."""

from __future__ import annotations

import ipaddress
import re

_SCP = re.compile(r"^(?:[^@/\s]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>[^/\s][^\s]*)$")
_SCP_ANY = re.compile(r"^(?:[^@/\s]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>\S+)$")
_URL = re.compile(
    r"^(?:https?|ssh|git)://(?:[^@/\s]*@)?(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]+))?/(?P<path>[^?#\s]+)$"
)
_PATH = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)+")
_FORGES = re.compile(r"(?:^|\.)(?:github|gitlab|gitea|forgejo|codeberg|bitbucket)\.")

_LOGIN = re.compile(r"(?<=://)[^/\s]*@")


def without_login(text: str) -> str:
    """A text without the logins of the URLs in it: no message may hold one."""
    return _LOGIN.sub("", text)


def page_of(remote_url: str) -> str:
    """The repository's page for the URL of a git remote, without its login; "" where the host is no known forge."""
    found = _URL.match(remote_url) or ("://" not in remote_url and _SCP.match(remote_url)) or None
    if not found or not _FORGES.search(found["host"].lower()):
        return ""
    path = found["path"].strip("/").removesuffix(".git")
    return f"https://{found['host'].lower()}/{path}" if _PATH.fullmatch(path) else ""


def source_url(remote_url: str) -> str:
    """Where the source is, as a page: https, without login and `.git`; "" for a path on some machine.

    A port is kept where it is that of a page, and plain HTTP where the remote has nothing better.
    """
    found = _URL.match(remote_url) or ("://" not in remote_url and _SCP_ANY.match(remote_url)) or None
    if not found:
        return ""
    is_web = remote_url.startswith(("https://", "http://"))
    scheme = "http" if remote_url.startswith("http://") else "https"
    port = f":{found['port']}" if is_web and found["port"] else ""  # that of ssh is no page's
    return f"{scheme}://{found['host'].lower()}{port}/{found['path'].strip('/').removesuffix('.git')}"


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

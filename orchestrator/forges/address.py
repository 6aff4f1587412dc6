"""Which repository on which forge a git remote's URL means, and with which token to speak to it.  Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from orchestrator.core.errors import UsageError
from orchestrator.core.remote_url import is_loopback, read_remote
from orchestrator.forges import Address
from orchestrator.forges.table import forge_module

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.][A-Za-z0-9_.-]*)+")


def address(provider: str, *, remote_url: str, repository: str, url: str, env: Mapping[str, str]) -> Address:
    """The forge's API and the repository on it: as given, else as the remote's URL says.  Raises UsageError."""
    host, path = _parts(remote_url)
    forge = forge_module(provider)
    name = _repository(repository or path, given=bool(repository), has_subgroups=forge.HAS_SUBGROUPS)
    api = _given_api(url) if url else forge.api_of(host)
    token, variable = next(((env[each], each) for each in forge.TOKENS if env.get(each)), ("", ""))
    if not token:
        names = " or ".join(forge.TOKENS)
        raise UsageError(
            f"no token for {provider}", remedy=f"set {names}; a token never stands on the command line", code="no-token"
        )
    if not token.isprintable() or not token.isascii() or " " in token:
        raise UsageError(
            f"{variable} holds something that is no token", remedy="remove white space from it", code="no-token"
        )
    return Address(provider=provider, api=api, repository=name, token=token, is_job_token=variable == "CI_JOB_TOKEN")


def _parts(remote_url: str) -> tuple[str, str]:
    """Host (with a web port) and path of a git URL; both "" for a path of this machine."""
    found = read_remote(remote_url)
    if found is None or (not found.is_web and found.path.startswith("/")):  # C:/path is no server's
        return "", ""
    return f"{found.host}:{found.port}" if found.is_web and found.port else found.host, found.name


def _repository(name: str, *, given: bool, has_subgroups: bool) -> str:
    fits = _NAME.fullmatch(name) and not any(part in (".", "..") for part in name.split("/"))
    if fits and (has_subgroups or name.count("/") == 1):
        return name
    if given:
        raise UsageError(f"--repository {name!r} is not owner/name", code="bad-repository", remedy="owner/name")
    raise UsageError(
        "the git remote's URL does not tell the repository on the forge",
        remedy="give it: --repository owner/name",
        code="no-repository",
    )


def _given_api(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UsageError(
            f"--url {url.rpartition('@')[2][:80]!r} is not the address of a forge",
            remedy="https://git.example.com, for GitHub Enterprise https://git.example.com/api/v3",
            code="bad-url",
        )
    if "@" in parts.netloc:
        raise UsageError(
            "--url holds a login", remedy="leave it out: the token is read from the environment", code="bad-url"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(f"--url {url!r} would send the token in the clear", remedy="use https", code="bad-url")
    return url.rstrip("/")

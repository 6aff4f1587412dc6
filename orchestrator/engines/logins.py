"""Logins in the form in which docker's API takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.reference import DEFAULT_REGISTRY, parse_reference

if TYPE_CHECKING:
    from orchestrator.core.credentials import Credentials

_HUB_SERVER: Final = "https://index.docker.io/v1/"


def host_of(name: str) -> str:
    """The registry of an image's name."""
    return parse_reference(name).repository.host


def server_of(host: str) -> str:
    """How docker names a registry where it speaks of logins."""
    return _HUB_SERVER if host == DEFAULT_REGISTRY else host


def auth_config(host: str, credentials: Credentials | None) -> dict[str, str]:
    """docker's AuthConfig.  Without a login it is empty, and not None: docker-py would look for one itself then."""
    if credentials is None:
        return {}
    server = {"serveraddress": server_of(host)}
    if credentials.identity_token:
        return {**server, "identitytoken": credentials.identity_token}
    return {**server, "username": credentials.username, "password": credentials.password}

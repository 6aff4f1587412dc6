"""A repository of a real registry, as it is without the proxy before it."""

from __future__ import annotations

from orchestrator.core.credentials import Credentials
from orchestrator.core.reference import ImageRepository
from orchestrator.registry.client import Registry
from tests.support.registry_process import USERS


class Beside:
    """The same repository without the proxy: what the registry really holds."""

    def __init__(self, upstream: str, path: str) -> None:
        self.repository = ImageRepository(host=upstream, path=path)
        self.registry = Registry(self.repository, credentials=lambda: ADA)

    def digest(self, tag: str) -> str:
        found = self.registry.head(tag)
        return found.digest if found else ""


ADA = Credentials(username="ada", password=USERS["ada"])

"""What the forges' own descriptions of their APIs say of a request and of an answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from openapi_core import OpenAPI

if TYPE_CHECKING:
    from openapi_core.datatypes import RequestParameters


DATA = Path(__file__).parent / "data"


@cache
def description(name: str) -> OpenAPI:
    return OpenAPI.from_dict(json.loads((DATA / f"{name}-openapi.json").read_text()))


@dataclass
class DescribedRequest:
    host_url: str
    path: str
    method: str
    body: bytes | None
    parameters: RequestParameters
    content_type: str = "application/json"


@dataclass
class DescribedResponse:
    status_code: int
    data: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


AUTHOR = {  # of a release, as GitHub shows people
    "login": "x", "id": 1, "node_id": "x", "gravatar_id": None, "type": "User", "site_admin": False,
    **dict.fromkeys(
        ("avatar_url", "url", "html_url", "followers_url", "following_url", "gists_url", "starred_url",
         "subscriptions_url", "organizations_url", "repos_url", "events_url", "received_events_url"),
        "https://github.com/x",
    ),
}  # fmt: skip


DATES = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
AS_NEW = {  # of a new project on GitLab
    "disable_overriding_approvers_per_merge_request": False,
    "merge_requests_author_approval": False,
    "merge_requests_disable_committers_approval": False,
    "reset_approvals_on_push": True,
}

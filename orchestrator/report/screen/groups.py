"""What a runner obeys in a log: groups, so that a step folds to its name, and annotations beside the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PLACE = re.compile(r"(?P<file>.+?)(?::(?P<line>\d+))?(?::(?P<column>\d+))?", re.DOTALL)


class GithubGroups:
    """https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#grouping-log-lines"""

    def opened(self, title: str) -> str:
        return f"::group::{_data(title)}"

    def closed(self) -> str:
        return "::endgroup::"


class GitlabGroups:
    """https://docs.gitlab.com/ci/jobs/job_logs/#expand-and-collapse-job-log-sections

    `now` is the seconds since 1970: GitLab shows the difference as how long the section took.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._number = 0

    def opened(self, title: str) -> str:
        self._number += 1
        words = " ".join(title.split())
        return f"\x1b[0Ksection_start:{self._now():.0f}:release_{self._number}[collapsed=true]\r\x1b[0K{words}"

    def closed(self) -> str:
        return f"\x1b[0Ksection_end:{self._now():.0f}:release_{self._number}\r\x1b[0K"


def groups_of(env: Mapping[str, str], now: Callable[[], float]) -> GithubGroups | GitlabGroups | None:
    """Those of the runner that this is, None for none that has them."""
    if env.get("GITHUB_ACTIONS") == "true":
        return GithubGroups()
    return GitlabGroups(now) if env.get("GITLAB_CI") == "true" else None


def annotation(message: str, where: str, code: str) -> str:
    """A GitHub Actions `::error` line; data is escaped as the runner wants it.

    Only a file of the work tree can be shown beside the code: any other place (release.yaml at a tag, a ref) is told.
    """
    place = _PLACE.fullmatch(where)
    properties = []
    if place and Path(place["file"]).is_file():
        properties = [f"file={_property(place['file'])}"]
        properties += [f"line={place['line']}"] if place["line"] else []
        properties += [f"col={place['column']}"] if place["column"] else []
    elif where:
        message = f"{where}: {message}"
    properties.append(f"title={_property(code)}")
    return f"::error {','.join(properties)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

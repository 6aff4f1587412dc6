"""What the tests of `release audit` share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.cli import Ran, release

if TYPE_CHECKING:
    from tests.support.story import Story

RECORD = "refs/release-records/v2.7.1"
ACCUSES = re.compile(r"find out who|ask who|somebody|forge")


def audit(tale: Story, *args: str) -> Ran:
    return release("audit", *args, cwd=tale.clone.path)


def codes(ran: Ran) -> list[str]:
    """Of all findings."""
    document = ran.json
    found = [each["code"] for each in document["problems"]]
    for line in document["lines"]:
        found += [each["kind"] for each in line["commits"] if not each["ok"]]
        found += [each["code"] for each in line["problems"]]
    return sorted(found)


def at_release(tale: Story) -> None:
    tale.clone.git("checkout", "--quiet", "--force", "-B", "work", "origin/release/v2.7")


def push(tale: Story, *refs: str) -> None:
    tale.clone.git("push", "--quiet", "--force", "origin", *refs)
    tale.clone.git("fetch", "--quiet", "--tags", "--force", "origin")

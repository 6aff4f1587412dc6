"""What a forge says of a request that a fix is named by: merged as which commit, closed, changed, or an issue.

The forge is the small mock of test_merge_requests.py, whose answers have the fields that the documents of GitHub and
GitLab name for these calls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.forges.test_merge_requests import Requests, run, serving

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile
_ONE = re.compile(r"/(pulls|merge_requests|issues)/(\d+)(/reviews)?$")


@dataclass
class Facts(Requests):
    """One request of number 412, and issue 7; `facts` is what is said of the request, in GitHub's words."""

    facts: dict[str, Any] = field(default_factory=dict)
    reviews: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, verb: str, path: str, query: dict[str, list[str]], body: dict[str, Any], tip: str) -> Any:
        found = _ONE.search(path)
        if not found:
            return super().answer(verb, path, query, body, tip)
        kind, number, reviews = found[1], int(found[2]), found[3]
        if kind == "issues" or (number == 412 and not reviews):
            return self._gitlab(number) if self.provider == "gitlab" else self._github(number)
        return self.reviews if reviews else None  # None is answered with 404

    def _github(self, number: int) -> dict[str, Any]:
        head = {"sha": self.facts["head"], "repo": None}
        return {
            "number": number, "html_url": f"{self.url}/{number}", "state": self.facts["state"],
            "merged_at": self.facts.get("merged_at"), "base": {"ref": self.facts["target"]}, "head": head,
            "merge_commit_sha": self.facts.get("landed"),
        }  # fmt: skip

    def _gitlab(self, number: int) -> dict[str, Any]:
        state = "merged" if self.facts.get("merged_at") else {"open": "opened"}.get(self.facts["state"], "closed")
        return {
            "iid": number, "web_url": f"{self.url}/{number}", "state": state, "target_branch": self.facts["target"],
            "sha": self.facts["head"], "squash_commit_sha": self.facts.get("landed"), "merge_commit_sha": None,
            "source_project_id": None,
        }  # fmt: skip


@pytest.mark.wide
@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_the_forge_says_what_git_cannot(tale: Story, provider: str) -> None:
    clone = tale.clone
    clone.git("merge", "--quiet", "--squash", tale.fix)
    landed = clone.commit("fix(loader): a title without a number", {})
    clone.git("push", "--quiet", "origin", "main")
    with serving(Facts(provider), tale) as forge:
        assert isinstance(forge, Facts)
        land = f"land: {{by: push, provider: {provider}, api: {forge.url!r}, repository: org/project}}\n"

        def planned(number: int, **facts: Any) -> tuple[list[str], list[str]]:
            """(codes of the problems, sources of the picks)."""
            forge.facts = {"state": "closed", "target": "main", "head": tale.fix, **facts}
            tale.release_yaml(f"      - pr: {number}", extra=land)
            ran = run(tale, "plan", "v2.7.1", "--json")
            assert "picks" in ran.json, ran.out
            assert all(each["remedy"] for each in ran.json["problems"])
            gone = any(", and its fork is gone: it brought nothing" in each["message"] for each in ran.json["problems"])
            assert gone == (number == 412 and "merged_at" not in facts)  # every request here is from such a fork
            return (
                [each["code"] for each in ran.json["problems"]],
                [each["source"] for each in ran.json["picks"]],
            )

        merged = {"merged_at": "2026-01-01T00:00:00Z", "landed": landed}
        assert planned(412, **merged) == ([], [landed])
        assert planned(412) == (["request-closed"], [])
        assert planned(412, state="open") == (["request-open"], [])
        assert planned(412, **merged, target="develop") == (["request-elsewhere"], [])
        assert planned(7) == (["request-is-issue"], [])
        if provider == "github":
            forge.reviews = [{"state": "APPROVED", "commit_id": tale.before}]
            assert planned(412, **merged) == (["request-changed"], [])
            forge.reviews += [{"state": "APPROVED", "commit_id": tale.fix}]
            assert planned(412, **merged) == ([], [landed])

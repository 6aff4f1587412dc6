"""One comment kept on a request, by `plan --comment` and `announce`: mock forges, held against their descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.forges.comments import fitting
from tests.support.cli import Ran, release
from tests.support.forge_mock import BOT, Forge, forge
from tests.support.story import fix_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.story import Story

pytestmark = pytest.mark.hostile
TOKEN = {"GITHUB_TOKEN": "sekret-token", "GITLAB_TOKEN": "sekret-token"}
MARK = "<!-- release plan -->"
LIMIT: tuple[int, str, dict[str, str]] = (429, '{"message": "slow down"}', {"Retry-After": "7"})


@pytest.fixture(params=["github", "gitlab"])
def there(request: pytest.FixtureRequest, tale: Story) -> Iterator[Forge]:
    with forge(request.param) as made:
        declare(tale, made, "true")
        yield made
        assert made.faults == []


def declare(tale: Story, made: Forge, wanted: str, entry: str = "") -> None:
    land = f"land: {{by: push, provider: {made.provider}, api: {made.url!r}, repository: acme/image}}\n"
    tale.release_yaml(entry or fix_line(tale.fix), extra=f"{land}forge-release: {wanted}\n")


def run(tale: Story, *args: str) -> Ran:
    ran = release(*args, cwd=tale.clone.path, env=TOKEN)
    assert "sekret" not in ran.out + ran.err
    return ran


def test_the_plan_is_one_comment_that_is_kept_up_to_date(tale: Story, there: Forge) -> None:
    there.open_requests = {12}
    there.me = "" if there.provider == "github" else "me"  # as the token of Actions: it may not ask who it is
    copied = {"id": 90, "by": "mallory", "body": f"{MARK}\nnothing to see"}
    there.comments[12] = [{"id": 1000 + n, "by": "x", "body": "words"} for n in range(100)] + [copied]
    for times in range(3):
        ran = run(tale, "plan", "--declared", "--offline", "--comment", "12")
        assert (ran.code, "the comment on 12 " in ran.err) == (0, True), ran.err
        if times == 1:
            declare(tale, there, "true", fix_line(tale.after))
    *_, theirs, plan = there.comments[12]
    assert len(there.comments[12]) == 102
    assert (theirs, plan["by"]) == (copied, there.me or BOT)
    assert plan["body"].startswith(f"{MARK}\n### Plan of")
    assert (tale.after[:12] in plan["body"], tale.fix[:12] in plan["body"]) == (True, False)
    assert [line.split()[0] for line in there.writes] == ["POST", "PATCH" if there.provider == "github" else "PUT"]


def test_what_keeps_a_comment_from_being_made_keeps_no_plan_from_it(tale: Story, there: Forge) -> None:
    there.open_requests, there.locked = {12, 13}, {13}
    log = len(there.log)

    def noted(number: str, words: str, **env: str) -> None:
        ran = release("plan", "v2.7.1", "--comment", number, cwd=tale.clone.path, env=env or TOKEN)
        assert (ran.code, f"note: no comment on {number}: " in ran.err, words in ran.err) == (0, True, True), ran.err

    noted("12", "no token", HOME="/nonexistent")
    assert len(there.log) == log
    for answer, words in ((LIMIT, "429"), ((401, "{}", {}), "401"), ((200, "<html>", {}), "not the API's")):
        there.answer = answer
        noted("12", words)
    there.answer = None
    for number, words in (("13", "403"), ("14", "not there")):
        noted(number, words)
    if there.provider == "github":
        there.me = ""
        there.comments[12] = [{"id": 90, "by": "other-app[bot]", "body": f"{MARK}\nits own?"}]
        noted("12", "does not tell whether it is its own")
    assert there.comments.get(12, [])[1:] == []
    assert run(tale, "plan", "v2.7.1", "--comment", "0").code == 2


def test_the_requests_of_the_fixes_hear_of_the_version_once(tale: Story, there: Forge) -> None:
    declare(tale, there, "{assets: [], comment-on-fixes: true}",
            f"      - {{pr: 5, commit: {tale.fix}}}\n      - commit: {tale.after}")  # fmt: skip
    there.merged_with, there.locked = {tale.after: [6, 7]}, {6}
    ran = run(tale, "cut", "v2.7.1", "--yes")
    assert (ran.code, "note: comment on 6: " in ran.err) == (0, True), ran.err
    said: dict[int, list[dict[str, Any]]] = there.comments
    page = "/releases/tag/v2.7.1" if there.provider == "github" else "/releases/v2.7.1"
    for number in (5, 7):
        (comment,) = said[number]
        assert "Released in `v2.7.1`: https://" in comment["body"]
        assert page in comment["body"]
    there.answer = LIMIT
    log = len(there.log)
    ran = run(tale, "announce", "v2.7.1")
    assert (ran.code, "429" in ran.out, len(there.log) - log < 5) == (7, True, True)
    there.answer, there.locked = None, set()
    for _ in range(2):
        ran = run(tale, "announce", "v2.7.1")
        assert ran.code == 0, ran.out
    assert {number: len(each) for number, each in said.items()} == {5: 1, 6: 1, 7: 1}
    assert "not told" not in run(tale, "cut", "v2.7.1", "--yes").err


def test_a_comment_is_as_long_as_a_forge_takes() -> None:
    assert fitting("short\n") == "short\n"
    cut = fitting("- a line of a plan\n" * 10_000)
    assert len(cut) <= 60_000
    assert cut.splitlines()[-3:] == ["- a line of a plan", "", "*The rest is left out: a comment may not be longer.*"]

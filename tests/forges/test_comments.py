"""One comment kept on a request, by `plan --comment` and `announce`: mock forges, held against their descriptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from orchestrator.forges.ci import wish_of
from orchestrator.forges.comments import fitting
from tests.forges.pipeline_runs import checkout, made, run_job
from tests.support.cli import Ran, release
from tests.support.forge_mock import BOT, Forge, forge
from tests.support.story import fix_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@pytest.mark.wide(2)
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


@pytest.mark.wide(2)
def test_the_job_of_the_pipeline_keeps_it(tale: Story, there: Forge, tmp_path: Path) -> None:
    """Its steps, run: where release.yaml is as it was, nothing is said; then once, and the same one again.

    At last a push takes the change back, and the comment says that.
    """
    there.open_requests = {12}
    there.me = "" if there.provider == "github" else "me"
    text = made(there.provider, image=False, comment=True).replace("deploy/release.yaml", "release.yaml")
    tale.clone.git("checkout", "--quiet", "-b", "declare")
    tale.clone.commit("chore: declare v2.7.1", {"release.yaml": (tale.clone.path / "release.yaml").read_text()})
    tale.clone.git("push", "--quiet", "origin", "declare")
    ci = checkout(tale, tmp_path / "ci", "origin/declare")
    identity = {"GIT_COMMITTER_NAME": "release-comment", "GIT_COMMITTER_EMAIL": "release-comment@localhost"}
    said = []
    bodies = []
    for base in (ci.rev("HEAD"), ci.rev("origin/main"), ci.rev("origin/main"), ci.rev("HEAD")):
        env = {
            **identity, "BASE": base, "CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "NUMBER": "12",
            "CI_MERGE_REQUEST_IID": "12", "RELEASE_COMMENT_TOKEN": "sekret-token",
            "GITHUB_TOKEN": "sekret-token" if there.provider == "github" else "",
        }  # fmt: skip
        status, log = run_job(there.provider, text, "release-comment", ci.path, env)
        assert (status, "sekret" in log) == (0, False), log
        said.append(len(there.comments.get(12, [])))
        bodies += [each["body"] for each in there.comments.get(12, [])]
    assert said == [0, 1, 1, 1]
    assert all(body.startswith(f"{MARK}\n### Plan of") for body in bodies[:2])
    assert bodies[2].strip() == (
        f"{MARK}\nrelease.yaml is as on the branch that this request is for: it declares nothing"
    )
    if there.provider == "gitlab":
        status, log = run_job(there.provider, text, "release-comment", ci.path, env | {"RELEASE_COMMENT_TOKEN": ""})
        assert (status != 0, "RELEASE_COMMENT_TOKEN: is not set" in log) == (True, True), log


@pytest.mark.wide(2)
def test_what_is_typed_on_jenkins_instead_of_the_option_comments(tale: Story, there: Forge) -> None:
    there.open_requests = {12}
    refused = release("ci", "init", "--provider", "jenkins", "--install", "x", "--comment", cwd=tale.clone.path)
    assert (refused.code, "[options-exclude]" in refused.err) == (2, True), refused.err
    told = re.search(r"""sh 'release (.*) "\$CHANGE_ID"'""", " ".join(refused.err.split()))
    assert told is not None, refused.err
    assert run(tale, *told[1].split(), "12").code == 0
    assert len(there.comments[12]) == 1


def test_the_job_that_comments_is_the_only_one_more_and_has_no_other_right() -> None:
    plain: dict[str, Any] = yaml.safe_load(made("github", image=True))["jobs"]
    jobs: dict[str, Any] = yaml.safe_load(made("github", image=True, comment=True))["jobs"]
    job = jobs.pop("release-comment")
    assert jobs == plain
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"].split(" && ")
    assert ("secrets." in str(job), "environment" in job) == (False, False)
    assert not [step for step in job["steps"] if "${{" in step.get("run", "")]
    install = next(each for each in job["steps"] if each.get("name") == "install")
    assert install in plain["release-plan"]["steps"]
    lab: dict[str, Any] = yaml.safe_load(made("gitlab", image=True, comment=True))
    assert [name for name, each in lab.items() if "RELEASE_COMMENT_TOKEN" in str(each)] == ["release-comment"]
    assert "RELEASE_PUSH_TOKEN" not in str(lab.pop("release-comment"))
    assert lab == yaml.safe_load(made("gitlab", image=True))
    for provider in ("github", "gitlab"):
        text = made(provider, image=True, comment=True)
        again = wish_of(text)
        assert again is not None
        assert again.comment
    fixes = "forge-release: {comment-on-fixes: true}\n"
    publish: dict[str, Any] = yaml.safe_load(made("github", image=True, more=fixes))["jobs"]["release-publish"]
    assert publish["permissions"] == {"contents": "write", "pull-requests": "write"}


@pytest.mark.wide
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


@pytest.mark.wide(2)
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

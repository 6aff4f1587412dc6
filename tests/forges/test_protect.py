"""`release protect` against mock forges that hold every request against an OpenAPI description, and keep state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import ReleaseError
from orchestrator.forges import github, gitlab, protection
from orchestrator.forges.address import address
from orchestrator.forges.github import GITHUB_API, GitHub, words
from orchestrator.forges.gitlab import GitLab
from tests.support.cli import Ran, release
from tests.support.forge_mock import Forge, forge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.forges import Current
    from tests.support.story import Story

pytestmark = pytest.mark.hostile
TOKEN = {"GITHUB_TOKEN": "sekret-token", "GITLAB_TOKEN": "sekret-token"}


@pytest.fixture
def hub() -> Iterator[Forge]:
    with forge("github") as state:
        yield state
    assert state.faults == []


@pytest.fixture
def lab() -> Iterator[Forge]:
    with forge("gitlab") as state:
        state.approvals = {}
        yield state
    assert state.faults == []


def guard(tale: Story, there: Forge, *args: str, env: dict[str, str] | None = None, extra: str = "") -> Ran:
    tale.release_yaml(f"      - commit: {tale.fix}\n        reason: leak", extra=extra)
    ran = release(
        "protect", "--provider", there.provider, "--repository", "acme/image", "--url", there.url, *args,
        cwd=tale.clone.path, env=TOKEN if env is None else env,
    )  # fmt: skip
    assert "sekret" not in ran.out + ran.err
    assert "Traceback" not in ran.err
    return ran


def ask(there: Forge) -> Current:
    """What the command reads first, without a process."""
    wish = protection.ProtectionRules(release_branches="release/*", source="main", tags="v*", actors=())
    where = address(there.provider, remote_url="", repository="acme/image", url=there.url, env=TOKEN)
    if there.provider == "github":
        return GitHub(where, backoff=0.01).read(github.settings(wish, where.api))
    return GitLab(where).read(gitlab.settings(wish))


def states(ran: Ran) -> list[str]:
    return [each["state"] for each in ran.json["settings"]]


@pytest.mark.wide(2)
@pytest.mark.parametrize("name", ["hub", "lab"])
def test_shown_then_written_then_nothing_to_do(tale: Story, name: str, request: pytest.FixtureRequest) -> None:
    there: Forge = request.getfixturevalue(name)
    first = guard(tale, there, "--json")
    assert (first.code, there.writes) == (0, [])
    assert "same" not in states(first)
    applied = guard(tale, there, "--apply", "--json")
    assert applied.code == 0, applied.err
    made = len(there.writes)
    assert made == {"hub": 5, "lab": 6}[name]
    again = guard(tale, there, "--apply", "--json")
    assert (again.code, set(states(again))) == (0, {"same"})
    assert len(there.writes) == made  # the second --apply writes nothing at all


@pytest.mark.wide
def test_as_many_approvals_as_the_policy_wants(tale: Story, hub: Forge) -> None:
    def asked() -> set[int]:
        rules = [rule for each in hub.rulesets.values() for rule in each["rules"] if rule["type"] == "pull_request"]
        return {rule["parameters"]["required_approving_review_count"] for rule in rules}

    assert guard(tale, hub, "--apply").code == 0
    assert asked() == {1}
    assert guard(tale, hub, "--apply", extra="policy: {required-approvals: 2}\n").code == 0
    assert asked() == {2}


@pytest.mark.wide
def test_github_drift_is_shown_and_repaired(tale: Story, hub: Forge) -> None:
    assert guard(tale, hub, "--apply").code == 0
    tags = next(each for each in hub.rulesets.values() if "never move" in each["name"])
    tags["bypass_actors"] = [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}]
    tags["rules"] = [rule for rule in tags["rules"] if rule["type"] != "deletion"]
    hub.rulesets[99] = {**tags, "id": 99, "name": "somebody's own"}
    before = len(hub.writes)
    shown = guard(tale, hub).out
    assert "- bypass RepositoryRole 5 always" in shown
    assert "+ rule deletion" in shown
    assert 'left alone: ruleset "somebody\'s own"' in shown
    assert guard(tale, hub, "--apply").code == 0
    assert [line.split()[0] for line in hub.writes[before:]] == ["PUT"]
    assert guard(tale, hub, "--apply").code == 0
    assert len(hub.writes) == before + 1


@pytest.mark.wide
def test_gitlab_drift_is_repaired_and_put_back_where_the_new_one_is_refused(tale: Story, lab: Forge) -> None:
    assert guard(tale, lab, "--apply").code == 0
    lab.branches["release/*"]["push_access_levels"][0]["access_level"] = 30
    lab.refusals = ["release/*"]
    refused = guard(tale, lab, "--apply")
    assert (refused.code, "[forge-refused]" in refused.err) == (7, True)
    assert lab.branches["release/*"]["push_access_levels"][0]["access_level"] == 30  # never left unprotected
    ran = guard(tale, lab)
    assert "- may push: developers" in ran.out
    assert "+ may push: maintainers" in ran.out
    assert guard(tale, lab, "--apply").code == 0
    assert lab.branches["release/*"]["push_access_levels"][0]["access_level"] == 40


@pytest.mark.wide
def test_on_gitlab_a_merge_request_cannot_lower_its_own_approvals(tale: Story, lab: Forge) -> None:
    shown = guard(tale, lab).out
    assert "+ disable_overriding_approvers_per_merge_request: true" in shown
    assert guard(tale, lab, "--apply").code == 0
    assert (lab.approving["merge_requests_author_approval"], lab.approving["reset_approvals_on_push"]) == (False, True)
    assert lab.approving["merge_requests_disable_committers_approval"]
    assert lab.branches["main"]["code_owner_approval_required"]
    lab.approving["merge_requests_author_approval"] = True
    assert "- merge_requests_author_approval: true" in guard(tale, lab).out
    lab.branches["main"]["push_access_levels"][0]["access_level"] = 30
    lab.refusals = ["main"]
    assert guard(tale, lab, "--apply").code == 7
    assert lab.branches["main"]["code_owner_approval_required"]  # put back as it was


def test_gitlab_without_approval_rules_changes_nothing_and_says_how(tale: Story, lab: Forge) -> None:
    lab.approvals = None
    ran = guard(tale, lab, "--apply")
    assert (ran.code, lab.writes) == (4, [])
    assert "--approvals 0" in ran.err
    assert guard(tale, lab, "--apply", "--approvals", "0").code == 0


@pytest.mark.parametrize("name", ["hub", "lab"])
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((401, '{"message": "Bad credentials sekret-token"}', {}), "forge-login"),
        ((403, '{"message": "Resource not accessible"}', {}), "forge-permission"),
        ((404, '{"message": "Not Found"}', {}), "forge-not-found"),
        ((422, '{"message": "Validation Failed", "errors": ["no"]}', {}), "forge-refused"),
        ((429, '{"message": "slow down"}', {"Retry-After": "3600"}), "forge-rate-limit"),
        ((501, '{"message": "never"}', {}), "forge-down"),
        ((200, "<html><body>please log in</body></html>", {}), "forge-bad-answer"),
        ((200, '{"half": ', {}), "forge-bad-answer"),
    ],
)
def test_a_refusal_is_one_line_with_a_remedy(
    name: str, answer: tuple[int, str, dict[str, str]], code: str, request: pytest.FixtureRequest
) -> None:
    there: Forge = request.getfixturevalue(name)
    there.answer = answer
    with pytest.raises(ReleaseError) as caught:
        ask(there)
    error = caught.value
    assert (int(error.status), error.code, there.writes) == (7, code, [])
    assert error.remedy
    assert "sekret" not in f"{error.message}{error.where}{error.remedy}"
    assert "\n" not in error.message


@pytest.mark.parametrize("name", ["hub", "lab"])
def test_a_passing_fault_is_asked_again(name: str, request: pytest.FixtureRequest) -> None:
    there: Forge = request.getfixturevalue(name)
    there.failing = 1
    assert ask(there).found == {} if name == "hub" else ask(there).found
    assert there.failing == 0


@pytest.mark.parametrize(
    ("args", "env", "code"),
    [
        (("--actor", "role:king"), TOKEN, "bad-actor"),
        (("--approvals", "99"), TOKEN, "bad-approvals"),
        (("--apply", "--dry-run"), TOKEN, "options-exclude"),
        ((), {}, "no-token"),
        (("--repository", "../../x"), TOKEN, "bad-repository"),
        (("--url", "http://git.example.com"), TOKEN, "bad-url"),
        (("--url", "https://me:sekret@git.example.com"), TOKEN, "bad-url"),
        (("--provider", "bitbucket"), TOKEN, "bad-provider"),
    ],
)
def test_a_wrong_command_line(
    tale: Story, hub: Forge, args: tuple[str, ...], env: dict[str, str], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    ran = guard(tale, hub, *args, env=env)
    assert (ran.code, hub.log) == (2, [])
    assert f"[{code}]" in ran.err


@pytest.mark.parametrize(
    ("url", "api", "name"),
    [
        ("git@github.com:acme/image.git", "https://api.github.com", "acme/image"),
        ("https://x:y@github.com/acme/image", "https://api.github.com", "acme/image"),
        ("ssh://git@ghe.example.com:2222/acme/image.git", "https://ghe.example.com/api/v3", "acme/image"),
    ],
)
def test_the_repository_is_read_off_the_remote(url: str, api: str, name: str) -> None:
    found = address("github", remote_url=url, repository="", url="", env={"GH_TOKEN": "t"})
    assert (found.api, found.repository, found.token) == (api, name, "t")
    assert "t'" not in repr(found)


@pytest.mark.parametrize("url", ["/srv/git/image.git", "file:///srv/image", "github.com", "", "https://[bad/a/b"])
def test_a_remote_that_tells_no_repository(url: str) -> None:
    with pytest.raises(ReleaseError, match="does not tell"):
        address("github", remote_url=url, repository="", url="", env={"GH_TOKEN": "t"})


@pytest.mark.parametrize(
    ("branch", "pattern"),
    [("release/v2.7", "release/*"), ("release-2.7", "release-*"), ("v2.7", "v2.7"), ("stable", "stable")],
)
def test_the_pattern_of_the_release_branches(branch: str, pattern: str) -> None:
    assert protection.branch_pattern(branch) == pattern


def test_on_github_com_only_the_actions_app_can_report_the_check() -> None:
    wanted = protection.ProtectionRules(
        release_branches="release/*", source="main", tags="v*", actors=(), checks=("x",)
    )
    lines = words(*[github.settings(wanted, GITHUB_API)[0].value] * 2)
    assert "rule required_status_checks: required_status_checks: x (app 15368)" in lines

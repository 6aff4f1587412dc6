"""A branch that takes no direct push is named before anything is made, by mocks of both forges' APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import release
from tests.support.forge_mock import Forge, forge
from tests.support.printed import types
from tests.support.remedies import said, typed
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile
TOKEN = {"GITHUB_TOKEN": "sekret-token", "GITLAB_TOKEN": "sekret-token"}
BRANCH = "release/v2.7"


def ruleset(**more: Any) -> dict[str, Any]:
    names = {"include": ["refs/heads/release/*"], "exclude": []}
    return {
        "id": 1, "name": "guard", "source": "acme/image", "source_type": "Repository", "target": "branch",
        "enforcement": "active", "conditions": {"ref_name": names}, "rules": [{"type": "update"}],
        "current_user_can_bypass": "never", **more,
    }  # fmt: skip


def excluding(*names: str) -> dict[str, Any]:
    return {"ref_name": {"include": ["~ALL"], "exclude": list(names)}}


GITHUB: list[tuple[dict[str, Any], bool]] = [
    (ruleset(), True),
    (ruleset(current_user_can_bypass="pull_requests_only"), True),
    (ruleset(current_user_can_bypass="always"), False),
    (ruleset(enforcement="evaluate"), False),
    (ruleset(rules=[{"type": "deletion"}]), False),
    (ruleset(conditions={"ref_name": {"include": ["refs/heads/*"], "exclude": []}}), False),
    (ruleset(conditions=excluding("refs/heads/main")), True),
    (ruleset(conditions=excluding("refs/heads/release/**")), False),
]


def declared(tale: Story, there: Forge) -> None:
    spec = f"land: {{by: push, provider: {there.provider}, api: '{there.url}', repository: acme/image}}\n"
    tale.release_yaml(fix_line(tale.fix), extra=spec)


def judged(tale: Story, there: Forge, *, barred: bool) -> None:
    """`doctor` and the cut say the same; a refused cut leaves nothing, here and there."""
    declared(tale, there)
    before, refs = tale.clone.git("for-each-ref"), tale.remote.git("for-each-ref")
    checks = release("doctor", "--json", cwd=tale.clone.path, env=TOKEN).json["checks"]
    assert next(each["state"] for each in checks if each["name"] == "push") == ("failed" if barred else "passed")
    ran = release("cut", VERSION, "--yes", cwd=tale.clone.path, env=TOKEN)
    assert (ran.code, "[no-direct-push]" in ran.err) == ((4, True) if barred else (0, False)), ran.err
    if barred:
        assert (tale.clone.git("for-each-ref"), tale.remote.git("for-each-ref")) == (before, refs)
    assert there.writes == []
    assert there.faults == []


@pytest.mark.wide(9)
@pytest.mark.parametrize(("rules", "barred"), GITHUB)
def test_github_s_rulesets(tale: Story, rules: dict[str, Any], barred: bool) -> None:
    with forge("github") as there:
        there.rulesets[1] = rules
        judged(tale, there, barred=barred)


@pytest.mark.wide(4)
@pytest.mark.parametrize(("pushable", "barred"), [({BRANCH: False}, True), ({BRANCH: True}, False), ({}, False)])
def test_gitlab_s_word_on_the_branch(tale: Story, pushable: dict[str, bool], barred: bool) -> None:
    with forge("gitlab") as there:
        there.pushable = pushable
        judged(tale, there, barred=barred)


@types("release/setup/server.py: release cut {} --pull-request")
def test_the_way_that_works_works(tale: Story) -> None:
    with forge("gitlab") as there:
        there.pushable = {BRANCH: False}
        declared(tale, there)
        ran = release("cut", VERSION, "--yes", cwd=tale.clone.path, env=TOKEN)
        done = typed(f"{said(ran, 'release cut v')} --yes", tale.clone.path)
    assert done.returncode == 10, done.stderr
    assert tale.remote.git("for-each-ref", f"refs/heads/release-candidate/{VERSION}")


def test_a_forge_that_does_not_answer_stops_nobody(tale: Story) -> None:
    with forge("gitlab") as there:
        there.answer = (403, "no", {})
        declared(tale, there)
        assert release("cut", VERSION, "--yes", cwd=tale.clone.path, env=TOKEN).code == 0

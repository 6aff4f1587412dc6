"""`release doctor --ci`: the file, the release branch, and what the forge has, by mocks of both forges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import Ran, release
from tests.support.forge_mock import forge
from tests.support.printed import types
from tests.support.remedies import said, works
from tests.support.story import fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile
TOKEN = {"GITHUB_TOKEN": "sekret-token", "GITLAB_TOKEN": "sekret-token"}
INSTALL = ("--install", "python3 -I -m pip install 'git+https://git.example.com/release@COMMIT'")
FILE = {"github": ".github/workflows/release.yml", "gitlab": ".gitlab-ci.yml", "jenkins": "Jenkinsfile"}


def doctor(tale: Story, *args: str, env: dict[str, str] | None = None) -> tuple[Ran, dict[str, str]]:
    """The run, and name of a check -> its state."""
    ran = release("doctor", "--ci", "--json", *args, cwd=tale.clone.path, env=TOKEN if env is None else env)
    assert "sekret" not in ran.out + ran.err
    return ran, {each["name"]: each["state"] for each in ran.json["checks"]}


def prepared(tale: Story, provider: str, *args: str) -> None:
    """The pipeline, written, and on the release branch."""
    tale.release_yaml(fix_line(tale.fix), extra="image:\n  repository: registry.example.com/x\n")
    done = release("ci", "init", "--provider", provider, *INSTALL, *args, "--write", "--json", cwd=tale.clone.path)
    assert done.code == 0, done.err
    text = (tale.clone.path / FILE[provider]).read_text()
    tale.clone.git("checkout", "--quiet", "-B", "line", "origin/release/v2.7")
    tale.clone.commit("ci: release", {FILE[provider]: text})
    tale.clone.git("push", "--quiet", "origin", "line:release/v2.7")
    tale.clone.git("fetch", "--quiet", "origin")


WANTED: dict[str, dict[str, dict[str, Any]]] = {
    "github": {
        "environment release": {}, "release variable RELEASE_REGISTRY_USERNAME": {},
        "shared secret RELEASE_REGISTRY_PASSWORD": {}, "secret RELEASE_DEPLOY_KEY": {},
    },
    "gitlab": {
        "environment release": {}, "variable RELEASE_REGISTRY_USERNAME": {}, "variable RELEASE_PUSH_TOKEN": {},
        "variable RELEASE_COMMENT_TOKEN": {"protected": False},
        "variable RELEASE_REGISTRY_PASSWORD": {"masked": False},
    },
}  # fmt: skip


@pytest.mark.wide(2)
@pytest.mark.parametrize("provider", WANTED)
def test_what_the_forge_lacks_is_named(tale: Story, provider: str) -> None:
    prepared(tale, provider, "--cut", "--comment")
    with forge(provider) as there:
        at = ("--repository", "acme/image", "--url", there.url)
        ran, states = doctor(tale, *at)
        asked = {name: state for name, state in states.items() if " RELEASE_" in name or name.startswith("environment")}
        optional = {"github": "secret RELEASE_DEPLOY_KEY", "gitlab": "environment release"}[provider]
        assert (ran.code, asked.pop(optional)) == (2, "skipped")
        assert set(asked.values()) == {"failed"}
        assert len(asked) == {"github": 3, "gitlab": 4}[provider]
        assert all(each["remedy"] for each in ran.json["checks"] if each["state"] == "failed")
        assert {state for name, state in states.items() if name.startswith(FILE[provider])} == {"passed"}
        there.kept = WANTED[provider]
        ran, states = doctor(tale, *at)
        assert ran.code == 0, ran.out
        assert "failed" not in states.values()
        assert ("is set, not masked" in ran.out) == (provider == "gitlab")
        there.closed = True
        ran, states = doctor(tale, *at)
        assert {state for name, state in states.items() if name in asked} == {"skipped"}
        assert "may not look" in ran.out
        assert not there.writes
        assert there.faults == []
    ran, states = doctor(tale, env={})
    assert (ran.code, "no token: set" in ran.out) == (0, True)


@types("release/setup/pipeline_checks.py: git fetch {}")
def test_a_file_that_is_old_edited_or_not_on_the_release_branch(tale: Story) -> None:
    nothing, _ = doctor(tale)
    assert (nothing.code, "no pipeline" in nothing.out) == (2, True)
    prepared(tale, "jenkins")
    path = tale.clone.path / "Jenkinsfile"
    made = path.read_text()

    def states() -> tuple[str, str]:
        _, found = doctor(tale)
        return found["Jenkinsfile"], found["Jenkinsfile on the release branch"]

    assert states() == ("passed", "passed")
    mark = "// >>> your own steps before publish"
    path.write_text(made.replace(mark, f"{mark}\n        echo 'mine'"))
    assert states() == ("passed", "failed")  # theirs, and another than on the branch
    path.write_text(made.replace("release audit", "true"))
    assert states() == ("failed", "failed")
    works(said(doctor(tale)[0], "release ci init"), tale.clone.path)
    assert (path.read_text(), states()) == (made, ("passed", "passed"))
    tale.release_yaml(fix_line(tale.fix))  # without an image: another pipeline
    assert states() == ("failed", "passed")
    works(said(doctor(tale)[0], "release ci init"), tale.clone.path)
    assert states() == ("passed", "failed")
    tale.clone.git("push", "--quiet", "--force", "origin", f"{tale.base}:release/v2.7")
    assert states() == ("passed", "failed")
    assert "has no Jenkinsfile" in doctor(tale)[0].out
    tale.clone.git("update-ref", "-d", "refs/remotes/origin/release/v2.7")
    assert states() == ("passed", "skipped")
    works(said(doctor(tale)[0], "git fetch"), tale.clone.path)
    assert states() == ("passed", "failed")


def test_image_and_ci_are_two_questions(tale: Story) -> None:
    ran = release("doctor", "--ci", "--image", "x", cwd=tale.clone.path)
    assert (ran.code, "[options-exclude]" in ran.err) == (2, True)

"""The publishing job of the generated pipelines, with an image: what a cut has published, a second machine proves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.forges.pipeline_runs import INSTALL, checkout, run_job
from tests.support.imaged import VERSION, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker


def test_the_job_that_the_tag_of_a_cut_starts(tmp_path: Path, lab: Lab) -> None:
    shipped = imaged(tmp_path / "story", lab)
    tale = shipped.story
    done = shipped.release("cut", VERSION, "--yes", "--json")
    assert done.code == 0, done.err
    for provider in ("github", "gitlab"):
        text = shipped.release("ci", "init", "--provider", provider, "--install", INSTALL).out
        (tmp_path / provider).mkdir()
        ci = checkout(tale, tmp_path / provider / "ci", VERSION)
        outputs = ci.path / "release.env"
        env = {
            "DOCKER_HOST": "unix:///nowhere.sock",  # nothing is built again
            "RELEASE_REGISTRY_USERNAME": lab.username, "REGISTRY_PASSWORD": lab.password, "TAG": VERSION,
            "RELEASE_REGISTRY_PASSWORD": lab.password, "CI_COMMIT_TAG": VERSION, "RELEASE_PUSH_TOKEN": "t",
            "CI_SERVER_URL": f"file://{tale.remote.path.parent}", "CI_PROJECT_PATH": "remote",
        }  # fmt: skip
        if provider == "github":
            env |= {"GITHUB_OUTPUT": str(outputs), "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": VERSION}
        status, log = run_job(provider, text, "release-publish", ci.path, env)
        assert status == 0, log
        values = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
        assert (values["released"], values["digest"]) == ("false", done.json["digest"])
        assert f"{VERSION}: verified" in log
        assert done.json["digest"] in (ci.path / "release-report.html").read_text()
        assert lab.password not in log

"""The texts of the pipelines, without a process: what starts which job, people's own places, logins, what to set."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from orchestrator.config.reader import parse
from orchestrator.core.errors import UsageError
from orchestrator.core.versions import KINDS, Scheme, parse_tag, use
from orchestrator.forges.ci import PipelineWish, is_ours, made_by, pipeline_of, text_of
from orchestrator.forges.pipelines.regions import BadRegionError, emptied, of_people, with_own
from orchestrator.forges.pipelines.table import PIPELINES
from orchestrator.forges.pipelines.triggers import version_tags_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.forges.pipelines.values import Pipeline

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def pipeline(
    provider: str,
    *,
    registry: str = "",
    page: str = "",
    tags: tuple[str, ...] = ("v2.7.0",),
    host: str = "",
    **asked: Any,
) -> tuple[Pipeline, PipelineWish]:
    text = "version: 1\nbranch: release/v2.7\nsource: main\nreleases: {}\n"
    text += f"image:\n  repository: {registry}/x\n" if registry else ""
    text += f"repository-url: {page}\n" if page else ""
    wish = PipelineWish(provider=provider, install="" if "tool_image" in asked else "install", **asked)
    made = pipeline_of(
        parse(text.encode(), "release.yaml"), wish, config_path="release.yaml", branches="release/*", tags=tags,
        remote_host=host,
    )  # fmt: skip
    return made, wish


def text(provider: str, **asked: Any) -> str:
    return text_of(*pipeline(provider, **asked))


# ------------------------------------------------------------------ what starts a job


def glob(pattern: str) -> str:
    """GitHub's pattern of a ref as a regular expression, by its documentation."""
    return re.sub(r"(?<!\\)\*\*|\\.|.", lambda each: _GLOB.get(each[0], each[0]), pattern)


_GLOB = {"**": ".*", "*": "[^/]*", ".": "[.]"}
TAGS = (
    "v2.7.1", "2.7.1", "v2.7.1-rc.1", "2.7.1-rc.1+b", "chart-1.2.3", "chart-v1.2.3", "v2", "v2.7", "latest", "vendor",
    "2026.11.1", "24.04", "2.7.1rc1", "2.7.1.post1", "2.7.1.dev3", "image-v2.7.1", "image-2.7.1", "image/v2.7.1",
    "a/v2.7.1",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("product", ["", "image-", "image/", "a.b-"])
@pytest.mark.parametrize("prefix", ["", "v"])
def test_the_tags_that_start_a_publication_are_the_versions(kind: Any, product: str, prefix: str) -> None:
    """What GitHub's patterns let through besides, `publish` refuses; they never take another product's tag."""
    scheme = Scheme(product=product, kind=kind)
    use(scheme)
    example = scheme.example.removeprefix(product).removeprefix("v")
    wanted = version_tags_of([f"{product}{prefix}{example}"])
    for tag in (*TAGS, *(f"{product}{each}" for each in TAGS)):
        parsed = parse_tag(tag)
        is_version = parsed is not None and parsed.prefix == f"{product}{prefix}"
        assert bool(re.fullmatch(wanted.regex, tag)) == is_version, (wanted.regex, tag)
        if is_version:
            assert any(re.fullmatch(glob(each), tag) for each in wanted.globs), (wanted.globs, tag)
        elif any(re.fullmatch(glob(each), tag) for each in wanted.globs):
            assert tag.startswith(product)
    assert not any(re.fullmatch(glob(each), "chart-1.2.3") for each in wanted.globs)


def test_both_ways_to_write_a_version_start_one() -> None:
    both = version_tags_of(["v2.6.0", "2.7.0"])
    assert both.globs == ("[0-9]+.[0-9]+.[0-9]*", "v[0-9]+.[0-9]+.[0-9]*")
    assert re.fullmatch(both.regex, "2.7.1")
    assert re.fullmatch(both.regex, "v2.7.1")


def holds(rule: str, variables: Mapping[str, str]) -> bool:
    """GitLab's `if:` of the forms that we write, by its documentation: && of comparisons, patterns and variables."""
    for term in rule.split(" && "):
        left, sign, right = re.fullmatch(r"\$(\w+)(?: (==|=~) (.*))?", term).groups()  # type: ignore[union-attr]
        value = variables.get(left, "")
        right = variables.get(right[1:], "") if right and right[0] == "$" else right
        if sign == "=~":
            found = bool(re.search(right.removeprefix("/").removesuffix("/").replace(r"\/", "/"), value))
        else:
            found = value == right.strip('"') if sign else bool(value)
        if not found:
            return False
    return True


PUSH = {"CI_PIPELINE_SOURCE": "push"}
REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_PROJECT_PATH": "org/image",
}  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "jobs"),
    [
        ({**REQUEST, "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "me/image"}, ["release-plan"]),
        ({**REQUEST, "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "org/image"}, ["release-plan", "release-comment"]),
        ({**REQUEST, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "release/v2.7"}, []),
        ({**PUSH, "CI_COMMIT_BRANCH": "main"}, []),
        ({**PUSH, "CI_COMMIT_BRANCH": "release/v2.7"}, ["release-audit"]),
        ({**PUSH, "CI_COMMIT_BRANCH": "a/release/v2.7"}, []),
        ({"CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_BRANCH": "release/v2.7"}, ["release-audit"]),
        ({"CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_BRANCH": "main"}, []),
        ({**PUSH, "CI_COMMIT_TAG": "v2.7.1"}, ["release-publish"]),
        ({**PUSH, "CI_COMMIT_TAG": "chart-1.2.3"}, []),
        ({**PUSH, "CI_COMMIT_TAG": "v2.7.1-rc.1"}, ["release-publish"]),
        ({"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_BRANCH": "main", "CUT_VERSION": "next"}, ["release-cut"]),
        ({"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_BRANCH": "topic", "CUT_VERSION": "next"}, []),
        ({"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_BRANCH": "main"}, []),
    ],
)
def test_gitlab_starts_these_jobs(variables: dict[str, str], jobs: list[str]) -> None:
    data: dict[str, Any] = yaml.safe_load(text("gitlab", registry="registry.example.com", cut=True, comment=True))
    assert "workflow" not in data  # it would drop the project's other pipelines
    named = {name: job["rules"] for name, job in data.items() if isinstance(job, dict) and "rules" in job}
    started = [name for name, rules in named.items() if any(holds(rule["if"], variables) for rule in rules)]
    assert started == jobs


def test_github_s_check_reports_in_a_merge_queue_too() -> None:
    """A required check that a merge queue does not start would block it for ever."""
    data: dict[Any, Any] = yaml.safe_load(text("github"))
    on = data[True]  # how YAML 1.1 reads `on`
    assert on["merge_group"] == on["pull_request"] == {"branches": ["main"]}
    plan = data["jobs"]["release-plan"]
    assert "'merge_group'" in plan["if"]
    (step,) = (each for each in plan["steps"] if each.get("name") == "plan")
    assert "github.event.merge_group.base_sha" in step["env"]["BASE"]
    assert "workflow_dispatch" not in on
    assert "release-cut" not in data["jobs"]


# ------------------------------------------------------------------ people's own places


@pytest.mark.parametrize("provider", PIPELINES)
def test_what_people_put_into_their_places_stays(provider: str) -> None:
    sign = PIPELINES[provider].COMMENT
    first = text(provider, cut=True)
    mark = f"{sign} >>> your own steps before publish"
    assert first.count(mark) == 1
    edited = first.replace(mark, f"{mark}\n  mine @SOURCE@")
    assert is_ours(edited)
    own = of_people(edited)
    assert own == {"steps before publish": "  mine @SOURCE@\n"}
    again = text_of(*pipeline(provider, cut=True), own)
    assert again == edited
    assert not is_ours(edited.replace("release audit", "true"))
    for broken in (
        edited.replace(mark.replace(">>>", "<<<"), ""),
        edited.replace("steps after publish", "steps after x", 1),
    ):
        assert broken != edited
        with pytest.raises(BadRegionError):
            of_people(broken)
        assert not is_ours(broken)
    assert with_own(emptied(edited), own) == edited
    assert made_by(first)[:5] == ["release", "ci", "init", "--provider", provider]
    assert made_by("# Made by hand\n") == []


# ------------------------------------------------------------------ logins


@pytest.mark.parametrize(
    ("provider", "registry", "more", "login"),
    [
        ("github", "ghcr.io", {}, "job"),
        ("github", "ghcr.io", {"login": "password"}, "password"),
        ("github", "registry.example.com", {}, "password"),
        ("github", ECR, {}, "aws"),
        ("github", "europe-docker.pkg.dev", {}, "gcp"),
        ("github", "eu.gcr.io", {}, "gcp"),
        ("github", "acme.azurecr.io", {}, "azure"),
        ("gitlab", "ghcr.io", {}, "password"),
        ("gitlab", "registry.gitlab.com", {"host": "gitlab.com"}, "job"),
        ("gitlab", "registry.gitlab.com", {"page": "https://gitlab.com/acme/image"}, "job"),
        ("gitlab", "gitlab.example.com:5050", {"host": "gitlab.example.com"}, "job"),
        ("gitlab", "registry.gitlab.com", {"host": "git.example.com"}, "password"),
        ("gitlab", "registry.gitlab.com", {"host": "git.example.com", "login": "job"}, "job"),
        ("jenkins", ECR, {}, "password"),
    ],
)
def test_a_job_logs_in_without_a_password_where_it_can(
    provider: str, registry: str, more: dict[str, Any], login: str
) -> None:
    made, wish = pipeline(provider, registry=registry, **more)
    assert made.login == login
    names = {need.name for need in PIPELINES[provider].needs(made)}
    asked = {"release-registry"} if provider == "jenkins" else {"RELEASE_REGISTRY_PASSWORD"}
    assert bool(names & asked) == (login == "password")
    whole = text_of(made, wish)
    for name in names:
        if name.startswith("RELEASE_") and (provider, name) != ("gitlab", "RELEASE_REGISTRY_USERNAME"):  # by itself
            assert name in whole
    if provider == "github":
        rights = yaml.safe_load(whole)["jobs"]["release-publish"]["permissions"]
        more_rights = {"job": {"packages": "write"}, "password": {}}.get(login, {"id-token": "write"})
        assert rights == {"contents": "write", **more_rights}


@pytest.mark.parametrize(
    ("provider", "asked", "code"),
    [
        ("github", {"registry": "ghcr.io", "login": "kerberos"}, "bad-login"),
        ("jenkins", {"registry": "ghcr.io", "login": "aws"}, "bad-login"),
        ("gitlab", {"registry": "ghcr.io", "login": "aws"}, "bad-login"),
        ("github", {"environment": "a b"}, "bad-name"),
        ("github", {"tool_image": "registry.example.com/release:1"}, "options-exclude"),
        ("gitlab", {"tool_image": "Registry/x"}, "bad-reference"),
    ],
)
def test_what_cannot_be(provider: str, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as refused:
        pipeline(provider, **asked)
    assert refused.value.code == code
    assert refused.value.remedy


CURL = """\
#!/bin/sh
echo >>"$LOG"
echo "curl $*" >>"$LOG"
case "$*" in
  *-H*) cat >>"$LOG"; echo ' {"accessToken": "s3cret"}' ;;
  *oauth2/exchange*) cat >>"$LOG"; echo '{"refresh_token": "s3cret"}' ;;
  *) cat >>"$LOG"; echo '{"access_token": "between"}' ;;
esac
"""


@pytest.mark.parametrize(("registry", "host"), [("europe-docker.pkg.dev", "sts.googleapis.com"),
                                                ("acme.azurecr.io", "login.microsoftonline.com")])  # fmt: skip
def test_gitlab_s_token_becomes_the_registry_s(tmp_path: Path, registry: str, host: str) -> None:
    """By a `curl` that answers as the clouds do, which cannot be had here.  No secret is in an argument."""
    (tmp_path / "curl").write_text(CURL)
    (tmp_path / "curl").chmod(0o755)
    data: dict[str, Any] = yaml.safe_load(text("gitlab", registry=registry))
    job = data["release-publish"]
    assert "RELEASE_ID_TOKEN" in job["id_tokens"]
    (login,) = (each for each in job["script"] if "REGISTRY_PASSWORD=$(" in each)
    log = tmp_path / "log"
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "RELEASE_ID_TOKEN": "of-the-job",
        "RELEASE_GCP_PROVIDER": "projects/1/x", "RELEASE_GCP_SERVICE_ACCOUNT": "me@x", "RELEASE_AZURE_TENANT": "t",
        "RELEASE_AZURE_CLIENT": "c",
    }  # fmt: skip
    script = f'set -eu\n{login}\nprintf %s "$REGISTRY_PASSWORD"'
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "s3cret"), done.stderr
    calls = [line for line in log.read_text().splitlines() if line.startswith("curl ")]
    assert [f"https://{host}/" in calls[0], len(calls)] == [True, 2]
    assert not [line for line in calls if "of-the-job" in line or "between" in line]
    assert "of-the-job" in log.read_text()


# ------------------------------------------------------------------ an image with the tool


@pytest.mark.parametrize("provider", ["gitlab", "jenkins"])
def test_in_an_image_of_the_tool_nothing_is_installed(provider: str) -> None:
    image = f"registry.example.com/release@sha256:{'a' * 64}"
    whole = text(provider, tool_image=image)
    assert image in whole
    assert "install" not in whole.replace("stage('install')", "").partition("\n")[2].replace("--install", "")
    assert made_by(whole)[-3:] == ["--tool-image", image, "--write"]

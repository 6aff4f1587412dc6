"""Words of builders and registries that are too dear to have said here; what can be had is `docker/test_buildx.py`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from orchestrator.core.reference import parse_repository
from orchestrator.engines import BuilderLostError
from orchestrator.engines.buildx.failures import failure
from orchestrator.engines.buildx.progress import Follower

HOST = "registry.example.com:5000"
TARGET = parse_repository(f"{HOST}/x").tag("v1")
URL = f"http://{HOST}/v2/x/blobs"
PUSH = f"ERROR: failed to build: failed to solve: failed to push {TARGET}: "


def code_of(line: str) -> tuple[str, str, str]:
    follower = Follower(io.StringIO(), Path("build.log"), lambda _: None, lambda: 0.0)
    follower.take(line)
    error = failure(follower, TARGET, "farm-1")
    return error.code, error.message, error.remedy


@pytest.mark.parametrize(
    "words",
    [
        f"unexpected status from HEAD request to {URL}/sha256:29b2: 400 Bad Request",  # as Docker 28 said it
        f"unexpected status from POST request to {URL}/uploads/: 400: Client sent an HTTP request to an HTTPS server.",
        "error parsing HTTP 400 response body: The plain HTTP request was sent to HTTPS port",
    ],
)
def test_a_builder_that_speaks_http_to_https_is_named_with_the_registry_and_a_remedy(words: str) -> None:
    code, message, remedy = code_of(f"{PUSH}{words}")
    assert code == "registry-https"
    assert message.startswith(f"builder farm-1 speaks http to the registry {HOST}, which answers as one that speaks")
    assert remedy.startswith(f'say `http = false` below `[registry."{HOST}"]` in its buildkitd.toml')


@pytest.mark.parametrize(
    "words",
    [
        f"unexpected status from PUT request to {URL.replace('blobs', 'manifests')}/v1: 400 Bad Request",
        f"unexpected status from HEAD request to {URL.replace('http', 'https')}/sha256:29b2: 400 Bad Request",
        f"unexpected status from HEAD request to {URL}/sha256:29b2: 403 Forbidden",
    ],
)
def test_another_refusal_is_none_of_that(words: str) -> None:
    assert code_of(f"{PUSH}{words}")[0] == "push-failed"


def test_a_program_that_was_killed_has_no_last_word() -> None:
    """It is no step of the Dockerfile that failed, and another builder may do the work."""
    follower = Follower(io.StringIO(), Path("build.log"), lambda _: None, lambda: 0.0)
    follower.take('{"vertexes": [{"digest": "sha256:1", "name": "[1/1] RUN x", "started": "now"}]}')
    error = failure(follower, TARGET, "farm-1")
    assert isinstance(error, BuilderLostError)
    assert error.message.startswith("builder farm-1 cannot build: docker buildx was ended from outside")
    assert "run the same command again" in error.remedy

"""What engines say of a registry, in the words of four of them: Docker's two image stores, and podman."""

from __future__ import annotations

import pytest

from orchestrator.core.reference import parse_reference
from orchestrator.engines import PullBrokenError, PushBrokenError, PushRefusedError
from orchestrator.engines.failures import is_timeout
from orchestrator.engines.refusals import base_missing, pull_failed, push_failed

NAME = parse_reference("r.example.com:5000/team/cuda:v1")
URL = "https://r.example.com:5000/v2/team/cuda/manifests/v1"

BROKEN = [
    "received unexpected HTTP status: 500 Internal Server Error",
    "received unexpected HTTP status: 503 Service Unavailable",
    f"failed to push r.example.com:5000/team/cuda:v1: unexpected status from PUT request to {URL}: 502 Bad Gateway",
    f"failed to push x: unexpected status from PUT request to {URL}: 429 Too Many Requests",
    "toomanyrequests: slow down",
    "error parsing HTTP 429 response body: invalid character '<' looking for beginning of value",
    f'Put "{URL}": EOF',
    f'Put "{URL}": read tcp 127.0.0.1:4000->127.0.0.1:5000: read: connection reset by peer',
    f'Head "{URL}": net/http: TLS handshake timeout',
    f'Put "{URL}": http: server closed idle connection',
    "write tcp 127.0.0.1:40123->127.0.0.1:403: write: broken pipe",
    "uploading manifest v1 to r.example.com:5000/team/cuda: received unexpected HTTP status: 500 Internal Server Error",
]

REFUSED = [
    "denied: requested access to the resource is denied",
    "tag invalid: The image tag 'v1' already exists in the repository and cannot be overwritten",
    "manifest invalid: manifest invalid",
    "unknown: Failed to process request due to 'cuda:v1' configured as immutable.",
    "name unknown: repository not found",
    "unsupported: The operation is unsupported.",
    f"failed to push x: unexpected status from PUT request to {URL}: 400 Bad Request",
    f"failed to push x: unexpected status from POST request to {URL}: 403 Forbidden",
    "error parsing HTTP 413 response body: invalid character '<' looking for beginning of value",
    "received unexpected HTTP status: 501 Not Implemented",
    "unable to decode token response: json: cannot unmarshal number 1.5 into Go struct field .expires_in of type int",
    f"failed to push x: unexpected status from HEAD request to {URL}: 505 HTTP Version Not Supported",
]

LOGIN = [
    "unauthorized: authentication required",
    "no basic auth credentials",
    "denied: Your authorization token has expired. Reauthenticate and try again.",
    f"failed to push x: unexpected status from HEAD request to {URL}: 401 Unauthorized",
    "trying to reuse blob sha256:0 at destination: checking whether a blob exists: unauthorized: the token has expired",
]


@pytest.mark.parametrize("text", BROKEN)
def test_what_may_be_tried_again(text: str) -> None:
    error = push_failed(text, NAME)
    assert isinstance(error, PushBrokenError)
    assert (error.code, error.where) == ("push-failed", str(NAME))


@pytest.mark.parametrize("text", [*REFUSED, *LOGIN])
def test_what_is_never_tried_again(text: str) -> None:
    error = push_failed(text, NAME)
    assert isinstance(error, PushRefusedError)
    assert error.about_login == (text in LOGIN)
    assert (error.code, "docker login" in error.remedy) == (
        ("registry-unauthorized", True) if text in LOGIN else ("push-failed", False)
    )


@pytest.mark.parametrize(
    "text",
    [
        "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating",
        "toomanyrequests: You have reached your unauthenticated pull rate limit.",
        "reading manifest 3.11 in docker.io/library/python: toomanyrequests: slow down",
        "failed to copy: httpReadSeeker: unexpected status code https://h/v2/x: 429 Too Many Requests",
    ],
)
def test_a_pull_limit_says_what_can_be_done(text: str) -> None:
    error = pull_failed(text, "python:3.11")
    assert (error.code, error.where) == ("pull-limited", "python:3.11")
    for word in ("log in", "wait", "mirror"):
        assert word in error.remedy


def test_any_other_pull_that_fails_is_no_limit() -> None:
    assert pull_failed("manifest for python:9 not found: manifest unknown", "python:9").code == "pull-failed"
    assert pull_failed("write /var/lib/docker/tmp/x: no space left on device", "a:1").code == "disk-full"


@pytest.mark.parametrize(
    ("text", "again"),
    [*((text, True) for text in BROKEN), ("manifest for a:1 not found: manifest unknown: manifest unknown", True)]
    + [(text, False) for text in (*LOGIN, "no matching manifest for linux/s390x in the manifest list entries: denied")],
)
def test_a_pull_may_be_tried_again_where_the_registry_said_no_more_than_not_now(text: str, again: bool) -> None:
    assert isinstance(pull_failed(text, "r.example.com/a@sha256:0"), PullBrokenError) is again


def test_errors_that_name_each_other_end() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert not is_timeout(first)
    second.__context__ = TimeoutError()
    second.__cause__ = None
    assert is_timeout(first)


@pytest.mark.parametrize(
    "text",
    [
        "manifest for r:5000/a@sha256:00 not found: manifest unknown: manifest unknown",
        "r:5000/a@sha256:00: failed to resolve source metadata for r:5000/a@sha256:00: r:5000/a@sha256:00: not found",
    ],
)
def test_a_base_that_is_gone_is_named_once(text: str) -> None:
    error = base_missing(text, "build.log", "Dockerfile:2: ")
    assert error is not None
    assert (error.message, error.where) == ("Dockerfile:2: r:5000/a@sha256:00 is not in its registry", "build.log")
    assert base_missing('step 2 exited 1: "x" not found', "build.log") is None

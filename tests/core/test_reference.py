"""Image names: docker's short forms, the OCI grammar, and what must never reach a URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import UsageError
from orchestrator.core.reference import ImageRepository, Reference, parse_reference, parse_repository

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("registry.example.com/team/pytorch-cuda", "registry.example.com", "team/pytorch-cuda"),
        ("localhost/cuda", "localhost", "cuda"),
        ("localhost:5000/cuda", "localhost:5000", "cuda"),
        ("[::1]:5000/cuda", "[::1]:5000", "cuda"),
        ("python", "docker.io", "library/python"),
        ("docker.io/python", "docker.io", "library/python"),
        ("index.docker.io/team/x", "docker.io", "team/x"),
        ("team/x__y.z---w", "docker.io", "team/x__y.z---w"),
    ],
)
def test_names_are_read_as_docker_reads_them(text: str, host: str, path: str) -> None:
    assert parse_repository(text) == ImageRepository(host=host, path=path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/cuda",
        "https://registry.example.com/cuda",
        "registry.example.com/",
        "registry.example.com/Cuda",
        "registry.example.com/cuda:v1",
        "registry.example.com//cuda",
        "registry.example.com/../cuda",
        "registry.example.com/a/./b",
        "registry.example.com/cuda\n",
        "registry.example.com/cuda?x=1",
        "registry.example.com/%2e%2e/cuda",
        "user:secret@registry.example.com/cuda",
        "registry..example.com/cuda",
        "-registry.example.com/cuda",
        "registry.example.com:0/cuda",
        "registry.example.com:65536/cuda",
        "registry.example.com:/cuda",
        "registry.example.com/" + "a" * 250,
        "registry.example.com/cud\u0430",
    ],
)
def test_bad_repositories_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_repository(text)
    assert caught.value.remedy
    assert "\n" not in caught.value.message


def test_a_repository_cannot_be_made_wrong_by_hand_either() -> None:
    with pytest.raises(UsageError, match="not a repository name"):
        ImageRepository(host="registry.example.com", path="../../etc")
    with pytest.raises(UsageError, match="not a registry host"):
        ImageRepository(host="registry.example.com/../x", path="cuda")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("python", "docker.io/library/python:latest"),
        ("localhost:5000/cuda", "localhost:5000/cuda:latest"),
        ("localhost:5000/cuda:v2.7.1", "localhost:5000/cuda:v2.7.1"),
        (f"localhost:5000/cuda@{DIGEST}", f"localhost:5000/cuda@{DIGEST}"),
        (f"localhost:5000/cuda:v2.7.1@{DIGEST}", f"localhost:5000/cuda@{DIGEST}"),
    ],
)
def test_references(text: str, printed: str) -> None:
    assert str(parse_reference(text)) == printed


@pytest.mark.parametrize(
    "text",
    [
        "cuda:",
        "cuda:-x",
        "cuda:" + "v" * 129,
        "cuda@",
        "cuda@sha256:abc",
        "cuda@md5:" + "0" * 32,
        "cuda@" + DIGEST.upper(),
        f"cuda:bad!tag@{DIGEST}",
        f"cuda@{DIGEST}@{DIGEST}",
        f"cuda@{DIGEST}\n",
        "cuda:v1:v2",
    ],
)
def test_bad_references_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)


def test_a_reference_has_a_tag_or_a_digest() -> None:
    repository = parse_repository("localhost:5000/cuda")
    assert repository.tag("v1").identifier == "v1"
    assert repository.digest(DIGEST).identifier == DIGEST
    with pytest.raises(ValueError, match="one of them"):
        Reference(repository=repository)
    with pytest.raises(ValueError, match="one of them"):
        Reference(repository=repository, tag="v1", digest=DIGEST)


_hosts = st.from_regex(r"[a-z0-9]{1,10}(-[a-z0-9]{1,5})?\.[a-z]{2,5}(:[1-9][0-9]{0,3})?", fullmatch=True)
_component = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)
_paths = st.lists(_component, min_size=1, max_size=4).map("/".join)
_tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)
_digests = st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}")


@given(host=_hosts, path=_paths, tag=_tags, digest=_digests)
def test_printing_and_parsing_is_a_round_trip(host: str, path: str, tag: str, digest: str) -> None:
    repository = parse_repository(f"{host}/{path}")
    assert parse_repository(str(repository)) == repository
    for reference in (repository.tag(tag), repository.digest(digest)):
        assert parse_reference(str(reference)) == reference


@given(text=st.text(max_size=60) | st.text(alphabet="ab.:/@-_[]0", max_size=40))
def test_any_text_is_parsed_or_refused_in_one_line(text: str) -> None:
    try:
        reference = parse_reference(text)
    except UsageError as error:
        assert error.message.isprintable()  # noqa: PT017 - both outcomes are allowed, each has its promise
    else:
        assert parse_reference(str(reference)) == reference

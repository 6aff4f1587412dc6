"""The upload by a real engine to a real registry, through a proxy that fails, expires, or lets no tag be replaced."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.reference import parse_repository
from orchestrator.registry.client import Registry
from tests.support.imaged import VERSION, Imaged
from tests.support.imaged import imaged as make
from tests.support.registry_proxy import RESET, Answer, Asked, Proxy, proxied, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

CHANGING = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY loader.py /opt/loader.py
RUN cat /proc/sys/kernel/random/uuid > /built
"""


@pytest.fixture
def proxy(lab: Lab) -> Iterator[Proxy]:
    with proxied(lab.registry) as running:
        yield running


def behind(proxy: Proxy, lab: Lab, root: Path, dockerfile: str = "") -> Imaged:
    """A story whose registry is the proxy."""
    made = make(root, lab, **({"dockerfile": dockerfile} if dockerfile else {}))
    moved = Imaged(story=made.story, lab=lab, repository=made.repository.replace(lab.registry, proxy.host))
    moved.declare()
    return moved


def beside(made: Imaged) -> Registry:
    """Its repository without the proxy."""
    _, _, path = made.repository.partition("/")
    return Registry(parse_repository(f"{made.lab.registry}/{path}"), credentials=lambda: made.lab.credentials)


@pytest.mark.wide(6)
@pytest.mark.parametrize(
    ("how", "again"),
    [
        (refusal(500, "UNKNOWN", "internal error"), True),
        (refusal(429, "TOOMANYREQUESTS", "slow down", Retry_After="1"), True),
        (RESET, True),
        (refusal(400, "TAG_INVALID", "no such name here"), False),
        (refusal(403, "DENIED", "not for you"), False),
    ],
    ids=["500", "429", "reset", "400", "403"],
)
def test_a_push_that_breaks_off_is_tried_again_and_a_refused_one_never(
    proxy: Proxy, lab: Lab, tmp_path: Path, how: Answer, again: bool
) -> None:
    made, left = behind(proxy, lab, tmp_path), [how]
    proxy.before = lambda asked: left.pop() if left and asked.method == "PUT" and asked.tag else None
    done = made.release("cut", VERSION, "--yes")
    puts = [asked.tag for asked in proxy.seen if asked.method == "PUT" and asked.tag.startswith("candidate-")]
    assert (done.code, len(puts)) == ((0, 2) if again else (7, 1)), done.err
    assert (beside(made).head(VERSION) is not None) is again


class Rotating:
    """Logins of a helper that end: what it says is in a file, and the registry takes nothing else."""

    def __init__(self, proxy: Proxy, lab: Lab, folder: Path) -> None:
        self.current, self.ended = folder / "current", list[str]()
        self.end_at = {"DELETE", "PATCH"}  # an upload that is given up is the end of the preflight
        self.for_good, self.broken = False, list[Answer]()
        programs, config = folder / "bin", folder / "docker"
        programs.mkdir()
        config.mkdir()
        helper = programs / "docker-credential-short"
        helper.write_text(f'#!/bin/sh\nprintf \'{{"Username":"token","Secret":"%s"}}\' "$(cat {self.current})"\n')
        helper.chmod(0o755)
        (config / "config.json").write_text(json.dumps({"credHelpers": {proxy.host: "short"}}))
        self.rotate()
        proxy.login = "Basic " + base64.b64encode(f"{lab.username}:{lab.password}".encode()).decode()
        proxy.before = self.ask
        self.env = {
            "RELEASE_REGISTRY_USERNAME": "",
            "RELEASE_REGISTRY_PASSWORD": "",
            "DOCKER_CONFIG": str(config),
            "PATH": f"{programs}:{os.environ['PATH']}",
        }

    def rotate(self) -> None:
        self.current.write_text(f"token-{uuid.uuid4().hex}")

    def ask(self, asked: Asked) -> Answer | None:
        kind = "TAG" if asked.tag and asked.method == "PUT" else asked.method
        if kind == "TAG" and self.broken:
            return self.broken.pop()
        sent = base64.b64decode(asked.authorization.removeprefix("Basic ") or "").decode().partition(":")[2]
        is_good = sent == self.current.read_text() and not (self.for_good and len(self.ended) == 2)
        if is_good and kind in self.end_at:
            self.end_at.remove(kind)
            self.ended.append(kind)
            self.rotate()
            return None if kind == "DELETE" else self.refused
        return None if is_good else self.refused

    @property
    def refused(self) -> Answer:
        return refusal(401, "UNAUTHORIZED", "the token has expired", WWW_Authenticate='Basic realm="x"')


@pytest.mark.wide(2)
@pytest.mark.parametrize("when", ["at-the-second-try", "for-good"])
def test_a_login_that_ends_is_asked_for_again(proxy: Proxy, lab: Lab, tmp_path: Path, when: str) -> None:
    """It ends behind the preflight, and again while the engine uploads: after a try that broke off, or for good."""
    made = behind(proxy, lab, tmp_path / "story", CHANGING)
    logins = Rotating(proxy, lab, tmp_path)
    logins.for_good = when == "for-good"
    if when == "at-the-second-try":
        logins.end_at, logins.broken = {"DELETE", "TAG"}, [refusal(500, "UNKNOWN", "internal error")]
    done = made.release("cut", VERSION, "--yes", env=logins.env)
    assert logins.ended[0] == "DELETE"
    assert len(logins.ended) == 2
    if when != "for-good":
        assert done.code == 0, done.err
        return
    assert (done.code, "[registry-unauthorized]" in done.err) == (7, True), done.err
    assert f"docker login {proxy.host}" in done.err
    assert beside(made).head(VERSION) is None


class ShortTokens:
    """A token service; the engine gets `uses` answers, then all tokens so far have ended, and nobody said when."""

    def __init__(self, proxy: Proxy, lab: Lab, uses: int) -> None:
        self.host, self.uses, self.left, self.good, self.ended = proxy.host, uses, uses, set[str](), 0
        proxy.login = "Basic " + base64.b64encode(f"{lab.username}:{lab.password}".encode()).decode()
        proxy.before = self.ask

    def ask(self, asked: Asked) -> Answer | None:
        if asked.path.startswith("/token"):
            self.good.add(token := uuid.uuid4().hex)
            return Answer(200, {"Content-Type": "application/json"}, json.dumps({"token": token}).encode())
        if asked.authorization.removeprefix("Bearer ") in self.good:
            self.left -= asked.headers["User-Agent"].startswith("docker/")
            if self.left >= 0:
                return None
            self.good, self.left, self.ended = set(), self.uses, self.ended + 1
        repository = asked.path.removeprefix("/v2/").partition("/blobs/")[0].partition("/manifests/")[0]
        scope = f',scope="repository:{repository}:pull,push"' if repository else ""
        realm = f'Bearer realm="http://{self.host}/token",service="x"{scope}'
        return refusal(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=realm)


def test_a_push_goes_on_where_the_registrys_tokens_end_before_it(proxy: Proxy, lab: Lab, tmp_path: Path) -> None:
    made = behind(proxy, lab, tmp_path)
    tokens = ShortTokens(proxy, lab, uses=10)
    done = made.release("cut", VERSION, "--yes")
    assert done.code == 0, done.err
    assert tokens.ended
    assert "tokens end sooner than engines take them to" in done.err
    assert beside(made).head(VERSION)


class Immutable:
    """No tag that exists is put again.  `late` is what the engine gets first where it asks for a digest."""

    def __init__(self, proxy: Proxy, made: Imaged) -> None:
        self.registry, self.late = beside(made), list[Answer]()
        proxy.before = self.ask

    def ask(self, asked: Asked) -> Answer | None:
        if self.late and "/manifests/sha256:" in asked.path and asked.headers["User-Agent"].startswith("docker/"):
            return self.late.pop()
        if asked.method == "PUT" and asked.tag and self.registry.head(asked.tag):
            return refusal(400, "TAG_INVALID", f"The tag {asked.tag} already exists and the repository is immutable.")
        return None


def test_an_immutable_candidate_of_the_same_commit_is_taken_over_and_proved(
    proxy: Proxy, lab: Lab, tmp_path: Path
) -> None:
    """The first run dies after its upload; the next one, without its journal and its images, builds another digest.

    The one that stands there is pulled to be proved, from a registry that shows it late, and breaks off once.
    """
    made = behind(proxy, lab, tmp_path, CHANGING)
    tags = Immutable(proxy, made)
    made.killed_cut("before", 12)
    registry = beside(made)
    (candidate,) = [tag for tag in registry.tags() if tag.startswith("candidate-")]
    standing = registry.head(candidate)
    assert standing is not None
    assert registry.head(VERSION) is None
    shutil.rmtree(made.story.clone.path / ".git/release")
    for ref in made.story.clone.git("for-each-ref", "--format=%(refname)", "refs/release").split():
        made.story.clone.git("update-ref", "-d", ref)
    docker = os.environ | {"DOCKER_HOST": lab.docker_host}
    subprocess.run(["docker", "rmi", "-f", f"{made.repository}:{candidate}"], env=docker, check=False)
    tags.late = [refusal(503, "UNAVAILABLE", "not now"), refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")]
    done = made.release("cut", VERSION, "--yes")
    assert (done.code, tags.late) == (0, []), done.err
    released = registry.head(VERSION)
    assert released is not None
    assert released.digest == standing.digest
    (image,) = made.release("show", VERSION, "--json").json["images"]
    own = registry.manifest(VERSION)
    assert own is not None
    assert image["layers"] == list(registry.config(own).diff_ids)
    assert made.release("verify", VERSION).code == 0


@pytest.mark.wide
def test_an_immutable_floating_tag_stays_and_the_record_is_written(proxy: Proxy, lab: Lab, tmp_path: Path) -> None:
    made = behind(proxy, lab, tmp_path)
    made.declare(image="  floating: [v2.7]\n")
    Immutable(proxy, made)
    assert made.release("cut", VERSION, "--yes").code == 0
    before = beside(made).head("v2.7")
    made.declare(image="  floating: [v2.7]\n", fix=made.story.after, version="v2.7.2")
    done = made.release("cut", "v2.7.2", "--yes")
    assert done.code == 0, done.err
    (image,) = made.release("show", "v2.7.2", "--json").json["images"]
    assert image["floating"]["moved"] == []
    assert "immutable" in image["floating"]["left"][0]
    assert beside(made).head("v2.7") == before

"""From every step of a release with an image that fails, what `status` prints leads to "released" or "nothing left".

One release, disturbed four times: each attempt goes on where the one before it failed.  The registry stands behind a
relay, which refuses an upload, a promotion and a login, and falls silent at the end.
"""

from __future__ import annotations

import base64
import json
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from orchestrator.release.status import Standing
from tests.scenarios import test_every_state as states
from tests.support.cli import release
from tests.support.imaged import VERSION, Imaged, imaged
from tests.support.registry_proxy import Answer, Asked, Proxy, proxied, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Ran
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker
EXPIRED = refusal(401, "UNAUTHORIZED", "token expired", WWW_Authenticate='Basic realm="x"')


@pytest.fixture
def proxy(lab: Lab) -> Iterator[Proxy]:
    with proxied(lab.registry) as running:
        yield running


@pytest.fixture
def relayed(proxy: Proxy, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Imaged:
    """The story behind the relay; the login is in docker's own file, as who types commands has it."""
    login = base64.b64encode(f"{lab.username}:{lab.password}".encode()).decode()
    config = tmp_path / "docker/config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"auths": {host: {"auth": login} for host in (proxy.host, lab.registry)}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(config.parent))
    monkeypatch.setenv("DOCKER_HOST", lab.docker_host)
    made = imaged(tmp_path / "story", lab)
    moved = Imaged(story=made.story, lab=lab, repository=made.repository.replace(lab.registry, proxy.host))
    moved.declare()
    return moved


def is_put(asked: Asked, *, version: bool) -> bool:
    return asked.method == "PUT" and bool(asked.tag) and (asked.tag == VERSION) is version


def test_every_step_that_fails_has_both_ways_out(relayed: Imaged, proxy: Proxy) -> None:
    clone, refuse = relayed.story.clone, "tests.support.kills:refuse"

    def failed(key: str, arm: tuple[str, ...] = ()) -> None:
        ran = release("cut", VERSION, "--yes", cwd=clone.path, arm=arm)
        assert ran.code != 0, ran.out
        now = states.status(clone.path)
        assert now["state"] == Standing.FAILED, (key, now, ran.err)

    def is_given_up(name: str) -> None:
        """In a copy of the clone: the remote has nothing of it yet."""
        there = clone.path.with_name(name)
        shutil.copytree(clone.path, there, symlinks=True)
        assert states.walk(there, states.NOTHING)[-1] == states.NOTHING
        assert relayed.story.remote.git("tag") == "v2.7.0"

    for step in ("build", "smoke"):
        failed(step, (refuse, f"{step}/{VERSION}"))
        is_given_up(f"no {step}")
    proxy.before = lambda asked: refusal(403, "DENIED", "no more room") if is_put(asked, version=False) else None
    failed("upload")
    is_given_up("no upload")
    proxy.before = lambda asked: refusal(403, "DENIED", "immutable") if is_put(asked, version=True) else None
    failed("promote")
    assert relayed.story.remote.git("tag", "-l", VERSION) == VERSION

    hiccups = [EXPIRED]
    proxy.before = lambda asked: hiccups.pop() if hiccups and is_put(asked, version=True) else None
    assert states.walk(clone.path, states.OUT)[-1] == states.OUT
    assert not hiccups, "one 401 in the middle is healed by a new login"
    assert run(relayed, "verify", VERSION).code == 0

    over = threading.Event()

    def silent(_: Asked) -> Answer | None:
        over.wait(60)
        return None

    proxy.before = silent
    try:
        for code, *command in ((6, "verify", VERSION), (0, "audit")):
            ran = release(*command, cwd=clone.path, arm=("tests.support.kills:impatient",))
            assert (ran.code, "could not be checked" in ran.out) == (code, True), (command, ran.out, ran.err)
    finally:
        over.set()


def run(made: Imaged, *args: str) -> Ran:
    return release(*args, cwd=made.story.clone.path)

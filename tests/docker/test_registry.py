"""The registry client against a real docker-registry 2.8 with logins."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import MismatchError, RefusedError, ReleaseError, RemoteError
from orchestrator.core.reference import ImageRepository
from orchestrator.registry.client import Registry
from orchestrator.registry.manifest import Manifest, Promotion
from orchestrator.registry.retry import RetryPolicy
from tests.support.registry_images import DOCKER, candidate
from tests.support.registry_process import USERS, RunningRegistry, running_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.docker

ABSENT = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def repository(registry: RunningRegistry, request: pytest.FixtureRequest) -> ImageRepository:
    """A repository of the test's own."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    return ImageRepository(host=registry.host, path=f"team/{name}")


def client(
    repository: ImageRepository, user: str = "ada", password: str = "", patience: RetryPolicy | None = None
) -> Registry:
    login = Credentials(username=user, password=password or USERS[user])
    return Registry(repository, credentials=lambda: login, patience=patience)


@pytest.fixture
def ada(repository: ImageRepository) -> Registry:
    return client(repository)


def test_what_is_put_can_be_read_back(ada: Registry) -> None:
    ada.ping()
    assert ada.tags() == ()
    assert ada.head("candidate-a") is None
    assert ada.manifest(ABSENT) is None
    manifest = candidate(ada, "a")
    for name in ("candidate-a", manifest.digest):
        found = ada.head(name)
        assert found
        assert (found.digest, found.media_type, found.size) == (
            manifest.digest,
            DOCKER,
            len(manifest.content),
        )
        assert ada.manifest(name) == manifest
    config = ada.config(manifest)
    assert config.labels == {"org.opencontainers.image.version": "a"}
    assert (config.platform, len(config.diff_ids)) == ("linux/amd64", 1)
    (layer,) = ada.layers(manifest)
    assert len(ada.blob(layer.digest)) == layer.size
    assert ada.tags() == ("candidate-a",)


def test_a_version_is_promoted_once(ada: Registry) -> None:
    first, second = candidate(ada, "a"), candidate(ada, "b")
    done = ada.promote(first.digest, "v2.7.1")
    assert (done.changed, done.previous) == (True, "")
    again = ada.promote(first.digest, "v2.7.1")
    assert (again.changed, again.digest) == (False, first.digest)
    with pytest.raises(RefusedError) as caught:
        ada.promote(second.digest, "v2.7.1")
    for part in (first.digest, second.digest, "v2.7.1"):
        assert part in caught.value.message
    found = ada.head("v2.7.1")
    assert found
    assert found.digest == first.digest


def test_a_promoted_manifest_is_the_same_bytes(ada: Registry) -> None:
    manifest = candidate(ada, "a")
    ada.promote(manifest.digest, "v2.7.1")
    read = ada.manifest("v2.7.1")
    assert read
    assert read.content == manifest.content


def test_what_is_not_there_cannot_be_promoted(ada: Registry) -> None:
    impatient = client(ada.repository, patience=RetryPolicy(late=0))
    with pytest.raises(RemoteError, match="has no manifest") as caught:
        impatient.promote(ABSENT, "v2.7.1")
    assert caught.value.code == "registry-not-found"


def test_a_floating_tag_moves(ada: Registry) -> None:
    first, second = candidate(ada, "a"), candidate(ada, "b")
    assert ada.move(first.digest, "v2.7").previous == ""
    moved = ada.move(second.digest, "v2.7")
    assert (moved.changed, moved.previous) == (True, first.digest)
    assert not ada.move(second.digest, "v2.7").changed
    found = ada.head("v2.7")
    assert found
    assert found.digest == second.digest
    assert sorted(ada.tags()) == ["candidate-a", "candidate-b", "v2.7"]


def test_a_manifest_with_missing_blobs_is_refused_in_the_registrys_words(ada: Registry) -> None:
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER,
        "config": {"mediaType": "application/json", "digest": ABSENT, "size": 2},
        "layers": [],
    }
    with pytest.raises(RemoteError, match="HTTP 400: MANIFEST_BLOB_UNKNOWN"):
        ada.put_manifest("v1", Manifest(content=json.dumps(document).encode(), media_type=DOCKER))


def test_an_index_has_no_config(ada: Registry) -> None:
    image = candidate(ada, "a")
    kind = "application/vnd.oci.image.index.v1+json"
    entry = {"mediaType": DOCKER, "digest": image.digest, "size": len(image.content)}
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}
    ada.put_manifest("multi", Manifest(content=json.dumps(document).encode(), media_type=kind))
    index = ada.manifest("multi")
    assert index
    assert index.is_index
    with pytest.raises(RemoteError, match="several platforms"):
        ada.config(index)
    with pytest.raises(RemoteError, match="several platforms"):
        ada.layers(index)


# ------------------------------------------------------------------ logins


def test_can_push_gives_its_upload_up_again(ada: Registry, registry: RunningRegistry) -> None:
    ada.can_push()
    uploads = registry.folder.glob(f"storage/**/{ada.repository.path}/_uploads/*")
    assert [path.name for upload in uploads for path in upload.iterdir()] == ["hashstates"], "as 2.8 leaves it"


def test_every_user_of_the_file_gets_in(repository: ImageRepository) -> None:
    client(repository, "bob").can_push()


@pytest.mark.parametrize("user", ["ada", "eve"])
def test_a_wrong_login_is_tried_once(registry: RunningRegistry, repository: ImageRepository, user: str) -> None:
    eve = client(repository, user, "not-the-password")
    before = registry.log.count("error authenticating user")
    for call in (eve.can_push, eve.ping, eve.tags):
        with pytest.raises(RemoteError) as caught:
            call()
        assert caught.value.code == "registry-unauthorized"
        assert "not-the-password" not in caught.value.message
    assert registry.log.count("error authenticating user") - before == 1


def test_no_login(repository: ImageRepository) -> None:
    with pytest.raises(RemoteError, match="none was found") as caught:
        Registry(repository, credentials=lambda: None).can_push()
    assert caught.value.code == "registry-unauthorized"


def test_a_read_only_registry(tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry") as writable:
        manifest = candidate(client(ImageRepository(host=writable.host, path="team/cuda")), "a")
    with running_registry(tmp_path / "registry", read_only=True) as read_only:
        ada = client(ImageRepository(host=read_only.host, path="team/cuda"))
        ada.ping()
        assert ada.manifest("candidate-a") == manifest
        for call in (ada.can_push, lambda: ada.promote(manifest.digest, "v1")):
            with pytest.raises(RemoteError, match="HTTP 405"):
                call()
        assert ada.head("v1") is None


def test_a_registry_without_logins_and_one_that_is_gone(tmp_path: Path) -> None:
    with running_registry(tmp_path, users={}) as running:
        repository = ImageRepository(host=running.host, path="team/cuda")
        Registry(repository, credentials=lambda: pytest.fail("nobody asked for a login")).can_push()
    with pytest.raises(RemoteError, match="connection refused, 2 times") as caught:
        Registry(repository, credentials=lambda: None, patience=RetryPolicy(tries=2, first_delay=0.01)).ping()
    assert caught.value.code == "registry-unreachable"


def test_a_private_ca(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl, "apt install openssl"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.pem"]
    subprocess.run([openssl, *command.split(), *names], cwd=tmp_path, check=True, capture_output=True)
    with running_registry(tmp_path / "r", tls=(tmp_path / "ca.pem", tmp_path / "key.pem")) as running:
        repository = ImageRepository(host=running.host, path="team/cuda")
        login = Credentials(username="ada", password=USERS["ada"])
        with pytest.raises(RemoteError) as caught:
            Registry(repository, credentials=lambda: login, certificates=tmp_path / "certs.d").ping()
        assert caught.value.code == "registry-certificate"
        folder = tmp_path / "certs.d" / running.host
        folder.mkdir(parents=True)
        shutil.copy(tmp_path / "ca.pem", folder / "ca.crt")
        Registry(repository, credentials=lambda: login, certificates=tmp_path / "certs.d").can_push()


# ------------------------------------------------------------------ two at once


class InStep(Registry):
    """Puts at the same moment as the other one: both have looked, and both saw nothing."""

    barrier: threading.Barrier

    def put_manifest(self, tag: str, manifest: Manifest, *, before_retry: Callable[[], object] | None = None) -> str:
        if tag.startswith("v"):
            self.barrier.wait(timeout=10)
        return super().put_manifest(tag, manifest, before_retry=before_retry)


def _race(registries: list[Registry], digests: list[str], tag: str) -> list[Promotion | ReleaseError]:
    def run(registry: Registry, digest: str) -> Promotion | ReleaseError:
        try:
            return registry.promote(digest, tag)
        except (RefusedError, MismatchError) as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, registries, digests))


@pytest.mark.parametrize("kind", [Registry, InStep])
def test_two_promotions_of_one_tag_have_one_winner(repository: ImageRepository, kind: type[Registry]) -> None:
    InStep.barrier = threading.Barrier(2)
    login = Credentials(username="ada", password=USERS["ada"])
    registries = [kind(repository, credentials=lambda: login) for _ in range(2)]
    digests = [candidate(registries[0], version).digest for version in ("a", "b")]
    for number in range(3):
        outcomes = _race(registries, digests, f"v2.7.{number}")
        winners = [outcome for outcome in outcomes if isinstance(outcome, Promotion)]
        assert len(winners) == 1, outcomes
        found = registries[0].head(f"v2.7.{number}")
        assert found
        assert found.digest == winners[0].digest

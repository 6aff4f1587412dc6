"""A real docker-registry behind a proxy that behaves as other registries do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import MismatchError, RefusedError, RemoteError
from orchestrator.registry.client import MAX_MANIFEST, Registry
from orchestrator.registry.manifest import Manifest, render_index
from orchestrator.registry.retry import RetryPolicy
from tests.registry.beside import ADA
from tests.support.registry_images import DOCKER, candidate, tiny_image
from tests.support.registry_proxy import RESET, Answer, Asked, Proxy, refusal

if TYPE_CHECKING:
    from tests.registry.beside import Beside


pytestmark = pytest.mark.docker
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_to_a_put_means_stored(proxy: Proxy, client: Registry, beside: Beside, status: int) -> None:
    image = candidate(beside.registry, "a")

    def other(asked: Asked, answer: Answer) -> Answer:
        return replace(answer, status=status, body=b"") if asked.method == "PUT" else answer

    proxy.after = other
    assert client.promote(image.digest, "v1").changed
    assert client.move(image.digest, "v").changed
    assert beside.digest("v1") == beside.digest("v") == image.digest


@pytest.mark.parametrize("status", [400, 403, 405, 501])
def test_where_head_is_not_known_get_says_the_same(proxy: Proxy, client: Registry, beside: Beside, status: int) -> None:
    image = candidate(beside.registry, "a")
    proxy.before = lambda asked: Answer(status) if asked.method == "HEAD" else None
    assert client.head("v1") is None
    assert client.promote(image.digest, "v1").changed
    found = client.head("v1")
    assert found
    assert (found.digest, found.media_type, found.size) == (image.digest, DOCKER, len(image.content))


def test_a_404_to_head_is_believed_when_head_has_found_something(
    proxy: Proxy, client: Registry, beside: Beside
) -> None:
    """Where every HEAD is a 404, a version that is there is seen all the same, and never put over."""
    image, other = candidate(beside.registry, "a"), candidate(beside.registry, "b")
    proxy.before = lambda asked: Answer(404) if asked.method == "HEAD" and asked.tag else None
    assert client.head("v1") is None
    assert client.promote(image.digest, "v1").changed
    with pytest.raises(RefusedError, match="is there already"):
        client.promote(other.digest, "v1")
    assert proxy.count("HEAD", "v1") < proxy.count("GET", "v1")
    proxy.before = lambda _: None
    fresh = Registry(client.repository, credentials=lambda: ADA)
    assert fresh.head("v1")
    proxy.seen.clear()
    assert fresh.head("v2") is None
    assert [asked.method for asked in proxy.seen] == ["HEAD"]


def test_a_refused_get_is_still_a_refusal(proxy: Proxy, client: Registry) -> None:
    proxy.before = lambda _: refusal(403, "DENIED", "not for you")
    with pytest.raises(RemoteError, match="HTTP 403: DENIED: not for you"):
        client.head("v1")


# ------------------------------------------------------------------ late reads


class Late:
    """For so many looks after the PUT of a tag, the tag reads as it was."""

    def __init__(self, proxy: Proxy, beside: Beside, looks: int) -> None:
        self.left = dict[str, int]()
        self.before = dict[str, Answer]()
        self.beside = beside
        self.looks = looks
        proxy.before, proxy.after = self.ask, self.answer

    def ask(self, asked: Asked) -> Answer | None:
        if asked.method == "PUT" and asked.tag:
            old = self.beside.registry.manifest(asked.tag)
            self.before[asked.tag] = (
                Answer(200, {"Content-Type": old.media_type, "Docker-Content-Digest": old.digest}, old.content)
                if old
                else refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
            )
        elif self.left.get(asked.tag, 0) > 0:
            self.left[asked.tag] -= 1
            return self.before[asked.tag]
        return None

    def answer(self, asked: Asked, answer: Answer) -> Answer:
        if asked.method == "PUT" and asked.tag:
            self.left[asked.tag] = self.looks
        return answer


@pytest.mark.parametrize("looks", [1, 4])
def test_a_put_that_is_shown_late_is_waited_for(
    proxy: Proxy, client: Registry, beside: Beside, slept: list[float], looks: int
) -> None:
    first, second = candidate(beside.registry, "a"), candidate(beside.registry, "b")
    Late(proxy, beside, looks)
    assert client.promote(first.digest, "v1").changed
    assert client.move(first.digest, "v").previous == ""
    slept.clear()
    assert client.move(second.digest, "v").previous == first.digest
    assert slept == [0.5, 1.0, 2.0, 4.0][:looks]
    assert beside.digest("v") == second.digest


def test_a_put_that_is_never_shown_is_said_so_and_nobody_is_accused(
    proxy: Proxy, client: Registry, beside: Beside, slept: list[float]
) -> None:
    image = candidate(beside.registry, "a")
    Late(proxy, beside, 1000)
    with pytest.raises(RemoteError, match="still reads as before \\(not there\\) after 30 s") as caught:
        client.promote(image.digest, "v1")
    assert caught.value.code == "registry-late"
    assert sum(slept) == pytest.approx(30)


def test_the_second_look_at_a_version_may_come_when_other_things_are_done(
    proxy: Proxy, client: Registry, beside: Beside, slept: list[float]
) -> None:
    """As long after the PUT as ever: what has gone by meanwhile is not waited for again."""
    mine, theirs = (candidate(beside.registry, name) for name in "ab")
    promoted = client.promote(mine.digest, "v1", settled=False)
    assert (slept, proxy.count("HEAD", "v1")) == ([], 2)
    client.settle(promoted)
    assert (len(slept), proxy.count("HEAD", "v1")) == (1, 3)
    client.settle(replace(promoted, put_at=promoted.put_at - 60))
    assert len(slept) == 1
    beside.registry.put_manifest("v1", theirs)
    with pytest.raises(MismatchError, match=theirs.digest) as caught:
        client.settle(promoted)
    assert caught.value.code == "tag-race"


@pytest.mark.parametrize(("took", "waits"), [(0.0, 0.1), (0.004, 0.1), (0.03, 0.3), (0.05, 0.5), (20.0, 0.5)])
def test_who_looked_at_the_same_moment_is_given_ten_times_what_a_put_took(took: float, waits: float) -> None:
    assert RetryPolicy().settling(took) == pytest.approx(waits)


def test_a_third_digest_is_somebody_else_also_when_it_comes_late(
    proxy: Proxy, client: Registry, beside: Beside, slept: list[float]
) -> None:
    first, second, third = (candidate(beside.registry, name) for name in "abc")
    beside.registry.move(first.digest, "v")
    late = Late(proxy, beside, 3)

    def taken(asked: Asked, answer: Answer) -> Answer:
        answer = late.answer(asked, answer)
        if asked.method == "PUT" and asked.tag == "v":
            beside.registry.put_manifest("v", third)
        return answer

    proxy.after = taken
    with pytest.raises(MismatchError, match=third.digest) as caught:
        client.move(second.digest, "v")
    assert caught.value.code == "tag-race"
    assert len(slept) == 3
    assert beside.digest("v") == third.digest


def test_what_was_uploaded_a_moment_ago_may_be_late_too(
    proxy: Proxy, client: Registry, beside: Beside, slept: list[float]
) -> None:
    image = candidate(beside.registry, "a")
    missing = [refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")] * 2
    proxy.before = lambda asked: missing.pop() if missing and asked.path.endswith(image.digest) else None
    assert client.promote(image.digest, "v1").changed
    assert slept[:2] == [0.5, 1.0]


# ------------------------------------------------------------------ immutable tags


class Immutable:
    """No tag that exists is put again, with whatever content."""

    def __init__(self, proxy: Proxy, beside: Beside) -> None:
        self.beside = beside
        proxy.before = self.ask

    def ask(self, asked: Asked) -> Answer | None:
        if asked.method == "PUT" and asked.tag and self.beside.digest(asked.tag):
            return refusal(400, "TAG_INVALID", f"The tag {asked.tag} exists and the repository is immutable.")
        return None


def test_where_tags_are_immutable_a_lost_answer_is_no_failure(
    proxy: Proxy, client: Registry, beside: Beside, slept: list[float]
) -> None:
    """The first PUT is stored and its answer lost; the second one is refused."""
    image = candidate(beside.registry, "a")
    Immutable(proxy, beside)
    lost = [RESET]
    proxy.after = lambda asked, answer: lost.pop() if lost and asked.method == "PUT" else answer
    assert client.promote(image.digest, "v1").changed
    assert (beside.digest("v1"), proxy.count("PUT", "v1")) == (image.digest, 2)


def test_an_immutable_floating_tag_is_refused_in_the_registrys_words(
    proxy: Proxy, client: Registry, beside: Beside
) -> None:
    first, second = candidate(beside.registry, "a"), candidate(beside.registry, "b")
    Immutable(proxy, beside)
    client.move(first.digest, "v")
    with pytest.raises(RemoteError, match="the repository is immutable"):
        client.move(second.digest, "v")
    assert not client.move(first.digest, "v").changed
    assert beside.digest("v") == first.digest


def test_an_immutable_version_of_another_digest_is_never_put(proxy: Proxy, client: Registry, beside: Beside) -> None:
    first, second = candidate(beside.registry, "a"), candidate(beside.registry, "b")
    Immutable(proxy, beside)
    client.promote(first.digest, "v1")
    with pytest.raises(RefusedError):
        client.promote(second.digest, "v1")
    assert proxy.count("PUT", "v1") == 1


# ------------------------------------------------------------------ indexes that others made


def index_of(registry: Registry, *images: tuple[Manifest, str], attest: bool = True) -> Manifest:
    """As buildx pushes it: the images by platform, and for each an attestation of no platform."""
    entries: list[dict[str, object]] = []
    for image, platform in images:
        parts = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        entry = {"mediaType": DOCKER, "digest": image.digest, "size": len(image.content)}
        entries.append({**entry, "platform": parts} if platform else entry)
    if attest:
        said = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": images[0][0].digest}
        unknown = {"architecture": "unknown", "os": "unknown"}
        about = tiny_image(registry.repository, "attestation")
        registry.put_manifest("attestation", about)
        entry = {"mediaType": DOCKER, "digest": about.digest, "size": len(about.content)}
        entries.insert(0, {**entry, "annotations": said, "platform": unknown})
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    made = Manifest(content=json.dumps(document).encode(), media_type=INDEX)
    registry.put_manifest("index", made)
    return made


def test_an_index_is_read_through_to_its_image(beside: Beside) -> None:
    registry = beside.registry
    small, other = candidate(registry, "v1.0.0"), candidate(registry, "v1.0.1")
    index = index_of(registry, (small, "linux/amd64"), (other, "linux/arm64/v8"))
    named = registry.manifest("index")
    assert named == index
    assert registry.image(named) == small
    assert registry.image(named, "linux/amd64") == small
    assert registry.image(named, "linux/arm64") == registry.image(named, "linux/arm64/v8") == other
    assert registry.find_image(named, "linux/riscv64") is None
    assert registry.labels(named) == {"org.opencontainers.image.version": "v1.0.0"}
    assert registry.image(small) == small


def test_an_index_of_attestations_alone_has_no_image(beside: Beside) -> None:
    registry = beside.registry
    image = candidate(registry, "v1.0.0")
    document = json.loads(index_of(registry, (image, "linux/amd64")).content)
    alone = {**document, "manifests": document["manifests"][:1]}
    made = Manifest(content=json.dumps(alone).encode(), media_type=INDEX)
    registry.put_manifest("index", made)
    with pytest.raises(RemoteError, match="lists no image") as caught:
        registry.labels(made)
    assert caught.value.code == "registry-bad-answer"


def test_an_index_without_platforms_and_one_inside_another(beside: Beside) -> None:
    registry = beside.registry
    image = candidate(registry, "v1.0.0")
    inner = index_of(registry, (image, ""), attest=False)
    assert registry.image(inner) == image
    platform = {"os": "linux", "architecture": "amd64"}
    entry = {"mediaType": INDEX, "digest": inner.digest, "size": len(inner.content), "platform": platform}
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    outer = Manifest(content=json.dumps(document).encode(), media_type=INDEX)
    registry.put_manifest("outer", outer)
    assert registry.image(outer) == image


def test_a_registry_that_takes_no_large_request_is_one_line(proxy: Proxy, client: Registry, beside: Beside) -> None:
    manifest = tiny_image(beside.repository, "v1")
    proxy.before = lambda asked: Answer(413, {}, b"<html>413</html>") if asked.method == "PUT" else None
    with pytest.raises(RemoteError, match="HTTP 413") as raised:
        client.put_manifest("v1", manifest)
    assert (raised.value.code, "client_max_body_size" in raised.value.remedy) == ("registry-too-large", True)
    asked = len(proxy.seen)
    with pytest.raises(RemoteError, match="a manifest of"):
        client.put_manifest("v2", Manifest(content=bytes(MAX_MANIFEST + 1), media_type=DOCKER))
    assert len(proxy.seen) == asked


def test_an_index_that_was_stored_is_found_and_one_that_may_not_be_replaced_is_stored_by_its_digest(
    proxy: Proxy, client: Registry, beside: Beside
) -> None:
    one, two = (candidate(beside.registry, version) for version in ("one", "two"))
    first, both = render_index([(one, "linux/amd64")]), render_index([(one, "linux/amd64"), (two, "linux/arm64")])
    client.store("join", first)
    puts = proxy.count("PUT")
    client.store("join", first)
    assert proxy.count("PUT") == puts
    denied = refusal(400, "TAG_INVALID", "tags are immutable")
    proxy.before = lambda asked: denied if asked.method == "PUT" and asked.tag else None
    client.store("join", both)
    assert beside.digest("join") == first.digest
    assert beside.digest(both.digest) == both.digest
    with pytest.raises(RemoteError, match="immutable"):
        client.store("new", both)


@pytest.mark.parametrize("docker", [False, True])
def test_indexes_that_others_made_are_read_through(client: Registry, beside: Beside, docker: bool) -> None:
    """docker's list of variants, and what build-push-action leaves: attestations and artifacts beside an image."""
    images = {name: candidate(beside.registry, name.replace("/", "-")) for name in ("arm/v6", "arm/v7", "other")}

    def entry(name: str, more: dict[str, object]) -> dict[str, object]:
        image = images[name]
        return {"mediaType": image.media_type, "digest": image.digest, "size": len(image.content)} | more

    unknown: dict[str, object] = {"platform": {"os": "unknown", "architecture": "unknown"}}
    entries = [
        entry("other", {"artifactType": "application/vnd.example"}),
        entry("other", {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}} | unknown),
        *(
            entry(f"arm/{variant}", {"platform": {"os": "linux", "architecture": "arm", "variant": variant}})
            for variant in ("v6", "v7")
        ),
    ]
    kind = INDEX.replace("oci.image.index.v1", "docker.distribution.manifest.list.v2") if docker else INDEX
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    index = Manifest(content=json.dumps(document).encode(), media_type=kind)
    client.put_manifest("theirs", index)
    assert client.platforms(index) == ("linux/arm/v6", "linux/arm/v7")
    assert client.image(index, "linux/arm/v7").digest == images["arm/v7"].digest
    assert client.image(index, "linux/arm").digest == images["arm/v6"].digest
    assert client.find_image(index, "linux/amd64") is None
    assert client.labels(index)["org.opencontainers.image.version"] == "arm-v6"
    silent = {**document, "manifests": [entry("other", {}), entries[1]]}
    single = Manifest(content=json.dumps(silent).encode(), media_type=kind)
    client.put_manifest("single", single)
    assert client.image(single, "linux/amd64").digest == images["other"].digest
    assert client.platforms(single) == ("linux/amd64",)
    assert client.lacking(client.image(single)) == ()

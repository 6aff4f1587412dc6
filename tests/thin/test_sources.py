"""The sources of a heavy base are kept in pieces, and only those are read that hold what a patch changes."""

from __future__ import annotations

import gzip
import io
import secrets
import tarfile
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import RemoteError
from orchestrator.core.reference import ImageRepository
from orchestrator.registry.client import Registry
from orchestrator.thin.layer import FileNode, make_layer
from orchestrator.thin.sources import PIECE, pack, read_sources
from tests.support.counting import counted
from tests.support.registry_process import USERS, running_registry
from tests.support.registry_proxy import Answer, Asked, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.docker
LONG = f"site/{'l' * 120}/long.py"  # a name that takes a header of its own
FILES = {f"site/p{number:02}.py": secrets.token_hex(PIECE // 4).encode() for number in range(16)} | {
    "site/small.py": b"x = 1\n",
    LONG: b"y = 2\n",
    "site/empty.py": b"",
}
TREE = {path: FileNode(data=data) for path, data in FILES.items()}
BLOB, INDEX = pack(TREE)
SOME = ("site/p00.py", "site/p07.py", "site/small.py")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running.host


def registry_at(host: str) -> Registry:
    login = Credentials(username="ada", password=USERS["ada"])
    return Registry(ImageRepository(host=host, path="team/base"), credentials=lambda: login)


@pytest.fixture(scope="module")
def kept(host: str) -> tuple[str, str]:
    """The digests of blob and index."""
    registry = registry_at(host)
    return registry.put_blob(BLOB), registry.put_blob(INDEX)


def wanted(*paths: str) -> Mapping[str, bytes]:
    return {path: FILES[path] for path in paths}


def test_a_reader_that_knows_no_index_takes_it_as_one_layer() -> None:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(BLOB))) as archive:
        found = {each.name: (archive.extractfile(each) or io.BytesIO()).read() for each in archive}
    assert found == FILES
    assert pack(dict(reversed(TREE.items()))) == (BLOB, INDEX)
    assert pack({}) == (b"", b"")
    assert pack({"site/\udc80.py": FileNode(data=b"odd")}) == (b"", b"")


def test_a_few_files_are_read_by_their_pieces(host: str, kept: tuple[str, str]) -> None:
    """Counted at the real registry: the index, and one request for each piece; bytes are those of the pieces."""
    with counted(host) as moved:
        registry = registry_at(moved.host)
        registry.ping()
        moved.clear()
        assert read_sources(registry, *kept, {*SOME, "site/missing.py", "a.py"}) == wanted(*SOME)
        took = moved.requests, moved.received
        assert took[0] == 1 + len(SOME)
        assert took[1] < PIECE < len(BLOB) / 3
        moved.clear()
        assert read_sources(registry, *kept, FILES.keys()) == FILES
        assert read_sources(registry, *kept, ()) == {}


def test_what_an_earlier_version_kept_in_one_piece_is_read(host: str) -> None:
    registry = registry_at(host)
    blob = registry.put_blob(make_layer(TREE).content)
    assert read_sources(registry, blob, "", {*SOME, LONG}) == wanted(*SOME, LONG)


WHOLE = Answer(200, {}, BLOB)


@pytest.mark.parametrize(
    "answer",
    [WHOLE, Answer(416), Answer(405), Answer(206, {}, b"other"), Answer(206, {}, WHOLE.body)],
    ids=["whole", "416", "405", "other bytes", "too many"],
)
def test_a_registry_that_gives_no_parts_gives_the_whole(host: str, kept: tuple[str, str], answer: Answer) -> None:
    with proxied(host) as proxy:
        proxy.before = lambda asked: answer if "Range" in asked.headers else None
        assert read_sources(registry_at(proxy.host), *kept, SOME) == wanted(*SOME)
        assert len([each for each in proxy.seen if each.path.endswith(kept[0])]) == 2  # a piece, the whole


@pytest.mark.parametrize("index", [b"", b"no gzip", make_layer({}).content], ids=["gone", "no gzip", "no index"])
def test_without_a_good_index_the_whole_is_read(host: str, kept: tuple[str, str], index: bytes) -> None:
    registry = registry_at(host)
    digest = registry.put_blob(index) if index else f"sha256:{'0' * 64}"
    assert read_sources(registry, kept[0], digest, SOME) == wanted(*SOME)


def test_a_registry_that_holds_other_bytes_is_not_believed(host: str, kept: tuple[str, str]) -> None:
    def torn(asked: Asked, answer: Answer) -> Answer:
        return Answer(answer.status, answer.headers, answer.body[::-1]) if asked.path.endswith(kept[0]) else answer

    with proxied(host) as proxy:
        proxy.after = torn
        with pytest.raises(RemoteError, match=f"blob {kept[0]}"):
            read_sources(registry_at(proxy.host), *kept, SOME)

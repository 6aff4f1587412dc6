"""Logging in: Basic, token services, and where a login must never go."""

from __future__ import annotations

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.registry.auth import parse_challenges
from tests.registry.client import (
    BASIC,
    BASIC_ADA,
    FOUND,
    PASSWORD,
    Client,
    failing,
    resolve_to_loopback,
)
from tests.registry.scripted_server import Reply, Script, Seen, in_turn, reply_json

DENIED = {"errors": [{"code": "DENIED", "message": "not for you\n\x1b[31m", "detail": {}}]}


def test_no_login_is_sent_or_looked_up_before_it_is_asked_for(server: Script) -> None:
    server.answer = in_turn(FOUND)
    client = Client(server.host)
    assert client.registry.head("v1") is not None
    assert [seen.authorization for seen in server.seen] == [""], "and ~/.netrc is not used"
    assert client.logins == 0


def test_basic_after_a_401_and_at_once_from_then_on(server: Script) -> None:
    server.answer = in_turn(Reply(401, headers=BASIC), FOUND, FOUND)
    client = Client(server.host)
    client.registry.head("v1")
    client.registry.head("v1")
    assert [seen.authorization for seen in server.seen] == ["", BASIC_ADA, BASIC_ADA]
    assert client.logins == 1


def test_a_wrong_password_makes_one_request_with_it_ever(server: Script) -> None:
    server.answer = lambda _: reply_json(
        {"errors": [{"code": "UNAUTHORIZED", "message": f"{PASSWORD} is wrong"}]}, 401, **BASIC
    )
    client = Client(server.host)
    for call in (client.registry.ping, client.registry.tags, client.registry.can_push):
        error = failing(call)
        assert error.code == "registry-unauthorized"
        assert "login was rejected" in error.message
        assert "docker login" in error.remedy
    assert [seen.authorization for seen in server.seen] == ["", BASIC_ADA]
    assert client.slept == []


def test_a_login_that_nobody_has(server: Script) -> None:
    server.answer = in_turn(Reply(401, headers=BASIC))
    error = failing(Client(server.host, None).registry.ping)
    assert error.code == "registry-unauthorized"
    assert "none was found" in error.message
    assert len(server.seen) == 1


@pytest.mark.parametrize("header", ["", "Negotiate", "Digest realm=x, nonce=y", ",,,=;"])
def test_a_401_that_offers_no_known_way(server: Script, header: str) -> None:
    server.answer = in_turn(Reply(401, headers={"WWW-Authenticate": header} if header else {}))
    assert failing(Client(server.host).registry.ping).code == "registry-unauthorized"
    assert len(server.seen) == 1


def test_a_403_is_said_in_the_registrys_words_on_one_line(server: Script) -> None:
    server.answer = in_turn(Reply(401, headers=BASIC), reply_json(DENIED, 403))
    error = failing(Client(server.host).registry.can_push)
    assert error.code == "registry-forbidden"
    assert "HTTP 403: DENIED: not for you" in error.message


# ------------------------------------------------------------------ bearer


class TokenService:
    """A registry that takes what its token service on the same server issues."""

    def __init__(self, server: Script, **answer: object) -> None:
        self.server = server
        self.extra = answer
        self.issued = 0
        server.answer = self

    def __call__(self, seen: Seen) -> Reply:
        if seen.path.startswith("/token"):
            if seen.method == "GET" and seen.authorization not in ("", BASIC_ADA):
                return reply_json({"details": "incorrect username or password"}, 401)
            self.issued += 1
            return reply_json({"token": f"t{self.issued}", **self.extra})
        if self.issued and seen.authorization == f"Bearer t{self.issued}":
            return FOUND
        scope = "repository:team/cuda:pull" + (",push" if seen.method in ("PUT", "POST") else "")
        challenge = (
            f'Negotiate, Bearer realm="http://{self.server.host}/token?x=1",service="a, b",scope="{scope}", '
            'Basic realm="never reached"'
        )
        return Reply(401, headers={"WWW-Authenticate": challenge})


def test_a_token_is_fetched_with_the_login_and_reused(server: Script) -> None:
    service = TokenService(server)
    client = Client(server.host)
    client.registry.head("v1")
    client.registry.head("v1")
    paths = [seen.path for seen in server.seen]
    query = "/token?x=1&service=a%2C%20b&account=ada&scope=repository%3Ateam%2Fcuda%3Apull"
    manifest = "/v2/team/cuda/manifests/v1"
    assert paths == [manifest, query, manifest, manifest]
    assert server.seen[1].authorization == BASIC_ADA
    assert service.issued == 1


def test_access_token_is_another_name_for_it(server: Script) -> None:
    TokenService(server, token="", access_token="t1")
    Client(server.host).registry.head("v1")
    assert server.seen[-1].authorization == "Bearer t1"


def test_without_a_login_an_anonymous_token_is_fetched(server: Script) -> None:
    TokenService(server)
    assert Client(server.host, None).registry.head("v1")
    assert server.seen[1].authorization == ""
    assert "account" not in server.seen[1].path


def test_an_identity_token_is_posted_to_the_service_and_nowhere_else(server: Script) -> None:
    TokenService(server)
    Client(server.host, Credentials(identity_token=PASSWORD)).registry.head("v1")
    sent = server.seen[1]
    assert (sent.method, sent.path, sent.authorization) == ("POST", "/token?x=1", "")
    assert b"grant_type=refresh_token" in sent.body
    assert b"refresh_token=op%C3%A9n%3Asesame" in sent.body


def test_a_token_is_renewed_when_its_time_is_over(server: Script) -> None:
    service = TokenService(server, expires_in=100)
    client = Client(server.host)
    client.registry.head("v1")
    client.now = 99
    client.registry.head("v1")
    assert service.issued == 1
    client.now = 101
    client.registry.head("v1")
    assert service.issued == 2


def test_a_token_that_is_no_longer_taken_is_renewed_once(server: Script) -> None:
    service = TokenService(server)
    client = Client(server.host)
    client.registry.head("v1")
    service.issued += 1  # as if somebody else had made the registry forget t1
    assert client.registry.head("v1")
    service.issued = 7
    server.answer = lambda seen: Reply(401, headers=service(seen).headers) if "v2" in seen.path else service(seen)
    before = len(server.seen)
    assert failing(lambda: client.registry.head("v1")).code == "registry-unauthorized"
    assert len(server.seen) - before == 3


def test_push_gets_a_token_of_its_own(server: Script) -> None:
    TokenService(server)
    client = Client(server.host)
    client.registry.head("v1")
    failing(client.registry.can_push)  # the fake answers 200 to the POST, which is not what opens an upload
    assert [seen.path.rpartition("scope=")[2] for seen in server.seen if "token" in seen.path] == [
        "repository%3Ateam%2Fcuda%3Apull",
        "repository%3Ateam%2Fcuda%3Apull%2Cpush",
    ]


def test_a_wrong_password_at_the_token_service_is_sent_once(server: Script) -> None:
    TokenService(server)
    client = Client(server.host, Credentials(username="ada", password="wrong"))
    for _ in range(2):
        error = failing(lambda: client.registry.head("v1"))
        assert error.code == "registry-unauthorized"
        assert "incorrect username or password" in error.message
    assert len([seen for seen in server.seen if seen.authorization]) == 1


def test_insufficient_scope_is_forbidden(server: Script) -> None:
    realm = f'Bearer realm="http://{server.host}/token"'
    server.answer = in_turn(
        Reply(401, headers={"WWW-Authenticate": realm}),
        reply_json({"token": "t"}),
        Reply(401, headers={"WWW-Authenticate": f'{realm},error="insufficient_scope"'}),
    )
    assert failing(Client(server.host).registry.can_push).code == "registry-forbidden"


@pytest.mark.parametrize(
    "answer",
    [
        reply_json({}),
        reply_json({"token": 7}),
        reply_json({"token": "a\r\nX-Evil: 1"}),
        reply_json(["token"]),
        Reply(200, b"<html>", {"Content-Type": "text/html"}),
        Reply(302, headers={"Location": "http://127.0.0.1:1/"}),
    ],
)
def test_a_token_service_that_answers_nonsense(server: Script, answer: Reply) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{server.host}/token"'}
    server.answer = in_turn(Reply(401, headers=challenge), answer)
    failing(Client(server.host).registry.ping)
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "realm",
    ["http://tokens.example.com/t", "ftp://x/t", "/token", "", "https://u:p@x/t", "https://[/", "https://"],
)
def test_a_login_is_sent_to_no_realm_without_https(server: Script, realm: str) -> None:
    server.answer = in_turn(Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}))
    client = Client(server.host)
    assert failing(client.registry.ping).code == "registry-bad-answer"
    assert client.logins == 0


def test_a_remote_registry_cannot_name_a_realm_on_this_machine(server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to_loopback(monkeypatch, "registry.example.com")
    server.answer = in_turn(Reply(401, headers={"WWW-Authenticate": f'Bearer realm="http://{server.host}/token"'}))
    client = Client(f"registry.example.com:{server.server_port}", plain_http=True)
    assert failing(client.registry.ping).code == "registry-bad-answer"
    assert client.logins == 0


def test_challenges_with_commas_quotes_and_several_schemes() -> None:
    header = 'Bearer realm="https://a/t?x=1,2",service="a \\"b\\", c" , scope=pull,Basic realm=x,Negotiate'
    found = parse_challenges(header)
    assert [each.scheme for each in found] == ["bearer", "basic", "negotiate"]
    assert found[0].params == {"realm": "https://a/t?x=1,2", "service": 'a "b", c', "scope": "pull"}
    assert found[1].params == {"realm": "x"}
    assert parse_challenges('realm="x", Basic') == parse_challenges("basic")

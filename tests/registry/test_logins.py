"""A login that ends, is refused for a moment or is taken no more: a real docker-registry behind a proxy."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import RemoteError
from orchestrator.registry.client import Registry
from orchestrator.registry.retry import RetryPolicy
from tests.registry.beside import ADA, Beside
from tests.support.registry_images import candidate
from tests.support.registry_process import USERS
from tests.support.registry_proxy import Answer, Asked, Proxy, refusal

pytestmark = pytest.mark.docker


ENDED = {
    "401": refusal(401, "UNAUTHORIZED", "expired", WWW_Authenticate='Basic realm="x"'),
    "403": refusal(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."),  # ECR
}


@pytest.mark.parametrize("how", ENDED)
def test_a_login_that_has_ended_is_asked_for_again(proxy: Proxy, beside: Beside, how: str) -> None:
    """What the helper gives is good for some requests only, as a token that lives for minutes."""
    image = candidate(beside.registry, "a")
    given: list[Credentials] = []

    def login() -> Credentials:
        given.append(Credentials(username="token", password=f"p{len(given)}"))
        return given[-1]

    served = dict[str, int]()

    def ask(asked: Asked) -> Answer | None:
        served[asked.authorization] = served.get(asked.authorization, 0) + 1
        if not asked.authorization:
            return ENDED["401"]
        return ENDED[how] if served[asked.authorization] > 2 else None

    proxy.before, proxy.login = ask, basic(ADA)
    client = Registry(replace(beside.repository, host=proxy.host), credentials=login, patience=RetryPolicy(settle=0.01))
    assert client.promote(image.digest, "v1").changed
    assert len(given) > 1
    assert max(served[each] for each in served if each) == 3, "a login that is refused is not tried again"


def test_one_401_to_a_login_that_was_taken_is_no_rejection(proxy: Proxy, client: Registry, beside: Beside) -> None:
    image = candidate(beside.registry, "a")
    refused = [refusal(401, "UNAUTHORIZED", "hiccup", WWW_Authenticate='Basic realm="x"')]
    assert client.head("v1") is None
    proxy.before = lambda asked: refused.pop() if refused and asked.method == "PUT" else None
    assert client.promote(image.digest, "v1").changed


def test_a_login_that_is_taken_no_more_is_tried_once_more_and_then_never(proxy: Proxy, client: Registry) -> None:
    client.ping()
    before = len(proxy.seen)
    proxy.before = lambda _: refusal(401, "UNAUTHORIZED", "locked", WWW_Authenticate='Basic realm="x"')
    for _ in range(2):
        with pytest.raises(RemoteError, match="taken before and is rejected now") as caught:
            client.ping()
        assert caught.value.code == "registry-unauthorized"
    assert len(proxy.seen) - before == 2


def test_before_what_matters_the_login_is_asked_for_anew(proxy: Proxy, beside: Beside) -> None:
    """Some registries answer 403 or 404 to a login that has ended, so it is not left to a 401."""
    logins = [ADA, Credentials(username="bob", password=USERS["bob"])]
    client = Registry(replace(beside.repository, host=proxy.host), credentials=lambda: logins[0])
    client.renew_login()
    assert proxy.seen == []
    client.ping()
    assert proxy.seen[-1].authorization == basic(ADA)
    del logins[0]
    client.renew_login()
    client.ping()
    assert proxy.seen[-1].authorization == basic(logins[0])


def basic(login: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()

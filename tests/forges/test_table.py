"""Every forge of the table can be used by its name alone."""

from __future__ import annotations

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.forges.address import address
from orchestrator.forges.protection import ProtectionRules
from orchestrator.forges.table import FORGES, forge_module

RULES = ProtectionRules(release_branches="release/*", source="main", tags="v*", actors=(), checks=())


@pytest.mark.parametrize("provider", FORGES)
def test_a_forge_is_found_by_its_name(provider: str) -> None:
    module = forge_module(provider)
    found = address(
        provider,
        remote_url="git@git.example.com:team/image.git",
        repository="",
        url="",
        env={module.TOKENS[0]: "secret"},
    )
    assert (found.provider, found.repository, found.token) == (provider, "team/image", "secret")
    assert found.api == module.api_of("git.example.com")
    assert module.api_of("").startswith("https://")
    assert module.actor(module.DEFAULT_ACTOR).kind
    wanted = module.settings(RULES, found.api)
    assert wanted
    assert any(module.words(setting.value, setting.value) for setting in wanted)


def test_an_unknown_forge_is_named_with_those_that_are_known() -> None:
    with pytest.raises(UsageError) as caught:
        forge_module("gitea")
    assert "github|gitlab" in str(caught.value.remedy)

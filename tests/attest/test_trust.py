"""Whom release.yaml pins: the pattern that cosign gets, and trusted roots that prove too little."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.attest.bundle import read, sign
from orchestrator.attest.keys import signing_key
from orchestrator.attest.signing import config_file
from orchestrator.attest.trust import Trust, identity_pattern, pinned, root_fault
from orchestrator.core.declaration.signing import KeylessSpec, SignSpec
from orchestrator.core.errors import UsageError
from tests.support.signing import pair

if TYPE_CHECKING:
    from pathlib import Path

KEYLESS = KeylessSpec(identities=("https://ci.example.com/a+b@refs/tags/{version}", "mia@example.com"), issuer="x")


@pytest.mark.parametrize(
    ("who", "believed"),
    [
        ("https://ci.example.com/a+b@refs/tags/v2.7.1", True),
        ("mia@example.com", True),
        ("https://ci.example.com/a+b@refs/tags/v2x7.1", False),
        ("https://ci.example.com/a+b@refs/tags/v2.7.10", False),
        ("https://ci.example.com/aab@refs/tags/v2.7.1", False),
        ("not-mia@example.com", False),
    ],
)
def test_an_identity_is_all_of_it_and_of_this_version(who: str, believed: bool) -> None:
    assert bool(re.search(identity_pattern(KEYLESS, re.escape("v2.7.1")), who)) == believed


def test_a_root_must_say_who_and_when() -> None:
    who: dict[str, object] = {"certificateAuthorities": [{}]}
    when: dict[str, object] = {"timestampAuthorities": [{}]}
    for document, says in ((who | when, ""), (who | {"tlogs": [{}]}, ""), (who, "neither a log"), (when, "authority")):
        found = root_fault(json.dumps(document).encode())
        assert (says in found, bool(found)) == (True, bool(says))
    assert root_fault(b"no json")


def test_what_is_not_at_hand_is_said() -> None:
    key = pair()
    spec = SignSpec(keyless=KEYLESS, public_keys=(key.public,))
    found = pinned(spec, "v2.7.1", {"PATH": ""}, lambda _: None)
    assert (found.lacks, len(found.keys)) == ("there is no cosign on the path", 1)
    made = read(sign(b"{}", signing_key(key.private, b"", "k", "P")))
    assert made is not None
    assert (found.believes(made), Trust().refusal(made)) == (True, "another key signed it")


def test_a_file_of_sigstore_is_read_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "root.json").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match="is a symbolic link"):
        config_file("root.json", tmp_path)
    with pytest.raises(UsageError) as caught:
        config_file("none.json", tmp_path)
    assert (caught.value.where, caught.value.code) == ("none.json", "no-sigstore")
    assert config_file("secret", tmp_path) == b"s3cret"

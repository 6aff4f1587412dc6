"""The file for clusters: YAML with the pinned keys, and what is said where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from tests.support.cli import release
from tests.support.signing import pair
from tests.support.story import fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

IMAGE = "image:\n  repository: registry.example.com/team/pytorch-cuda\n"


def test_each_pinned_key_is_an_authority(tale: Story) -> None:
    keys = [pair(), pair(edwards=True)]
    pinned = "".join(f"    - {each.public}\n" for each in keys)
    tale.release_yaml(fix_line(tale.fix), extra=f"{IMAGE}sign:\n  key-env: K\n  public-keys:\n{pinned}")
    done = release("protect", "--provider", "kubernetes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    policy = yaml.safe_load(done.out)
    assert policy["kind"] == "ClusterImagePolicy"
    assert policy["spec"]["images"][0]["glob"] == "registry.example.com/team/pytorch-cuda@sha256:*"
    found = ["".join(each["key"]["data"].splitlines()[1:-1]) for each in policy["spec"]["authorities"]]
    assert found == [each.public for each in keys]
    assert all(each["signatureFormat"] == "bundle" for each in policy["spec"]["authorities"])
    refused = release("protect", "--provider", "kubernetes", "--apply", cwd=tale.clone.path)
    assert (refused.code, "kubectl apply -f FILE" in refused.err) == (2, True)


def test_without_keys_there_is_nothing_to_ask_for(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix), extra=IMAGE)
    refused = release("protect", "--provider", "kubernetes", cwd=tale.clone.path)
    assert (refused.code, "has no `sign:`" in refused.err) == (2, True)


def test_policy_can_demand_signatures(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix), extra=f"{IMAGE}policy:\n  signed-images: true\n")
    refused = release("plan", "v2.7.1", cwd=tale.clone.path)
    assert refused.code != 0
    assert "policy-signed-images" in refused.err + refused.out

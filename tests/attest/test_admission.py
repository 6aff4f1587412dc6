"""The files for clusters: YAML with the pinned keys and the identity, and what is said where there are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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


# The keys of Kyverno's ImageValidatingPolicy (config/crds/policies.kyverno.io of its repository, v1) that are used,
# "!" before those that must be there.  None is a text, a number or a list of texts.
KYVERNO: dict[str, Any] = {
    "failurePolicy": None,
    "validationActions": None,
    "webhookConfiguration": {"timeoutSeconds": None},
    "matchConstraints": {
        "resourceRules": {"apiGroups": None, "apiVersions": None, "operations": None, "resources": None}
    },
    "matchImageReferences": {"glob": None},
    "!attestors": {
        "!name": None,
        "cosign": {
            "key": {"data": None, "hashAlgorithm": None},
            "keyless": {"!identities": {"issuer": None, "subjectRegExp": None}},
            "ctlog": {"url": None, "insecureIgnoreTlog": None, "insecureIgnoreSCT": None},
            "trustedRoot": {"value": None},
        },
    },
    "attestations": {"!name": None, "intoto": {"!type": None}},
    "!validations": {"!expression": None, "message": None},
}


def held(value: Any, schema: dict[str, Any] | None, place: str = "spec") -> None:
    """Nothing is there that the schema does not know, and all that it demands."""
    for each in value if isinstance(value, list) else [value]:
        if schema is None or not isinstance(each, dict):
            assert (schema is None, isinstance(each, dict)) == (True, False), place
            continue
        known = {key.lstrip("!"): inner for key, inner in schema.items()}
        assert set(each) <= set(known), (place, set(each) - set(known))
        assert {key[1:] for key in schema if key.startswith("!")} <= set(each), place
        for key, inner in each.items():
            held(inner, known[key], f"{place}.{key}")


def test_kyvernos_policy_is_as_its_schema_says(tale: Story) -> None:
    key = pair()
    root: dict[str, Any] = {"certificateAuthorities": [{}], "timestampAuthorities": [{}]}
    (tale.clone.path / "root.json").write_text(json.dumps(root))
    keyless = "{identity: 'https://ci.example.com/a.yml@{version}', issuer: 'https://ci.example.com', "
    own = "trusted-root: root.json, signing-config: c.json}"
    tale.release_yaml(
        fix_line(tale.fix), extra=f"{IMAGE}sign:\n  keyless: {keyless}{own}\n  public-keys: [{key.public}]\n"
    )
    done = release("protect", "--provider", "kyverno", cwd=tale.clone.path)
    assert done.code == 0, done.err
    policy = yaml.safe_load(done.out)
    assert (policy["apiVersion"], policy["kind"]) == ("policies.kyverno.io/v1", "ImageValidatingPolicy")
    spec = policy["spec"]
    held(spec, KYVERNO)
    by_key, by_identity = (each["cosign"] for each in spec["attestors"])
    assert "".join(by_key["key"]["data"].splitlines()[1:-1]) == key.public
    assert json.loads(by_identity["trustedRoot"]["value"]) == root
    assert by_identity["ctlog"] == {"insecureIgnoreTlog": True, "insecureIgnoreSCT": True}
    (who,) = by_identity["keyless"]["identities"]
    assert who["subjectRegExp"] == r"^(?:https://ci\.example\.com/a\.yml@v[0-9][0-9A-Za-z.-]*)$"
    for each in spec["validations"]:
        assert "[attestors.key1, attestors.identity]" in each["expression"]
    refused = release("protect", "--provider", "kubernetes", cwd=tale.clone.path)
    assert (refused.code, "--provider kyverno" in refused.err) == (2, True), refused.err
    tale.release_yaml(fix_line(tale.fix), extra=f"{IMAGE}sign:\n  keyless: {keyless}}}\n")
    public = yaml.safe_load(release("protect", "--provider", "kubernetes", cwd=tale.clone.path).out)
    (authority,) = public["spec"]["authorities"]
    assert authority["keyless"]["identities"] == [who]


def test_without_keys_there_is_nothing_to_ask_for(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix), extra=IMAGE)
    refused = release("protect", "--provider", "kubernetes", cwd=tale.clone.path)
    assert (refused.code, "has no `sign:`" in refused.err) == (2, True)


def test_policy_can_demand_signatures(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix), extra=f"{IMAGE}policy:\n  signed-images: true\n")
    refused = release("plan", "v2.7.1", cwd=tale.clone.path)
    assert refused.code != 0
    assert "policy-signed-images" in refused.err + refused.out

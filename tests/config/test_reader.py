"""release.yaml: what is read, and what is refused with which place."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config import reader
from orchestrator.config.validators import branch_fault
from orchestrator.core.declaration import (
    BuildOptions,
    BuildSecret,
    CacheSpec,
    CodeOwners,
    Fix,
    Freeze,
    Policy,
    ReleaseCommitSpec,
    ReleaseEntry,
    SmokeCommand,
    VerifyCommand,
    VersionFile,
)
from orchestrator.core.declaration.announcement import USUAL_TEXT
from orchestrator.core.declaration.signing import KeylessSpec, SignSpec
from orchestrator.core.errors import ConfigError
from orchestrator.core.results import Place
from tests.config.declared import FULL, KEYLESS, MINIMAL, read
from tests.support.sample import examples

if TYPE_CHECKING:
    from pathlib import Path

# ------------------------------------------------------------------ what is read


def test_every_key_is_read() -> None:
    got = read(FULL)
    assert (got.branch, got.source, got.remote) == (
        "release/v2.7",
        ("main", "fix/dataloader-leak"),
        "upstream",
    )
    assert got.releases[0] == ReleaseEntry(
        version="v2.7.1",
        place=Place(file="release.yaml", line=6, column=3),
        summary="one line",
        fixes=(
            Fix(
                place=Place(file="release.yaml", line=9, column=9),
                commit="00123456",
                reason="why it must ship",
                approved_by=("https://example.com/pull/7",),
                backport="1e5",
                mainline=1,
                allow=("duplicate", "empty"),
                exclude=("CHANGES.txt", ".github/**"),
            ),
            Fix(
                place=Place(file="release.yaml", line=15, column=9),
                range="e4f5a6b^..c7d8e9f",
                confirm=True,
                again=True,
                reason="it was lost",
                approved_by=("mia", "@org/team"),
                exclude=("CHANGES.txt", ".github/**"),
            ),
        ),
    )
    assert got.releases[1].fixes[0].commit == "main^{/leak}"
    assert got.releases[1].from_branch
    assert got.releases[1].fixes[0].exclude == ("CHANGES.txt", ".github/**", "/docs/")  # those for all, then its own
    assert got.releases[1].fixes[0].strategy_options == ("ours", "find-renames=60%")
    assert got.exclude == ("CHANGES.txt", ".github/**")
    assert got.verify == (
        VerifyCommand(run="make test", line=36),
        VerifyCommand(run="set -e\nmake lint", line=37),
        VerifyCommand(run="make docs", paths=("docs", "setup.py"), timeout=600.0, line=40),
        VerifyCommand(run="make all", line=41),
    )
    assert got.changelog == "docs/CHANGES.md"
    place = Place(file="release.yaml", line=44, column=5)
    assert got.version_files[0] == VersionFile(place=place, path="VERSION")
    assert got.version_files[1].pattern == 'version="(.*)"'
    key = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
    assert [(each.when, each.step, each.run, each.timeout) for each in got.hooks] == [
        ("before", "land", "./gate", 600), ("after", "record", "./tell", 5),
    ]  # fmt: skip
    assert got.forge_release is not None
    assert got.forge_release.assets == ("record",)
    assert [(each.kind, each.url_env, each.text) for each in got.notify] == [
        ("slack", "SLACK_URL", "{tag} is out"), ("teams", "TEAMS_URL", USUAL_TEXT),
    ]  # fmt: skip
    assert (got.signoff, got.sign_commits, read(MINIMAL).sign_commits) == (True, True, None)
    assert got.reuse_resolutions
    assert got.releases[1].ticket == "OPS-412"
    assert got.release_commit == ReleaseCommitSpec(
        subject="{ticket}: {tag} [skip ci]",
        body="{summary}\n\n{picks}",
        trailers=(("Ticket", "{ticket}"), ("Change-Id", "{change-id}")),
    )
    assert got.sign == SignSpec(key_env="SIGNING_KEY", public_keys=(key,), sbom=("spdx", "cyclonedx"))
    assert read(MINIMAL + KEYLESS).sign == SignSpec(
        keyless=KeylessSpec(
            identities=("mia@example.com", "https://ci.example.com/release.yml@refs/tags/{version}"),
            issuer="https://ci.example.com",
            trusted_root="sigstore/root.json",
            signing_config="sigstore/config.json",
        )
    )
    kms = read(f"{MINIMAL}sign: {{key: 'awskms:///alias/release', public-keys: [{key}]}}\n").sign
    locked = read(f"{MINIMAL}image: {{repository: r.example.com/b, lock-command: 'make {{lock}}'}}\n").image
    assert locked is not None
    assert locked.lock_command == "make {lock}"
    assert kms == SignSpec(key="awskms:///alias/release", public_keys=(key,))
    assert got.text == FULL.encode()


def test_the_policy_is_read() -> None:
    got = read(FULL)
    nowhere = Place(file="")
    zone = timezone(timedelta(hours=1))
    assert got.policy == Policy(
        place=nowhere,
        required_approvals=1,
        adapted_approvals=2,
        code_owners=(
            CodeOwners(place=nowhere, path="*", owners=("mia", "@org/team")),
            CodeOwners(place=nowhere, path="/docs/"),
        ),
        types=("fix", "perf"),
        conventional_commits=True,
        signed_tags=True,
        signed_images=True,
        protected_sources=("main", "next/2.8"),
        declared_on_source=True,
        freeze=(
            Freeze(
                place=nowhere,
                start=datetime(2026, 12, 20, 18, tzinfo=zone),
                end=datetime(2027, 1, 4, 7, tzinfo=UTC),
                reason="nobody is there",
            ),
        ),
    )
    assert str(got.policy.place_of("types")) == "release.yaml:53:10"
    assert str(got.policy.place_of("freeze-")) == "release.yaml:48:3"
    assert got.repository_url == "https://github.com/org/project"


def test_approvals_are_one_where_there_are_owners_and_adapted_ones_follow() -> None:
    def numbers(text: str) -> tuple[int, int]:
        policy = read(MINIMAL + f"policy: {text}\n").policy
        assert policy is not None
        return policy.required_approvals, policy.adapted_approvals

    assert numbers("{}") == (0, 0)
    assert numbers('{code-owners: [{path: "*", owners: [a]}]}') == (1, 1)
    assert numbers("{required-approvals: 2}") == (2, 2)
    assert numbers("{adapted-approvals: 1}") == (0, 1)


def test_the_image_is_read() -> None:
    image = read(FULL).image
    assert image is not None
    assert image.repository == "registry.example.com:5000/team/pytorch-cuda"
    assert (image.dockerfile, image.context) == ("images/pytorch-cuda/Dockerfile", "images")
    assert dict(image.build_args)["TORCH"] == "2.10"
    assert dict(image.build_args)["EMPTY"] == ""
    assert image.floating == ("v2.7", "latest")
    assert (image.platform, image.network) == ("linux/amd64", "host")
    assert (image.size_budget, image.max_layers) == (6 << 30, 20)
    assert image.patches == "images/pytorch-cuda/patches"
    assert image.smoke == (
        SmokeCommand(name="true", command=("/bin/sh", "-c", "true")),
        SmokeCommand(name="python -c import torch", command=("python", "-c", "import torch")),
        SmokeCommand(name="jupyter", command=("/bin/sh", "-c", "jupyter --version"), timeout=90.0, network="bridge"),
    )


def test_how_it_is_built_is_read() -> None:
    options = (
        "image:\n  repository: r.io/x\n  builder: buildx\n  target: run\n  ssh: [default, 'k=~/k']\n  shm-size: 2GiB\n"
        "  secrets: {a: {env: A}, b: {file: ~/b, required: false}}\n  gpus: nvidia.com/gpu=all\n  pull: true\n"
        "  labels: {com.example.team: ml}\n  variants: [{name: a}, {name: b, target: dev}]\n"
        "  cache: {from: [previous], to: r.io/c}\n"
    )
    image = read(MINIMAL + options).image
    assert image is not None
    assert image.options == BuildOptions(
        builder="buildx",
        target="run",
        secrets=(BuildSecret(name="a", env="A"), BuildSecret(name="b", file="~/b", required=False)),
        ssh=("default", "k=~/k"),
        shm_size=2 << 30,
        gpus="nvidia.com/gpu=all",
        pull=True,
        labels=(("com.example.team", "ml"),),
        cache=CacheSpec(sources=("previous",), to="r.io/c"),
    )
    assert [each.target for each in image.variants] == ["", "dev"]
    assert dict(image.places)["ssh"].line == dict(image.places)["target"].line + 1


def test_defaults() -> None:
    got = read(MINIMAL)
    assert (got.remote, got.releases, got.image, got.changelog) == ("origin", (), None, "CHANGELOG.md")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5", 1.5), ("90s", 90), ("5m", 300), ("1h", 3600), ("24h", 86400)]
)
def test_timeouts(text: str, seconds: float) -> None:
    image = f"image:\n  repository: r.io/x\n  smoke: [{{run: ls, timeout: {text}}}]\n"
    got = read(MINIMAL + image).image
    assert got is not None
    assert got.smoke[0].timeout == seconds


def test_equal_commands_get_names_of_their_own() -> None:
    got = read(MINIMAL + "image:\n  repository: r.io/x\n  smoke: [ls, ls, {name: ls (2), run: pwd}]\n").image
    assert got is not None
    assert len({command.name for command in got.smoke}) == 3


@pytest.mark.parametrize("extra", ["releases: {}\n", "releases:\n", "verify: []\n"])
def test_empty_sections_are_fine(extra: str) -> None:
    assert read(MINIMAL + extra).releases == ()


def test_windows_line_ends_are_read_and_kept() -> None:
    data = FULL.replace("\n", "\r\n").encode()
    got = reader.parse(data, "release.yaml")
    assert got.text == data
    assert got.releases == read(FULL).releases


def test_aliases_are_read() -> None:
    got = read(MINIMAL + 'releases:\n  v2.7.1:\n    fixes: [{commit: a, reason: &r "x"}, {commit: b, reason: *r}]\n')
    assert got.releases[0].fixes[1].reason == "x"


# ------------------------------------------------------------------ files


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_text(FULL)
    assert reader.load(path, shown_as="release.yaml") == read(FULL)


def test_load_names_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, code in (
        ("nothing", "config-missing"),
        (".", "config-not-a-file"),
        ("pipe", "config-not-a-file"),
    ):
        with pytest.raises(ConfigError) as caught:
            reader.load(tmp_path / name, shown_as="release.yaml")
        assert (caught.value.where, caught.value.code) == ("release.yaml", code)


# ------------------------------------------------------------------ git's own opinion

NAMES = [
    *(
        "main",
        "a/b",
        "release/v2.7",
        "a.b",
        "a@b",
        "ü",
        "a{b",
        "a}",
        "a@",
        "-a/b",
        "x/-a",
        "a.lock.b",
        "#1",
        "a!$&'b",
    ),
    *("a..b", "a b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a\tb", "a\x7fb", "a@{b", "a//b"),
    *("/a", "a/", "a.", ".a", "a/.b", "a.lock", "a.lock/b", "a/b.lock", "", "a./b"),
]


def git_takes(name: str) -> bool:
    done = subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], check=False)
    return done.returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_branch_names_are_judged_as_git_judges(name: str) -> None:
    assert (branch_fault(name) == "") == git_takes(name)


@given(st.text(alphabet="ab.@{/-~\\*l", max_size=8))
@settings(max_examples=examples(60), deadline=None)
def test_any_branch_name_is_judged_as_git_judges(name: str) -> None:
    if name != "@":  # git itself takes this one for HEAD
        assert (branch_fault(name) == "") == git_takes(name)

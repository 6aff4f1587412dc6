"""What a version tag is, in every scheme."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from orchestrator.core.versions import (
    Scheme,
    TagVersion,
    completed,
    final_of,
    line_of_branch,
    moves_forward,
    next_patch,
    not_understood,
    parse_tag,
    suggested,
    use,
)

# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("tag", "prefix", "version"),
    [("v2.7.1", "v", "2.7.1"), ("2.7.1", "", "2.7.1"), ("v2.7.1-rc.1", "v", "2.7.1-rc.1")],
)
def test_tags(tag: str, prefix: str, version: str) -> None:
    parsed = parse_tag(tag)
    assert parsed is not None
    assert (parsed.prefix, parsed.bare, str(parsed)) == (prefix, version, tag)


NO_TAGS = [
    "",
    "v",
    "v2.7",
    "2",
    "vv2.7.1",
    "V2.7.1",
    "v02.7.1",
    "v2.7.1.2",
    "v2.7.1 ",
    "v2.7.1\n",
    "v2.7.\u0661",
]


@pytest.mark.parametrize("tag", [*NO_TAGS, "v2.7." + "9" * 5000])
def test_other_tags_are_no_versions(tag: str) -> None:
    assert parse_tag(tag) is None


@pytest.mark.parametrize(
    ("branch", "line"),
    [
        *((name, (2, 7)) for name in ("release/v2.7", "release/2.7", "release-2.7", "v2.7", "2.7", "releases/2.7.x")),
        *((name, (2, 7)) for name in ("stable/2.7", "team/release/2.7.0", "maint-2.7", "2.7-stable", "rel_2.7")),
        ("release/v2.10", (2, 10)),
        *((name, None) for name in ("main", "release/cuda-12.6", "fix/python3.11", "release/2", "release/v2.07", "")),
        *((name, None) for name in ("release/2.7.1.1", "v\u0662.7", "release/2.7/hotfix")),
    ],
)
def test_branches(branch: str, line: tuple[int, int] | None) -> None:
    assert line_of_branch(branch) == line


def test_versions_are_sorted_as_people_number_them() -> None:
    right = [
        "v2.7.0",
        "v2.7.1-alpha",
        "v2.7.1-beta.2",
        "v2.7.1-rc1",
        "v2.7.1-rc.2",
        "v2.7.1-rc9",
        "v2.7.1-rc10",
        "v2.7.1",
    ]
    parsed = [version for tag in reversed(right) if (version := parse_tag(tag))]
    assert [str(each) for each in sorted(parsed, key=lambda each: each.order)] == right


# ------------------------------------------------------------------ floating tags


@pytest.mark.parametrize(
    ("current", "new", "moves"),
    [
        (None, "v2.7.1", True),
        (None, "v2.7.1-rc.1", False),
        ("v2.7.0", "v2.7.1", True),
        ("2.7.9", "v2.7.10", True),
        ("v2.7.1", "v2.7.1", False),
        ("v2.8.0", "v2.7.1", False),
        ("v2.7.0", "v2.7.1-rc.1", False),
        ("v2.7.1-rc.1", "v2.7.1", True),
        ("nightly", "v2.7.1", False),
        ("v2.7.0", "nightly", False),
    ],
)
def test_floating_tags_move_forward_only(current: str | None, new: str, moves: bool) -> None:
    assert moves_forward(current, new) is moves


# ------------------------------------------------------------------ properties

numbers = st.integers(0, 12)
prereleases = st.none() | st.builds(
    "{}{}{}".format, st.sampled_from(["alpha", "beta", "rc"]), st.sampled_from([".", ""]), numbers
)
versions = st.builds(lambda patch, pre: Version(2, 7, patch, pre), numbers, prereleases)


@given(versions, versions)
def test_floating_tags_never_move_both_ways(one: Version, other: Version) -> None:
    assert not (moves_forward(str(one), str(other)) and moves_forward(str(other), str(one)))


@given(versions)
def test_the_next_patch_is_final_and_greater(version: Version) -> None:
    tag = parse_tag(f"v{version}")
    assert tag is not None
    following = next_patch(tag)
    assert following.order > tag.order
    assert not following.is_candidate


# ------------------------------------------------------------------ schemes


@pytest.mark.parametrize(
    ("scheme", "tag", "final", "line", "following"),
    [
        (Scheme(kind="calver"), "2024.04.1", "", (2024, 4), "2024.04.2"),
        (Scheme(kind="calver"), "24.04", "", (24, 4), "24.04.1"),
        (Scheme(kind="calver"), "v2024.04.09", "", (2024, 4), "v2024.04.10"),
        (Scheme(kind="calver"), "2024.04.1.3", "", (2024, 4), "2024.04.1.4"),
        (Scheme(kind="calver"), "2024.04.1-rc.2", "2024.04.1", (2024, 4), "2024.04.1"),
        (Scheme(kind="pep440"), "2.7.1", "", (2, 7), "2.7.2"),
        (Scheme(kind="pep440"), "2.7.1rc1", "2.7.1", (2, 7), "2.7.1"),
        (Scheme(kind="pep440"), "2.7.1.post1", "", (2, 7), "2.7.2"),
        (Scheme(kind="pep440"), "2.7.1.post1.dev3", "2.7.1.post1", (2, 7), "2.7.1.post1"),
        (Scheme(kind="pep440"), "v2.7.1.4", "", (2, 7), "v2.7.1.5"),
        (Scheme(product="tinyserve/"), "tinyserve/v2.7.1-rc.1", "tinyserve/v2.7.1", (2, 7), "tinyserve/v2.7.1"),
        (Scheme(product="image-"), "image-v2.7.1", "", (2, 7), "image-v2.7.2"),
    ],
)
def test_a_scheme_reads_its_tags(scheme: Scheme, tag: str, final: str, line: tuple[int, int], following: str) -> None:
    use(scheme)
    parsed = TagVersion.from_text(tag)
    assert (str(parsed), final_of(tag), parsed.line) == (tag, final, line)
    assert (str(next_patch(parsed)), str(parsed.final)) == (following, final or tag)


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        (Scheme(), ["2024.04.1", "2.7.1rc1", "2.7.1.post1", "2.7.1.4", "image-v2.7.1"]),
        (Scheme(kind="calver"), ["2.7.1", "10.2", "24.04rc1", "2024", "2024.04.1+x", "2024.4.1.1.1"]),
        (Scheme(kind="pep440"), ["2.7", "2.7.1-rc.1", "2.7.01", "2.7.1rc", "2.7.1rc1.dev2", "1!2.7.1", "2.7.1+cu126"]),
        (Scheme(product="image-"), ["v2.7.1", "imagev2.7.1", "image-x2.7.1", "chart-2.7.1"]),
    ],
)
def test_a_scheme_reads_no_others(scheme: Scheme, tags: list[str]) -> None:
    use(scheme)
    assert [tag for tag in tags if parse_tag(tag)] == []


def test_versions_of_every_scheme_are_sorted() -> None:
    use(Scheme(kind="pep440"))
    right = ["2.7.0", "2.7.1.dev2", "2.7.1a1", "2.7.1b1", "2.7.1rc9", "2.7.1rc10", "2.7.1", "2.7.1.post1.dev1",
             "2.7.1.post1", "2.7.1.post2", "2.7.1.1", "2.7.2"]  # fmt: skip
    assert sorted(set(right), key=lambda tag: TagVersion.from_text(tag).order) == right
    use(Scheme(kind="calver"))
    right = ["24.04", "24.04.1", "24.10", "25.01", "2024.04.1"]
    assert sorted(set(right), key=lambda tag: TagVersion.from_text(tag).order) == right


@pytest.mark.parametrize(
    ("prefix", "product"),
    [("v", ""), ("", ""), ("image-v", "image-"), ("tinyserve/v", "tinyserve/"), ("tinyserve/", "tinyserve/"),
     ("release-", "release-"), ("conv", "conv"), ("rev-v", "rev-")],
)  # fmt: skip
def test_a_v_at_the_end_of_a_prefix_belongs_to_the_version(prefix: str, product: str) -> None:
    assert Scheme.of(prefix, "semver").product == product


def test_a_version_may_be_typed_without_the_product() -> None:
    use(Scheme(product="tinyserve/"))
    assert (completed("v2.7.1"), completed("tinyserve/v2.7.1"), completed("next")) == (
        "tinyserve/v2.7.1", "tinyserve/v2.7.1", "next",
    )  # fmt: skip
    assert TagVersion.from_text("tinyserve/v2.7.1").name == "v2.7.1"


@pytest.mark.parametrize(
    ("scheme", "branch", "line"),
    [
        (Scheme(kind="calver"), "release/2024.04", (2024, 4)),
        (Scheme(product="tinyserve/"), "release/tinyserve-2.7", (2, 7)),
        (Scheme(product="tinyserve-"), "tinyserve/2.7", (2, 7)),
        (Scheme(product="tinyserve/"), "release/other-2.7", None),
    ],
)
def test_the_line_of_a_branch_of_a_product(scheme: Scheme, branch: str, line: tuple[int, int] | None) -> None:
    use(scheme)
    assert line_of_branch(branch) == line


def test_tags_of_other_schemes_are_named_with_what_to_set() -> None:
    tags = ["tinyserve-v1.0.0", "tinyserve-v1.0.1", "v2.7.0", "2024.04.1", "2.7.1.post1", "nightly", "v2"]
    end = "if they are this project's"
    assert not_understood(tags) == [
        f"1 tag looks like a version and is none here, such as 2.7.1.post1: set `scheme: pep440` {end}",
        f"1 tag looks like a version and is none here, such as 2024.04.1: set `scheme: calver` {end}",
        f"2 tags look like versions and are none here, such as tinyserve-v1.0.0: set `tag-prefix: tinyserve-` {end}",
    ]
    use(Scheme(product="tinyserve-"))
    assert not_understood(["tinyserve-v1.0.0", "v2.7.0"]) == []
    assert [line[:5] for line in not_understood(["tinyserve-2.7.1.post1", "v2.7.0"])] == ["1 tag"]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["v2.7.0", "tinyserve-v1.0.0", "tinyserve-v1.0.1"], Scheme()),
        (["image-v1.0.0", "image-v1.0.1", "chart-0.1.0"], Scheme(product="image-")),
        (["2024.04.1", "2024.05.1"], Scheme(kind="calver")),
        (["2.7.1.post1"], Scheme(kind="pep440")),
        (["nightly"], Scheme()),
    ],
)
def test_what_a_repository_seems_to_use(tags: list[str], scheme: Scheme) -> None:
    assert suggested(tags) == scheme

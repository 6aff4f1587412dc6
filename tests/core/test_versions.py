"""Which version may follow which."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from semver import Version

from orchestrator.core.errors import UsageError
from orchestrator.core.versions import (
    NextVersion,
    TagVersion,
    check_version,
    default_version,
    line_of_branch,
    moves_forward,
    next_patch,
    parse_tag,
)

BRANCH = "release/v2.7"


def judge(requested: str, *reachable: str, branch: str = BRANCH, elsewhere: tuple[str, ...] = ()) -> NextVersion:
    existing = {*reachable, *elsewhere}
    return check_version(requested, branch=branch, reachable=reachable, existing=existing, where="release.yaml:6:3")


def codes(verdict: NextVersion) -> list[str]:
    return [problem.code for problem in verdict.problems]


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("tag", "prefix", "version"),
    [("v2.7.1", "v", "2.7.1"), ("2.7.1", "", "2.7.1"), ("v2.7.1-rc.1", "v", "2.7.1-rc.1")],
)
def test_tags(tag: str, prefix: str, version: str) -> None:
    parsed = parse_tag(tag)
    assert parsed is not None
    assert (parsed.prefix, str(parsed.version), str(parsed)) == (prefix, version, tag)


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


# ------------------------------------------------------------------ the rule


@pytest.mark.parametrize(
    ("requested", "reachable", "previous"),
    [
        ("v2.7.0", [], ""),
        ("v2.7.0-rc.1", [], ""),
        ("v2.7.0", ["v2.6.9"], ""),
        ("2.7.0", [], ""),
        ("v2.7.1", ["v2.7.0", "v2.6.9", "nightly"], "v2.7.0"),
        ("v2.7.10", ["v2.7.9", "v2.7.8"], "v2.7.9"),
        ("2.7.1", ["2.7.0"], "2.7.0"),
        ("v2.7.1-rc.1", ["v2.7.0"], "v2.7.0"),
        ("v2.7.1-alpha.0", ["v2.7.0"], "v2.7.0"),
        ("v2.7.1-rc.2", ["v2.7.0", "v2.7.1-rc.1"], "v2.7.1-rc.1"),
        ("v2.7.1-rc.10", ["v2.7.1-rc.9", "v2.7.1-rc.8"], "v2.7.1-rc.9"),
        ("v2.7.1-rc2", ["v2.7.1-rc1"], "v2.7.1-rc1"),
        ("v2.7.1-rc.1", ["v2.7.1-beta.4"], "v2.7.1-beta.4"),
        ("v2.7.1-alpha.1", ["v2.7.1-alpha"], "v2.7.1-alpha"),
        ("v2.7.1", ["v2.7.1-rc.3"], "v2.7.1-rc.3"),
        ("v2.7.1", ["v2.7.1-rc9"], "v2.7.1-rc9"),
        ("v2.7.1-rc10", ["v2.7.1-rc9", "v2.7.1-rc1"], "v2.7.1-rc9"),
        ("v2.7.1-rc11", ["v2.7.1-rc10", "v2.7.1-rc9"], "v2.7.1-rc10"),
    ],
)
def test_the_right_version(requested: str, reachable: list[str], previous: str) -> None:
    assert judge(requested, *reachable) == NextVersion(previous=previous, tag=requested)


@pytest.mark.parametrize(
    ("requested", "reachable", "code", "right"),
    [
        ("v2.7.1", ["v2.7.0", "v2.7.1"], "version-exists", "v2.7.2"),
        ("2.7.1", ["v2.7.0", "v2.7.1"], "version-exists", "v2.7.2"),
        ("v2.7.3", ["v2.7.1"], "version-skips", "v2.7.2"),
        ("v2.7.1", [], "version-skips", "v2.7.0"),
        ("v2.7.2-rc.1", ["v2.7.0"], "version-skips", "v2.7.1"),
        ("v2.7.1-rc.2", ["v2.7.0"], "version-skips", "v2.7.1-rc.1"),
        ("v2.7.1-rc.3", ["v2.7.1-rc.1"], "version-skips", "v2.7.1-rc.2"),
        ("v2.7.1-rc1", ["v2.7.1-rc.1"], "version-skips", "v2.7.1-rc.2"),
        ("v2.7.2", ["v2.7.1-rc.1"], "version-skips", "v2.7.1"),
        ("v2.7.1-rc.5", ["v2.7.1-beta.4"], "version-skips", "v2.7.1-beta.5"),
        ("v2.7.0", ["v2.7.1"], "version-goes-back", "v2.7.2"),
        ("v2.7.1-rc.1", ["v2.7.1"], "version-goes-back", "v2.7.2"),
        ("v2.7.1-beta.1", ["v2.7.1-rc.1"], "version-goes-back", "v2.7.1-rc.2"),
        ("v2.7.1-rc2", ["v2.7.1-rc10", "v2.7.1-rc9"], "version-goes-back", "v2.7.1-rc11"),
        ("v2.7.1", ["v2.7.1+cu126"], "version-goes-back", "v2.7.2"),
        ("v2.8.0", ["v2.7.1"], "version-other-line", "v2.7.2"),
        ("v2.6.1", ["v2.6.0", "v2.7.1"], "version-other-line", "v2.7.2"),
        ("2.7.2", ["v2.7.1"], "version-prefix", "v2.7.2"),
        ("v2.7.2", ["2.7.1"], "version-prefix", "2.7.2"),
        ("2.7.0", ["v2.6.0"], "version-prefix", "v2.7.0"),
    ],
)
def test_a_wrong_version_is_refused_with_the_right_one(
    requested: str, reachable: list[str], code: str, right: str
) -> None:
    (problem,) = judge(requested, *reachable).problems
    assert (problem.code, problem.exit_code, problem.where) == (code, 4, "release.yaml:6:3")
    assert right in problem.remedy.replace(",", " ").split()


@pytest.mark.parametrize(
    "requested",
    [
        "",
        "next",
        "v2.7",
        "v2.7.1+cu126",
        "v2.7.1-rc",
        "v2.7.1-rc.1.2",
        "v2.7.1-1",
        "v2.7.0-" + "a" * 130 + ".1",
    ],
)
def test_malformed_versions(requested: str) -> None:
    (problem,) = judge(requested, "v2.7.0").problems
    assert (problem.code, problem.exit_code) == ("version-malformed", 2)
    assert "v2.7.1" in problem.remedy


@pytest.mark.parametrize(
    ("requested", "reachable", "right"),
    [
        ("v2.7.1-rc1", ["v2.7.0"], "v2.7.1-rc.1"),
        ("2.7.1-rc0", ["2.7.1-beta.4"], "2.7.1-rc.0"),
        ("v2.7.1-rc.1", ["v2.7.0"], ""),
        ("v2.7.1-rc2", ["v2.7.1-rc1"], ""),
        ("v2.7.1", ["v2.7.1-rc1"], ""),
    ],
)
def test_the_first_candidate_without_a_dot_is_told_that_dots_sort_better(
    requested: str, reachable: list[str], right: str
) -> None:
    verdict = judge(requested, *reachable)
    assert not verdict.problems
    assert len(verdict.notes) == bool(right)
    assert all(f"{right} sorts right" in note for note in verdict.notes)


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


def test_a_tag_elsewhere_is_refused_without_naming_it_as_right() -> None:
    verdict = judge("v2.7.1", "v2.7.0", elsewhere=("v2.7.1",))
    assert codes(verdict) == ["version-exists"]
    assert "git show v2.7.1" in verdict.problems[0].remedy
    assert verdict.previous == "v2.7.0"


def test_prefix_and_order_are_reported_together() -> None:
    assert codes(judge("2.7.5", "v2.7.0")) == ["version-prefix", "version-skips"]


def test_a_branch_without_a_number_takes_the_line_of_its_highest_tag() -> None:
    assert codes(judge("v2.7.2", "v2.7.1", branch="production")) == []
    assert codes(judge("v2.8.0", "v2.7.1", branch="production")) == ["version-other-line"]
    assert codes(judge("v3.1.0", branch="production")) == []


@pytest.mark.parametrize(
    ("branch", "reachable", "version"),
    [
        (BRANCH, ["v2.7.0", "v2.7.1", "v2.6.9"], "v2.7.2"),
        (BRANCH, ["v2.7.1-rc.3"], "v2.7.1"),
        (BRANCH, [], "v2.7.0"),
        (BRANCH, ["2.6.3"], "2.7.0"),
        ("production", ["v2.6.3", "v2.7.3"], "v2.7.4"),
    ],
)
def test_the_default(branch: str, reachable: list[str], version: str) -> None:
    assert default_version(branch, reachable) == version


def test_no_default_without_a_line() -> None:
    with pytest.raises(UsageError, match="no release line"):
        default_version("production", ["nightly"])


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
lines = st.lists(versions.map(lambda version: f"v{version}"), max_size=8)


@given(lines)
def test_the_default_is_always_accepted(reachable: list[str]) -> None:
    version = default_version(BRANCH, reachable)
    assert codes(judge(version, *reachable)) == []


@given(lines, versions)
def test_what_is_accepted_is_above_all_and_next(reachable: list[str], wanted: Version) -> None:
    verdict = judge(f"v{wanted}", *reachable)
    known = [parsed for tag in reachable if (parsed := parse_tag(tag))]
    mine = TagVersion(prefix="v", version=wanted)
    if verdict.problems:
        assert len(verdict.problems) == 1
        return
    assert all(mine.order > each.order for each in known)
    highest = max((each.version.finalize_version() for each in known), default=Version(2, 7, 0))
    assert wanted.patch <= highest.patch + 1
    assert verdict.previous == (str(max(known, key=lambda each: each.order)) if known else "")


@given(lines)
@example(["v2.7.1-rc9"])
def test_every_version_of_the_remedy_is_accepted(reachable: list[str]) -> None:
    """Follow any refusal's advice, and it is no refusal any more."""
    (problem, *_) = judge("v2.7.999", *reachable).problems
    words = problem.remedy.removeprefix("cut ").split(" or ")
    assert words
    assert not [word for word in words if codes(judge(word, *reachable))]


@given(lines, st.integers(1, 12))
def test_a_line_can_be_released_on_and_on(reachable: list[str], count: int) -> None:
    for _ in range(count):
        reachable = [*reachable, default_version(BRANCH, reachable)]
    finals = [tag for tag in reachable if "-" not in tag]
    assert len(set(finals[-count:])) == count


@given(versions, versions)
def test_floating_tags_never_move_both_ways(one: Version, other: Version) -> None:
    assert not (moves_forward(str(one), str(other)) and moves_forward(str(other), str(one)))


@given(versions)
def test_the_next_patch_is_final_and_greater(version: Version) -> None:
    tag = parse_tag(f"v{version}")
    assert tag is not None
    following = next_patch(tag)
    assert following.version > version
    assert not following.version.prerelease

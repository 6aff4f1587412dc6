"""Which version may follow which."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from semver import Version

from orchestrator.core.errors import UsageError
from orchestrator.core.versions import Scheme, TagVersion, parse_tag, use
from orchestrator.plan.version_rule import NextVersion, check_version, default_version

BRANCH = "release/v2.7"


def judge(requested: str, *reachable: str, branch: str = BRANCH, elsewhere: tuple[str, ...] = ()) -> NextVersion:
    existing = {*reachable, *elsewhere}
    return check_version(requested, branch=branch, reachable=reachable, existing=existing, where="release.yaml:6:3")


def codes(verdict: NextVersion) -> list[str]:
    return [problem.code for problem in verdict.problems]


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
    mine = TagVersion.from_text(f"v{wanted}")
    if verdict.problems:
        assert len(verdict.problems) == 1
        return
    assert all(mine.order > each.order for each in known)
    highest = max((int(each.numbers[2]) for each in known), default=0)
    assert wanted.patch <= highest + 1
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


# ------------------------------------------------------------------ other schemes

PEP440, CALVER, TINY = Scheme(kind="pep440"), Scheme(kind="calver"), Scheme(product="tinyserve/")


@pytest.mark.parametrize(
    ("scheme", "requested", "reachable", "branch", "codes_of"),
    [
        (PEP440, "2.7.1rc1", ["2.7.0"], BRANCH, []),
        (PEP440, "2.7.0.post1", ["2.7.0"], BRANCH, []),
        (PEP440, "2.7.0.post2", ["2.7.0"], BRANCH, ["version-skips"]),
        (PEP440, "2.7.1", ["2.7.0", "2.7.0.post1"], BRANCH, []),
        (PEP440, "2.7.0", [], BRANCH, []),
        (PEP440, "2.7.1rc3", ["2.7.1rc1"], BRANCH, ["version-skips"]),
        (PEP440, "2.7.1-rc.1", ["2.7.0"], BRANCH, ["version-malformed"]),
        (CALVER, "2024.04.15", ["2024.04.1"], "release/2024.04", []),
        (CALVER, "2024.05.1", ["2024.04.1"], "release/2024.04", ["version-other-line"]),
        (CALVER, "2024.05.1", ["2024.04.1"], "production", []),
        (CALVER, "2024.03.1", ["2024.04.1"], "production", ["version-goes-back"]),
        (CALVER, "24.04.1-rc.1", ["24.04"], "production", []),
        (TINY, "tinyserve/v2.7.1", ["tinyserve/v2.7.0"], BRANCH, []),
        (TINY, "tinyserve/2.7.1", ["tinyserve/v2.7.0"], BRANCH, ["version-prefix"]),
        (TINY, "v2.7.1", ["tinyserve/v2.7.0"], BRANCH, ["version-malformed"]),
        (TINY, "tinyserve/v2.7.0", ["v2.7.5", "other-v2.7.1"], BRANCH, []),
    ],
)
def test_what_may_follow_in_other_schemes(
    scheme: Scheme, requested: str, reachable: list[str], branch: str, codes_of: list[str]
) -> None:
    use(scheme)
    verdict = judge(requested, *reachable, branch=branch)
    assert codes(verdict) == codes_of
    assert all("v2.7.1" not in problem.remedy or scheme is not CALVER for problem in verdict.problems)


@pytest.mark.parametrize(
    ("scheme", "reachable", "branch", "version"),
    [
        (PEP440, ["2.7.0.post1"], BRANCH, "2.7.1"),
        (CALVER, ["2024.04.1"], "release/2024.04", "2024.04.2"),
        (CALVER, ["24.04"], "production", "24.04.1"),
        (TINY, ["tinyserve/v2.7.0", "v2.7.9"], BRANCH, "tinyserve/v2.7.1"),
        (TINY, [], BRANCH, "tinyserve/v2.7.0"),
    ],
)
def test_the_default_in_other_schemes(scheme: Scheme, reachable: list[str], branch: str, version: str) -> None:
    use(scheme)
    assert default_version(branch, reachable) == version

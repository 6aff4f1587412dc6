"""Two products in one guarded repository: each is judged by its own release.yaml, and its own way to write versions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release

if TYPE_CHECKING:
    from tests.support.guarded import Guarded

pytestmark = pytest.mark.hostile

TINY = "tiny/release.yaml"
BRANCH = "release/tiny-1.0"


@pytest.fixture
def two(g: Guarded) -> Guarded:
    """Beside the line v2.7 the product `tinyserve/`, which has its branch and its first version."""
    text = (
        f"version: 1\nbranch: {BRANCH}\nsource: main\ntag-prefix: tinyserve/\nchangelog: false\nreleases:\n"
        f"  v1.0.1:\n    fixes:\n      - commit: {g.fixes[1]}\n"
    )
    g.server.git("config", "--add", "release.configPath", "release.yaml")
    g.server.git("config", "--add", "release.configPath", TINY)
    g.server.git("update-ref", f"refs/heads/{BRANCH}", g.base)
    g.clone.git("tag", "-a", "-m", "first", "tinyserve/v1.0.0", g.base)
    hook = g.server.path / "hooks/pre-receive"
    there = hook.rename(hook.with_suffix(".off"))
    g.clone.git("push", "--quiet", "origin", "refs/tags/tinyserve/v1.0.0")
    there.rename(hook)
    g.clone.commit("chore: a second product", {TINY: text})
    assert g.push("main")[0] == 0
    return replace(g, other=g.clone.rev("main"))


@pytest.mark.wide
def test_each_product_is_cut_by_its_own_file(two: Guarded) -> None:
    for args in (["cut", "v1.0.1", "--yes", "--config", TINY], ["cut", "v2.7.1", "--yes"]):
        ran = release(*args, cwd=two.clone.path)
        assert ran.code == 0, ran.err
    refs = two.refs()
    assert all(
        f"refs/{kind}/{name}\n" in f"{refs}\n"
        for kind in ("tags", "release-records", "release-sources")
        for name in ("v2.7.1", "tinyserve/v1.0.1")
    )


@pytest.mark.wide(5)
@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("tinyserve/v1.0.1", "not-the-release"),
        ("tinyserve/v1.0.2", ""),
        ("tinyserve/v1.0", "version-malformed"),
        ("v2.7.1", ""),
        ("v1.0.1", ""),
    ],
)
def test_a_tag_of_a_product_by_hand_is_refused(two: Guarded, tag: str, code: str) -> None:
    status, said = two.push(f"{two.tagged(tag, two.base, message='mine')}:refs/tags/{tag}")
    assert status != 0, said
    assert f"[{code}" in said if code == "version-malformed" else "do: " in said


def test_tags_of_nobody_are_free_and_those_of_products_never_move(two: Guarded) -> None:
    assert two.push(f"{two.base}:refs/tags/chart-1.2.3")[0] == 0
    for specs in ([":refs/tags/tinyserve/v1.0.0"], [f"+{two.other}:refs/tags/tinyserve/v1.0.0"], [":refs/tags/v2.7.0"]):
        status, said = two.push(*specs)
        assert status != 0
        assert "[tag-" in said

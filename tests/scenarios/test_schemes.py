"""Projects that write their versions otherwise: the same story, cut, judged and guarded, by every scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.remedies import said, typed
from tests.support.story import Repo, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

# what release.yaml says, the tag before, the version as typed, its tag, the one after that
SCHEMES = {
    "product": ("tag-prefix: tinyserve/\n", "tinyserve/v2.7.0", "v2.7.1", "tinyserve/v2.7.1", "tinyserve/v2.7.2"),
    "word": ("tag-prefix: image-v\n", "image-v2.7.0", "image-v2.7.1", "image-v2.7.1", "image-v2.7.2"),
    "pep440": ("scheme: pep440\n", "2.7.0", "2.7.0.post1", "2.7.0.post1", "2.7.1"),
    "months": ("scheme: calver\n", "2026.04", "2026.04.1", "2026.04.1", "2026.04.2"),
}


def told(tale: Story, name: str) -> Story:
    """The story with its first tag as this scheme writes it; beside a product v2.7.0 is somebody else's."""
    extra, before, version, _, _ = SCHEMES[name]
    if "tag-prefix" not in extra:
        tale.clone.git("push", "--quiet", "origin", ":refs/tags/v2.7.0")
        tale.clone.git("tag", "-d", "v2.7.0")
    tale.release_yaml(fix_line(tale.fix), version=version, extra=f"{extra}version-files: [VERSION]\n")
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.commit("chore: a version file", {"VERSION": "0\n"})
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("tag", "-a", "-m", before, before, "release/v2.7")
    tale.clone.git("push", "--quiet", "origin", f"refs/tags/{before}")
    branch = "release/2026.04" if name == "months" else "release/v2.7"
    if branch != "release/v2.7":
        tale.clone.git("branch", branch, "release/v2.7")
        tale.clone.git("push", "--quiet", "origin", branch)
        text = (tale.clone.path / "release.yaml").read_text().replace("release/v2.7", branch)
        tale.declare(text)
    tale.clone.git("checkout", "--quiet", "main")
    return tale


def must(*args: str, tale: Story, code: int = 0) -> str:
    done = release(*args, cwd=tale.clone.path)
    assert done.code == code, f"{args}: {done.out}{done.err}"
    return done.out + done.err


@pytest.mark.wide(4)
@pytest.mark.parametrize("name", SCHEMES)
def test_every_judge_reads_the_scheme(tale: Story, name: str) -> None:
    _, before, typed, tag, following = SCHEMES[name]
    told(tale, name)
    must("check", tale=tale)
    assert tag in must("plan", typed, tale=tale)
    must("cut", typed, "--yes", tale=tale)
    assert tale.remote.git("rev-parse", f"refs/tags/{tag}^{{commit}}")
    assert tale.remote.git("rev-parse", f"refs/release-records/{tag}")
    bare = tag.removeprefix("tinyserve/").removeprefix("image-").removeprefix("v")
    assert tale.remote.git("show", f"refs/tags/{tag}:VERSION") == bare
    for judge in (["verify", typed], ["show", typed], ["notes", typed], ["status", typed], ["cut", typed, "--yes"]):
        must(*judge, tale=tale)
    must("audit", before, tale=tale)
    text = (tale.clone.path / "release.yaml").read_text()
    (tale.clone.path / "release.yaml").unlink()  # as on a branch without one: that of the newest tag tells
    for judge in (["verify", typed], ["show", typed], ["notes", typed], ["status", typed], ["audit", before]):
        must(*judge, tale=tale)
    tale.declare(text.replace(f"  {typed}:", f"  {following}:").replace(tale.fix, tale.after))
    assert following in must("plan", tale=tale)


def test_a_version_of_no_scheme_names_the_right_form(tale: Story) -> None:
    told(tale, "pep440")
    assert "2.7.1rc1" in must("cut", "v2.7.1-rc.1", "--yes", tale=tale, code=2)


def test_a_crash_is_resumed_under_a_product_with_a_slash(tale: Story) -> None:
    told(tale, "product")
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    loader = (tale.clone.path / "loader.py").read_text()
    tale.clone.commit("fix: by hand", {"loader.py": loader.replace("return 5\n", "return 55\n")})
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")
    must("cut", "v2.7.1", "--yes", tale=tale, code=3)
    standing = release("status", "--json", cwd=tale.clone.path).json["releases"]
    assert [(each["version"], each["state"]) for each in standing] == [("tinyserve/v2.7.1", "paused")]
    must("abort", "v2.7.1", tale=tale)
    assert not tale.clone.git("for-each-ref", "refs/release")
    assert release("status", "--json", cwd=tale.clone.path).json["releases"] == []


def test_tags_that_are_not_understood_are_named(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    for tag in ("tinyserve-v1.0.0", "tinyserve-v1.0.1"):
        tale.clone.git("tag", tag)
    for command in (["check"], ["plan", "v2.7.1"]):
        assert "set `tag-prefix: tinyserve-`" in must(*command, tale=tale)


def test_a_prefix_that_no_tag_has_is_named(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix), extra="tag-prefix: image-\n", version="image-v2.7.1")
    for command, code in ((["check"], 0), (["plan", "image-v2.7.1"], 4)):
        shown = must(*command, tale=tale, code=code)
        assert "no tag begins with image- (`tag-prefix:`)" in shown
        assert "such as v2.7.0" in shown


def test_two_products_of_one_prefix_are_told_apart(tale: Story, tmp_path: Path) -> None:
    """The second one is not told that it is released, neither where the first was cut nor anywhere else."""
    clone = tale.clone
    clone.git("push", "--quiet", "origin", f"{tale.base}:refs/heads/release/two-v2.7")
    tale.release_yaml(fix_line(tale.fix))
    text = (clone.path / "release.yaml").read_text()
    clone.commit("chore: two products", {"two.yaml": text.replace("release/v2.7", "release/two-v2.7")})
    clone.git("push", "--quiet", "origin", "main")
    must("cut", "v2.7.1", "--yes", tale=tale)
    before = tale.remote.git("for-each-ref")
    ran = release("-c", "two.yaml", "cut", "v2.7.1", "--yes", cwd=clone.path)
    assert (ran.code, "v2.7.1 is a release of release.yaml on release/v2.7" in ran.err) == (4, True), ran.err
    assert "`tag-prefix:` of its own" in ran.err
    assert typed(said(ran, "release -c"), clone.path).returncode == 0
    fresh = Repo(tmp_path / "fresh")
    clone.git("clone", "--quiet", str(tale.remote.path), str(fresh.path))
    for name, value in (("name", "Sam"), ("email", "sam@example.com")):
        fresh.git("config", f"user.{name}", value)
    refused = release("-c", "two.yaml", "cut", "v2.7.1", "--yes", cwd=fresh.path)
    assert (refused.code, "where that is another product's" in refused.err) == (4, True), refused.err
    assert tale.remote.git("for-each-ref") == before


def test_init_finds_the_scheme(tale: Story) -> None:
    tale.clone.git("tag", "-d", "v2.7.0")
    tale.clone.git("push", "--quiet", "origin", ":refs/tags/v2.7.0")
    tale.clone.git("tag", "tinyserve/v2.7.0", tale.base)
    must("init", tale=tale)
    text = (tale.clone.path / "release.yaml").read_text()
    assert "\ntag-prefix: tinyserve/\n" in text
    assert "tinyserve/v2.7.1" in text
    assert '"v2.7"' in text
    must("check", tale=tale)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("tag-prefix: '2.'\n", "ends like a number"),
        ("tag-prefix: 'a b'\n", "no prefix of a tag"),
        ("tag-prefix: 'x/../'\n", "no prefix of a tag"),
        ("tag-prefix: [a]\n", "tag-prefix"),
        ("scheme: romver\n", "semver, calver, pep440"),
        ("scheme: calver\n", "2026.11.1"),
    ],
)
def test_a_scheme_that_is_none_is_told_with_its_place(tale: Story, extra: str, says: str) -> None:
    tale.release_yaml(fix_line(tale.fix), extra=extra)
    said = must("check", tale=tale, code=2)
    assert says in said
    assert "release.yaml:" in said

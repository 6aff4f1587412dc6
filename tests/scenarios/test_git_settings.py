"""Git as people have it: settings and attributes that must not change a release, or make a clone of it dirty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


@pytest.mark.parametrize(
    ("key", "value"),
    [("remote.origin.mirror", "true"), ("url.ssh://nowhere.invalid/.insteadOf", "{tmp}/tmp/release-")],
)
def test_a_setting_that_is_no_concern_of_a_release(tale: Story, tmp_path: Path, key: str, value: str) -> None:
    tale.release_yaml(fix_line(tale.fix))
    tale.clone.git("config", key, value.format(tmp=tmp_path))
    done = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err


@pytest.mark.wide(3)
@pytest.mark.parametrize("attributes", ["* text=auto\n", "*.yaml text\n*.md text eol=lf\n", "*.yaml text ident\n"])
def test_a_clone_of_the_tag_is_clean(tale: Story, tmp_path: Path, attributes: str) -> None:
    """The work tree has CRLF and a filled `$Id$`: what is committed is what `git add` would have stored."""
    tale.clone.commit("chore: attributes", {".gitattributes": attributes})
    tale.clone.git("push", "--quiet", "--force", "origin", "HEAD:release/v2.7", "main")
    tale.release_yaml(fix_line(tale.fix))
    path = tale.clone.path / "release.yaml"
    path.write_bytes((path.read_text() + "# $Id: 0123456789 $\n").replace("\n", "\r\n").encode())
    tale.clone.git("config", "core.autocrlf", "true")
    done = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    tale.clone.git("add", "release.yaml")
    assert tale.remote.rev(f"{VERSION}:release.yaml") == tale.clone.rev(":release.yaml")
    fresh = tmp_path / "fresh"
    tale.clone.git("clone", "--quiet", "--branch", VERSION, str(tale.remote.path), str(fresh))
    assert not tale.clone.git("-C", str(fresh), "status", "--short")


def test_a_filter_that_cannot_run_is_named(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    tale.clone.write(".gitattributes", "*.yaml filter=odd\n")
    for name, value in (("clean", "false"), ("required", "true")):
        tale.clone.git("config", f"filter.odd.{name}", value)
    refused = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert (refused.code, refused.json["error"]["code"]) == (2, "filter-failed")
    assert "git add -- release.yaml" in refused.json["error"]["remedy"]

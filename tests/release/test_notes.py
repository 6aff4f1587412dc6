"""`release notes` of a planned and of a released version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.guard.policies import VERSION, cut, fix, on_source
from tests.support.cli import release
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile


@pytest.mark.wide
def test_notes_of_a_planned_and_of_a_released_version(tale: Story, tmp_path: Path) -> None:
    evil = on_source(tale, "fix(<b>): `a<b` [x](http://evil) <script>alert(1)</script>", {"x.py": "x\n"})
    tale.release_yaml(f"{fix(tale.fix, 'approved-by: [ben, ana]')}\n{fix(evil, 'reason: <i>why</i>')}")
    tale.clone.git("remote", "set-url", "--push", "origin", str(tale.remote.path))
    planned = release("notes", VERSION, cwd=tale.clone.path)
    assert planned.code == 0, planned.err
    assert planned.out.startswith(
        "*Planned, not released.*\n\nloader leak\n\n### Fixes\n\n- **loader:** close the workers"
    )
    assert "`a<b` \\[x\\](http://evil) &lt;script>alert(1)&lt;/script>" in planned.out
    cut(tale)
    by_record = release("notes", VERSION, "--format", "json", cwd=tale.clone.path).json
    assert by_record["released"] is True
    assert [(each["title"], len(each["fixes"])) for each in by_record["groups"]] == [("Fixes", 2)]
    assert by_record["groups"][0]["fixes"][0]["approved_by"] == ["ben", "ana"]
    assert by_record["compare"] == by_record["page"] == ""
    page = release("notes", VERSION, "--format", "html", cwd=tale.clone.path).out
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "<i>" not in page
    tale.remote.git("update-ref", "-d", f"refs/release-records/{VERSION}")
    Repo(tmp_path).git("clone", "--quiet", "--no-tags", str(tale.remote.path), str(tmp_path / "other"))
    by_tag = release("notes", VERSION, "--json", cwd=tmp_path / "other").json
    assert by_tag["markdown"] == by_record["markdown"]
    assert by_tag["previous"] == "v2.7.0"


def test_notes_say_what_is_wrong(tale: Story) -> None:
    tale.release_yaml(fix(tale.fix))
    where = tale.clone.path
    for args, code, word in (
        (("v2.7.0",), 2, "[not-ours]"),
        (("v2.7.1", "--format", "pdf"), 2, "[bad-format]"),
        (("v9.9.9",), 2, "[not-declared]"),
        (("nonsense",), 2, "["),
    ):
        ran = release("notes", *args, cwd=where)
        assert ran.code == code, ran.err
        assert word in ran.err
        assert ran.out == ""
        assert "Traceback" not in ran.err

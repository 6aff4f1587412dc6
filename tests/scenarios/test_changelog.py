"""The changelog of a project keeps its style, and every judge expects that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.forge_repo import ForgeRepo
from tests.support.guarded import install
from tests.support.rewriting import rewrite
from tests.support.story import Repo, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history
TAG = "refs/tags/v2.7.1"
KEEP = """\
# Changelog

## [Unreleased]

- for 2.8

## [2.7.0] - 2025-06-15

- first

[unreleased]: https://example.com/o/r/compare/v2.7.0...HEAD
[2.7.0]: https://example.com/o/r/releases/tag/v2.7.0
"""


def declared(tale: Story, path: str, text: str, extra: str = "") -> None:
    """The line begins where main has a changelog; the release is declared on main after that."""
    clone = tale.clone
    clone.commit("docs: a changelog", {path: text})
    clone.git("branch", "--force", "release/v2.7", "HEAD")
    clone.git("tag", "--force", "-a", "-m", "v2.7.0", "v2.7.0")
    clone.git("push", "--quiet", "--force", "origin", "main", "release/v2.7", "v2.7.0")
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    tale.release_yaml(fix_line(tale.fix), extra=f"changelog: {path}\n{extra}")
    clone.commit("chore: declare it", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
    clone.git("push", "--quiet", "origin", "main")


def judged(tale: Story, place: Path, code: int = 0) -> None:
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(place))
    for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
        ran = release(*command, cwd=place)
        assert ran.code == code, (command, ran.out, ran.err)


@pytest.mark.wide
def test_heading_date_and_link_of_keep_a_changelog(tale: Story, tmp_path: Path) -> None:
    """The forge commits it anew days later: the date is the one that was planned."""
    declared(tale, "CHANGELOG.md", KEEP, "land: pull-request\n")
    base = tale.remote.rev("release/v2.7")
    assert install(tale.remote, quick=True).code == 0
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 10
    planned = tale.remote.rev("refs/heads/release-candidate/v2.7.1")
    ForgeRepo.of(tale, tmp_path / "forge").merge("release-candidate/v2.7.1", "rebase")
    ran = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert ran.code == 0, ran.err
    day, landed = (tale.remote.git("log", "-1", "--date=short", "--format=%cd", each) for each in (planned, TAG))
    assert day != landed
    text = tale.remote.git("show", f"{TAG}^{{commit}}:CHANGELOG.md") + "\n"
    begin, _, rest = KEEP.partition("## [2.7.0]")
    assert text.startswith(f"{begin}## [2.7.1] - {day}\n\nloader leak\n\n### Fixes\n\n- **loader:** close the workers")
    assert text.endswith(
        "\n\n## [2.7.0]" + rest.partition("[unreleased]")[0] +
        "[unreleased]: https://example.com/o/r/compare/v2.7.1...HEAD\n"
        "[2.7.1]: https://example.com/o/r/releases/tag/v2.7.1\n"
        "[2.7.0]: https://example.com/o/r/releases/tag/v2.7.0\n"
    )  # fmt: skip
    judged(tale, tmp_path / "fresh")

    def another_day(_: int, commit: str) -> str:
        """The release commit with the landing's date in its changelog."""
        blob = tale.remote.git("hash-object", "-w", "--stdin", stdin=text.replace(day, landed))
        rows = [row for row in tale.remote.git("ls-tree", TAG).split("\n") if not row.endswith("\tCHANGELOG.md")]
        tree = tale.remote.git("mktree", stdin="\n".join([*rows, f"100644 blob {blob}\tCHANGELOG.md"]) + "\n")
        return commit.replace(tale.remote.rev(f"{TAG}^{{tree}}"), tree, 1)

    rewrite(tale.remote, 1, another_day)
    judged(tale, tmp_path / "tampered", code=9)
    tale.remote.git("update-ref", "-d", TAG)
    tale.remote.git("update-ref", "refs/heads/release/v2.7", base)
    pushed = Repo(tmp_path / "tampered").attempt("push", "origin", f"{TAG}^{{commit}}:refs/heads/release/v2.7", TAG)
    assert pushed.returncode, "the hook let it through"


def test_what_is_no_markdown_is_left_alone(tale: Story, tmp_path: Path) -> None:
    declared(tale, "CHANGES.rst", "Changes\n=======\n\n2.7.0\n-----\n\n* first\n")
    before = tale.remote.rev("release/v2.7:CHANGES.rst")
    plan = release("plan", "v2.7.1", cwd=tale.clone.path)
    assert "CHANGES.rst is reStructuredText, and the release commit leaves it alone" in plan.out
    ran = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert ran.code == 0, ran.err
    assert tale.remote.rev(f"{TAG}^{{commit}}:CHANGES.rst") == before
    judged(tale, tmp_path / "fresh")

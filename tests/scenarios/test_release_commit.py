"""`release-commit:` before a server with rules of its own on messages: every judge knows the commit by release.yaml."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.forge_repo import ForgeRepo
from tests.support.guarded import install
from tests.support.rewriting import rewrite
from tests.support.server_rules import demand
from tests.support.story import Repo, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history
BRANCH, TAG = "refs/heads/release/v2.7", "refs/tags/v2.7.1"
TEMPLATE = """\
signoff: true
release-commit:
  subject: "{ticket}: {summary} [skip ci]"
  body: |
    {tag} of {date}, after {previous}.

    {picks}
  trailers:
    Ticket: "{ticket}"
    Change-Id: "{change-id}"
"""
# What a push rule of a forge asks of a commit that is no pick.
TICKETED = r"""
    git show -s --format=%B "$commit" | grep -q '^(cherry picked from' ||
      { git show -s --format=%s "$commit" | grep -Eq '^OPS-[0-9]+: .*\[skip ci\]$' &&
        git show -s --format=%B "$commit" | git interpret-trailers --parse | grep -q '^Change-Id: I'; } ||
      { echo "push rule: $commit names no ticket" >&2; false; }
"""


def declare(tale: Story, extra: str, version: str = "v2.7.1") -> None:
    clone = tale.clone
    tale.release_yaml(fix_line(tale.fix), version=version, extra=extra)
    text = (clone.path / "release.yaml").read_text().replace("    summary", "    ticket: OPS-41\n    summary", 1)
    clone.commit(
        "chore: declare it", {"release.yaml": text if "{ticket}" in extra else text.replace("    ticket: OPS-41\n", "")}
    )
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    clone.git("push", "--quiet", "origin", "main")


def judged_right(tale: Story, place: Path, version: str = "v2.7.1") -> None:
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(place))
    for clone in (tale.clone.path, place):
        for command in (("audit",), ("verify", version), ("publish", version), ("notes", version), ("log", tale.fix)):
            ran = release(*command, cwd=clone)
            assert ran.code == 0, (clone.name, command, ran.out, ran.err)


def by_gerrit(repo: Repo, commit: str) -> str:
    """The Change-Id that Gerrit's commit-msg hook (2.x, before it used a random one) makes, in its own shell."""
    script = r"""
        clean_message=$(git show -s --format=%B "$1" | sed -e '/^Change-Id:/d' -e '/^Signed-off-by:/d' | git stripspace)
        { echo "tree $(git rev-parse "$1^{tree}")"; echo "parent $(git rev-parse "$1^")"
          git cat-file commit "$1" | grep -m1 '^author '; git cat-file commit "$1" | grep -m1 '^committer '
          echo; printf '%s' "$clean_message"; } | git hash-object -t commit --stdin
    """
    done = subprocess.run(
        ["sh", "-c", script, "sh", commit], cwd=repo.path, text=True, capture_output=True, check=True
    )  # fmt: skip
    return f"I{done.stdout.strip()}"


def test_a_house_s_own_message(tale: Story, tmp_path: Path) -> None:
    declare(tale, TEMPLATE)
    assert install(tale.remote, quick=True).code == 0
    demand(tale.remote, TICKETED)
    here = tale.clone.path
    plan = release("plan", "v2.7.1", "--json", cwd=here).json
    ran = release("cut", "v2.7.1", "--yes", cwd=here)
    assert ran.code == 0, ran.err
    head = tale.remote.rev(f"{TAG}^{{commit}}")
    assert (head, tale.remote.rev(BRANCH)) == (plan["head"], head)
    text = tale.remote.attempt("cat-file", "commit", head).stdout.partition("\n\n")[2]
    day = tale.remote.git("log", "-1", "--date=short", "--format=%cd", head)
    assert text == (
        f"OPS-41: loader leak [skip ci]\n\nv2.7.1 of {day}, after v2.7.0.\n\n"
        f"- fix(loader): close the workers ({tale.fix[:12]})\n\n"
        f"Ticket: OPS-41\nChange-Id: {by_gerrit(tale.remote, head)}\n"
        "Signed-off-by: Mia Maintainer <mia@example.com>\n"
    )
    judged_right(tale, tmp_path / "fresh")
    lines = release("audit", "--json", cwd=here).json["lines"]
    assert [each["identical"] for line in lines for each in line["commits"]] == [True, True]
    rewrite(tale.remote, 1, lambda _, old: old.replace("Ticket: OPS-41", "Ticket: OPS-42"))
    other = tmp_path / "other"
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(other))
    published = release("publish", "v2.7.1", cwd=other)
    assert published.code == 9, published.err
    tale.remote.git("update-ref", "-d", TAG)
    tale.remote.git("update-ref", BRANCH, tale.base)
    pushed = Repo(other).attempt("push", "origin", f"{TAG}^{{commit}}:{BRANCH}", TAG)
    assert "is not the release commit of v2.7.1" in pushed.stderr, pushed.stderr


@pytest.mark.wide
@pytest.mark.parametrize("ways", [("push", "push"), ("rebase", "squash")])
def test_a_subject_without_a_version(tale: Story, tmp_path: Path, ways: tuple[str, str]) -> None:
    """Which version it is, tag, proposal and the order of release.yaml tell."""
    land = "land: {by: push, atomic: false}\n" if "push" in ways else "land: pull-request\n"
    second = tale.clone.commit("fix: wait less", {"speed.py": "FAST = True\n"})
    extra = 'release-commit: {subject: "Bump the version", body: "{picks}"}\n' + land
    declare(tale, extra)
    text = (tale.clone.path / "release.yaml").read_text()
    text = text.replace(fix_line(tale.fix) + "\n", f"{fix_line(tale.fix)}\n  v2.7.2:\n    fixes:\n{fix_line(second)}\n")
    tale.clone.commit("chore: declare the next too", {"release.yaml": text})
    tale.clone.git("push", "--quiet", "origin", "main")
    assert install(tale.remote, quick=True).code == 0
    for version, how in zip(("v2.7.1", "v2.7.2"), ways, strict=True):
        ran = release("cut", version, "--yes", cwd=tale.clone.path)
        if how != "push":
            assert ran.code == 10, ran.err
            ForgeRepo.of(tale, tmp_path / f"forge-{version}").merge(f"release-candidate/{version}", how)
            ran = release("cut", version, "--yes", cwd=tale.clone.path)
        assert ran.code == 0, ran.err
        judged_right(tale, tmp_path / version, version)


def test_one_that_was_given_up_is_known_by_its_own_release_yaml(tale: Story) -> None:
    declare(tale, 'release-commit: {subject: "Version bump on {branch}", body: "{summary}"}\n')
    here = tale.clone.path
    assert release("cut", "v2.7.1", "--yes", cwd=here).code == 0
    for repo in (tale.clone, tale.remote):
        for ref in repo.git("for-each-ref", "--format=%(refname)", TAG, "refs/release-*").split():
            repo.git("update-ref", "-d", ref)
    ran = release("audit", "--json", cwd=here)
    kinds = {each["subject"]: each["kind"] for line in ran.json["lines"] for each in line["commits"]}
    assert kinds == {"fix(loader): close the workers": "proved", "Version bump on release/v2.7": "release"}
    planned = release("plan", "v2.7.1", cwd=here)
    assert "Version bump" not in planned.out  # it is our own commit: no entry has to declare it


def test_what_a_version_lacks_is_said_with_the_place(tale: Story) -> None:
    declare(tale, TEMPLATE)
    text = (tale.clone.path / "release.yaml").read_text().replace("    ticket: OPS-41\n", "")
    tale.declare(text)
    for command in (("plan", "v2.7.1"), ("cut", "v2.7.1", "--yes"), ("hook", "run", "pre-commit")):
        ran = release(*command, cwd=tale.clone.path)
        assert "release.yaml:5:3: the message of the release commit names {ticket}, and v2.7.1 has none" in ran.err, (
            ran.err
        )
        assert "add `ticket:` to it" in ran.err
        assert ran.code == 2

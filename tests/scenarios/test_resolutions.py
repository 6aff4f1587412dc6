"""A resolved conflict is where a person's files come into a release: what may come with it, and who says so.

Each attack is a whole release by somebody who may push: commits, tag, record and kept sources agree with each other.
The table tells what the server's hook, audit, verify, publish and promote make of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.support.guarded import with_entry
from tests.support.story import Repo
from tests.support.walk.tampering import Tampering
from tests.support.walk.world import Declared

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.walk.releases import Released

pytestmark = pytest.mark.hostile


@dataclass(frozen=True)
class Attack:
    """`commit` changes the text of the resolving commit, `files` what it brings, `tag` the tag's text.

    `guard` is the code of the refusal, `audit` are those of the findings, `publish` is in what it says.
    """

    guard: str
    audit: frozenset[str]
    publish: str
    files: tuple[str, ...] = ()
    commit: Callable[[str], str] = field(default=lambda text: text)
    tag: Callable[[str, str], str] = field(default=lambda text, _source: text)
    merge: bool = False


def _without(text: str, source: str) -> str:
    return re.sub(rf"[^\n]*\nPick: adapted {source} \w+\n\n", "", text)


def _as_clean(text: str, source: str) -> str:
    return text.replace(f"Pick: adapted {source}", f"Pick: clean {source}")


def _skipped_too(text: str, source: str) -> str:
    return f"{text.rstrip()}\n\nLeft out:\n\nfix: x\nLeft-Out: skipped {source} -- not here\n"


def _by_another(text: str) -> str:
    return re.sub(r"\nauthor [^<]*<[^>]*>", "\nauthor Eve <eve@example.com>", text)


def _other_word(text: str) -> str:
    return text.replace("fix: line", "fix: lime")


UNLISTED = frozenset({"forged"})
STRAYS = frozenset({"adapted"})  # somebody answers for it, and not for this
DIFFERS = frozenset({"tag-differs"})
ATTACKS = {
    "no line of the tag answers for it": Attack("undeclared-resolution", UNLISTED, "differ", tag=_without),
    "the tag calls it clean": Attack("undeclared-resolution", UNLISTED, "conflicts in", tag=_as_clean),
    "the tag says that it was left out, too": Attack("tag-differs", DIFFERS, "two things", tag=_skipped_too),
    "another author": Attack("not-the-pick", DIFFERS, "differ in", commit=_by_another),
    "another word in its message": Attack("not-the-pick", DIFFERS, "differ in", commit=_other_word),
    "a file that nobody asked for": Attack("resolution-strays", STRAYS, "resolution-strays", files=("evil.py",)),
    "another release.yaml on the way": Attack(
        "resolution-strays", STRAYS, "resolution-strays", files=("release.yaml",)
    ),
    "a workflow": Attack("resolution-strays", STRAYS, "resolution-strays", files=(".github/workflows/x.yml",)),
    "attributes of git": Attack("resolution-strays", STRAYS, "resolution-strays", files=(".gitattributes",)),
    "a second parent": Attack("not-linear", frozenset({"undeclared"}), "", merge=True),
}


class Resolved(Tampering):
    """A release with a resolved conflict and a clean pick above it."""

    def attacked(self, made: Released, attack: Attack) -> dict[str, str]:
        """The refs that the attack would push."""
        record = self._record(made)
        source = next(pick["source"] for pick in record["picks"] if pick["state"] == "adapted")
        chain = self.remote.git("rev-list", "--reverse", f"{record['base']}..{record['commit']}").split()
        ids: dict[str, str] = {}
        for number, sha in enumerate(chain):
            text = self.remote.attempt("cat-file", "commit", sha).stdout
            text = (
                attack.commit(text)
                if number == 0
                else text.replace(f"parent {chain[number - 1]}", f"parent {ids[chain[number - 1]]}")
            )
            if attack.merge and number == 0:
                text = text.replace("\nauthor", f"\nparent {self.remote.rev('main~1')}\nauthor", 1)
            ids[sha] = self._stored("commit", text.replace(text[5:45], self._with_files(sha, made, attack), 1))
        tag, data = self._tag_text(made), json.dumps(record)
        for old, new in ids.items():
            tag, data = tag.replace(old, new), data.replace(old, new)
        refs = self._tagged(made, attack.tag(tag, source))
        forged = json.loads(data)
        forged["tag"]["object"] = refs[f"refs/tags/{made.version}"]
        forged["tree"] = self.remote.rev(f"{forged['commit']}^{{tree}}")
        forged["picked_tree"] = self.remote.rev(f"{forged['commit']}^^{{tree}}")
        return refs | self._recorded(made, forged) | {f"refs/heads/{made.line.branch}": forged["commit"]}

    def _with_files(self, sha: str, made: Released, attack: Attack) -> str:
        """The tree of a commit with the files of the attack; the release commit has the true release.yaml again."""
        tree = self.remote.rev(f"{sha}^{{tree}}")
        last = sha == self.remote.rev(f"{made.version}^{{commit}}")
        for path in attack.files:
            if not (last and path == "release.yaml"):
                blob = self._stored("blob", "on: push\n")
                tree = with_entry(Repo(self.remote.path), tree, "100644", blob, path)
        return tree


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Resolved, Released]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        world = Resolved(tmp_path_factory.mktemp("resolved") / "world")
        made = world.release(world.lines[0], ["adapted", "clean"], candidate=True, turned=False, kill=0, abort=False)
        assert isinstance(made.line.declared[made.version][0], Declared)
        assert not world.guard(made)
        return world, made


@pytest.mark.wide(4)
@pytest.mark.parametrize("name", ATTACKS)
def test_everybody_sees_it(resolved: tuple[Resolved, Released], name: str) -> None:
    (world, made), attack = resolved, ATTACKS[name]
    refs = world.attacked(made, attack)
    assert attack.guard in {each.code for each in world.guard(made, refs)}
    kept = world.refs()
    try:
        for ref, sha in refs.items():
            world.remote.git("update-ref", ref, sha)
        where = world.cloned("full", made)
        audit = world.must(9, made.line, "audit", "--json", cwd=where).json
        (line,) = (each for each in audit["lines"] if each["branch"] == made.line.branch)
        found = {each["code"] for each in line["problems"]} | {
            each["kind"] for each in line["commits"] if not each["ok"]
        }
        assert attack.audit <= found
        world.must(9, made.line, "verify", made.version, cwd=where)
        ran = world.run(made.line, "publish", made.version, cwd=where)
        assert ran.code not in (0, 1), ran
        assert attack.publish in ran.err
        ran = world.run(made.line, "promote", made.version, "v2.7.1", "--yes", cwd=where)
        assert ran.code not in (0, 1), ran
        assert "refs/tags/v2.7.1" not in world.refs()
    finally:
        for ref in refs:
            world.remote.git("update-ref", ref, kept[ref])

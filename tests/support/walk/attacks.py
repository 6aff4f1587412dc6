"""A whole release by somebody who may push: commits, tag, record and kept sources agree, and one commit is another."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.guarded import with_entry
from tests.support.story import Repo
from tests.support.walk.tampering import Tampering

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.walk.releases import Released


@dataclass(frozen=True)
class Attack:
    """`commit` changes the text of the commit, `files` what it brings, `tag` the tag's text.

    `guard` is the code of the refusal, `audit` are those of the findings, `publish` is in what it says.  `entries` are
    paths with the mode and id that the commit, and those above it, have there.
    """

    guard: str
    audit: frozenset[str]
    publish: str
    files: tuple[str, ...] = ()
    entries: tuple[tuple[str, str, str], ...] = ()
    commit: Callable[[str], str] = field(default=lambda text: text)
    tag: Callable[[str, str], str] = field(default=lambda text, _source: text)
    merge: bool = False


class Attacked(Tampering):
    """A walk whose releases are attacked."""

    def attacked(self, made: Released, attack: Attack, source: str) -> dict[str, str]:
        """The refs that the attack on the pick of a source would push."""
        record = self._record(made)
        chain = self.remote.git("rev-list", "--reverse", f"{record['base']}..{record['commit']}").split()
        bad = next(pick["result"] for pick in record["picks"] if pick["source"] == source)
        chain = chain[chain.index(bad) :]
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
        entries = [("100644", self._stored("blob", "on: push\n"), path) for path in attack.files]
        for mode, sha_, path in (*entries, *attack.entries):
            if not (last and path == "release.yaml"):
                tree = with_entry(Repo(self.remote.path), tree, mode, sha_, path)
        return tree

    def everybody_sees(self, made: Released, attack: Attack, source: str) -> None:
        """Server's hook, audit, verify and publish find it, and a candidate cannot be promoted."""
        refs = self.attacked(made, attack, source)
        assert attack.guard in {each.code for each in self.guard(made, refs)}
        kept = self.refs()
        try:
            for ref, sha in refs.items():
                self.remote.git("update-ref", ref, sha)
            where = self.cloned("full", made)
            audit = self.must(9, made.line, "audit", "--json", cwd=where).json
            (line,) = (each for each in audit["lines"] if each["branch"] == made.line.branch)
            found = {each["code"] for each in line["problems"]} | {
                each["kind"] for each in line["commits"] if not each["ok"]
            }
            assert attack.audit <= found
            self.must(9, made.line, "verify", made.version, cwd=where)
            ran = self.run(made.line, "publish", made.version, cwd=where)
            assert ran.code not in (0, 1), ran
            assert attack.publish in ran.err
            final = re.sub(r"-rc\.\d+", "", made.version)
            ran = self.run(made.line, "promote", made.version, final, "--yes", cwd=where)
            assert ran.code not in (0, 1), ran
            assert f"refs/tags/{final}" not in self.refs()
        finally:
            for ref in refs:
                self.remote.git("update-ref", ref, kept[ref])

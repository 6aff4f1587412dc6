"""One byte of what is public is another: whoever can see it finds it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.core.tag_message import tagged_account
from orchestrator.session.yanks import yank_ref
from tests.support.walk.judges import Judges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.walk.releases import Released

# What only the run that made the release knows: nobody can tell whether it is so.
TESTIMONY = {"finished_at", "seconds", "tool", "plan_id", "verify", "duplicate_by", "followups", "near", "search",
             "prerequisites", "lives_on", "conflicts", "schema_version"}  # fmt: skip

Refs = dict[str, str]


class Tampering(Judges):
    """Each `_forged_*` writes objects with another byte, and says which refs would name them, and who must find it."""

    def tampered(self, made: Released, what: str, at: int) -> None:
        forged: Callable[[Released, int], tuple[str, Refs]] = getattr(self, f"_forged_{what}")
        said, refs = forged(made, at)
        if not refs:
            return
        self.said.append(f"tampered with {said} of {made.version}")
        self.states.update(("tampered", kind, what) for kind in made.kinds)
        if what == "yank":
            assert self.guard_yank(made, refs[yank_ref(made.version)]), (said, self.said)
        elif made.guarded:
            assert self.guard(made, refs), (said, self.said)
        kept = self.refs()
        for ref, sha in refs.items():
            self.remote.git("update-ref", ref, sha)
        where = self.cloned("full", made)
        for command in (("audit",), ("verify", made.version)):
            ran = self.run(made.line, *command, cwd=where)
            assert ran.code == 9, (said, command, ran.out[-600:], ran.err, self.said)
        if what in ("tag", "row", "record", "file"):
            ran = self.run(made.line, "publish", made.version, cwd=where)
            assert ran.code not in (0, 1), (said, ran, self.said)
        if what in ("tag", "row"):
            ran = self.run(made.line, "notes", made.version, cwd=where)
            assert (ran.code, ran.out) == (9, ""), (said, ran, self.said)
        for ref in refs:
            self.remote.git("update-ref", ref, kept[ref])

    # -------------------------------------------------------------- tags

    def _tag_text(self, made: Released) -> str:
        return self.remote.attempt("cat-file", "tag", f"refs/tags/{made.version}").stdout

    def _forged_tag(self, made: Released, at: int) -> tuple[str, Refs]:
        """Any byte of the message."""
        text = self._tag_text(made)
        start = text.index("\n\n") + 2
        at = start + at % (len(text) - start)
        return f"byte {at} of the tag", self._tagged(made, _flipped(text, at))

    def _forged_row(self, made: Released, at: int) -> tuple[str, Refs]:
        """A byte of what the tag says of a fix; the record says that it belongs to that tag."""
        text = self._tag_text(made)
        rows = tagged_account(text)
        if not rows:
            return "", {}
        row = rows[at % len(rows)]
        at = text.index(f" {row.source}") + 1 + at % 40
        refs = self._tagged(made, _flipped(text, at))
        return f"the row of {row.source[:12]} in the tag", refs | self._agreeing(made, refs)

    def _tagged(self, made: Released, text: str) -> Refs:
        return {f"refs/tags/{made.version}": self._stored("tag", text)}

    def _stored(self, kind: str, text: str) -> str:
        return self.remote.git("hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=text)

    # -------------------------------------------------------------- records

    def _record(self, made: Released) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.remote.git("cat-file", "blob", f"refs/release-records/{made.version}"))
        return found

    def _recorded(self, made: Released, record: object) -> Refs:
        sha = self.remote.git("hash-object", "-w", "--stdin", stdin=json.dumps(record))
        return {f"refs/release-records/{made.version}": sha}

    def _agreeing(self, made: Released, tag: Refs) -> Refs:
        """A record that names that tag object."""
        record = self._record(made)
        record["tag"]["object"] = tag[f"refs/tags/{made.version}"]
        return self._recorded(made, record)

    def _forged_record(self, made: Released, at: int) -> tuple[str, Refs]:
        """A byte of what the record tells, but for what nobody else can know."""
        record = self._record(made)
        leaves = list(_leaves(record))
        holder, key, path = leaves[at % len(leaves)]
        value = str(holder[key])
        holder[key] = _flipped(value, at % len(value)) if value else "x"
        return f"{path} of the record", self._recorded(made, record)

    # -------------------------------------------------------------- commits

    def _forged_file(self, made: Released, at: int) -> tuple[str, Refs]:
        """A byte of a file in a commit that the release made; those above it, tag and record agree with it."""
        if made.version not in made.line.declared:  # promoted: the commits are the candidate's
            return "", {}
        record, line = self._record(made), made.line
        mine = self.remote.git("rev-list", "--reverse", f"{record['base']}..{record['commit']}").split()
        bad = mine[at % len(mine)]
        new: dict[str, str] = {}
        for sha in mine:
            text = self.remote.attempt("cat-file", "commit", sha).stdout
            for old, made_ in new.items():
                text = text.replace(old, made_)
            if sha == bad or new:
                text = text.replace(record_tree := text[5:45], self._other_tree(record_tree), 1)
                new[sha] = self._stored("commit", text)
        whole = self._tag_text(made)
        data = json.dumps(record)
        for old, made_ in new.items():
            whole, data = whole.replace(old, made_), data.replace(old, made_)
        refs = self._tagged(made, whole)
        forged = json.loads(data)
        forged["tag"]["object"] = refs[f"refs/tags/{made.version}"]
        for key, commit in (("tree", forged["commit"]), ("picked_tree", f"{forged['commit']}^")):
            forged[key] = self.remote.rev(f"{commit}^{{tree}}")
        refs |= self._recorded(made, forged)
        branch = f"refs/heads/{line.branch}"
        if self.remote.rev(branch) != record["commit"]:
            return "", {}  # later commits stand on it: that would be another forgery
        return f"a file in {bad[:12]}", refs | {branch: forged["commit"]}

    def _other_tree(self, tree: str) -> str:
        """The tree with one byte of app.txt changed, far from every fix."""
        rows = self.remote.attempt("ls-tree", tree).stdout
        row = next(each for each in rows.splitlines() if each.endswith("\tapp.txt"))
        blob = row.split()[2]
        text = self.remote.attempt("cat-file", "blob", blob).stdout.replace("line 299\n", "lime 299\n")
        return self.remote.git("mktree", stdin=rows.replace(blob, self._stored("blob", text)))

    # -------------------------------------------------------------- what stands beside

    def _forged_sources(self, made: Released, at: int) -> tuple[str, Refs]:
        ref = f"refs/release-sources/{made.version}"
        text = self.remote.attempt("cat-file", "commit", ref).stdout
        if not text:
            return "", {}
        at = text.index("\n\n") + 2 + at % 20
        return "the sources", {ref: self._stored("commit", _flipped(text, at))}

    def _forged_yank(self, made: Released, at: int) -> tuple[str, Refs]:
        if made.version not in made.line.yanked:
            return "", {}
        ref = yank_ref(made.version)
        yank = json.loads(self.remote.git("cat-file", "blob", ref))
        yank["commit"] = _flipped(yank["commit"], at % 40)
        return "the yank", {ref: self._stored("blob", json.dumps(yank))}


WHAT = ("tag", "row", "record", "file", "sources", "yank")


def _flipped(text: str, at: int) -> str:
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    """(holder, key, path) of every text in a document that can be told from elsewhere."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in pairs:
        if key in TESTIMONY:
            continue
        if isinstance(each, str):
            yield value, key, f"{path}/{key}"
        elif isinstance(each, dict | list):
            yield from _leaves(each, f"{path}/{key}")

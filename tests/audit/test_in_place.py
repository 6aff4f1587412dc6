"""What files alone tell of a pick is what git's merge of the whole trees says, in every mixture of changes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from orchestrator.audit.in_place import ANOTHER, PickedFiles, decide
from orchestrator.audit.origins.claims import TRAILER, CommitReader, PossibleOrigin
from orchestrator.audit.recompute import attempt
from orchestrator.audit.verdicts import Kind
from orchestrator.git import batch
from orchestrator.git.batch import Pack, Trees
from orchestrator.git.scratch import Scratch
from tests.support.story import make_repo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.git.merge.result import Merge

pytestmark = pytest.mark.hostile

Files = dict[bytes, tuple[str, str]]
WHO = b"A <a@example.com> 1700000000 +0000"
PATHS = (b"a", b"b", b"dir/a", b"dir/b", b"dir/deep/a", b"new/a", b"new/deep/a", b"union/a", b"dir")
# Lines that stand there again and again: where a change belongs is told by what is around it alone.
LINES = ("{", "return", "}", "")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Scratch]:
    with Scratch.open(make_repo(tmp_path / "repo").path / ".git/objects") as opened:
        yield opened


class Trial:
    """Random trees, and commits between them."""

    def __init__(self, scratch: Scratch, seed: int) -> None:
        self.scratch, self.random = scratch, random.Random(seed)  # noqa: S311 - no secret

    def blob(self, text: list[str]) -> str:
        return self.scratch.write_blob("".join(f"{line}\n" for line in text).encode())

    def text(self, blob: str) -> list[str]:
        return self.scratch.blob(blob).decode().splitlines()

    def files(self) -> Files:
        found: Files = {}
        for path in self.random.sample(PATHS, 5):
            text = [self.random.choice(LINES) if self.random.random() < 0.6 else f"line {n}" for n in range(14)]
            found[path] = self.random.choice(("100644", "100644", "100755")), self.blob(text)
        return possible(found)

    def changed(self, files: Files) -> Files:
        """One to three changes: of lines, of a mode, a move, a removal, a new file, another kind."""
        made = dict(files)
        for _ in range(self.random.randint(1, 3)):
            path = self.random.choice(sorted(made))
            mode, blob = made[path]
            match self.random.randint(0, 10):
                case 0:
                    made[self.random.choice(PATHS)] = made.pop(path)
                case 1 if len(made) > 1:
                    del made[path]
                case 2:
                    made[self.random.choice(PATHS)] = "100644", self.blob(["new", *LINES, str(self.random.random())])
                case 10:  # a whole folder moves, and git takes along what the other side adds there
                    made = {b"moved/" + name[4:] if name.startswith(b"dir/") else name: made[name] for name in made}
                case 3:
                    made[path] = "120000", self.scratch.write_blob(b"a")
                case 4:
                    made[path] = "100755" if mode == "100644" else "100644", blob
                case _:
                    text = self.text(blob)
                    at = self.random.randint(0, len(text))
                    text[at : at + self.random.randint(0, 2)] = [self.random.choice((*LINES, "changed"))]
                    made[path] = mode, self.blob(text)
        return possible(made)

    def commit(self, tree: str, *parents: str) -> str:
        return self.scratch.write_commit(tree=tree, parents=parents, author=WHO, committer=WHO, message=b"x\n")

    def tree(self, files: Files) -> str:
        pack = Pack()
        tree = pack.tree(files)
        pack.write(self.scratch)
        return tree


def possible(files: Files) -> Files:
    """Without what lies below a file."""
    return {path: each for path, each in files.items() if not any(path.startswith(other + b"/") for other in files)}


def files_of(known: CommitReader, claim: PossibleOrigin) -> PickedFiles:
    before = known.parent(claim.target)
    return PickedFiles(
        source=known.files[claim.source, claim.parent], target=known.files[claim.target, before],
        base=known.tree(claim.parent), ours=known.tree(before), made=known.tree(claim.target),
    )  # fmt: skip


@pytest.mark.wide
def test_it_decides_as_the_whole_merge_does(scratch: Scratch) -> None:
    trial = Trial(scratch, 1)
    attributes = trial.tree({b".gitattributes": ("100644", scratch.write_blob(b"union/* merge=union\nb -merge\n"))})
    scratch.use_attributes(attributes)
    pack, rows = Pack(), []
    for _ in range(400):
        base = trial.files()
        theirs, ours = trial.changed(base), trial.changed(base)
        rows.append(Trees(base=pack.tree(base), ours=pack.tree(ours), theirs=pack.tree(theirs)))
    whole = batch.picks(scratch, rows, pack)
    claims: dict[PossibleOrigin, tuple[str, str]] = {}
    for number, (each, merge) in enumerate(zip(rows, whole, strict=True)):
        assert merge is not None
        made = (merge.tree, each.theirs, each.ours)[0 if number % 4 else trial.random.randint(1, 2)]
        parent, below = trial.commit(each.base), trial.commit(each.ours)
        claim = PossibleOrigin(
            target=trial.commit(made, below), source=trial.commit(each.theirs, parent), parent=parent, signal=TRAILER
        )
        told = "" if merge.conflicts else made if merge.tree == made else ANOTHER
        claims[claim] = told, made
    known = CommitReader(scratch=scratch)
    known.need(sha for each in claims for sha in (each.target, each.source, each.parent))
    known.need(known.parent(each.target) for each in claims)
    known.compare((each.source, each.parent) for each in claims)
    known.compare((each.target, known.parent(each.target)) for each in claims)
    outcomes = decide(scratch, [files_of(known, each) for each in claims])
    decided = {claim: told for claim, told in zip(claims, outcomes, strict=True) if told is not None}
    assert {claim: claims[claim][0] for claim in decided} == decided
    kinds = [("conflict" if not told else "another" if told == ANOTHER else "made") for told in decided.values()]
    assert min(kinds.count(each) for each in ("conflict", "another", "made")) >= 10, kinds
    assert len(decided) < len(claims)  # moves and removals are git's to judge


BLOCK = ["func {", "  begin", "  return 1", "  end", "}"]


def test_the_same_patch_in_another_place_proves_nothing(scratch: Scratch) -> None:
    """Two blocks are alike: a change of the first, made to the second, has an equal patch, with context too."""
    trial = Trial(scratch, 2)
    text = [f"top {n}" for n in range(8)] + BLOCK * 3 + [f"end {n}" for n in range(8)]
    first, second = list(text), ["a line more on the branch", *text]
    first[10] = "  return 2"
    right, wrong = list(second), list(second)
    right[11], wrong[16] = "  return 2", "  return 2"
    base, theirs, ours, good, bad = (trial.tree({b"a": ("100644", trial.blob(each))})
                                     for each in (text, first, second, right, wrong))  # fmt: skip
    parent, below = trial.commit(base), trial.commit(ours)
    source = trial.commit(theirs, parent)
    proofs = {}
    for tree in (good, bad):
        target = trial.commit(tree, below)
        known = CommitReader(scratch=scratch)
        known.need([target, source, parent, below])
        claim = PossibleOrigin(target=target, source=source, parent=parent, signal=TRAILER)
        known.compare([(target, below), (source, parent)])
        assert decide(scratch, [files_of(known, claim)]) == [good if tree == good else ANOTHER]
        proofs[tree] = attempt(known, {target: [claim]})[target].kind
    assert proofs == {good: Kind.PROVED, bad: Kind.ADAPTED}


def test_no_merge_of_whole_trees_is_made_where_files_stay(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(scratch, 3)
    many: Files = {b"kept/%d" % number: ("100644", trial.blob([str(number)])) for number in range(50)}
    sides = [
        trial.tree({**many, b"a": ("100644", trial.blob(texts))})
        for texts in (["a", "b", "c", "d"], ["a", "B", "c", "d"], ["a", "b", "c", "d", "e", "f"])
    ]
    base, theirs, ours = sides
    made = trial.tree({**many, b"a": ("100644", trial.blob(["a", "B", "c", "d", "e", "f"]))})
    parent, below = trial.commit(base), trial.commit(ours)
    target, source = trial.commit(made, below), trial.commit(theirs, parent)
    known = CommitReader(scratch=scratch)
    known.need([target, source, parent, below])
    asked: list[Trees] = []
    picks = batch.picks

    def watched(opened: Scratch, rows: Sequence[Trees], pack: Pack | None = None) -> list[Merge | None]:
        asked.extend(rows)
        return picks(opened, rows, pack)

    monkeypatch.setattr(batch, "picks", watched)
    proofs = attempt(known, {target: [PossibleOrigin(target=target, source=source, parent=parent, signal=TRAILER)]})
    assert proofs[target].kind is Kind.PROVED
    assert len(asked) == 1
    assert [entry.path for entry in scratch.entries(asked[0].ours)] == ["a"]

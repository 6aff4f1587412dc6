"""What released versions resolved: the picks that their tags list as adapted are where such a resolution is kept.

A tag is public, proved, and says whose commit it is; so nothing else has to be kept, and nobody can bring in a
resolution that was not released.
"""

from __future__ import annotations

import json
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import origins
from orchestrator.core.dataclass import dataclass
from orchestrator.core.pick import PickState, Resolution
from orchestrator.core.tag_message import tagged_account
from orchestrator.core.versions import parse_tag
from orchestrator.git.objects import EMPTY_TREE
from orchestrator.git.trees import entry_at, put

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from orchestrator.core.tag_message import TagRow
    from orchestrator.git.merge.rerere import ConflictText
    from orchestrator.git.merge.result import Merge
    from orchestrator.git.objects import Commit
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

_MOST = 500  # adapted picks that are looked at, the newest versions first
_OF_TEXT = ("content", "add/add")  # conflicts in which the text is all that two sides disagree about


@dataclass(frozen=True, kw_only=True)
class Question:
    """A conflict: the commit that is picked (a part of it, perhaps), against which parent, on which tree, and how."""

    source: str  # as its fix names it
    change: Commit
    parent: str
    ours: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reused:
    """A resolution that fits: the tree that it gives, the files that it settles, and the commit that it is from."""

    tree: str
    files: Mapping[str, str]  # path -> blob
    resolution: Resolution
    by: str  # `Name <mail>`

    @property
    def said(self) -> str:
        """Where, and by whom."""
        return f"{self.resolution.version} ({self.resolution.commit[:12]}, by {self.by})"


@dataclass(kw_only=True)
class KnownResolutions:
    """Those of version tags; `tags` gives the ids of their objects by name, when the first conflict is met."""

    scratch: Scratch
    tags: Callable[[], Mapping[str, str]] = dict
    _texts: dict[Resolution, dict[str, ConflictText]] = field(default_factory=dict)

    def find(self, asked: Question) -> Reused | None:
        """The newest released resolution that settles all of a conflict; of the same source before that of others."""
        if not self._rows:
            return None
        now = texts_of(self.scratch, asked)
        wanted = {each.id for each in now.texts.values()} if now else set()
        for source, known in sorted(self._rows, key=lambda row: row[0] != asked.source) if wanted else ():
            if wanted <= set(self._ids(source, known)) and now:
                found = self._put_on(now, source, known)
                if found and found.tree != asked.ours:
                    return found
        return None

    def gives(self, asked: Question, known: Resolution, made: str) -> bool | None:
        """Whether its version resolved it, and that gives tree `made` here.

        None where that version, the resolution, or what it is a pick of, is not here.
        """
        tag = self.tags().get(known.version, "")
        if not tag or not self.scratch.has(tag):
            return None
        sources = [source for source, each in _adapted(self.scratch, known.version, tag) if each == known]
        if not sources:
            return None if self._lists(tag, known.commit) else False
        found = self.as_in(asked, known, sources[0])
        return found is not None and found.tree == made

    def _lists(self, tag: str, commit: str) -> bool:
        """Whether a tag lists an adapted pick, be it here or not."""
        return any(row.commit == commit and row.state == PickState.ADAPTED for row in _rows_of(self.scratch, tag))

    def as_in(self, asked: Question, known: Resolution, source: str = "") -> Reused | None:
        """A conflict resolved as that pick (of `source`) was; None where that does not fit."""
        sources = [source] if source else origins(self.scratch.commit(known.commit).text)[-1:]
        now = texts_of(self.scratch, asked)
        return self._put_on(now, sources[0], known) if now and sources else None

    @cached_property
    def _rows(self) -> list[tuple[str, Resolution]]:
        """(source, where it was resolved) of what is here, the newest version first."""
        parsed = ((parse_tag(name), name, sha) for name, sha in self.tags().items())
        ordered = sorted(((tag.order, name, sha) for tag, name, sha in parsed if tag), reverse=True)
        rows = (row for _, name, sha in ordered for row in _adapted(self.scratch, name, sha))
        return [row for row, _ in zip(rows, range(_MOST), strict=False)]

    def _ids(self, source: str, known: Resolution) -> Sequence[str]:
        """The conflicts that a resolution settles; remembered."""
        key = f"{self.scratch.git_version} {source} {known.commit}"
        if kept := self.scratch.cache.get("resolution", [key]):
            return list(json.loads(kept[key]))
        ids = [each.id for each in self._then(source, known).values()]
        self.scratch.cache.put("resolution", {key: json.dumps(ids).encode()})
        return ids

    def _then(self, source: str, known: Resolution) -> dict[str, ConflictText]:
        """Path -> the conflict that was resolved there."""
        if known not in self._texts:
            made, commit = self.scratch.commit(known.commit), self.scratch.commit(source)
            ours = self.scratch.tree_of(made.parents[0]) if made.parents else EMPTY_TREE
            asked = Question(source=source, change=commit, parent=next(iter(commit.parents), ""), ours=ours)
            found = texts_of(self.scratch, asked)
            self._texts[known] = dict(found.texts) if found else {}
        return self._texts[known]

    def _put_on(self, now: Conflicting, source: str, known: Resolution) -> Reused | None:
        from orchestrator.git.merge.rerere import replayed  # a plan without a conflict has no use for it

        then = {each.id: (path, each) for path, each in self._then(source, known).items()}
        made, files = self.scratch.tree_of(known.commit), {}
        for path, text in now.texts.items():
            if text.id not in then:
                return None
            old, conflict = then[text.id]
            resolved = self.scratch.file(made, old)
            data = None if resolved is None else replayed(self.scratch.git, text, conflict, resolved)
            if data is None:
                return None
            files[path] = self.scratch.write_blob(data)
        modes = {path: entry_at(self.scratch, now.merge.tree, path) for path in files}
        tree = put(
            self.scratch, now.merge.tree, {path: (item.mode, files[path]) for path, item in modes.items() if item}
        )
        by = str(self.scratch.commit(known.commit).committer)
        return Reused(tree=tree, files=files, resolution=known, by=by)


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What counts of earlier resolutions: those by `own` (`Name <mail>`, "" for nobody) are applied without a question.

    That needs the remote to have them: `public` are the version tags that it was seen to have.  `told` are those that
    the tag of a release says it used: they are held against it.
    """

    known: KnownResolutions
    own: str = ""
    public: Collection[str] = ()
    told: Mapping[str, Resolution] | None = None  # None: nothing is released yet
    all_here: bool = False  # what is not here is not so: a server has every released commit

    def applies(self, found: Reused) -> bool:
        """Whether it is applied without a question."""
        return found.by == self.own and found.resolution.version in self.public

    def of(self, asked: Question, made: str) -> Resolution | None:
        """The earlier resolution that tree `made` is: by the tag, as far as that is so; else what is known here."""
        if self.told is None:
            found = self.known.find(asked)
            return found.resolution if found and found.tree == made else None
        told = self.told.get(asked.source)
        gives = self.known.gives(asked, told, made) if told else False
        return told if gives or (gives is None and not self.all_here) else None


@dataclass(frozen=True, kw_only=True)
class Conflicting:
    """A merge, and the text of each of its conflicts."""

    merge: Merge
    texts: Mapping[str, ConflictText]


def known_here(
    repository: Repository, scratch: Scratch, public: Mapping[str, str] | None = None, without: Collection[str] = ()
) -> KnownResolutions:
    """What the version tags of a clone resolved.

    Of `public` (name -> object, as the remote has it; None: it was not asked), where that is another object or none, a
    tag is somebody's own, and counts for nothing; nor do those in `without`.
    """

    def tags() -> dict[str, str]:
        prefix = "refs/tags/"
        here = {ref.removeprefix(prefix): sha for ref, sha in repository.refs(prefix.rstrip("/")).items()}
        return {
            name: sha
            for name, sha in here.items()
            if name not in without and (public is None or public.get(name) == sha)
        }

    return KnownResolutions(scratch=scratch, tags=tags)


def texts_of(scratch: Scratch, asked: Question) -> Conflicting | None:
    """None where something conflicts that is no text of two sides, and where nothing does.

    A submodule that moves by the way is one too: what is told of such a pick is told by a person.
    """
    from orchestrator.git.merge.rerere import conflict_text

    before = scratch.tree_of(asked.parent) if asked.parent else EMPTY_TREE
    merge = scratch.pick(base=before, ours=asked.ours, theirs=asked.change.tree, options=asked.options)
    if merge.forwarded or any(each.kind not in _OF_TEXT for each in merge.conflicts):
        return None
    found = {each.path: conflict_text(scratch.file(merge.tree, each.path) or b"") for each in merge.conflicts}
    texts = {path: text for path, text in found.items() if text}
    return Conflicting(merge=merge, texts=texts) if texts and len(texts) == len(found) else None


def _adapted(scratch: Scratch, name: str, sha: str) -> Iterator[tuple[str, Resolution]]:
    """(source, where it was resolved) of the adapted picks that a tag object lists, and that are here."""
    for row in _rows_of(scratch, sha):
        if row.state == PickState.ADAPTED and scratch.is_commit(row.source) and scratch.is_commit(row.commit):
            yield row.source, Resolution(commit=row.commit, version=name)


def _rows_of(scratch: Scratch, sha: str) -> list[TagRow]:
    """What a tag object says of each pick; nothing of one that is not here."""
    kind, data = scratch.read(sha) if scratch.has(sha) else ("", b"")
    return tagged_account(data.decode("utf-8", "replace")) if kind == "tag" else []

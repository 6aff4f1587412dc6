"""A repository while a push waits at its door: what it has, and what is pushed, kept apart.  Reads only.

Objects of the push lie in git's quarantine until the hook has agreed.  Nothing of the pusher's environment counts: the
repository is the directory that git started the hook in, and the quarantine must lie in its object store.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.core.plan import CANDIDATES
from orchestrator.git.cache import Cache
from orchestrator.git.isolation import isolated
from orchestrator.git.process import Git
from orchestrator.git.push import ZERO
from orchestrator.git.repository import Repository
from orchestrator.git.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MADE_ONCE = ("refs/tags/", "refs/release-records/", "refs/release-sources/", "refs/release-yanks/", CANDIDATES)


@dataclass(frozen=True, kw_only=True)
class Update:
    """One ref of a push: full name, id before and after, zeros where there is none."""

    ref: str
    old: str
    new: str

    @property
    def creates(self) -> bool:
        return self.old == ZERO

    @property
    def deletes(self) -> bool:
        return self.new == ZERO

    @property
    def short(self) -> str:
        """`release/v2.7` of refs/heads/release/v2.7."""
        return self.ref.split("/", 2)[-1]


class Receiving:
    """The repository at `gitdir`, and the push in `quarantine` ("" where there is none, as in an `update` hook)."""

    def __init__(self, gitdir: Path, quarantine: str) -> None:
        self.gitdir = gitdir.resolve()
        self.objects = self.gitdir / "objects"
        if not self.objects.is_dir() or not (self.gitdir / "HEAD").exists():
            raise UsageError(
                "this is not a git repository",
                where=str(gitdir),
                remedy="git starts the hook in the repository itself; `release hook install --server` makes it",
                code="not-a-repository",
            )
        self.quarantine = self._inside(gitdir, quarantine) if quarantine else None
        self.git = Git(self.gitdir, env=isolated(self.gitdir))
        if self.config("extensions.objectformat")[-1:] not in ([], ["sha1"]):
            raise UsageError("only SHA-1 repositories can be guarded", where=str(self.gitdir), code="object-format")

    def _inside(self, gitdir: Path, quarantine: str) -> Path:
        path = (gitdir / quarantine).resolve()
        if path.parent != self.objects or not path.is_dir():
            raise UsageError(
                f"the pushed objects are not where git keeps them: {quarantine}",
                where=str(self.objects),
                remedy="let git start the hook, without GIT_ variables from outside",
                code="bad-quarantine",
            )
        return path

    def config(self, key: str) -> list[str]:
        """All values of a key in the repository's own configuration, none of anybody else's."""
        output = self.git.attempt("config", "--local", "-z", "--get-all", key)
        return [value for value in output.fields() if value]

    @cached_property
    def refs(self) -> Mapping[str, str]:
        """Ref -> id of every ref, as before the push."""
        return {ref: sha for ref, (sha, _) in self._refs.items()}

    def learn(self, more: Mapping[str, str]) -> None:
        """From now on these are refs here too."""
        self.__dict__["refs"] = {**self.refs, **more}

    @cached_property
    def symrefs(self) -> Mapping[str, str]:
        """Symbolic ref -> the ref that a push to it moves."""
        return {ref: target for ref, (_, target) in self._refs.items() if target}

    def names(self, ref: str) -> list[str]:
        """The ref that a push to `ref` moves, and the symbolic refs that lead to it."""
        real = self.symrefs.get(ref) or self._dangling(ref) or ref
        return [real, *(name for name, target in self.symrefs.items() if target == real)]

    def _dangling(self, ref: str) -> str:
        """Where a symbolic ref leads that names nothing yet: `for-each-ref` does not know it, a push creates it."""
        if ref in self.refs or not (self.gitdir / ref).is_file():
            return ""
        output = self.git.attempt("symbolic-ref", "--quiet", ref)
        return "" if output.status else output.text.strip()

    @cached_property
    def _refs(self) -> dict[str, tuple[str, str]]:
        form = "--format=%(refname)%00%(objectname)%00%(symref)%00"
        rows = [part.lstrip("\n") for part in self.git.run("for-each-ref", form).fields()]
        return {ref: (sha, target) for ref, sha, target in zip(rows[::3], rows[1::3], rows[2::3], strict=True)}

    @property
    def head(self) -> str:
        """The branch that HEAD names, "" for none."""
        output = self.git.attempt("symbolic-ref", "--quiet", "HEAD")
        return output.text.strip().removeprefix("refs/heads/")

    def scratch(self) -> Scratch:
        """A scratch store over what is here and what is pushed."""
        more = [self.quarantine] if self.quarantine else []
        return Scratch.open(self.objects, Cache(), *more)

    def with_push(self) -> Repository:
        """The repository as it will be, with its own configuration: who may sign is told there."""
        env = isolated(self.gitdir)
        if self.quarantine:
            env |= {"GIT_OBJECT_DIRECTORY": str(self.quarantine), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.objects)}
        return Repository(self.gitdir, self.gitdir, env=env)

    def peeled(self, scratch: Scratch, refs: Mapping[str, str]) -> dict[str, str]:
        """Ref -> the commit it names in the end; a ref that names none is left out.  One process."""
        feed = "".join(f"{sha}^{{commit}}\n" for sha in refs.values()).encode()
        rows = scratch.git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=feed).lines()
        found = zip(refs, (row.split(" ") for row in rows), strict=True)
        return {ref: row[0] for ref, row in found if row[1:] == ["commit"]}


class Pushing(Receiving):
    """A clone that is about to push: the remote as it was last fetched."""

    def __init__(self, common: Path, remote: str, updates: Sequence[Update]) -> None:
        super().__init__(common, "")
        self.remote = remote
        self._updates = updates

    @classmethod
    def of(cls, start: Path, remote: str, updates: Sequence[Update]) -> Pushing | None:
        """None where `remote` is no name of a remote whose branches were fetched."""
        output = Git(start).attempt("rev-parse", "--path-format=absolute", "--git-common-dir")
        found = cls(Path(output.text.strip()), remote, updates) if output.status == 0 else None
        return found if found and any(ref.startswith("refs/heads/") for ref in found.refs) else None

    @cached_property
    def _refs(self) -> dict[str, tuple[str, str]]:
        """The remote's branches, what is made once and here, and what git says that the remote has of those pushed."""
        here, prefix = super()._refs, f"refs/remotes/{self.remote}/"
        refs = {f"refs/heads/{ref.removeprefix(prefix)}": (sha, "") for ref, (sha, _) in here.items()
                if ref.startswith(prefix) and ref != f"{prefix}HEAD"}  # fmt: skip
        refs |= {ref: pair for ref, pair in here.items() if ref.startswith(_MADE_ONCE)}
        for update in self._updates:
            refs.pop(update.ref, None)
            if not update.creates:
                refs[update.ref] = (update.old, "")
        return refs

    def names(self, ref: str) -> list[str]:
        """What is symbolic on the remote is not known here."""
        return [ref]

    @property
    def head(self) -> str:
        """The branch that the remote's HEAD named when it was cloned; where that is not known, main or master."""
        output = self.git.attempt("symbolic-ref", "--quiet", f"refs/remotes/{self.remote}/HEAD")
        if output.status == 0:
            return output.text.strip().removeprefix(f"refs/remotes/{self.remote}/")
        return "main" if "refs/heads/main" in self.refs else "master"


def trusted_names(scratch: Scratch, refs: Mapping[str, str]) -> Repository:
    """A repository in which only these refs are names: a branch that somebody pushed as `deadbeef` is none."""
    lines = "".join(f"{sha} {ref}\n" for ref, sha in sorted(refs.items()))
    (scratch.gitdir / "packed-refs").write_bytes(os.fsencode(lines))
    return Repository(scratch.gitdir, scratch.gitdir, env=scratch.git.env)

"""Where a release keeps what it knows: a directory under the git common directory, and private refs.

<git common dir>/release/lock                       one release at a time
<git common dir>/release/<version>/journal.jsonl    what was done
<git common dir>/release/<version>/paused.json      the conflict that waits for a person
<git common dir>/release/<version>/confirmed.json   picks that a person said yes to
<git common dir>/release/<version>/worktree/        where it is resolved
<git common dir>/release/<version>/logs/            build and verify logs
refs/release/<version>/candidate, tag, tip          commits and the tag object before they are public
refs/release/<version>/picking                      the commit that conflicts, while the release is paused
refs/release/<version>/sources                      keeps what the release is picked from
refs/release/<version>/signed/<key>/<commit>        what a planned commit became when it was signed with that key
refs/release/<version>/resolved/<source>            a person's resolution, as a commit
refs/release/<version>/skipped/<source>             a blob with the reason
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from orchestrator.core.dataclass import dataclass
from orchestrator.core.plan import Decisions
from orchestrator.core.versions import not_a_version, parse_tag
from orchestrator.git import push
from orchestrator.git.worktree import ConflictWorktree
from orchestrator.session.journal import DamagedStateError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch


@dataclass(frozen=True, kw_only=True)
class Paused:
    """A conflict that waits: the source, what is being applied for it, and the tip it is applied to.

    `part` is what is applied in place of either, where files of it are left out by the patterns `exclude`.
    """

    source: str
    applied: str
    tip: str
    mainline: int
    files: tuple[str, ...]
    config: str  # absolute path of the release.yaml in use, "" for the default
    yes: bool = False  # whether `cut` was given --yes
    part: str = ""
    exclude: tuple[str, ...] = ()
    options: tuple[str, ...] = ()  # with which git merges it
    known: tuple[str, ...] = ()  # files in the worktree that are as they were resolved before, and where: a line each
    image: bool | None = None  # whether `cut` was given --image or --no-image

    @property
    def opened(self) -> str:
        """The commit that is picked in the worktree."""
        return self.part or self.applied or self.source


def releases_directory(repository: Repository) -> Path:
    return repository.common_dir / "release"


def in_progress(repository: Repository) -> list[str]:
    """Versions that have state here, paused, broken off or done, oldest name first."""
    directory = releases_directory(repository)
    if not directory.is_dir():
        return []
    names = (unquote(path.name) for path in directory.iterdir() if path.is_dir())
    return sorted(name for name in names if parse_tag(name))


class ReleaseState:
    """The state of one release."""

    def __init__(self, repository: Repository, version: str) -> None:
        if parse_tag(version) is None:  # it becomes part of paths and of ref patterns
            raise not_a_version(version)
        self.repository = repository
        self.version = version
        self.directory = releases_directory(repository) / quote(version, safe="")
        self.prefix = f"refs/release/{version}/"
        self.worktree = ConflictWorktree(repository, self.directory / "worktree")

    @property
    def journal_path(self) -> Path:
        return self.directory / "journal.jsonl"

    @property
    def logs(self) -> Path:
        path = self.directory / "logs"
        path.mkdir(parents=True, exist_ok=True)
        return path

    # -------------------------------------------------------------- private refs

    def ref(self, name: str) -> str:
        """The object that `refs/release/<version>/<name>` names, "" when there is none."""
        return self.repository.ref(self.prefix + name)

    def adopt(self, scratch: Scratch, named: Mapping[str, str]) -> None:
        """Keep objects of a scratch store under private refs: name -> object."""
        push.adopt(self.repository, scratch, {self.prefix + name: sha for name, sha in named.items()})

    def decisions(self) -> Decisions:
        """What people decided at this release's conflicts."""
        resolved, skipped = {}, {}
        for ref, sha in self.repository.refs(self.prefix.rstrip("/")).items():
            kind, _, source = ref.removeprefix(self.prefix).partition("/")
            if kind == "resolved":
                resolved[source] = sha
            elif kind == "skipped":
                skipped[source] = self._reason(ref, sha)
        return Decisions(resolved=resolved, skipped=skipped)

    def _reason(self, ref: str, sha: str) -> str:
        output = self.repository.git.attempt("cat-file", "blob", sha)
        if output.status:
            raise DamagedStateError(
                f"what was decided for {self.version} is damaged",
                where=ref,
                remedy=f"repair it: release cut {self.version}   (asks again for what is lost)",
                code="decision-damaged",
            )
        return output.text.strip()

    def skip(self, source: str, reason: str) -> None:
        """Remember that `source` is left out of this release, and why."""
        blob = push.write_blob(self.repository, reason.encode())
        push.update_refs(self.repository, {f"{self.prefix}skipped/{source}": (blob, "")})

    def confirmed(self) -> dict[str, str]:
        """Source -> what was shown when a person said yes to it.  A damaged file holds none: they are asked again."""
        try:
            data = json.loads(self._confirmed_path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(source): str(stamp) for source, stamp in data.items()} if isinstance(data, dict) else {}

    def confirm(self, stamps: Mapping[str, str]) -> None:
        """Remember a person's yes to these sources."""
        data = {**self.confirmed(), **stamps}
        self.directory.mkdir(parents=True, exist_ok=True)
        temporary = self._confirmed_path.with_suffix(".new")
        temporary.write_text(json.dumps(data, indent=2) + "\n")
        temporary.replace(self._confirmed_path)

    @property
    def _confirmed_path(self) -> Path:
        return self.directory / "confirmed.json"

    # -------------------------------------------------------------- pause

    def paused(self) -> Paused | None:
        path = self.directory / "paused.json"
        if not path.exists():
            return None
        try:
            data = dict(json.loads(path.read_text()))
            lists = {key: tuple(data.get(key, ())) for key in ("exclude", "options", "known")}
            return Paused(**{**data, "files": tuple(data["files"]), **lists})
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedStateError(
                "the note on the paused conflict is damaged",
                where=str(path),
                remedy=f"release abort {self.version}",
                code="pause-damaged",
            ) from error

    def pause(self, paused: Paused, scratch: Scratch, before: Mapping[str, str] | None = None) -> Paused:
        """Open the worktree, then say so on disk: a crash in between leaves nothing that counts.

        `before` are files (path -> blob) as they were resolved before.  Returns the pause with the paths as they are to
        be added there: git puts a file aside that stands in the way of a directory.
        """
        # What is picked may come from the remote, just now.
        self.adopt(scratch, {"tip": paused.tip, "picking": paused.opened})
        mainline = 0 if paused.part else paused.mainline
        by_git = self.worktree.open(tip=paused.tip, source=paused.opened, mainline=mainline, options=paused.options)
        self.worktree.fill(before or {}, scratch)
        known = (*paused.known, *(f"{path} by git's rerere" for path in by_git if path not in (before or {})))
        paused = replace(paused, known=known)
        paused = replace(paused, files=tuple(self.worktree.unmerged()) or paused.files)
        path = self.directory / "paused.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(paused)))
        temporary.replace(path)
        return paused

    def unpause(self) -> None:
        (self.directory / "paused.json").unlink(missing_ok=True)
        self.worktree.remove()

    # -------------------------------------------------------------- end

    def forget_candidate(self) -> None:
        """Drop commits and tag object of a plan that no longer holds; people's decisions stay."""
        for name in ("candidate", "tag", "sources"):
            if sha := self.ref(name):
                push.update_refs(self.repository, {self.prefix + name: ("", sha)})

    def destroy(self) -> None:
        """Remove every trace of this release here."""
        self.worktree.remove()
        push.delete_refs(self.repository, self.prefix)
        if self.directory.exists():
            shutil.rmtree(self.directory)

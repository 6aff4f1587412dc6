"""What a commit holds of a release's inputs: its release.yaml, locks, patches, VEX.  The one reader of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from orchestrator.config import reader
from orchestrator.core.errors import ReleaseError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.declaration import Config
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

VEX_FOLDER: Final = "vex"  # of the repository: what its people say about vulnerabilities


class CommittedFiles:
    """The files of one tree; its listing is asked for once, and each lock and folder is read once."""

    def __init__(self, scratch: Scratch, tree: str) -> None:
        self.scratch = scratch
        self.tree = tree
        self._locks: dict[str, dict[str, bytes]] = {}
        self._folders: dict[str, dict[str, bytes]] = {}

    @cached_property
    def _paths(self) -> list[str]:
        return [each.path for each in self.scratch.entries(self.tree)]

    def config(self, path: str, shown_as: str) -> Config | None:
        """release.yaml at `path`, None where there is none; messages call it `shown_as:path`.  Raises ConfigError."""
        text = self.scratch.file(self.tree, path)
        return reader.parse(text, f"{shown_as}:{path}") if text is not None else None

    def file(self, path: str) -> bytes | None:
        return self.scratch.file(self.tree, path)

    def lock(self, path: str) -> dict[str, bytes]:
        """Path -> bytes of the lock at `path`: one file, or the `*.txt` files that stand in that folder, by name.

        Empty when the tree has neither, and for "".
        """
        if path and path not in self._locks:
            folder = path.rstrip("/") + "/"
            parts = [each for each in self._paths if each == path or _is_part(each, folder)]
            self._locks[path] = self._read({each: each for each in sorted(parts)})
        return self._locks.get(path, {})

    def below(self, folder: str) -> dict[str, bytes]:
        """Path within a folder -> bytes of the files in it; empty when the tree has no such folder, and for ""."""
        if folder and folder not in self._folders:
            head = folder.rstrip("/") + "/"
            inside = (each for each in self._paths if each.startswith(head))
            self._folders[folder] = self._read({each.removeprefix(head): each for each in inside})
        return self._folders.get(folder, {})

    def _read(self, paths: Mapping[str, str]) -> dict[str, bytes]:
        """Name -> bytes, for those that are regular files."""
        found = ((name, self.scratch.file(self.tree, path)) for name, path in paths.items())
        return {name: data for name, data in found if data is not None}


def released_by(scratch: Scratch, tree: str, path: str, subject: str) -> tuple[Config | None, list[str]]:
    """What a commit declares itself, and the versions whose release commit it says to be by that; (None, []) for none.

    Several where its subject does not tell them apart.
    """
    from orchestrator.core.commit_message.release import released_versions

    try:
        config = CommittedFiles(scratch, tree).config(path, subject[:40])
        versions = released_versions(config, subject) if config else []
    except ReleaseError:
        return None, []
    return (config, versions) if versions else (None, [])


def _is_part(path: str, folder: str) -> bool:
    name = path.removeprefix(folder)
    return name != path and name.endswith(".txt") and "/" not in name


def is_as_at(repository: Repository, base: str, path: str) -> bool:
    """Whether what is checked out has a file as it was where it left `base`.  Raises UsageError for no commit."""
    commit = repository.resolve(base)
    if not commit:
        raise UsageError(
            f"there is no commit {base} here",
            remedy="fetch the branch that the request is for, with its history; or name another: --base COMMIT",
            code="no-base",
        )
    git = repository.git
    fork = git.attempt("merge-base", commit, "HEAD").text.strip() or commit
    there, here = (git.attempt("rev-parse", "--verify", "--quiet", f"{each}:{path}").text for each in (fork, "HEAD"))
    return there == here

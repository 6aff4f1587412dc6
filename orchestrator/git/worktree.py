"""Trees as files: the worktree in which a person resolves one conflicting pick, and throw-away checkouts.

The worktree lives under the git common directory, at the tip that the pick is applied to, with git's own conflict
markers and index.  The user's own checkout is never touched.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.errors import DecisionError, PausedError, ReleaseError
from orchestrator.core.text import word, words
from orchestrator.git.isolation import remove
from orchestrator.git.merge.result import LINK, links_among
from orchestrator.git.merge.submodules import Submodules
from orchestrator.git.process import Git, failure
from orchestrator.git.repository import HOME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch


# The same pins as in scratch.py; rerere is as the clone has it, and forgets what was not resolved.
_PINNED = (
    ("core.hooksPath", "/dev/null"),
    ("merge.renames", "true"),
    ("merge.directoryRenames", "conflict"),
    ("merge.renameLimit", "7000"),
    ("rerere.autoUpdate", "false"),  # a person adds what was resolved before
    ("commit.gpgSign", "false"),
    ("advice.detachedHead", "false"),
    ("submodule.recurse", "false"),
    ("core.sparseCheckout", "false"),  # a conflict outside of the sparse part could not be added
    ("core.quotePath", "false"),
)
_REMEMBERED = re.compile(r"^(?:Resolved|Staged) '(.*)' using previous resolution\.$", re.MULTILINE)
_MARKERS = (b"<<<<<<<", b"|||||||", b">>>>>>>")


# How git calls a file whose place a folder has, or a file of another kind: `d~HEAD`, `d~0973739 (fix: d)`.
_ASIDE = re.compile(r"(?P<place>.+?)~(?:HEAD(?:_\d+)?|[0-9a-f]{7,40} \(.*)", re.DOTALL)

_FILTERS_OFF = "filters-off"  # beside the worktree: filters of the user that could not run when it was made

# What any merge driver of the user is replaced by: git's own merge, as in the plan.
_GITS_OWN = "git merge-file -L HEAD -L base -L theirs --marker-size=%L %A %O %B"


class ConflictWorktree:
    """A worktree of `repository` at `path`; it may or may not exist."""

    def __init__(self, repository: Repository, path: Path) -> None:
        self.repository = repository
        self.path = path

    @property
    def exists(self) -> bool:
        return (self.path / ".git").exists()

    @property
    def _git(self) -> Git:
        return Git(self.path, env={"GIT_NO_REPLACE_OBJECTS": "1"}, config=(*_PINNED, *self._filters_off()))

    def open(self, *, tip: str, source: str, mainline: int, options: Sequence[str] = ()) -> tuple[str, ...]:
        """Make the worktree at `tip` and apply `source` there, leaving the conflict for a person.

        `options` are strategy options.  Returns the files that git's rerere put as they were resolved before.

        Where a filter of the user (git-lfs, say) cannot run, files are there as the repository keeps them.
        """
        try:
            return self._open_as_set(tip, source, mainline, options)
        except ReleaseError:
            names = {key.split(".", 1)[1].rpartition(".")[0] for key, _ in self.repository.config_items(r"^filter\.")}
            if not names:
                self.remove()
                raise
            self._clear()
            (self.path.parent / _FILTERS_OFF).write_text("\n".join(sorted(names)))
            try:
                return self._apply(tip, source, mainline, options)
            except ReleaseError:
                self.remove()
                raise

    def _open_as_set(self, tip: str, source: str, mainline: int, options: Sequence[str]) -> tuple[str, ...]:
        self.remove()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        (self.path.parent / HOME).write_bytes(os.fsencode(self.repository.top))
        return self._apply(tip, source, mainline, options)

    def _apply(self, tip: str, source: str, mainline: int, options: Sequence[str]) -> tuple[str, ...]:
        adder = Git(self.repository.top, config=(*_PINNED, *self._filters_off()))
        adder.run("worktree", "add", "--quiet", "--detach", "--", str(self.path), tip)
        which = ["-m", str(mainline)] if mainline else []
        args = ["cherry-pick", "--no-commit", *(f"-X{each}" for each in options), *which, source]
        drivers = tuple((key, _GITS_OWN) for key, _ in self.repository.config_items(r"^merge\..*\.driver$"))
        git = self._git
        output = Git(self.path, env=git.env, config=(*git.config, *drivers)).attempt(*args)
        if output.status not in (0, 1) or "filter" in output.stderr:  # one that failed exits 1, as a conflict does
            raise failure(tuple(args), output)
        self._settle_submodules()
        return tuple(_REMEMBERED.findall(output.stderr))

    def fill(self, files: Mapping[str, str], scratch: Scratch) -> None:
        """Put files (path -> blob) there that a person is to look at before they are added."""
        env = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(scratch.gitdir / "objects")}
        for path, blob in files.items():
            shown = self._git.run("cat-file", "--filters", f"--path={path}", blob, env=env)
            (self.path / path).write_bytes(shown.stdout)

    def _settle_submodules(self) -> None:
        """Where git would move a submodule forward, had it that in this worktree: what is picked of it is there."""
        known = Submodules(self.repository.common_dir, self.repository.top)
        for link in links_among(self._git.run("ls-files", "-u", "-z").fields()):
            if sha := known.forward(link):
                self._git.run("update-index", "--cacheinfo", f"{LINK},{sha},{link.path}")

    def _filters_off(self) -> tuple[tuple[str, str], ...]:
        try:
            names = (self.path.parent / _FILTERS_OFF).read_text().split("\n")
        except FileNotFoundError:
            return ()
        values = (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
        return tuple((f"filter.{name}.{key}", value) for name in names for key, value in values)

    def remove(self) -> None:
        """Forget the worktree and everything in it; silent when there is none."""
        self._clear()
        (self.path.parent / _FILTERS_OFF).unlink(missing_ok=True)

    def _clear(self) -> None:
        git = Git(self.repository.top)
        if self.exists:
            self._git.attempt("rerere", "clear")  # what was not resolved is no resolution
        git.attempt("worktree", "remove", "--force", "--force", "--", str(self.path))
        if self.path.exists():
            shutil.rmtree(self.path)
        git.run("worktree", "prune")

    def unmerged(self) -> list[str]:
        """Paths that the index still holds in several stages."""
        return sorted(self._stages())

    def _stages(self) -> dict[str, dict[str, tuple[str, str]]]:
        """Path -> stage (1 before the fix, 2 the branch, 3 the fix) -> mode and id, of what is unmerged."""
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for field in self._git.run("ls-files", "-u", "-z").fields():
            meta, _, path = field.partition("\t")
            mode, sha, stage = meta.split(" ")
            found.setdefault(path, {})[stage] = (mode, sha)
        return found

    def commands(self) -> list[str]:
        """What to type there once the files are edited: what the branch never had is left out, and so on.

        Empty where that would change nothing: all that is left to do is to skip the pick, or to give it a backport.
        """
        stages = self._stages()
        links, aside, one_sided, rest = self._sorted(stages)
        theirs = [path for path in one_sided if "3" in stages[path] and path in aside.values()]  # ours stands aside
        gone = [path for path in (*one_sided, *aside) if path not in theirs]
        kept = [path for path in one_sided if path not in theirs and "2" in stages[path]]
        if stages and not (links or rest or theirs or kept or self._staged(stages)):
            return []
        found = [_settled_link(path, stages[path].get("3")) for path in links]
        found += [f"git rm --quiet --force -- {words(sorted(gone))}"] if gone else []
        off = "".join(f" -c {key}={value}" for key, value in self._filters_off())
        add = sorted([*rest, *theirs])
        return found + ([f"git{off} add -- {words(add)}"] if add else [])

    def resolving(self) -> str:
        """What to type to resolve it, "" where a file can only be left out that the branch has no place for."""
        open_ = self.exists and self.unmerged()
        commands = self.commands() if open_ else ["git add --update"]
        return f"cd {word(str(self.path))}   (resolve it there, then)   {' && '.join(commands)}" if commands else ""

    def keeping(self) -> str:
        """The command that keeps what one of the two sides has not, "" where there is no such file."""
        stages = self._stages()
        links, aside, one_sided, rest = self._sorted(stages)
        places = sorted({place for path, place in aside.items() if "2" in stages[path]})
        one_sided = [path for path in one_sided if not any(_is_in(path, place) for place in places)]
        others = [path for path in self._staged(stages) if not any(_is_in(path, place) for place in places)]
        if not (one_sided or places) or not (links or rest or others or any("3" in stages[path] for path in one_sided)):
            return ""
        gone = sorted({*aside, *places})
        found = [f"git rm -r --quiet --force -- {words(gone)}"] if gone else []
        found += [f"git restore --source=HEAD --staged --worktree -- {words(places)}"] if places else []
        return " && ".join([*found, *([f"git add -- {words(one_sided)}"] if one_sided else [])])

    def _sorted(
        self, stages: Mapping[str, Mapping[str, tuple[str, str]]]
    ) -> tuple[list[str], dict[str, str], list[str], list[str]]:
        """Submodules; files that git put aside, with their places; what one side has alone; the rest."""
        links = [path for path, sides in stages.items() if any(mode == LINK for mode, _ in sides.values())]
        single = [path for path, sides in stages.items() if path not in links and not {"2", "3"} <= sides.keys()]
        aside = {path: match["place"] for path in single if (match := _ASIDE.fullmatch(path)) and not self._has(path)}
        rest = sorted(stages.keys() - {*links, *single})
        return links, aside, sorted(set(single) - aside.keys()), rest

    def _has(self, path: str) -> bool:
        """Whether the branch has a file of that name."""
        return self._git.attempt("cat-file", "-e", f"HEAD:{path}").status == 0

    def _staged(self, stages: Mapping[str, object]) -> list[str]:
        """What is changed already, apart from what is unmerged."""
        found = self._git.run("diff-index", "--cached", "--name-only", "--no-renames", "-z", "HEAD").fields()
        return [path for path in found if path not in stages]

    def resolution(self, tip: str, again: str) -> str:
        """The tree that the person made.  Raises PausedError naming what is still open.

        `again` is the command to type afterwards.  A commit made in the worktree is taken too.
        """
        git = self._git
        if unmerged := self.unmerged():
            what, commands = "still unmerged: " + words(unmerged, ", "), self.commands()
            if not commands:
                raise PausedError(what, where=str(self.path), remedy=_nothing_else(again), code="unresolved")
            raise self._open(what, again, commands=commands)
        if edited := git.run("diff", "--name-only", "-z").fields():
            raise self._open(
                "edited but not added: " + words(edited, ", "), again, commands=[f"git add -- {words(edited)}"]
            )
        if markers := self._markers(tip):
            where = ", ".join(f"{word(path)}:{number}" for path, number in markers)
            add = f"git add -- {words(sorted({path for path, _ in markers}))}"
            raise self._open(f"conflict markers are left at {where}", again, commands=[add], first="remove them, then")
        head = git.text("rev-parse", "HEAD")
        if head != tip and git.text("rev-parse", "HEAD^") != tip:
            back = f"git reset --soft {tip[:12]}"
            raise self._open("HEAD there is not one commit on top of the release branch", again, commands=[back])
        tree = git.text("write-tree")
        if tree == git.text("rev-parse", f"{tip}^{{tree}}"):
            raise DecisionError(
                "the resolution changes nothing",
                code="empty-resolution",
                where=str(self.path),
                remedy=f"{_nothing_else(again)}   | resolve it otherwise, then: {again}",
            )
        git.attempt("rerere")  # where the clone has it on, it remembers
        return tree

    def _markers(self, tip: str) -> list[tuple[str, int]]:
        """Path and line of each `<<<<<<<`, `|||||||` and `>>>>>>>` in lines that the resolution adds.

        The staged bytes are read, not a diff: attributes (`-diff`, `binary`, `conflict-marker-size`) hide markers from
        `git diff --check`.  A lone `=======` may be a heading in the text itself.
        """
        changed = self._git.run("diff-index", "--cached", "--name-only", "--no-renames", "--diff-filter=d", "-z", tip)
        return [place for path in changed.fields() for place in self._markers_of(path, tip)]

    def _markers_of(self, path: str, tip: str) -> list[tuple[str, int]]:
        staged = self._git.attempt("cat-file", "blob", f":0:{path}").stdout
        if not any(marker in staged for marker in _MARKERS):
            return []
        old = set(self._git.attempt("cat-file", "blob", f"{tip}:{path}").stdout.split(b"\n"))
        return [
            (path, number)
            for number, line in enumerate(staged.split(b"\n"), 1)
            if line.startswith(_MARKERS) and line not in old
        ]

    def _open(self, what: str, again: str, *, commands: list[str], first: str = "") -> PausedError:
        remedy = f"{first} ".lstrip() + " && ".join([f"cd {word(str(self.path))}", *commands, again])
        return PausedError(what, where=str(self.path), remedy=remedy, code="unresolved")


def _nothing_else(again: str) -> str:
    return f'{again.replace("continue", "skip", 1)} --reason "..."   (leaves the fix out)'


def _is_in(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")


def _settled_link(path: str, theirs: tuple[str, str] | None) -> str:
    """A submodule takes the commit that the fix names: one that is not checked out cannot be added."""
    if theirs and theirs[0] == LINK:
        return f"git update-index --cacheinfo {LINK},{theirs[1]},{word(path)}"
    return f"git update-index --force-remove -- {word(path)}"


def checkout(scratch: Scratch, tree: str, directory: Path) -> None:
    """Make `directory` hold a tree and nothing else; of what was checked out there, only the rest is written."""
    index = Path(f"{directory}.index")
    git = Git(directory, env={**scratch.git.env, "GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(directory)})
    if directory.exists():
        remove(directory / ".git")  # made by somebody: git would neither see nor remove it
        if git.attempt("clean", "-ffdxq").status:
            remove(directory)
            index.unlink(missing_ok=True)
            if directory.exists():  # it holds files of another user, a container's perhaps
                directory.rename(tempfile.mkdtemp(dir=scratch.path))
    directory.mkdir(parents=True, exist_ok=True)
    git.run("read-tree", "--reset", "-u", tree)

"""`release patch`: an upstream fix becomes a patch of the folder, made for the very version that is locked.

The fix is picked by git onto the version's tag (and the patches that are there already), so what comes out fits
that version line by line; the commit's own diff would only fit the commit before it.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import DecisionError, PausedError, ProblemsError, RefusedError, RemoteError, UsageError
from orchestrator.core.remote_url import is_public, without_login
from orchestrator.git.changes import of
from orchestrator.git.process import GitCommandError
from orchestrator.git.repository import NoCloneError, Repository
from orchestrator.git.scratch import MissingObjectError
from orchestrator.image.inputs import locks_here, patch_files_here, patch_problems_here
from orchestrator.image.patches import digest
from orchestrator.image.patchfile import PYTHON, PatchError, apply_all, parse, read_series
from orchestrator.session.clone.contents import have_files
from orchestrator.session.work_tree import refuse_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.core.declaration import ImageSpec
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.image.patchfile import PatchEntry
    from orchestrator.session.session import Session

PACKAGE: Final = "torch"
_SHIPPED: Final = ("torch/",)  # what torch's wheel takes from its source as it is
# Not in the wheel, and nothing that it is built from.
_BESIDE: Final = ("test/", "docs/", "benchmarks/", ".github/", ".ci/", ".circleci/", ".vscode/", ".devcontainer/")
_BESIDE_ENDS: Final = (".md", ".rst", "CODEOWNERS", ".flake8", ".lintrunner.toml", "mypy.ini", "mypy-strict.ini")
# Python files of the package that the build reads or writes; what it generates is not what is in the source.
_BUILT_FROM: Final = ("torch/csrc/", "torch/lib/", "torch/version.py", "torch/_C/", "torch/headeronly/")
_FORM: Final = (
    "-p", "-r", "--no-renames", "--full-index", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "-U3",
    "--diff-algorithm=myers", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A patch as written.  `path` is relative to the repository's top; `left_out` are files outside the package."""

    path: str
    sha256: str
    commit: str
    subject: str
    package: str
    version: str
    files: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A patch of the folder, for `release patch list`."""

    name: str
    sha256: str
    subject: str
    origin: str
    commit: str
    files: tuple[str, ...]
    tested: bool


def listed(session: Session) -> tuple[Listed, ...]:
    """The patches of the work tree, in the order they are applied.  Raises ProblemsError when one is wrong."""
    spec, folder = _folder(session)
    _refuse_problems(session, spec)
    files = patch_files_here(session.repository.top, folder)
    return tuple(
        Listed(
            name=entry.name,
            sha256=digest(entry.data),
            subject=entry.patch.fields["Subject"],
            origin=entry.patch.fields["Origin"],
            commit=entry.patch.fields.get("Commit", ""),
            files=entry.patch.files,
            tested=f"{entry.name.removesuffix('.patch')}.py" in files,
        )
        for entry in read_series(files)[0]
    )


def import_fix(session: Session, source: Path, revision: str, mainline: int = 0) -> Imported:
    """Write the patch of one upstream commit.  Raises ReleaseError, with nothing written."""
    spec, folder = _folder(session)
    if folder.is_dir():
        _refuse_problems(session, spec)
    version = _locked(spec, session.repository.top)
    files = patch_files_here(session.repository.top, folder) if folder.is_dir() else {}
    series = [entry for entry in read_series(files)[0] if entry.package == PACKAGE and entry.version == version]
    upstream = _clone(source)
    try:
        with upstream.scratch() as scratch, _whole(upstream):
            picked = _Picker(upstream, scratch, version, series).pick(revision, mainline)
    finally:
        upstream.close()
    number = 1 + max((int(entry.name.rpartition("/")[2][:4]) for entry in series), default=0)
    name = f"{PACKAGE}-{version}/{number:04}-{_slug(picked.commit.subject)}.patch"
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as out:
            out.write(picked.data)
    except FileExistsError as error:
        raise UsageError("there is a file of that name", where=str(target), code="exists") from error
    return Imported(
        path=f"{spec.patches.rstrip('/')}/{name}",
        sha256=digest(picked.data),
        commit=picked.commit.sha,
        subject=picked.commit.subject,
        package=PACKAGE,
        version=version,
        files=parse(picked.data).files,
        left_out=picked.left_out,
    )


def _clone(source: Path) -> Repository:
    try:
        return Repository.discover(source)
    except UsageError as error:
        more = "" if isinstance(error, NoCloneError) else f" ({error.remedy})"
        error.remedy = f"give --repo a clone of PyTorch with a work tree{more}"
        raise


@contextmanager
def _whole(upstream: Repository) -> Iterator[None]:
    """A shallow clone lacks commits, a partial one fetches files when they are needed: says what to type."""
    place = str(upstream.top)
    try:
        yield
    except MissingObjectError as error:
        error.where = place
        how = "--unshallow --tags" if upstream.is_shallow() else "--all --tags"
        error.remedy = f"git -C {place} fetch {how}, then run again"
        raise
    except GitCommandError as error:
        if not upstream.promisors:
            raise
        message = f"git could not fetch what this partial clone lacks: {error.message.rpartition('fatal: ')[2]}"
        remedy = f"git -C {place} fetch must work; or give --repo a full clone"
        state = "nothing was written"
        raise RemoteError(message, where=place, remedy=remedy, state=state, code="partial-clone") from error


def _folder(session: Session) -> tuple[ImageSpec, Path]:
    config = session.config()
    if config.image is None or not config.image.patches:
        raise UsageError(
            "release.yaml names no folder of patches",
            where=str(config.image.place if config.image else config.place),
            remedy="add `patches: images/NAME/patches` under `image:`, and let the Dockerfile apply them",
            code="no-patches",
        )
    folder = session.repository.top / config.image.patches
    refuse_link(session.repository.top, folder)
    return config.image, folder


def _refuse_problems(session: Session, spec: ImageSpec) -> None:
    problems = patch_problems_here(spec, session.repository.top, session.config_name)
    if problems:
        raise ProblemsError(problems)


def _locked(spec: ImageSpec, top: Path) -> str:
    """The one version of torch that the locks pin, without its build (`+cu118`).  Raises UsageError."""
    pins = [lock[PACKAGE] for lock in locks_here(spec, top) if PACKAGE in lock]
    versions = sorted({pin.version.partition("+")[0] for pin in pins})
    if len(versions) != 1:
        what = f"the locks pin {PACKAGE} {' and '.join(versions)}" if versions else f"no lock pins {PACKAGE}"
        raise UsageError(
            f"{what}: for which version is the patch to be made?",
            where=pins[0].place if pins else str(spec.place),
            remedy=f"let `image.lock` or the variants' locks pin one version of {PACKAGE}",
            code="no-locked-version",
        )
    return versions[0]


def _slug(subject: str) -> str:
    words = re.sub(r"\(#\d+\)$", "", subject.lower())
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:52].strip("-") or "fix"


# ------------------------------------------------------------------ picking


@dataclass(frozen=True)
class _Picked:
    commit: Commit
    data: bytes
    left_out: tuple[str, ...]


class _Picker:
    """Picks onto the tag of a version, with the patches of the series applied to it."""

    def __init__(self, upstream: Repository, scratch: Scratch, version: str, series: list[PatchEntry]) -> None:
        self.upstream, self.scratch, self.version, self.series = upstream, scratch, version, series
        self.place = str(upstream.top)

    def pick(self, revision: str, mainline: int) -> _Picked:
        tag = self._commit(
            f"refs/tags/v{self.version}", f"git -C {self.place} fetch --no-tags origin tag v{self.version}"
        )
        commit = self._commit(revision, f"git -C {self.place} fetch origin {revision}")
        self._refuse_known(commit)
        parent = self._parent(commit, mainline)
        if self.upstream.git.attempt("merge-base", "--is-ancestor", commit.sha, tag.sha).status == 0:
            raise self._there_already(commit, f"v{self.version} has it in its history")
        paths = self._paths(commit.sha, parent.sha)
        self._refuse_compiled(commit, paths)
        before = [path for entry in self.series for path in entry.patch.files]
        have_files(self.upstream, self.scratch, (tag.tree, commit.tree, parent.tree), [*paths, *before])
        ours = self._with_series(tag.tree)
        merge = self.scratch.pick(base=parent.tree, ours=ours, theirs=commit.tree)
        if wrong := [each.path for each in merge.conflicts if each.path.startswith(_SHIPPED)]:
            raise PausedError(
                f"{commit.sha[:12]} does not apply to {PACKAGE} {self.version}: {', '.join(wrong)}",
                where=self.place,
                remedy="commit a version of it for that tag in that repository, and import that commit",
                state="nothing was written",
                code="patch-conflict",
            )
        changed = self._changed(ours, merge.tree)
        kept = [path for path in changed if path.startswith(_SHIPPED)]
        self._refuse_compiled(commit, kept)
        if not kept:
            raise self._there_already(commit, f"it changes nothing in {PACKAGE} {self.version}")
        left = tuple(path for path in paths if not path.startswith(_SHIPPED))
        diff = self.scratch.git.run("diff-tree", *_FORM, ours, merge.tree, "--", *kept).stdout
        data = self._header(commit, left).encode() + diff
        self._believe(commit, data, ours)
        return _Picked(commit, data, left)

    def _commit(self, revision: str, remedy: str) -> Commit:
        if ".." in revision:
            remedy = "import one commit at a time"
        sha = self.upstream.resolve(revision)
        if not sha:
            raise UsageError(f"there is no commit {revision!r}", where=self.place, remedy=remedy, code="no-such-commit")
        return self.scratch.commit(sha)

    def _refuse_known(self, commit: Commit) -> None:
        for entry in self.series:
            if entry.patch.fields.get("Commit") == commit.sha:
                raise DecisionError(
                    f"{commit.sha[:12]} is imported already", where=entry.name, remedy="keep that", code="patch-exists"
                )

    def _there_already(self, commit: Commit, how: str) -> DecisionError:
        held = " and the patches before it" if self.series else ""
        return DecisionError(
            f"{commit.sha[:12]} needs no patch: {how}{held}", where=self.place, remedy="leave it", code="patch-empty"
        )

    def _parent(self, commit: Commit, mainline: int) -> Commit:
        parents = commit.parents
        if not parents:
            raise RefusedError(
                f"{commit.sha[:12]} is a root commit: it changes nothing that was there",
                where=self.place,
                remedy="name the commit of a fix",
                code="root-commit",
            )
        if len(parents) == 1 and mainline in (0, 1):
            return self.scratch.commit(parents[0])
        if not 1 <= mainline <= len(parents):
            raise UsageError(
                f"{commit.sha[:12]} is a merge of {len(parents)} parents"
                if len(parents) > 1
                else f"{commit.sha[:12]} has one parent, not {mainline}",
                where=self.place,
                remedy="say with --mainline N against which one, usually 1; or import its commits",
                code="merge-without-mainline",
            )
        return self.scratch.commit(parents[mainline - 1])

    def _paths(self, commit: str, parent: str) -> list[str]:
        (change,) = of(self.scratch, {commit: parent})
        return sorted(path.decode("utf-8", "surrogateescape") for path in change.paths)

    def _changed(self, ours: str, tree: str) -> list[str]:
        return self.scratch.git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", ours, tree).fields()

    def _refuse_compiled(self, commit: Commit, paths: list[str]) -> None:
        wrong = [path for path in paths if not self._plain(path)]
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise RefusedError(
                f"{commit.sha[:12]} touches more than Python of the package: {', '.join(wrong[:3])}{more}",
                where=self.place,
                remedy=f"what is compiled or generated takes a new build of {PACKAGE}: lock a version that has the fix",
                state="nothing was written",
                code="needs-compiling",
            )

    @staticmethod
    def _plain(path: str) -> bool:
        """Whether a patch can carry the change, or can do without it."""
        if path.startswith(_SHIPPED):
            return path.endswith(PYTHON) and not path.startswith(_BUILT_FROM)
        return path.startswith(_BESIDE) or path.endswith(_BESIDE_ENDS)

    def _with_series(self, tree: str) -> str:
        """The tag's tree with the patches that are there already."""
        for entry in self.series:
            try:
                tree = self.scratch.change_files(tree, apply_all(entry.patch, self._reader(tree)))
            except PatchError as error:
                raise RefusedError(
                    f"{entry.name} does not apply to v{self.version}: {error.message}",
                    where=self.place,
                    remedy="correct or remove it first",
                    code="patch-does-not-apply",
                ) from error
        return tree

    def _reader(self, tree: str) -> Callable[[str], bytes | None]:
        return lambda path: self.scratch.file(tree, path)

    def _header(self, commit: Commit, left: tuple[str, ...]) -> str:
        origin = without_login(self.upstream.remote_url("origin"))
        lines = [
            f"Subject: {_readable(commit.subject)}",
            f"From: {_readable(_author(commit))}",
            f"Origin: upstream, {origin if is_public(origin) else 'a local repository'}",
            f"Commit: {commit.sha}",
            *([f"Left-Out: {', '.join(left)}"] if left else []),
        ]
        return "\n".join(lines) + "\n---\n"

    def _believe(self, commit: Commit, data: bytes, tree: str) -> None:
        """What was made must be read and applied by the same rules that the image's build has."""
        try:
            apply_all(parse(data), self._reader(tree))
        except PatchError as error:
            raise RefusedError(
                f"{commit.sha[:12]} makes no patch that can be applied: {error.message}",
                where=self.place,
                state="nothing was written",
                remedy="import a commit without that part",
                code="bad-patch",
            ) from error


def _readable(text: str) -> str:
    """In one line, without what would steer a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _author(commit: Commit) -> str:
    """`Name <mail>`, without the date."""
    return commit.author.decode("utf-8", "replace").rpartition("> ")[0] + ">"

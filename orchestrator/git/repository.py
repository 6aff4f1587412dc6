"""A person's repository: where it is, what its names mean, what its remote has.  Reads only."""

from __future__ import annotations

import os
import re
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.remote_url import listed_remotes, without_login
from orchestrator.core.text import word
from orchestrator.git.cache import Cache
from orchestrator.git.merge.submodules import Submodules
from orchestrator.git.objects import Signature, person
from orchestrator.git.process import FETCH, Git, Reader, is_disk_full, version
from orchestrator.git.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.git.conversation import Output
    from orchestrator.git.records.entries import RecordsBranch
    from orchestrator.git.records.place import RecordsPlace
    from orchestrator.git.scratch import TreeEntry

_VERSION = re.compile(r"git version (\d+)\.(\d+)(?:\.(\d+))?")
_SHORT = re.compile(r"[0-9a-f]{4,40}(?![^~^@:])")
_NETWORK = re.compile(r"(?!file://)[a-z0-9+.-]+://|[^/:]+:(?!//)")  # a URL, or git's `host:path` and `helper::...`
OLDEST_GIT = (2, 38)
HOME = "home"  # beside the worktree of a paused release: the checkout that the release was begun in


@dataclass(frozen=True, kw_only=True)
class RemoteRefs:
    """One answer of `git ls-remote`: full ref name -> id; `peeled` has the commit of annotated tags.

    `head` is the branch that the remote's HEAD names, "" where it was not asked for or names none.
    """

    refs: Mapping[str, str]
    peeled: Mapping[str, str] = field(default_factory=dict)
    head: str = ""

    def branch(self, name: str) -> str:
        return self.refs.get(f"refs/heads/{name}", "")

    def tag_commit(self, tag: str) -> str:
        return self.peeled.get(f"refs/tags/{tag}") or self.refs.get(f"refs/tags/{tag}", "")

    def tags(self) -> dict[str, str]:
        """Tag name -> commit."""
        prefix = "refs/tags/"
        return {ref[len(prefix) :]: self.tag_commit(ref[len(prefix) :]) for ref in self.refs if ref.startswith(prefix)}


class Repository:
    """The repository that a command was started in.

    `top` is the work tree's top, `common_dir` the directory shared by all worktrees.
    """

    def __init__(self, top: Path, common_dir: Path, env: Mapping[str, str] | None = None) -> None:
        self.top = top
        self.common_dir = common_dir
        self.git = Git(
            top, env={"GIT_NO_REPLACE_OBJECTS": "1", **(env or {})}, config=(("submodule.recurse", "false"),)
        )
        # A partial clone is not to ask its remote, one process each, for every id that is not here.
        self._objects = Reader(Git(top, env={**self.git.env, "GIT_NO_LAZY_FETCH": "1"}))
        self._remotes: dict[str, tuple[str, list[str]]] | None = None
        self._listings: dict[str, list[TreeEntry]] = {}
        self.kept_on: RecordsBranch | RecordsPlace | None = None  # what stands for refs, by `records:` of release.yaml
        self.keeps_records = True  # False by `records: none`
        self.records_unread = ""  # why what `kept_on` has could not be read

    @classmethod
    def discover(cls, start: Path) -> Repository:
        """Raises UsageError when `start` is in no work tree of a git repository, or git is too old."""
        if not start.is_dir():
            raise NoCloneError(
                f"{start} is not a directory", remedy="give -C an existing directory", code="no-directory"
            )
        output = Git(start).attempt("rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel",
                                    "--show-object-format")  # fmt: skip
        if output.status:
            raise _not_a_repository(start, output)
        *paths, hashing, _ = output.stdout.split(b"\n")
        if len(paths) != 2:
            raise UsageError(
                "the path of this clone has a line break in it", remedy="rename the directory", code="bad-path"
            )
        first, second = paths
        if hashing != b"sha1":
            raise UsageError(
                f"{start} is a {hashing.decode()} repository; only SHA-1 repositories are supported",
                remedy="release from a SHA-1 clone",
                code="object-format",
            )
        common, top = Path(os.fsdecode(first)), Path(os.fsdecode(second))
        return cls(_home(top, common), common)

    def close(self) -> None:
        """Stop the reader process."""
        self._objects.close()

    # -------------------------------------------------------------- what kind of repository

    def git_version(self) -> str:
        """The version as git prints it.  Raises UsageError below 2.38, where merge-tree cannot merge."""
        text = version()
        match = _VERSION.match(text)
        if not match or (int(match[1]), int(match[2])) < OLDEST_GIT:
            raise UsageError(
                f"{text} is too old",
                remedy="install git 2.38 or newer (merge-tree --write-tree)",
                code="git-too-old",
            )
        return text.removeprefix("git version ").split(" ")[0]

    def is_shallow(self) -> bool:
        return (self.common_dir / "shallow").exists()

    @cached_property
    def promisors(self) -> dict[str, str]:
        """Remote -> filter, for the remotes that a partial clone fetches its missing objects from."""
        found = dict(self.config_items(r"^remote\..*\.(promisor|partialclonefilter)$"))
        names = [key.removesuffix(".promisor") for key in found if key.endswith(".promisor")]
        return {name.removeprefix("remote."): found.get(f"{name}.partialclonefilter", "") for name in names}

    def became_partial(self) -> None:
        """Ask git again for the remotes of a partial clone: a fetch has made this one of it."""
        vars(self).pop("promisors", None)
        vars(self).pop("_settings", None)

    def config(self, key: str) -> str:
        """A configuration value, "" when not set."""
        return self.git.attempt("config", "--get", key).text.strip() if self.is_set(key) else ""

    def config_items(self, pattern: str) -> list[tuple[str, str]]:
        """(key, value) pairs whose key matches the regular expression."""
        return [(key, value) for key, value in self._settings if re.search(pattern, key)]

    def is_set(self, key: str) -> bool:
        """Whether anything is said of a key of two words."""
        return any(each == key.lower() for each, _ in self._settings)

    def is_on(self, key: str) -> bool:
        """Whether a key of two words is true."""
        return self.is_set(key) and self.git.attempt("config", "--type=bool", "--get", key).text.strip() == "true"

    @cached_property
    def _settings(self) -> list[tuple[str, str]]:
        """All that git is set to here, as it is for the whole run; a bare key means true."""
        pairs = (item.partition("\n") for item in self.git.attempt("config", "-z", "--list").fields())
        return [(key, value if equals else "true") for key, equals, value in pairs]

    def identity(self) -> Signature:
        """Who commits.  Raises UsageError when git knows no name or mail."""
        output = self.git.attempt("var", "GIT_COMMITTER_IDENT")
        found = person(output.text.strip().encode())
        if output.status or not found:
            raise UsageError(
                "git does not know who you are",
                remedy='git config user.name "Your Name" && git config user.email you@example.com',
                code="no-identity",
            )
        return found[0]

    # -------------------------------------------------------------- names

    def resolve(self, revision: str, kind: str = "commit") -> str:
        """Full id of a revision, peeled to `kind`; "" when there is none.  Raises AmbiguousError.

        The text goes through stdin of one long-lived process, so it can be no option.
        """
        if revision.startswith(":/"):  # the rest is a pattern, also what would say the kind
            return self.git.attempt("rev-parse", "--verify", "--quiet", revision).text.strip()
        if found := self._objects.header(f"{revision}^{{{kind}}}"):
            return found[0]
        # git says `missing` of an ambiguous id that is to be peeled, and `ambiguous` of the bare one.
        if "@{" not in revision and (short := _SHORT.match(revision)) and self._objects.is_ambiguous(short[0]):
            raise AmbiguousError(revision)
        return ""

    def ref(self, name: str) -> str:
        """The id of the object that a ref of this clone names (not peeled), by its full name; "" where it has none."""
        found = self._objects.header(name)
        return found[0] if found else ""

    def refs(self, *patterns: str) -> dict[str, str]:
        """Full ref name -> id of the object it names (not peeled)."""
        output = self.git.run("for-each-ref", "--format=%(refname)%00%(objectname)%00", *patterns)
        names = [part.strip("\n") for part in output.fields()]
        found = dict(zip(names[::2], names[1::2], strict=True))
        return self.kept_on.fetched(self, patterns) | found if self.kept_on else found

    def local_tags(self) -> dict[str, str]:
        """Tag name -> commit (or what else it names); a tag of a tag is peeled to its end, as `ls-remote` does it."""
        form = "--format=%(refname:strip=2)%00%(objectname)%00%(*objectname)%00%(*objecttype)%00"
        rows = [part.lstrip("\n") for part in self.git.run("for-each-ref", form, "refs/tags").fields()]
        tags = {}
        for name, sha, peeled, kind in zip(rows[::4], rows[1::4], rows[2::4], rows[3::4], strict=True):
            tags[name] = self.git.text("rev-parse", f"{sha}^{{}}") if kind == "tag" else peeled or sha
        return tags

    def checked_out(self) -> dict[str, str]:
        """Branch ref -> worktree path, for every worktree of this repository."""
        if self.common_dir.name == ".git" and not (self.common_dir / "worktrees").exists():
            name = (self.common_dir / "HEAD").read_text(errors="surrogateescape").strip().removeprefix("ref: ")
            if not name.endswith("/.invalid"):  # refs of another format
                return {name: str(self.common_dir.parent)} if name.startswith("refs/") else {}
        found, path = {}, ""
        for item in self.git.run("worktree", "list", "--porcelain", "-z").fields():
            if item.startswith("worktree "):
                path = item.removeprefix("worktree ")
            elif item.startswith("branch "):
                found[item.removeprefix("branch ")] = path
        return found

    # -------------------------------------------------------------- the remote

    def usual_remote(self) -> str:
        """`origin`, or the first remote of a clone that calls it otherwise (`git clone -o upstream`)."""
        names = self.git.run("remote").lines()
        return "origin" if "origin" in names or not names else names[0]

    def remote_url(self, remote: str) -> str:
        """The URL fetches use, "" when there is no such remote."""
        return self._urls(remote)[0]

    def push_urls(self, remote: str) -> list[str]:
        """Where pushes to a remote go: the URLs of its name, or the URL that it is."""
        return self._urls(remote)[1]

    def _urls(self, remote: str) -> tuple[str, list[str]]:
        """Where a remote is fetched from, and where it is pushed to, as they are for the whole run."""
        if self._remotes is None:
            self._remotes = listed_remotes(self.git.attempt("remote", "--verbose").lines())
        if remote not in self._remotes:  # none, or a URL, or one that git lists not
            one, all_ = (self.git.attempt("remote", "get-url", *way, "--", remote) for way in ((), ("--push", "--all")))
            self._remotes[remote] = "" if one.status else one.text.strip(), [remote] if all_.status else all_.lines()
        return self._remotes[remote]

    def pushes_stay_here(self, remote: str) -> bool:
        """Whether every push URL is a path of this machine, so that all parts of a push run here."""
        return not any(_NETWORK.match(url) for url in self.push_urls(remote))

    def ls_remote(self, remote: str, *patterns: str) -> RemoteRefs:
        """Ask the remote for its refs; what is kept elsewhere is among them.  Raises RemoteError."""
        kept = self.kept_on if self.kept_on and self.kept_on.concerns(patterns) else None
        more = kept.asks(patterns) if kept else ()
        output = self.git.talk(remote, "ls-remote", "--symref", "--", remote, *patterns, *more)
        if output.status:
            raise unreachable(remote, output)
        refs: dict[str, str] = {}
        peeled: dict[str, str] = {}
        head = ""
        for line in output.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]:
            sha, _, name = line.partition("\t")
            if sha.startswith("ref: "):
                head = sha.removeprefix("ref: refs/heads/") if name == "HEAD" else head
            elif name.endswith("^{}"):
                peeled[name[:-3]] = sha
            else:
                refs[name] = sha
        refs = kept.complete(self, remote, refs, patterns) if kept else refs
        return RemoteRefs(refs=refs, peeled=peeled, head=head)

    def fetch(self, remote: str, refspec: str) -> None:
        """Fetch a ref into this repository.  Raises RemoteError."""
        output = self.git.talk(remote, *FETCH, "--no-filter", "--", remote, refspec)
        if output.status:
            raise unreachable(remote, output)

    # -------------------------------------------------------------- scratch

    def scratch(self, *more: Path) -> Scratch:
        """A new scratch store over this repository's objects, and `more` directories of objects.

        It fetches nothing: what a partial clone lacks is missing there too (session/clone/contents.py brings it).
        """
        opened = Scratch.open(self.common_dir / "objects", Cache(self.common_dir / "release/cache.sqlite"), *more)
        opened.listings = self._listings
        opened.submodules = Submodules(self.common_dir, self.top)
        return opened

    def bring(self, scratch: Scratch, remote: str, refs: Sequence[str]) -> None:
        """Fetch refs of the remote, or ids, into a scratch store alone.

        In a partial clone tags, records and what was proposed come with their files, branches and ids without.
        """
        if self.kept_on and (kept := [ref for ref in refs if self.kept_on.keeps(ref)]):
            named = self.ls_remote(remote, *kept).refs  # which has what is kept there in this repository, and the store
            refs = [ref for ref in refs if ref not in kept or (ref in named and not scratch.has(named[ref]))]
        env = scratch.borrowing(self.common_dir / "objects")
        whole = [ref for ref in refs if ref.startswith("refs/") and not ref.startswith("refs/heads/")]
        whole = whole if self.promisors else []
        for how, names in (((), [ref for ref in refs if ref not in whole]), (("--no-filter",), whole)):
            if names and (output := self.git.talk(remote, *FETCH, *how, "--", remote, *names, env=env)).status:
                raise unreachable(remote, output)

    def fetch_ref(self, remote: str, ref: str) -> None:
        """Fetch one ref of the remote under its own name."""
        self.bring_as(remote, ref, ref)

    def bring_as(self, remote: str, ref: str, name: str) -> None:
        """Fetch one ref of the remote under a name of this clone."""
        if self.kept_on and self.kept_on.keeps(ref):
            sha = self.ls_remote(remote, ref).refs.get(ref, "")
            if not sha or not self.git.attempt("cat-file", "-e", sha).status:
                if sha:
                    self.git.run("update-ref", name, sha)
                return  # else it is a ref of the remote, from before the records were kept elsewhere
        self.fetch(remote, f"+{ref}:{name}")

    def blob(self, sha: str) -> bytes:
        """The content of a blob, b"" where the object is something else."""
        return self.git.attempt("cat-file", "blob", sha).stdout


class NoCloneError(UsageError):
    """A place that is no clone with a work tree."""


class AmbiguousError(UsageError):
    """An abbreviated id that names several objects."""

    default_code = "ambiguous-revision"

    def __init__(self, revision: str) -> None:
        super().__init__(f"revision {revision!r} is ambiguous", remedy="write more digits of the id")


def unreachable(remote: str, output: Output) -> RemoteError:
    """The error for a remote that did not answer; git's last words are kept, logins in URLs are not."""
    lines = without_login(output.stderr).strip().split("\n")
    said = next((line for line in lines if line.startswith(("fatal:", "error:", "ssh:"))), lines[-1])
    shown = without_login(remote)
    if is_disk_full(output.stderr):
        return RemoteError(
            f"git had no space left on the disk, here or on {shown}: {said}",
            remedy="free some disk and run the same command again; nothing was lost",
            code="disk-full",
        )
    return RemoteError(
        f"git remote {shown!r} cannot be read: {said or 'no message'}",
        remedy=f"check it with: git ls-remote {word(shown)}",
        code="remote-unreachable",
    )


def _home(top: Path, common: Path) -> Path:
    """The checkout to work for: in the worktree of a paused release it is the one that the release was begun in.

    There a person types `release continue`; release.yaml and the commands' directory must outlive that worktree.
    """
    if top.parent.parent != common / "release":
        return top
    home = begun_in(top.parent)
    return home if home and home.is_dir() else common.parent


def begun_in(release: Path) -> Path | None:
    """The checkout that a release was begun in which paused, by what is kept of it in the folder `release`."""
    try:
        return Path(os.fsdecode((release / HOME).read_bytes()))
    except FileNotFoundError:
        return None


def _not_a_repository(start: Path, output: Output) -> UsageError:
    if "dubious ownership" in output.stderr:
        named = re.search(r"safe\.directory (.+)", output.stderr)  # the top of the clone, quoted by git
        return UsageError(
            f"{start} belongs to another user, so git refuses it",
            remedy=f"git config --global --add safe.directory {named[1] if named else word(str(start))}",
            code="unsafe-repository",
        )
    inside = Git(start).attempt("rev-parse", "--is-inside-git-dir", "--is-bare-repository").lines()
    if inside == ["true", "false"]:
        return UsageError(
            f"{start} is inside the .git directory of a clone",
            remedy="cd into your work tree, or give it with -C DIR",
            code="inside-git-directory",
        )
    if "work tree" in output.stderr:
        return NoCloneError(
            f"{start} is a bare repository",
            remedy="run release in a clone with a work tree",
            code="bare-repository",
        )
    return NoCloneError(
        f"{start} is not in a git repository",
        remedy="cd into your clone, or give it with -C DIR",
        code="not-a-repository",
    )

"""What counts in a guarded repository before a push: release.yaml of the protected branch, branches, versions.

Nothing that is pushed counts, but its objects can be read.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import ON_BRANCH
from orchestrator.core.errors import ReleaseError, UsageError
from orchestrator.core.record import record_ref
from orchestrator.core.tag_message import promotion
from orchestrator.core.versions import Scheme, final_of, in_use, line_of_branch, parse_tag, use
from orchestrator.guard.consistency import ReleasedVersion, up_to
from orchestrator.guard.decisions import Protected
from orchestrator.guard.proposed import ProposedVersions
from orchestrator.guard.received_push import trusted_names
from orchestrator.picks.sources import expand, named
from orchestrator.plan.account import account_of
from orchestrator.plan.images import planned_images
from orchestrator.session.committed import CommittedFiles
from orchestrator.session.kept_sources import sources_ref
from orchestrator.session.published import tag_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.declaration import Config
    from orchestrator.core.record import ReleaseFacts
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch
    from orchestrator.guard.received_push import Receiving

HEADS, TAGS = "refs/heads/", "refs/tags/"
_NUMBER = re.compile(r"v?[0-9]", re.IGNORECASE)


def _like_a_version(tag: str) -> bool:
    """Whether it could be taken for a version, as they are written now."""
    product = in_use().product
    return tag.startswith(product) and bool(_NUMBER.match(tag[len(product) :]))


@dataclass(frozen=True, kw_only=True)
class GuardedBranch:
    """A release branch, and the release.yaml of the protected branch that declares what is on it."""

    path: str
    config: Config

    @property
    def ref(self) -> str:
        return HEADS + self.config.branch


@dataclass(kw_only=True)
class GuardedRepository:
    """The repository as it stands."""

    receiving: Receiving
    scratch: Scratch
    now: int  # seconds
    _opened: list[Repository] = field(default_factory=list)

    @cached_property
    def branch(self) -> str:
        """The protected branch."""
        return (self.receiving.config("release.protectedBranch") or [self.receiving.head])[-1]

    @cached_property
    def lines(self) -> list[GuardedBranch]:
        """What the protected branch declares.  Raises UsageError, ConfigError: then nothing can be released."""
        tip = self.receiving.refs.get(HEADS + self.branch, "")
        if not tip:
            raise UsageError(
                f"the protected branch {self.branch!r} is not here, so nothing is declared",
                where=str(self.receiving.gitdir),
                remedy="push it first, or name another: git config release.protectedBranch NAME",
                code="no-protected-branch",
            )
        files = CommittedFiles(self.scratch, self.scratch.tree_of(tip))
        paths = self.receiving.config("release.configPath") or ["release.yaml"]
        read = ((path, files.config(path, self.branch)) for path in paths)
        found = [GuardedBranch(path=path, config=config) for path, config in read if config]
        if not found:
            raise UsageError(
                f"there is no release.yaml on {self.branch}, so nothing is declared",
                where=f"{self.branch}:release.yaml",
                remedy=f"release init, push it to {self.branch}; or name its path: git config release.configPath",
                code="no-config",
            )
        return found

    @cached_property
    def known_lines(self) -> list[GuardedBranch]:
        """`lines`, none where they cannot be told: a broken release.yaml must be repaired by a push."""
        try:
            return self.lines
        except ReleaseError:
            return []

    def is_release_branch(self, name: str) -> bool:
        patterns = self.receiving.config("release.guardedBranches") or ["release/*"]
        return any(fnmatchcase(name.casefold(), each.casefold()) for each in patterns)

    def is_named(self, name: str) -> bool:
        """Whether a branch is the protected one, a source, or a declared release branch."""
        declared = any(name in (line.config.branch, *line.config.source) for line in self.known_lines)
        return declared or name == self.branch

    def protected(self, line: GuardedBranch) -> Protected:
        refs = self.receiving.refs
        heads = {name: refs[HEADS + name] for name in line.config.source if HEADS + name in refs}
        if not heads:
            raise UsageError(
                f"none of the source branches {', '.join(line.config.source)} is here",
                where=str(line.config.place),
                remedy="push them, or correct `source:`",
                code="no-source",
            )
        use(line.config.versions)
        versions = {ref: sha for ref, sha in refs.items() if ref.startswith(TAGS) and _like_a_version(ref[len(TAGS) :])}
        trusted = {HEADS + name: sha for name, sha in heads.items()} | versions
        tags = self.receiving.peeled(self.scratch, versions)
        return Protected(
            config=line.config,
            path=line.path,
            branch=self.branch,
            tips=heads,
            heads=self._heads(),
            tags={ref.removeprefix(TAGS): sha for ref, sha in tags.items()},
            names=self._names(trusted),
            now=self.now,
            proposed=self.proposed,
        )

    def _heads(self) -> dict[str, str]:
        """The branches on which a fix may live: not those that keep sources of releases."""
        told = [line.config.records for line in self.known_lines]
        keep = {f"{HEADS}{each.removeprefix(ON_BRANCH)}" for each in told if each.startswith(ON_BRANCH)}
        refs = self.receiving.refs.items()
        return {ref.removeprefix(HEADS): sha for ref, sha in refs if ref.startswith(HEADS) and ref not in keep}

    @cached_property
    def proposed(self) -> ProposedVersions:
        return ProposedVersions(scratch=self.scratch, refs=self.receiving.refs)

    def _names(self, trusted: Mapping[str, str]) -> Repository:
        made = trusted_names(self.scratch, trusted)
        self._opened.append(made)
        return made

    def close(self) -> None:
        """End what reads names."""
        while self._opened:
            self._opened.pop().close()

    def read_as(self, name: str) -> bool:
        """Whether a tag of this name is a version of a line here, or could be taken for one.

        From now on versions are read as that line writes them: several products may share a repository.
        """
        schemes = list(dict.fromkeys(line.config.versions for line in self.known_lines)) or [Scheme()]
        for is_one in (parse_tag, _like_a_version):
            for scheme in schemes:
                use(scheme)
                if is_one(name):
                    return True
        return False

    def line_of(self, tag: str) -> GuardedBranch | None:
        version = parse_tag(tag)
        lines = [line for line in self.lines if line.config.versions == in_use()]
        declared = [line for line in lines if line.config.release(tag)]
        same = [line for line in lines if version and line_of_branch(line.config.branch) == version.line]
        return next(iter([*declared, *same]), None)

    def version(self, version: str, refs: Mapping[str, str]) -> ReleasedVersion | None:
        """A version by these refs, None where there is no such tag of a commit."""
        ref, tag = TAGS + version, refs.get(TAGS + version, "")
        commit = self.receiving.peeled(self.scratch, {ref: tag}).get(ref, "") if tag and parse_tag(version) else ""
        if not commit:
            return None
        kind, data = self.scratch.read(tag)
        message = data.decode("utf-8", "replace").partition("\n\n")[2] if kind == "tag" else ""
        tree = self.scratch.tree_of(commit)
        return ReleasedVersion(version=version, tag=tag, commit=commit, tree=tree, message=message)

    def facts(self, here: ReleasedVersion, refs: Mapping[str, str]) -> ReleaseFacts:
        """All that tag, commits, release.yaml and sources of a version say."""
        origin, line = promotion(here.message), self.line_of(here.version)
        config = self._config_at(here.tree, line.path) if line else None
        more: dict[str, Any] = {"candidate_record": refs.get(record_ref(origin[0])) if origin else None}
        if line and config:
            names = self.protected(line).names
            account = account_of(self.scratch, names, here.version, here.message, config)
            more |= {
                "branch": config.branch,
                "config_path": line.path,
                "config_sha256": hashlib.sha256(config.text).hexdigest(),
                "images": {each.reference: "" for each in planned_images(config, here.version, here.commit)},
                "told": account.told if account else None,
            }
        return tag_facts(self.scratch, here.version, here.tag, here.commit, **more)

    def sources(self, here: ReleasedVersion, refs: Mapping[str, str]) -> tuple[str, ...]:
        """What must be kept for a version: all that its own release.yaml names; of a promotion what candidates keep.

        Raises UsageError where that cannot be told.
        """
        if origin := promotion(here.message):
            before = [each for tag in refs if (each := self._candidate(tag, here.version, refs))]
            candidate = next((each for each in before if each.version == origin[0]), None)
            chain = up_to(candidate, before) if candidate else []
            return tuple(refs[ref] for each in chain if (ref := sources_ref(each.version)) in refs)
        line = self.line_of(here.version)
        config = self._config_at(here.tree, line.path) if line else None
        entry = config.release(here.version) if config else None
        if line is None or entry is None:
            raise UsageError(
                f"release.yaml of {here.version} cannot be read here, so nobody knows its sources",
                remedy="leave it out of the push: `release cut` keeps the sources of what it releases",
                code="sources-differ",
            )
        found, problems = expand(entry.fixes, "", self.protected(line).names, self.scratch)
        if problems:
            raise UsageError(problems[0].message, where=problems[0].where, remedy=problems[0].remedy)
        return named(found)

    def _candidate(self, ref: str, final: str, refs: Mapping[str, str]) -> ReleasedVersion | None:
        tag = ref.removeprefix(TAGS)
        return self.version(tag, refs) if ref.startswith(TAGS) and final_of(tag) == final else None

    def _config_at(self, tree: str, path: str) -> Config | None:
        try:
            return CommittedFiles(self.scratch, tree).config(path, "tag")
        except ReleaseError:
            return None

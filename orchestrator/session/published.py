"""What the remote shows of releases: their tags, records and yanks, asked once; and release.yaml as a tag has it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from orchestrator.core import documents
from orchestrator.core.documents import DocumentError
from orchestrator.core.errors import Exit, MismatchError, RefusedError, ReleaseError, UsageError
from orchestrator.core.plan import LandingForm
from orchestrator.core.record import bad_record, differences, facts_of_tag, parse_record, record_ref
from orchestrator.core.tag_message import built_later, landed_as, onto, promotion, tagged_account
from orchestrator.core.text import word
from orchestrator.core.versions import TagVersion, not_a_version, parse_tag
from orchestrator.git.batch import outside
from orchestrator.session import kept_sources, yanks
from orchestrator.session.committed import CommittedFiles
from orchestrator.session.state import ReleaseState

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config
    from orchestrator.core.record import Record, ReleaseFacts
    from orchestrator.git.scratch import Scratch
    from orchestrator.session.session import Session
    from orchestrator.session.yanks import Yank


class NoRecordError(UsageError):
    """A version has no record, here or on the remote: it is planned, or not finished, or not this tool's."""

    default_code = "no-record"


class RecordUnreadError(NoRecordError):
    """What is kept beside the images could not be read, so nobody knows whether there is one."""

    exit_code = Exit.REMOTE
    default_code = "record-unread"


def _unread(version: str, why: str) -> RecordUnreadError:
    return RecordUnreadError(
        f"the record of {version} could not be read: {why}",
        where=record_ref(version),
        remedy="log in to the registry of the image (docker login), and run the same command again",
        state="nothing was changed",
    )


def record_at(scratch: Scratch, sha: str, ref: str, remote: str = "") -> Record:
    """The record that a ref names, of this repository or of `remote`.

    Raises UsageError `bad-record` for anything else, however large.
    """
    try:
        data = scratch.document(sha)
    except DocumentError as error:
        raise bad_record(error, ref, remote) from error
    return parse_record(data, ref, remote)


def tag_facts(scratch: Scratch, version: str, tag: str, commit: str, **more: Any) -> ReleaseFacts:
    """What a version's tag and commits say; `tag` is what its ref names, a commit where it is lightweight."""
    kind, data = scratch.read(tag)
    message = data.decode("utf-8", "replace").partition("\n\n")[2] if kind == "tag" else ""
    name = TagVersion.from_text(version)
    return facts_of_tag(name, tag=tag, commit=commit, message=message, **_by_git(scratch, commit, message), **more)


def _by_git(scratch: Scratch, commit: str, message: str) -> dict[str, str]:
    """What the commits below a tag say, where each that its release made is one on another, as far as they are here."""
    head, landing = scratch.commit(commit), landed_as(message)
    squashed = landing is not None and landing.form is LandingForm.SQUASH
    chain, made = [head], 0 if squashed else sum(row.made for row in tagged_account(message))
    while len(chain) < made + 2 and len(chain[-1].parents) == 1 and scratch.has(chain[-1].parents[0]):
        chain.append(scratch.commit(chain[-1].parents[0]))
    facts = {"tree": head.tree}
    if len(chain) > 1:
        facts["picked_tree"] = chain[1].tree
    if len(chain) == made + 2 and not promotion(message):  # of a promoted one, others made the commits
        facts |= {"base": chain[-1].sha, "committer": str(head.committer)}
    return facts


class PublishedReleases:
    """One answer of the remote.  Objects that this clone lacks are fetched into the scratch store."""

    def __init__(self, session: Session, remote: str) -> None:
        self.session = session
        self.remote = remote
        patterns = ("refs/tags/*", record_ref("*"), f"{yanks.PREFIX}*", f"{kept_sources.PREFIX}*")
        self.refs = session.repository.ls_remote(remote, *patterns)
        self._records: dict[str, Record] = {}

    def tag(self, version: str) -> str:
        """The object that the version's tag names, "" when there is no such tag."""
        return self.refs.refs.get(f"refs/tags/{version}", "")

    @property
    def versions(self) -> list[str]:
        """Every version that has a tag."""
        return [tag for tag in self.refs.tags() if parse_tag(tag)]

    def with_records(self) -> list[str]:
        """Every version that has a record; all of them are brought here at once."""
        found = [version for version in self.versions if self.record_blob(version)]
        missing = [record_ref(each) for each in found if not self.session.scratch.has(self.record_blob(each))]
        if missing:
            self.session.repository.bring(self.session.scratch, self.remote, missing)
        return found

    @cached_property
    def yanks(self) -> dict[str, Yank]:
        return yanks.known(self.session.repository, self.session.scratch, self.remote, self.refs.refs)

    def record_blob(self, version: str) -> str:
        """The id of the version's record, "" when it has none."""
        return self.refs.refs.get(record_ref(version), "")

    def record(self, version: str) -> Record | None:
        """The version's record, None when it has none.  Raises UsageError for what is no record."""
        ref, sha = record_ref(version), self.record_blob(version)
        if not sha:
            return None
        if version not in self._records:
            self.bring(ref)
            self._records[version] = record_at(self.session.scratch, sha, ref, self.remote)
        return self._records[version]

    def kept_sources(self, version: str) -> str:
        """The commit that keeps the version's sources, brought here; "" when there is none."""
        ref = kept_sources.sources_ref(version)
        if ref in self.refs.refs:
            self.bring(ref)
        return self.refs.refs.get(ref, "")

    def bring(self, ref: str) -> None:
        """Have the object of a ref of the remote, and all that it needs, at hand."""
        if not self.session.scratch.has(self.refs.refs[ref]):
            self.session.repository.bring(self.session.scratch, self.remote, [ref])

    def released(self, version: str) -> Record:
        """The record of a version that is released.  Raises UsageError for an unknown one, RefusedError else."""
        if parse_tag(version) is None:
            raise not_a_version(version)
        if not self.tag(version):
            raise UsageError(
                f"there is no {version} on {self.remote}",
                where=f"refs/tags/{version}",
                remedy=f"see what there is: git ls-remote --tags {word(self.remote)}",
                code="unknown-version",
            )
        record = self.record(version)
        if record is None and self.session.repository.records_unread:
            raise _unread(version, self.session.repository.records_unread)
        if record is None and not self.is_made(version):
            raise RefusedError(
                f"{version} was tagged by hand: no release made it, and none has a record of it",
                where=f"refs/tags/{version}",
                remedy="a version never moves: cut the next one, which gets a record",
                code="not-released",
                state="nothing was changed",
            )
        if record is None and not self.session.repository.keeps_records:
            raise RefusedError(
                f"there is no record of {version}: `records: none` keeps none, and that is what this goes by",
                where=record_ref(version),
                remedy="for the versions to come: `records: branch NAME` in release.yaml",
                code="not-released",
                state="nothing was changed",
            )
        if record is None:
            raise RefusedError(
                f"{version} has a tag and no record: it was not released, or not to its end",
                where=record_ref(version),
                remedy=f"finish it in the clone that began it: release cut {version}; see more: release status",
                code="not-released",
                state="nothing was changed",
            )
        return record

    def proved(self, version: str) -> Record:
        """As `released`, and the record says what the version's tag says.  Raises MismatchError where it does not."""
        record = self.released(version)
        for each in differences(record, self.facts(version)):
            raise MismatchError(
                f"the record of {version} {each.fault}",
                where=record_ref(version),
                remedy="somebody moved the tag, or the record was not written by a release: cut the next one",
                code="tag-differs",
            )
        return record

    def must_be_promoted(self, version: str, tag_object: str, candidate: str, candidate_tag: str) -> None:
        """Raises MismatchError where a promoted tag, or the candidate that it names, is another one on the remote."""
        if self.tag(version) != tag_object or self.tag(candidate) != candidate_tag:
            raise MismatchError(
                f"tag {version} is {tag_object} here, promoted from {candidate} at {candidate_tag}; on {self.remote}"
                f" they are {self.tag(version) or 'not there'} and {self.tag(candidate) or 'not there'}",
                where=f"refs/tags/{version}",
                remedy=other_tag(self.remote, version, self.tag(version))
                if self.tag(version) != tag_object
                else f"somebody moved or removed {candidate} after {version} was made of it: put it back with"
                f" git push {word(self.remote)} +{candidate_tag}:refs/tags/{candidate}",
                code="tag-differs",
            )

    def is_made(self, version: str) -> bool:
        """Whether the version's tag says that a release made it: it tells the branch that it was picked onto."""
        self.bring(f"refs/tags/{version}")
        kind, data = self.session.scratch.read(self.tag(version))
        return kind == "tag" and onto(data.decode("utf-8", "replace").partition("\n\n")[2]) is not None

    def facts(self, version: str) -> ReleaseFacts:
        """What the version's tag on the remote says."""
        self.bring(f"refs/tags/{version}")
        return tag_facts(self.session.scratch, version, self.tag(version), self.refs.tag_commit(version))


def config_at(session: Session, version: str, head: str, path: str) -> Config:
    """release.yaml as the commit of a tag has it.  Raises MismatchError when it has none, ConfigError for a bad one."""
    found = CommittedFiles(session.scratch, session.scratch.tree_of(head)).config(path, version)
    if found is None:
        raise MismatchError(
            f"the commit of tag {version} has no {path}",
            remedy="give its path with --config; the tag of a cut always carries it",
            code="no-config-at-tag",
        )
    return found


def other_tag(remote: str, version: str, there: str) -> str:
    """What to type where this clone and a remote have different tags of one name; `there` is the remote's, or ""."""
    if there:
        fetch = f"git fetch --force {word(remote)} refs/tags/{version}:refs/tags/{version}"
        return f"{fetch}   (the remote's is the one that counts)"
    return (
        f"git push {word(remote)} refs/tags/{version}   (makes it public)   | git tag -d {version}   (forgets it here)"
    )


def must_be_the_same(session: Session, remote: str, version: str, tag_object: str) -> None:
    """Raises MismatchError where the remote's tag of that name is not this object."""
    ref = f"refs/tags/{version}"
    _must_be(version, tag_object, session.repository.ls_remote(remote, ref).refs.get(ref, ""), remote)


def _must_be(version: str, here: str, there: str, remote: str) -> None:
    if there != here:
        raise MismatchError(
            f"tag {version} is {here} here and {there or 'not there'} on {remote}",
            where=f"refs/tags/{version}",
            remedy=other_tag(remote, version, there),
            code="tag-differs",
        )


def must_be_on_branch(session: Session, config: Config, version: str, tag_object: str, head: str) -> str:
    """The remote has this very tag, and its branch contains the tag's commit.  Returns the branch's tip."""
    refs = session.repository.ls_remote(
        config.remote, f"refs/heads/{config.branch}", f"refs/tags/{version}", f"refs/tags/{version}^{{}}"
    )
    there = refs.refs.get(f"refs/tags/{version}", "")
    _must_be(version, tag_object, there, config.remote)
    tip = refs.branch(config.branch)
    if tip and not session.scratch.has(tip):
        session.repository.bring(session.scratch, config.remote, [f"refs/heads/{config.branch}"])
    if not tip or outside(session.scratch, [head], [tip]):
        raise MismatchError(
            f"tag {version} is not on {config.branch} of {config.remote}",
            remedy="a release is a commit of its branch: somebody tagged another commit, or rewrote the branch",
            code="tag-not-on-branch",
        )
    return tip


def read_record(session: Session, version: str, remote: str) -> Record:
    """The record of a finished release, from this clone or from the remote.  Raises UsageError when there is none."""
    return record_at(session.scratch, _find_record(session, version, remote), record_ref(version))


def read_stored_record(session: Session, version: str, remote: str) -> tuple[Record, dict[str, Any]]:
    """As `read_record`, and the document as it is stored, with what another version of this tool wrote beside."""
    sha = _find_record(session, version, remote)
    record = record_at(session.scratch, sha, record_ref(version))
    return record, documents.decode(dict[str, Any], documents.parse(session.scratch.document(sha)))


def _find_record(session: Session, version: str, remote: str) -> str:
    version = ReleaseState(session.repository, version).version  # refuses what is none
    ref = record_ref(version)
    sha = session.repository.refs(ref).get(ref, "")
    if not sha and not session.options.offline:
        sha = session.repository.ls_remote(remote, ref).refs.get(ref, "")
        if sha:
            session.repository.fetch_ref(remote, ref)
    if not sha and session.repository.records_unread:
        raise _unread(version, session.repository.records_unread)
    if not sha and not session.repository.keeps_records:
        raise NoRecordError(
            f"there is no record of {version}: `records: none` keeps none",
            where=ref,
            remedy=f"prove it by its tag: release verify {version}",
        )
    if not sha and built_later(_tag_text(session, version)):
        raise NoRecordError(
            f"there is no record of {version} yet: its images are built from the tag",
            where=ref,
            remedy=f"wait for CI, or build them here: release publish {version}",
        )
    if not sha:
        raise NoRecordError(
            f"there is no record of {version}, here or on {remote}",
            where=ref,
            remedy=f"see how far it is: release status {version}; see what is released: git tag --list",
        )
    return sha


def _tag_text(session: Session, version: str) -> str:
    """The message of a version's tag, "" where this clone has no annotated one."""
    sha = session.repository.resolve(f"refs/tags/{version}", "tag")
    return session.repository.git.text("cat-file", "tag", sha).partition("\n\n")[2] if sha else ""


def read_yank(session: Session, version: str, remote: str) -> Yank | None:
    """The yank of a version, None when nobody yanked it."""
    found, said = yanks.heard(session.repository, session.scratch, remote, offline=session.options.offline)
    if said:
        session.terminal.note(f"note: {said}")
    return found.get(version)


def remote_name(session: Session) -> str:
    """The remote of release.yaml; the clone's own when there is no readable release.yaml (reading needs none)."""
    try:
        return session.config().remote
    except ReleaseError:
        return session.repository.usual_remote()

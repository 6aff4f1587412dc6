"""Take a release back: mark it, and let the floating tags that stand at it go back to the last good version.

The mark comes first.  It is the fence: from then on nothing moves a floating tag to that version.  It is made only
once, so it decides between two people who yank at once.  And it says what is to be moved: whoever runs the
command again, in any clone, ends what was broken off.  Nothing is deleted, and no byte of an image moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ConfigError, MismatchError, RefusedError, ReleaseError, UsageError
from orchestrator.core.labels import VERSION
from orchestrator.core.versions import final_of, names_other_line, parse_tag
from orchestrator.git import push
from orchestrator.git.records import push as records
from orchestrator.plan.images import planned_images
from orchestrator.release.promotion import origin_of
from orchestrator.session.heal import heal
from orchestrator.session.published import PublishedReleases, config_at, remote_name
from orchestrator.session.state import ReleaseState
from orchestrator.session.yanks import NOWHERE, PENDING, Move, Yank, render, yank_ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.core.record import Record, RecordedImage
    from orchestrator.core.reference import Reference
    from orchestrator.registry.client import Registry
    from orchestrator.session.session import Session


_LONGEST = 500  # characters of a reason: it stands on one line in many places


@dataclass(frozen=True, kw_only=True)
class Yanked:
    """How a yank ended, or would end.  `moved` are the tags that this run moved; `already`: nothing had to be done."""

    yank: Yank
    moved: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    already: bool = False


@dataclass(frozen=True, kw_only=True)
class _Floating:
    """A floating tag, and the image of the yanked release that it is for."""

    tag: str
    image: RecordedImage

    @property
    def repository(self) -> str:
        return str(self.image.reference.repository)


def yank(
    session: Session, version: str, *, reason: str, floating_to: str = "", yes: bool = False, dry_run: bool = False
) -> Yanked:
    """Mark a released version as not to be used.  Doing it again with the same reason ends or repeats it.

    `floating_to` is a version, "none", or "" for the last good one of the line.  Raises UsageError for an unknown
    version, RefusedError for one that is not released, was yanked otherwise, or has no good one before it.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise UsageError("a yank needs a reason", remedy='release yank VERSION --reason "..."', code="no-reason")
    if len(reason) > _LONGEST:
        raise UsageError(
            f"the reason is longer than {_LONGEST} characters", remedy="link to the rest", code="bad-reason"
        )
    if session.options.offline:
        raise UsageError("a yank needs the remote", remedy="leave --offline out", code="offline-yank")
    with session.lock():
        if parse_tag(version) and not dry_run:
            heal(ReleaseState(session.repository, version), session.terminal.note, after=True)
        public = PublishedReleases(session, remote_name(session))
        record = public.released(version)
        old = public.yanks.get(version)
        if old:
            _must_be_the_same(old, reason, floating_to)
        made = old or _draft(session, public, record, reason=reason, floating_to=floating_to)
        if dry_run:
            return Yanked(yank=made, left=made.left, already=old is not None)
        if old is None:
            _confirm(session, made, yes=yes)
            _mark(session, public.remote, made)
        moved, left = _move_all(session, public, made)
        _settle(session, version)
        return Yanked(yank=made, moved=moved, left=(*made.left, *left), already=old is not None and not moved)


def _must_be_the_same(old: Yank, reason: str, floating_to: str) -> None:
    other = "" if old.reason == reason else f"{old.version} was {old.said}"
    if not other and floating_to not in ("", old.back_to or NOWHERE):
        other = f"{old.version} was yanked already, with its floating tags to go to {old.back_to or 'nowhere'}"
    if other:
        raise RefusedError(
            other,
            where=yank_ref(old.version),
            remedy="a yank is made once; the next patch release moves the floating tags forward",
            code="already-yanked",
            state="nothing was changed",
        )


# ------------------------------------------------------------------ what is to be done


def _draft(session: Session, public: PublishedReleases, record: Record, *, reason: str, floating_to: str) -> Yank:
    version = str(record.version)
    _must_be_its_own(session, public, version)
    if floating_to not in ("", NOWHERE):
        _must_be_good(public, version, floating_to)
    standing, left = _standing(session, public, record)
    back_to, moves = "", tuple[Move, ...]()
    if standing and floating_to == NOWHERE:
        left += [f"{each.tag} stays at {version}, as asked" for each in standing]
    elif standing:
        back_to, moves, more = _way_back(session, public, record, standing, floating_to)
        left += more
    return Yank(
        version=version,
        reason=reason,
        by=str(session.repository.identity()),
        at=session.now(),
        commit=record.commit,
        back_to=back_to,
        digests=tuple(dict.fromkeys(image.digest for image in record.images)),
        moves=moves,
        left=tuple(left),
    )


def _must_be_its_own(session: Session, public: PublishedReleases, version: str) -> None:
    """A promoted candidate's images are those of the final version: the floating tags at them stand for that one."""
    made = final_of(version)
    promoted = made and public.tag(made) and origin_of(session, public, made) == (version, public.tag(version))
    if promoted and made not in public.yanks:
        raise RefusedError(
            f"{version} was promoted to {made}: they are the same commit and the same images",
            where=f"refs/tags/{made}",
            remedy=f'take the final version back: release yank {made} --reason "..."',
            code="candidate-promoted",
            state="nothing was changed",
        )


def _must_be_good(public: PublishedReleases, version: str, target: str) -> None:
    """A version that floating tags may move to: released, final, another one, not yanked."""
    parsed = parse_tag(target)
    if parsed is None or not public.tag(target):
        raise UsageError(
            f"--floating-to {target}: there is no such version on {public.remote}",
            remedy=f"give a released version, or {NOWHERE} to leave the floating tags where they are",
            code="unknown-version",
        )
    taken_back = public.yanks.get(target)
    why = f"it was {taken_back.said}" if taken_back else ""
    why = "it is a pre-release" if parsed.is_candidate else why
    why = "it is the version to take back" if target == version else why
    if why:
        raise RefusedError(
            f"floating tags cannot go to {target}: {why}",
            remedy=f"give another version, or {NOWHERE} to leave them where they are",
            code="no-good-predecessor",
            state="nothing was changed",
        )


def _standing(session: Session, public: PublishedReleases, record: Record) -> tuple[list[_Floating], list[str]]:
    """The floating tags that stand at the release, and a line for each that does not."""
    standing, left = [], []
    for each in _floating(session, public, record):
        registry = session.connections.registry(each.repository)
        found = registry.head(each.tag)
        if found and found.digest == each.image.digest:
            standing.append(each)
        elif found:
            left.append(f"{each.tag} was left where it is: it stands at {_named(registry, each.tag, found.digest)}")
        else:
            left.append(f"{each.tag} is not in the registry")
    return standing, left


def _floating(session: Session, public: PublishedReleases, record: Record) -> list[_Floating]:
    """Every floating tag of the release: those it declared, those it moved, and those that a yank sent to it."""
    declared = _declared(session, public, record)
    found: dict[tuple[str, str], _Floating] = {}
    for image in record.images:
        names = [*declared.get(image.reference, ()), *(image.floating.moved if image.floating else ())]
        sent = [move for yank in public.yanks.values() for move in yank.moves if move.new == image.digest]
        for each in (_Floating(tag=tag, image=image) for tag in [*names, *(move.tag for move in sent)]):
            found.setdefault((each.repository, each.tag), each)
    return list(found.values())


def _declared(session: Session, public: PublishedReleases, record: Record) -> dict[Reference, tuple[str, ...]]:
    """Reference -> floating tags, by release.yaml at the tag; none where it cannot be read any more."""
    version, head = str(record.version), record.commit
    public.bring(f"refs/tags/{version}")
    try:
        config = config_at(session, version, head, record.config.path)
    except (ConfigError, MismatchError) as error:
        session.terminal.note(f"note: {error.message}: only floating tags that the record names are looked at")
        return {}
    return {image.reference: image.floating for image in planned_images(config, version, head)}


def _named(registry: Registry, tag: str, digest: str) -> str:
    manifest = registry.manifest(tag)
    version = registry.labels(manifest).get(VERSION, "") if manifest else ""
    return version or digest[:19]


# ------------------------------------------------------------------ the way back


def _way_back(
    session: Session, public: PublishedReleases, record: Record, standing: Sequence[_Floating], wanted: str
) -> tuple[str, tuple[Move, ...], list[str]]:
    """(version, moves, a line for each tag that must stay).  Raises RefusedError when no tag could go anywhere."""
    passed = []
    for target in [wanted] if wanted else _before(public, str(record.version)):
        moves, stuck = [], []
        for each in standing:
            digest, why_not = _good(session, public, record, each, target)
            if why_not:
                stuck.append(f"{each.tag} stays at {record.version}: {why_not}")
            else:
                moves.append(Move(repository=each.repository, tag=each.tag, old=each.image.digest, new=digest))
        if moves:
            return target, tuple(moves), stuck
        passed += [line.partition(": ")[2] for line in stuck]
    tags = ", ".join(each.tag for each in standing)
    raise RefusedError(
        f"{tags} cannot go back: " + ("; ".join(dict.fromkeys(passed)) or "there is no good version before it"),
        where=str(record.version),
        remedy=f"--floating-to VERSION names where to; --floating-to {NOWHERE} yanks and leaves them, "
        "until the next patch release moves them forward",
        code="no-good-predecessor",
        state="nothing was changed",
    )


def _before(public: PublishedReleases, version: str) -> list[str]:
    """Final versions of the line before this one that nobody yanked, newest first."""
    this = parse_tag(version)
    parsed = [each for tag in public.versions if tag not in public.yanks and (each := parse_tag(tag))]
    before = [
        each for each in parsed if this and each.line == this.line and each.order < this.order and not each.is_candidate
    ]
    return [str(each) for each in sorted(before, key=lambda each: each.order, reverse=True)]


def _good(
    session: Session, public: PublishedReleases, record: Record, floating: _Floating, target: str
) -> tuple[str, str]:
    """(digest of the target's image for a floating tag, "") or ("", why there is none).

    The record's digest must be what the registry holds under the version's tag.  A version from before this tool has
    no record: there the tag in the registry is believed when the image says that it is that version.
    """
    if names_other_line(floating.tag, target):
        return "", f"it names another line than {target}'s"
    registry, known = session.connections.registry(floating.repository), public.record(target)
    tag = _tag_at(floating.image, str(record.version), target)
    recorded = _recorded(known, f"{floating.repository}:{tag}")
    manifest = registry.manifest(tag)
    if manifest is None or (known and not recorded):
        return "", f"{target} has no image {tag}"
    if recorded and recorded.digest != manifest.digest:
        return "", f"{tag} is {manifest.digest[:19]}, the record of {target} says {recorded.digest[:19]}"
    says = registry.labels(manifest).get(VERSION, "")
    if not known and says != target:
        return "", f"{target} has no record, and its image says version {says or 'nothing'}"
    return manifest.digest, ""


def _recorded(record: Record | None, reference: str) -> RecordedImage | None:
    images = record.images if record else ()
    return next((image for image in images if str(image.reference) == reference), None)


def _tag_at(image: RecordedImage, version: str, target: str) -> str:
    """The tag of this image's variant at another version: `v2.7.0-cpu` for `v2.7.1-cpu`."""
    return target + image.reference.tag.removeprefix(version)


# ------------------------------------------------------------------ doing it


def _confirm(session: Session, made: Yank, *, yes: bool) -> None:
    """May the registry be written to?  Then the one question."""
    for repository in sorted({move.repository for move in made.moves}):
        session.connections.registry(repository).can_push()
    if yes:
        return
    for line in _intention(made):
        session.terminal.note(line)
    answer = session.terminal.confirm(f"Yank {made.version}?")
    if not answer:
        raise RefusedError(
            "not confirmed" if answer is False else "nobody can be asked: there is no terminal",
            remedy="" if answer is False else "the same command with --yes",
            code="not-confirmed",
            state="nothing was changed",
        )


def _intention(made: Yank) -> Iterator[str]:
    yield f"{made.version} ({made.commit[:12]}) will be marked as yanked: {made.reason}"
    for move in made.moves:
        yield f"  {move.tag}: {move.old[:19]} -> {move.new[:19]} ({made.back_to})"
    yield from (f"  {line}" for line in made.left)


def _mark(session: Session, remote: str, made: Yank) -> None:
    """Make the mark: private first, so that `status` knows of a yank that was broken off; then public, once."""
    state, ref = ReleaseState(session.repository, made.version), yank_ref(made.version)
    blob = push.write_blob(session.repository, render(made))
    push.update_refs(session.repository, {state.prefix + PENDING: (blob, "")})
    try:
        records.push_new_refs(session.repository, remote=remote, refs={ref: blob})
    except ReleaseError as error:
        error.state = "the floating tags are where they were" if not error.state else error.state
        if isinstance(error, MismatchError):
            _settle(session, made.version)
            raise RefusedError(
                f"somebody else yanked {made.version} at the same moment",
                where=ref,
                remedy=f"see why: release show {made.version}",
                code="already-yanked",
                state="this run moved nothing",
            ) from error
        raise
    push.update_refs(session.repository, {ref: (blob, "")})


def _move_all(session: Session, public: PublishedReleases, made: Yank) -> tuple[tuple[str, ...], list[str]]:
    """Move what still stands at the yanked version: (tags moved now, a line for each that is elsewhere meanwhile)."""
    moved, left = [], []
    target = public.yanks.get(made.back_to)
    for move in made.moves:
        registry = session.connections.registry(move.repository)
        found = registry.head(move.tag)
        if found is None or found.digest not in (move.old, move.new):
            where = _named(registry, move.tag, found.digest) if found else "nothing"
            left.append(f"{move.tag} was left where it is: it stands at {where}")
        elif found.digest == move.old and target:
            left.append(f"{move.tag} was left where it is: {made.back_to} was {target.said}")
        elif found.digest == move.old and registry.head(move.new) is None:
            left.append(f"{move.tag} was left where it is: {move.new[:19]} of {made.back_to} is gone from the registry")
        elif found.digest == move.old:
            registry.move(move.new, move.tag)
            moved.append(move.tag)
    return tuple(moved), left


def _settle(session: Session, version: str) -> None:
    """The yank is complete, as far as this clone is concerned."""
    state = ReleaseState(session.repository, version)
    if sha := state.ref(PENDING):
        push.update_refs(session.repository, {state.prefix + PENDING: ("", sha)})

"""The pushes of one release, of which this clone may not have seen the end.

A push that was begun may arrive after the command that began it is gone: the server has all it needs, and a hook there
takes its time.  Looking at the remote once proves nothing then.  So what git starts for a push holds a lock as long as
it lives; the tag object of a push that was overtaken by a new plan is kept, and known when it arrives after all; and
nothing is said to be private while a push over a network may still be on its way.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.core.errors import LockedError, RefusedError
from orchestrator.core.plan import LAND, TAG
from orchestrator.core.text import word
from orchestrator.git.push import update_refs
from orchestrator.session.journal import DamagedStateError, Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.session.state import ReleaseState

KNOWN_TO_HAVE_FAILED = ("push-rejected", "push-failed", "remote-moved", "tag-differs", "earlier-push", "not-pushed")
STILL_ARRIVING = 900  # seconds after which nobody waits for a push any more that was cut off in a network
_KEPT = "pushed/"


class Pushes:
    """What is known of a release's pushes."""

    def __init__(self, state: ReleaseState, now: Callable[[], str]) -> None:
        self._state = state
        self._now = now
        self._lock = state.directory / "push.lock"

    @contextmanager
    def begun(self) -> Iterator[int]:
        """A descriptor for the push to hold: as long as anything that it started lives, `refuse_under_way` knows."""
        self._state.directory.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            yield held.fileno()

    def refuse_under_way(self) -> None:
        """Raises LockedError while a push of this release is at work on this machine."""
        if not self._lock.exists():
            return
        with self._lock.open("a") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockedError(
                    f"a push of {self._state.version} that was begun here is still under way",
                    where=str(self._lock),
                    remedy="wait until it has ended, then run the same command again",
                    code="push-under-way",
                ) from None

    def refuse_arriving(self, remote: str, again: str) -> None:
        """Raises RefusedError while a push whose end is not known may still arrive at `remote`, over a network.

        `again` is the command that goes on with the release.
        """
        begun = [moment for each in self._journals() for moment in unseen(each)]
        if not begun or self._state.repository.pushes_stay_here(remote):
            return  # on this machine every part of a push holds our lock
        age = (datetime.fromisoformat(self._now()) - datetime.fromisoformat(max(begun))).total_seconds()
        if age < STILL_ARRIVING:
            raise RefusedError(
                f"a push of {self._state.version} was cut off at {max(begun)}: it may still arrive at {remote}",
                where=str(self._state.journal_path),
                remedy=f"finish it: {again}   | or ask again in {max(1, round((STILL_ARRIVING - age) / 60))} min",
                code="may-arrive",
                state="nothing was removed",
            )

    # -------------------------------------------------------------- plans that were overtaken

    def keep(self, tag_object: str) -> None:
        """Remember the tag object of a push, before another plan takes its place."""
        if tag_object:
            update_refs(self._state.repository, {f"{self._state.prefix}{_KEPT}{tag_object}": (tag_object, "")})

    def earlier(self) -> set[str]:
        """The tag objects of pushes that were overtaken by another plan."""
        prefix = f"{self._state.prefix}{_KEPT}"
        return set(self._state.repository.refs(prefix.rstrip("/")).values())

    def go_back(self, tag_object: str, remote: str) -> None:
        """Take up the plan again whose push arrived after all.  Broken off anywhere, it is done again by the next run.

        Raises UsageError where its journal is gone.
        """
        current = Journal(self._state.journal_path, self._now)
        if tag_of(current) != tag_object:
            old = next((each for each in self._journals() if tag_of(each) == tag_object), None)
            if old is None:
                raise DamagedStateError(
                    f"an earlier push of {self._state.version} arrived, and its journal is gone",
                    where=str(self._state.directory),
                    remedy=finish_by_tag(remote, self._state.version),
                )
            os.link(current.path, current.aside)
            old.path.replace(current.path)
        prefix, commit = self._state.prefix, self._state.repository.resolve(tag_object)
        update_refs(self._state.repository, {f"{prefix}tag": (tag_object, ""), f"{prefix}candidate": (commit, "")})

    def have(self, remote: str, tag_object: str) -> None:
        """Have the tag that is public, and its commit, under the release's private refs again where they were lost."""
        repository, prefix = self._state.repository, self._state.prefix
        if not self._state.ref("tag"):
            repository.bring_as(remote, f"refs/tags/{self._state.version}", f"{prefix}tag")
        if not self._state.ref("candidate"):
            update_refs(repository, {f"{prefix}candidate": (repository.resolve(tag_object), "")})

    def _journals(self) -> list[Journal]:
        """The journal, and those that were set aside for a new plan."""
        paths = self._state.directory.glob("journal*.jsonl") if self._state.directory.is_dir() else ()
        return [Journal(path, self._now) for path in sorted(paths)]


def finish_by_tag(remote: str, version: str) -> str:
    """The command that ends a release whose tag is public, where this clone does not know any more what it did."""
    ref = f"refs/tags/{version}"
    return f"git fetch --force {word(remote)} {ref}:{ref} && release publish {version}"


def put_back(remote: str, version: str, made: str, now: str) -> str:
    """The command that gives a release its tag back on the remote, where `now` is there instead ("": nothing)."""
    ref = f"refs/tags/{version}"
    lease = f"--force-with-lease={ref}:{now} " if now else ""
    return f"git push {lease}{word(remote)} {made}:{ref}"


def tag_of(journal: Journal) -> str:
    """The tag object that was made for the plan of a journal, "" for none."""
    return str((journal.outcome(TAG) or {}).get("tag_object", ""))


def unseen(journal: Journal) -> list[str]:
    """When the pushes were begun whose end this clone did not see."""
    begun: list[str] = []
    for record in journal.records:
        if record.task == LAND and record.kind == "started":
            begun.append(record.at)
        elif record.task == LAND and record.kind == "finished":
            begun.clear()
        elif record.task == LAND and begun and record.body.get("code") in KNOWN_TO_HAVE_FAILED:
            begun.pop()
    return begun

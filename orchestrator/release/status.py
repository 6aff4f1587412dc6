"""Where a release stands, in words: what is done, what is missing, what to type."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.core.text import word, words
from orchestrator.core.versions import parse_tag
from orchestrator.plan import document
from orchestrator.release import steps
from orchestrator.session import yanks
from orchestrator.session.journal import Journal
from orchestrator.session.published import remote_name
from orchestrator.session.state import ReleaseState, in_progress
from orchestrator.session.yanks import NOWHERE, PENDING

if TYPE_CHECKING:
    from typing import Any

    from orchestrator.session.session import Session
    from orchestrator.session.yanks import Yank


@dataclass(frozen=True, kw_only=True)
class ReleaseStatus:
    """`state` is paused, interrupted, running, failed, released, decided (a decision is stored, nothing
    runs) or yanking (a yank was begun here and not ended)."""

    version: str
    state: str
    done: tuple[str, ...]
    missing: tuple[str, ...]
    public: bool
    said: str
    next: tuple[str, ...]
    yanked: str = ""  # when, by whom and why the version was yanked


def standings(desk: Session, version: str) -> list[ReleaseStatus]:
    """One for each release that has state in this clone, or for the one named."""
    names = [version] if version else _known_here(desk)
    who = desk.lock().at_work()
    found = [_perhaps_at_work(_standing(desk, ReleaseState(desk.repository, name)), who) for name in names]
    if not any(each.state in ("released", "yanking") for each in found):
        return found  # what is not released is not yanked
    taken_back, said = yanks.heard(desk.repository, desk.scratch, remote_name(desk), offline=desk.job.offline)
    if said:
        desk.job.terminal.note(f"note: {said}")
    return [_with_yank(each, taken_back.get(each.version)) for each in found]


def _perhaps_at_work(standing: ReleaseStatus, who: str) -> ReleaseStatus:
    """A journal that has not ended is that of the command which holds the lock, unless that is at another version."""
    named = [word for word in who.split() if parse_tag(word)]
    if not who or standing.state != "interrupted" or (named and standing.version not in named):
        return standing
    said = standing.said.replace("broken off", f"at work: {who}", 1)
    return replace(standing, state="running", said=said, next=("wait until it has ended",))


def _known_here(desk: Session) -> list[str]:
    pending = (ref.split("/") for ref in desk.repository.refs(f"refs/release/*/{PENDING}"))
    return sorted({*in_progress(desk.repository), *(parts[2] for parts in pending if parse_tag(parts[2]))})


def _with_yank(standing: ReleaseStatus, yank: Yank | None) -> ReleaseStatus:
    if yank is None:
        return standing
    back = f"; floating tags went back to {yank.back_to}" if yank.back_to and standing.state != "yanking" else ""
    return replace(standing, yanked=yank.said, said=f"{standing.said}; {yank.said}{back}")


def _yanking(store: ReleaseState, blob: str) -> ReleaseStatus:
    """A yank that this clone began and did not end."""
    begun = yanks.read(store.version, store.repository.blob(blob))
    to = f" --floating-to {begun.back_to or NOWHERE}" if begun.digests else ""
    return ReleaseStatus(
        version=store.version,
        state="yanking",
        done=(),
        missing=tuple(f"move {move.tag} to {begun.back_to}" for move in begun.moves),
        public=True,
        said="its yank was broken off",
        next=(f"release yank {store.version} --reason {word(begun.reason)}{to}",),
    )


def _standing(desk: Session, store: ReleaseState) -> ReleaseStatus:
    if blob := store.ref(PENDING):
        return _yanking(store, blob)
    paused = store.paused()
    tree = store.worktree.path
    if paused and not store.worktree.exists:
        return ReleaseStatus(
            version=store.version, state="paused", done=(), missing=(), public=False,
            said=f"paused on a conflict of {paused.source[:12]}, but somebody removed {tree}",
            next=(f"release cut {store.version}   (opens it again)", f"release abort {store.version}"),
        )  # fmt: skip
    if paused:
        return ReleaseStatus(
            version=store.version,
            state="paused",
            done=(),
            missing=(),
            public=False,
            said=f"paused on a conflict of {paused.source[:12]} in {words(paused.files, ', ')}, in {tree}",
            next=(
                f"cd {word(str(tree))}, resolve, git add",
                f"release continue {store.version}",
                f'release skip {store.version} --reason "..."',
                f"release abort {store.version}",
            ),
        )
    journal = Journal(store.journal_path, desk.job.now)
    data = journal.plan()
    if data is None:
        return _without_plan(store)
    return _with_plan(store, journal, data)


def _without_plan(store: ReleaseState) -> ReleaseStatus:
    decisions = store.decisions()
    if not decisions.resolved and not decisions.skipped:
        raise UsageError(
            f"nothing is known of {store.version} in this clone",
            remedy=f"release plan {store.version}; release show {store.version} reads a finished one",
            code="no-release",
        )
    said = f"{len(decisions.resolved)} resolved and {len(decisions.skipped)} skipped picks are remembered"
    return ReleaseStatus(
        version=store.version, state="decided", done=(), missing=(), public=False, said=said,
        next=(f"release cut {store.version}", f"release abort {store.version}"),
    )  # fmt: skip


def _with_plan(store: ReleaseState, journal: Journal, data: Any) -> ReleaseStatus:
    plan = document.recall(data, str(store.journal_path))
    titles = {task.key: task.title for task in steps.tasks(plan)}
    done = [key for key in plan.tasks if journal.outcome(key) is not None]
    missing = [key for key in plan.tasks if key not in done]
    public = bool(plan.tag_object) or "land" in done
    unsure = not public and journal.touched("land") and not _came_back(journal)
    following: tuple[str, ...]
    again = document.command(plan)
    failed = next((record for record in reversed(journal.records) if record.kind == "failed"), None)
    if journal.closed:
        state, said, following = "released", "released and complete", (f"release show {plan.version}",)
    elif failed and failed is journal.records[-1]:
        state, said = "failed", f"stopped at `{titles.get(failed.task, failed.task)}`: {failed.body.get('message')}"
        following = (again,) if public else (again, f"release abort {plan.version}")
    else:
        state, said = "interrupted", "broken off"
        following = (again,) if public else (again, f"release abort {plan.version}")
    if not journal.closed:
        said += "; the push was begun and may be public" if unsure else ""
        said += "" if unsure else "; branch and tag are public" if public else "; nothing is public"
    return ReleaseStatus(
        version=store.version,
        state=state,
        done=tuple(titles.get(key, key) for key in done),
        missing=tuple(titles.get(key, key) for key in missing),
        public=public,
        said=said,
        next=following,
    )


def _came_back(journal: Journal) -> bool:
    """Whether the last word on the push is that the remote did not take it."""
    last = journal.records[-1]
    return last.kind == "failed" and last.body.get("code") in ("push-rejected", "push-failed", "remote-moved")

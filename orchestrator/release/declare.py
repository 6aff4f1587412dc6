"""release.yaml written for a person: proved prerequisites, commits that were chosen, what came to the branch.

The file is replaced in one step and only while it is what was read; a person's editor may have it open.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.config import editor
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ProblemsError, RefusedError, UsageError
from orchestrator.core.versions import not_a_version, parse_tag
from orchestrator.picks.candidates import entries
from orchestrator.plan.from_branch.entries import on_branch
from orchestrator.plan.version_rule import check_version, default_version
from orchestrator.release.prepare import prepare
from orchestrator.session.branch_state import gather
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.clone.history import have_history

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.config.editor import FixEntry
    from orchestrator.core.declaration import Config
    from orchestrator.core.plan import Plan
    from orchestrator.picks.candidates import Candidate, Found
    from orchestrator.plan.from_branch.entries import OnBranch
    from orchestrator.session.session import Session

ROUNDS = 5  # a prerequisite may need another one, which only the next plan sees


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The last plan, the edits made on the way as unified diffs, and what a person must still do."""

    plan: Plan
    diffs: tuple[str, ...]
    notes: tuple[str, ...]


def settle(session: Session, version: str) -> Settled:
    """Plan, declare the prerequisites that were proved, and plan again, until there are no new ones."""
    diffs, refused = [], list[str]()
    plan = prepare(session, version, looking=True)
    for _ in range(ROUNDS):
        missing = undeclared(plan)
        if not missing:
            break
        config = session.config()
        diffs.append(write(session, config, with_prerequisites(config, plan.version, missing)))
        new = prepare(session, plan.version, looking=True)
        if refused := _refused(plan, new):
            write(session, session.config(), config.text)
            del diffs[-1]
            break
        plan = new
    return Settled(
        plan=plan, diffs=tuple(diffs), notes=(*refused, *_misplaced(plan), *(() if refused else _unsettled(plan)))
    )


def _refused(before: Plan, after: Plan) -> list[str]:
    """What the next plan has against the entries that were added: such entries are not left in the file."""
    known = {each.code for each in before.problems} | {"conflict", "missing-prerequisite"}
    return [
        f"not declared, as it would be refused: {each.message}" for each in after.problems if each.code not in known
    ]


def add(session: Session, found: Found, version: str, candidates: Sequence[Candidate]) -> str:
    """Declare candidates for a version, behind what it has; returns the change as a unified diff.

    Raises ProblemsError for a version that is not spelled as the tags are: no plan would take it.
    """
    config = found.config
    verdict = check_version(
        version, branch=found.branch, reachable=found.reachable, existing=found.released, where=config.place.file
    )
    if misspelled := [each for each in verdict.problems if each.code == "version-prefix"]:
        raise ProblemsError(misspelled)
    new = editor.insert(config.text, version, entries(candidates), file=config.place.file)
    return write(session, config, new)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What came to the branch and `version` does not declare, and the edit that declares it, as a unified diff."""

    version: str
    branch: str
    base: str
    found: OnBranch
    diff: str
    written: bool


def declare_branch(session: Session, version: str, *, write_it: bool) -> Declared:
    """Declare what came to the branch since the last version ("" for the next patch); the file only where wanted.

    Raises ProblemsError for what no entry can declare.
    """
    config, offline = session.config(unfinished=True), session.options.offline
    have_history(session.repository, config.remote, offline=offline)
    facts = gather(session.repository, session.scratch, config, offline=offline, now=session.now())
    version = version or default_version(config.branch, facts.reachable)
    if parse_tag(version) is None:
        raise not_a_version(version)
    if version in facts.tags:
        raise RefusedError(
            f"{version} is released already",
            remedy="name the next version; `release plan` without one tells which",
            code="tag-exists",
            state="release.yaml is unchanged",
        )
    have_contents(session.repository, session.scratch, (facts.base, *facts.source_tips.values()), offline=offline)
    found = on_branch(config, version, facts, session.repository, session.scratch)
    if found.problems:
        raise ProblemsError(found.problems)
    entry = config.release(version)
    first = entry.fixes[0].declared if entry and entry.fixes else None
    new = editor.insert(config.text, version, found.entries, first, file=config.place.file) if found.entries else b""
    if new and write_it:
        replace_file(session.config_file, config.text, new)
    diff = difference(config.text, new, config.place.file) if new else ""
    return Declared(version=version, branch=config.branch, base=facts.base, found=found, diff=diff,
                    written=bool(new) and write_it)  # fmt: skip


def undeclared(plan: Plan) -> dict[str, list[FixEntry]]:
    """The proved prerequisites that the plan lacks, by the entry that they go before; each once."""
    known = {pick.source for pick in plan.picks} | {skipped.source for skipped in plan.skipped}
    missing: dict[str, list[FixEntry]] = {}
    for pick in plan.picks:
        new = [sha for sha in pick.prerequisites if sha not in known]
        if new:
            missing.setdefault(pick.declared, []).extend(editor.needed(new, pick.source))
        known.update(new)
    return missing


def with_prerequisites(config: Config, version: str, missing: dict[str, list[FixEntry]]) -> bytes:
    """The text of release.yaml with these entries, each list before the fix that is declared so."""
    text = config.text
    for declared, new in missing.items():
        text = editor.insert(text, version, new, declared, file=config.place.file)
    return text


def _misplaced(plan: Plan) -> list[str]:
    """Prerequisites that are declared, but behind the fix that needs them: an edit only adds lines."""
    order = {pick.source: number for number, pick in enumerate(plan.picks)}
    return [
        f"{sha[:12]} is declared behind {pick.source[:12]}, which needs it first: move it up"
        for pick in plan.picks
        for sha in pick.prerequisites
        if order.get(sha, -1) > order[pick.source]
    ]


def _unsettled(plan: Plan) -> list[str]:
    return [f"more prerequisites showed up after {ROUNDS} edits: run it again"] if undeclared(plan) else []


# ------------------------------------------------------------------ the file


def write(session: Session, config: Config, new: bytes) -> str:
    """Replace release.yaml, whose text was `config.text`; returns the change as a unified diff."""
    replace_file(session.config_file, config.text, new)
    return difference(config.text, new, config.place.file)


def replace_file(path: Path, old: bytes, new: bytes) -> None:
    """Write `new` over `old`, whole or not at all, through links, with the file's mode.

    Raises RefusedError when the file holds something else by now, UsageError when it cannot be written.
    """
    target = Path(os.path.realpath(path))
    temporary = None
    try:
        if target.read_bytes() != old:
            raise RefusedError(
                f"{path.name} was changed meanwhile",
                where=str(path),
                remedy="save it in your editor, then run the same command again",
                code="config-changed",
                state="it was not written",
            )
        if not os.access(target, os.W_OK):  # a rename would write over a read-only file too
            raise PermissionError(13, os.strerror(13))
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as out:
            out.write(new)
            out.flush()
            os.fsync(out.fileno())
        there = target.stat()
        with contextlib.suppress(PermissionError):  # for a file of somebody else, where we may
            os.chown(temporary, there.st_uid, there.st_gid)
        temporary.chmod(there.st_mode & 0o7777)
        temporary.replace(target)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise UsageError(
            f"{path.name} cannot be written: {error.strerror}",
            where=str(path),
            remedy="make the file and its directory writable, or paste the lines that `release plan` shows",
            code="config-not-writable",
        ) from error


def difference(old: bytes, new: bytes, name: str) -> str:
    """A unified diff, as git shows it."""
    before, after = (data.decode().splitlines() for data in (old, new))
    return "\n".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm=""))

"""`release` alone: where this repository stands, and the three commands that are likely next.  Asks no remote."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ConfigError, ProblemsError, ReleaseError

if TYPE_CHECKING:
    from orchestrator.report.console import Console
    from orchestrator.session.session import Session

LIKELY = 3  # commands


@dataclass(frozen=True)
class Overview:
    """Lines on how things stand, and commands each with what it is for."""

    stands: tuple[str, ...]
    next: tuple[tuple[str, str], ...]


def start(session: Session, console: Console) -> None:
    """Tell both; there is nothing that makes it fail."""
    with session.with_options(offline=True) as here:
        try:
            found = overview(here)
        except ReleaseError as error:
            found = _of_error(error)
    width = max(len(command) for command, _ in found.next)
    console.lines([*found.stands, "", *(f"  {command:{width}}   {why}".rstrip() for command, why in found.next), ""])
    console.lines(["every command: release --help"])
    console.document({"schema_version": 1, **asdict(found)})


def _of_error(error: ReleaseError) -> Overview:
    """What keeps the tool from telling more is what has to be put right first."""
    said = f"{error.where}: {error.message}" if error.where else error.message
    remedies = ((error.remedy, ""),) if error.remedy else ()
    if isinstance(error, ConfigError | ProblemsError):
        remedies = (("release check", "tells every fault, with its place"),)
    return Overview((said,), (*remedies, ("release -C DIR", "where it stands in another directory")))


def overview(session: Session) -> Overview:
    """By what is in this clone alone."""
    from orchestrator.release.status import standings
    from orchestrator.report.text import standing_lines

    _ = session.repository
    if not session.config_file.exists():
        return Overview(
            (f"there is no {session.config_name} in {session.config_file.parent}",),
            (
                ("release init", "writes one from what is found here"),
                ("release doctor", "looks whether git, engine and registry answer"),
                ("release schema", "describes that file to an editor"),
            ),
        )
    found = standings(session, "")
    open_ones = [each for each in found if each.next and each.state not in ("released",)]
    if open_ones:
        lines = tuple(standing_lines([replace(each, next=()) for each in open_ones]))
        commands = [command.partition("   ") for each in open_ones for command in each.next]
        return Overview(lines, tuple((command, why.strip()) for command, _, why in commands)[:LIKELY])
    return _at_rest(session)


def _at_rest(session: Session) -> Overview:
    """Nothing is in progress: what is declared and not released, else what was released last."""
    from orchestrator.core.versions import parse_tag

    config = session.config()
    released = {name: found for name in session.repository.local_tags() if (found := parse_tag(name))}
    wanted = [entry for entry in config.releases if entry.version not in released]
    last = max(released, key=lambda name: released[name].order, default="")
    stands = [f"{config.branch}: " + (f"the newest version here is {last}" if last else "no version is released yet")]
    if wanted:
        version = wanted[-1].version
        what = f"{len(wanted[-1].fixes)} fix(es)"
        what = f"what is on the branch and {what} more" if wanted[-1].from_branch else what
        stands.append(f"{version} is declared in {session.config_name}, with {what}")
        commands = [
            (f"release plan {version}", "shows what a cut would do"),
            (f"release cut {version}", "makes it"),
            ("release doctor", "runs every preflight check"),
        ]
    else:
        stands.append("nothing that is declared waits for a release")
        commands = [
            ("release candidates", "what should perhaps be picked next"),
            (f"release show {last}" if last else "release check", "the record of the last" if last else ""),
            ("release audit", "proves the branch, tags and images"),
        ]
    return Overview(tuple(stands), tuple(commands))

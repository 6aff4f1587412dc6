"""What release.yaml declares, held against what is here: the next version, and what came that nobody declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import ReleaseError
from orchestrator.core.versions import parse_tag
from orchestrator.picks.undeclared import undeclared_since

if TYPE_CHECKING:
    from orchestrator.session.session import Session


def undeclared_here(session: Session) -> list[str]:
    """What came to the branch since its last version and is not declared for the next; where none can tell, that."""
    try:
        version = next_declared(session)
        return undeclared_since(session.config(), version, session.repository, session.scratch, session.options.offline)
    except ReleaseError as error:
        return [f"{error.message}: what came to the branch undeclared is not known"]


def next_declared(session: Session) -> str:
    """The lowest version of release.yaml that has no tag in this clone, "" where every one has."""
    tags = session.repository.local_tags()
    versions = [parse_tag(entry.version) for entry in session.config().releases if entry.version not in tags]
    return str(min((each for each in versions if each), key=lambda each: each.order, default=""))

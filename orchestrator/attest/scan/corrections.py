"""Which commit corrects which vulnerability: the upstream commits that databases name, and what a message says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.commit_message import origins
from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.attest.scan.advisory import Advisory

# CVE Numbering Authorities' rules, GitHub's identifiers, and those of the Python database in OSV.
_NAME: Final = re.compile(r"\b(?:CVE-[0-9]{4}-[0-9]{4,19}|GHSA(?:-[a-z0-9]{4}){3}|PYSEC-[0-9]{4}-[0-9]{1,9})\b")
_OFFICIAL: Final = "CVE-"


@dataclass(frozen=True, kw_only=True)
class Correction:
    """A vulnerability that a commit corrects: `why` it is said to, `severity` as advisories call it."""

    id: str
    severity: str
    why: str


class Corrections:
    """What a set of advisories says of commits."""

    def __init__(self, advisories: Iterable[Advisory]) -> None:
        self._known: dict[str, tuple[str, str]] = {}  # any of its names -> (the name to use, severity)
        self._by_commit: dict[str, dict[str, None]] = {}  # commit -> names, in their order
        for each in advisories:
            official = next((name for name in each.names if name.startswith(_OFFICIAL)), each.id)
            for name in each.names:
                if self._known.get(name, ("", "unknown"))[1] == "unknown":
                    self._known[name] = (official, each.severity)
            for commit in each.fixes:
                self._by_commit.setdefault(commit, {})[official] = None

    def of(self, sha: str, message: str) -> tuple[Correction, ...]:
        """What a commit corrects, each once: by its own id or one that it was picked from, else by its words.

        An identifier in a message that no advisory knows is nobody's.
        """
        found: dict[str, Correction] = {}
        for name, why in (*self._by_id(sha, message), *self._by_name(message)):
            official, severity = self._known[name]
            found.setdefault(official, Correction(id=official, severity=severity, why=why))
        return tuple(found.values())

    def _by_id(self, sha: str, message: str) -> Iterator[tuple[str, str]]:
        for commit in dict.fromkeys((sha, *origins(message))):
            why = "it is" if commit == sha else "it was picked from"
            for name in self._by_commit.get(commit, ()):
                yield name, f"{why} the upstream commit"

    def _by_name(self, message: str) -> Iterator[tuple[str, str]]:
        for name in dict.fromkeys(_NAME.findall(message)):
            if name in self._known:
                yield name, f"its message names {name}"

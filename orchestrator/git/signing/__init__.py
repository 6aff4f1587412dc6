"""Signatures as git is set to make them: how it is set, a limit for the program that makes them, what leads out.

Nothing here knows of plans or releases.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.text import word
from orchestrator.git.process import Git, TimeUpError
from orchestrator.git.push import said_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.git.conversation import Output
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

LIMIT: Final = 120.0  # seconds for one signature: a person may have to type, or to touch a key
_SETTINGS = r"^(gpg\..*|user\.signingkey|commit\.gpgsign|tag\.gpgsign|tag\.forcesignannotated)$"
_NAMES: Final = {"openpgp": "gpg", "ssh": "ssh", "x509": "x509"}


@dataclass(frozen=True, kw_only=True)
class Signing:
    """How git is set to sign in a repository."""

    repository: Repository

    @cached_property
    def settings(self) -> tuple[tuple[str, str], ...]:
        """(key, value) of all that concerns signatures, from every file that git reads."""
        return tuple(self.repository.config_items(_SETTINGS))

    @cached_property
    def _told(self) -> Mapping[str, str]:
        return dict(self.settings)

    @property
    def format(self) -> str:
        """`gpg`, `ssh` or `x509`."""
        return _NAMES.get(self._told.get("gpg.format", "openpgp").lower(), "gpg")

    @property
    def program_key(self) -> str:
        """The setting that names the program."""
        return f"gpg.{self._told.get('gpg.format', 'openpgp').lower()}.program"

    @property
    def program(self) -> str:
        """What git starts to sign."""
        usual = {"gpg": self._told.get("gpg.program", "gpg"), "ssh": "ssh-keygen", "x509": "gpgsm"}
        return self._told.get(self.program_key, usual[self.format])

    @property
    def stamp(self) -> str:
        """Another one where the signatures would be made with another key or program."""
        return hashlib.sha256(repr(sorted(self.settings)).encode()).hexdigest()[:12]

    def git(self, scratch: Scratch, env: Mapping[str, str]) -> Git:
        """git that signs in a scratch store as it would in the repository."""
        own = {key: value for key, value in scratch.git.env.items() if key != "GIT_CONFIG_GLOBAL"}
        return Git(self.repository.top, env={**own, **env}, config=self.settings)

    @property
    def unlock(self) -> str:
        """What to type where a key does not sign: most often it is locked, and nobody was asked for its passphrase."""
        key = self._told.get("user.signingkey", "")
        if self.format == "ssh" and not key.startswith(("key::", "ssh-")):
            unlock = f"ssh-add {word(str(Path(key).expanduser()).removesuffix('.pub'))}"
        else:
            unlock = "git tag --sign --message=try signing-try && git tag --delete signing-try"
        return f"check user.signingKey and gpg.format; unlock the key: {unlock}   (in a terminal)"


def sign(git: Git, *args: str, stdin: bytes, limit: float = LIMIT) -> tuple[Output | None, str]:
    """How a git command that signs ended, None where it did not in time; and what it said last."""
    try:
        output = git.attempt(*args, stdin=stdin, limit=limit)
    except TimeUpError:
        return (
            None,
            f"what signs did not end within {limit:g} s: nobody typed a passphrase, or touched the key",
        )
    return output, said_by(output)

"""What a lock is made from, and how: the requirements beside it, and the command that release.yaml names.

Beside a lock `locks/cu128`, or `locks/cu128-linux-arm64` of one platform, `locks/cu128.in` is what it is resolved from.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from orchestrator.core.declaration import LOCK_IN_COMMAND, platform_word
from orchestrator.core.results import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.image.pytorch_builds import Pin

_REQUIREMENT: Final = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*+(?:\[[^\]]*\])?\s*+(?:==\s*+([A-Za-z0-9.!+_-]+))?\s*+(?:[;#,<>!~].*)?"
)


def requirements_of(lock: str, platform: str) -> str:
    """Where the requirements of a lock stand, if they stand anywhere."""
    bare = lock.removesuffix(".txt")
    return f"{bare.removesuffix(f'-{platform_word(platform)}') if platform else bare}.in"


def how_to_make(command: str, lock: str) -> str:
    """The remedy for a lock that is missing or old; `command` is the declared one, "" for none."""
    if not command:
        return "make it inside the base, with hashes, and name how in `image.lock-command`"
    return f"make it where its package index can be reached: {command.replace(LOCK_IN_COMMAND, shlex.quote(lock))}"


def outdated(wanted: bytes, where: str, pins: Mapping[str, Pin], remedy: str) -> Iterator[Problem]:
    """Requirements that a lock does not fulfil; `where` is their file.  Ranges are the resolver's to judge."""
    for number, line in enumerate(wanted.decode("utf-8", "replace").splitlines(), 1):
        found = _REQUIREMENT.fullmatch(line.strip())
        if found is None or found[1] is None:
            continue
        name = re.sub(r"[-_.]+", "-", found[1]).lower()
        pin = pins.get(name)
        if pin and found[2] in (None, pin.version):
            continue
        has = f"has {pin.version}" if pin else "has none"
        message = f"the lock is out of date: {found[1]}{f'=={found[2]}' if found[2] else ''} is wanted, and it {has}"
        yield Problem(code="lock-outdated", message=message, where=f"{where}:{number}", remedy=remedy)

"""`release protect`: read what the forge enforces, show the difference to what it should, write it, read it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError
from orchestrator.forges import protection
from orchestrator.forges.address import address
from orchestrator.forges.pipelines.table import PIPELINES
from orchestrator.forges.pipelines.values import PLAN_JOB
from orchestrator.forges.table import forge_module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.forges import Address, Forge, Setting
    from orchestrator.forges.protection import SettingDifference
    from orchestrator.session.session import Session


@dataclass(frozen=True, kw_only=True)
class ProtectRequest:
    """What the command line asks for.  Empty means: as release.yaml, the remote and the clone say."""

    provider: str
    repository: str = ""
    url: str = ""
    actors: tuple[str, ...] = ()
    approvals: int | None = None
    checks: tuple[str, ...] = ()
    apply: bool = False


@dataclass(frozen=True, kw_only=True)
class ProtectResult:
    """What differed; `applied` tells whether it was written."""

    address: Address
    applied: bool
    differences: tuple[SettingDifference, ...]
    others: tuple[str, ...]
    notes: tuple[str, ...]


def protect(session: Session, wish: ProtectRequest) -> ProtectResult:
    """Compare, and with `apply` write what differs.  Raises MismatchError when the forge does not keep it."""
    module = forge_module(wish.provider)
    config = session.config()
    remote_url = session.repository.remote_url(config.remote)
    there = address(wish.provider, remote_url=remote_url, repository=wish.repository, url=wish.url, env=session.env)
    checks, notes = _checks(session, wish)
    guard = protection.guard_of(
        config, session.repository.local_tags(), approvals=_approvals(config, wish), checks=checks,
        actors=tuple(module.actor(text) for text in dict.fromkeys(wish.actors or (module.DEFAULT_ACTOR,))),
    )  # fmt: skip
    wanted = module.settings(guard, there.api)
    forge = module.open_repository(there)
    current = forge.read(wanted)
    found = protection.differences(wanted, current, module.words)
    if wish.apply:
        for each in found:
            if each.state != "same":
                session.terminal.note(f"write {each.setting.kind} {each.setting.name!r}")
                forge.write(each.setting, each.before)
        _must_hold(forge, wanted, module.words, there)
    return ProtectResult(
        address=there, applied=wish.apply, differences=tuple(found), others=current.others, notes=tuple(notes)
    )


def _approvals(config: Config, wish: ProtectRequest) -> int:
    """As asked; else as many as a fix needs by release.yaml's policy, and one where it says nothing."""
    if wish.approvals is not None:
        return wish.approvals
    return (config.policy.required_approvals if config.policy else 0) or 1


def _checks(session: Session, wish: ProtectRequest) -> tuple[tuple[str, ...], list[str]]:
    """The required checks.  One that never reports blocks every pull request, so the pipeline must be there."""
    if wish.checks:
        return wish.checks, []
    file = PIPELINES[wish.provider].FILE
    if (session.repository.top / file).is_file():
        return (PLAN_JOB,), []
    remedy = f"release ci init --provider {wish.provider} --write"
    return (), [f"no check is required: there is no {file} here; make one ({remedy}), then run this again"]


def _must_hold(
    forge: Forge,
    wanted: Sequence[Setting],
    words: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]],
    there: Address,
) -> None:
    """An answer of 201 is no proof: read it back."""
    left = [each for each in protection.differences(wanted, forge.read(wanted), words) if each.state != "same"]
    if left:
        names = ", ".join(f"{each.setting.kind} {each.setting.name!r}" for each in left)
        raise MismatchError(
            f"the forge took these and does not keep them as written: {names}",
            where=f"{there.api} {there.repository}",
            remedy="release protect --dry-run shows the difference; the forge's edition may not have the rule",
            code="forge-differs",
        )

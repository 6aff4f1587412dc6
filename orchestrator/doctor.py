"""`release doctor`: every check that a cut makes before its question, without a plan, all reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.checks import Finding, SkipCheck, preflight, run_check
from orchestrator.planner import planned_images

if TYPE_CHECKING:
    from orchestrator.desk import Desk
    from orchestrator.model import Config


def examine(desk: Desk) -> list[Finding]:
    """All findings; a broken release.yaml is one of them, and the rest is still looked at."""
    found: list[Config] = []
    findings = [
        run_check("git", desk.repository.git_version),
        run_check("identity", lambda: str(desk.repository.identity())),
        run_check("history", lambda: _history(desk)),
        run_check("config", lambda: _config(desk, found)),
    ]
    config = found[0] if found else None
    findings.append(run_check("remote", lambda: _remote(desk, config)))
    findings.append(run_check("disk", lambda: preflight.disk(desk.repository.common_dir, preflight.DISK_FOR_GIT)))
    images = planned_images(config, "v0.0.0", "0" * 40) if config else ()
    return [*findings, *preflight.image_checks(images, desk.doors(), with_tags=False)]


def _history(desk: Desk) -> str:
    """The clone has its whole history."""
    from orchestrator.facts import refuse_incomplete

    refuse_incomplete(desk.repository, "origin")
    return "complete"


def _config(desk: Desk, found: list[Config]) -> str:
    """release.yaml is valid."""
    found.append(desk.config())
    return f"{len(found[0].releases)} release(s) declared"


def _remote(desk: Desk, config: Config | None) -> str:
    """The remote answers and has the release branch."""
    if desk.job.offline:
        raise SkipCheck("--offline")
    if config is None:
        raise SkipCheck("release.yaml is not valid")
    refs = desk.repository.ls_remote(config.remote, f"refs/heads/{config.branch}")
    if not refs.branch(config.branch):
        raise SkipCheck(f"{config.remote} answers, but has no branch {config.branch} yet")
    return f"{config.remote} has {config.branch} at {refs.branch(config.branch)[:12]}"

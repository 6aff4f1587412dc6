"""`release doctor`: every check that a cut makes before its question, without a plan, all reported; or one image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.core.errors import UnprovedError, UsageError
from orchestrator.core.reference import parse_repository
from orchestrator.core.results import CheckState
from orchestrator.image.pytorch_builds import BUILDS, LOCKS_INSIDE, build_of, read_lock
from orchestrator.release import preflight
from orchestrator.release.checks import Finding, SkipCheck, run_check
from orchestrator.release.prepare import signing as signs
from orchestrator.release.setup.server import direct_push, records_place
from orchestrator.release.setup.who_builds import who_builds
from orchestrator.release.signing import trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.declaration import Config
    from orchestrator.image.pytorch_builds import Build, Pin
    from orchestrator.session.session import Session


def examine(session: Session) -> list[Finding]:
    """All findings; a broken release.yaml is one of them, and the rest is still looked at."""
    found: list[Config] = []
    findings = [
        run_check("git", session.repository.git_version),
        run_check("identity", lambda: str(session.repository.identity())),
        run_check("history", lambda: _history(session)),
        run_check("config", lambda: _config(session, found)),
    ]
    config = found[0] if found else None
    findings.append(run_check("remote", lambda: _remote(session, config)))
    if config and findings[-1].result.state is not CheckState.FAILED:
        findings.append(run_check("push", partial(direct_push, session, config)))
        findings.append(run_check("records", partial(records_place, session, config)))
    if config and signs(session, config):
        findings.append(run_check("commit-signing", partial(trial, session, config)))
    findings.append(run_check("disk", lambda: preflight.disk(session.repository.common_dir, preflight.DISK_FOR_GIT)))
    if config and config.image:
        findings.append(run_check("who-builds", partial(who_builds, session, config)))
        repository = str(parse_repository(config.image.repository))
        findings += [*preflight.engine_checks(session.connections)]
        findings += preflight.build_checks(config.image, session.repository.top, session.connections)
        findings += [*preflight.registry_checks(repository, session.connections)]
    return findings


def _history(session: Session) -> str:
    """How much of its history the clone has; what a release needs of the rest is fetched when it needs it."""
    kept = ", ".join(f"--filter={each}" for each in session.repository.promisors.values() if each)
    lacking = "cut off (--depth)" if session.repository.is_shallow() else f"partial ({kept})" if kept else ""
    return f"{lacking}: what a release needs is fetched, all at once" if lacking else "complete"


def _config(session: Session, found: list[Config]) -> str:
    """release.yaml is valid."""
    found.append(session.config())
    return f"{len(found[0].releases)} release(s) declared"


def _remote(session: Session, config: Config | None) -> str:
    """The remote answers and has the release branch."""
    if session.options.offline:
        raise SkipCheck("--offline")
    if config is None:
        raise SkipCheck("release.yaml is not valid")
    refs = session.repository.ls_remote(config.remote, f"refs/heads/{config.branch}")
    if not refs.branch(config.branch):
        raise SkipCheck(f"{config.remote} answers, but has no branch {config.branch} yet")
    return f"{config.remote} has {config.branch} at {refs.branch(config.branch)[:12]}"


def image_build(session: Session, image: str) -> tuple[Mapping[str, Pin], Build]:
    """The pins that an image of the engine was installed from, and the published build that its torch is.

    Raises UsageError for an image that is not there, UnprovedError for one that does not say.
    """
    engine = session.connections.runtime()
    if engine.inspect(image) is None:
        raise UsageError(f"the engine has no image {image}", remedy=f"docker pull {image}", code="no-image")
    read = ((path, engine.read_file(image, path)) for path in LOCKS_INSIDE)
    pins, _ = read_lock({path: data for path, data in read if data is not None})
    build = build_of(pins)
    if build is None:
        torch = pins.get("torch")
        raise UnprovedError(
            f"{image} has torch {torch.version}, of which nothing is known here"
            if torch
            else f"{image} does not say which torch it has: there is none in {LOCKS_INSIDE[0]} and its neighbours",
            where=image,
            remedy="known are: " + "; ".join(build.name for build in BUILDS),
            code="image-unknown",
        )
    return pins, build

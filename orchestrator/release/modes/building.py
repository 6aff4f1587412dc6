"""Where the image of a release is built, which is one place: by the cut, or from its tag by `release publish`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from orchestrator.core.declaration import BY_CI, BY_CUT
from orchestrator.core.errors import UsageError, WaitingError
from orchestrator.core.plan import LATER
from orchestrator.plan import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.declaration import Config
    from orchestrator.core.plan import Plan
    from orchestrator.session.session import Session

_POLL: Final = 5.0  # seconds between two looks
_TOLD: Final = {
    BY_CI: "`image.built-by` is ci: the release ends with the tag, and its pipeline builds the image (or: release"
    " publish {})",
    LATER: "--no-image: the release ends with the tag; its image is built by: release publish {}",
}


def built_by(session: Session, config: Config, plan: Plan) -> str:
    """Who builds the images from the tag, "" where this release builds them.  Raises UsageError where there is none."""
    wanted = session.options.image
    if config.image is None and wanted is not None:
        raise UsageError(
            "release.yaml has no image to build, and none to leave out",
            where=str(config.place),
            remedy="leave --image and --no-image away",
            code="no-image",
        )
    if config.image is None or not plan.images or wanted:
        return ""
    return BY_CI if config.image.built_by == BY_CI else LATER if wanted is False else ""


def told(plan: Plan) -> tuple[str, ...]:
    """What a plan says of images that it leaves to others."""
    return (_TOLD[plan.built_by].format(plan.version),)


def not_by_cut(plan: Plan, config: Config) -> tuple[str, ...]:
    """What is said where images are built from a tag, and release.yaml has the cut build them."""
    if config.image is None or config.image.built_by != BY_CUT or plan.promoted_from:
        return ()
    return ("`image.built-by` is cut, and the image is not there: it is built here",)


def wait_for_cut(plan: Plan, is_whole: Callable[[], bool], seconds: float) -> None:
    """Until the cut has named its images and written the record.  Raises WaitingError when the time is over."""
    end = time.monotonic() + seconds
    while plan.images and not is_whole():
        left = end - time.monotonic()
        if left <= 0:
            raise WaitingError(
                f"the image of {plan.version} is built by its cut, and the release is not whole yet",
                where=str(plan.images[0].reference),
                remedy=f"finish it where it was begun: {document.begun_by(plan)}   | or build it from the tag:"
                f" release publish {plan.version}",
                code="not-built",
            )
        time.sleep(min(_POLL, left))

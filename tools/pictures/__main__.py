"""Run inside the lab: `.venv/bin/python tools/lab run -- .venv/bin/python tools/pictures FOLDER [COLUMNS ...]`.

Writes NAME-COLUMNS.svg for each scene, and the page of a release as report-*.png; those that the docs show are copied
into docs/pictures by hand, when looked at.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run by its path, it knows no package

from typing import TYPE_CHECKING

from tools.pictures.page import pages
from tools.pictures.project import make
from tools.pictures.screen import Shown, logged, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.pictures.project import Project

HOME = Path("/home/robin")
WIDTHS = (80, 100, 160)
SIZE = 4_000_000  # bytes of each of 24 files in the image


def team(project: Project, columns: int) -> Iterator[tuple[str, Shown]]:
    """A whole release, with the moments that are looked at."""

    def shown(*argv: str, **more: str) -> Shown:
        return run(["release", *argv], project.folder, project.env | more, columns)

    yield "plan", shown("plan", "v2.7.1")
    yield "plan-no-color", shown("plan", "v2.7.1", NO_COLOR="1")
    yield "doctor", shown("doctor")
    yield "stopped", shown("cut", "v2.7.1", RELEASE_REGISTRY_PASSWORD="wrong")  # noqa: S106  # it is to be refused
    build = ["release", "cut", "v2.7.1", "--yes"]
    yield (
        "build",
        run(build, project.folder, project.env, columns, lambda text: "  step" in text and "shard-2e" in text),
    )
    yield "again", shown("cut", "v2.7.1", "--yes")
    yield "show", shown("show", "v2.7.1")
    yield "plan-conflict", shown("plan", "v2.7.2")
    yield "conflict", shown("cut", "v2.7.2", "--yes")
    yield "status", shown("status")
    yield "start", shown()
    yield "audit", shown("audit", "--all")


def pushed(project: Project, columns: int) -> Iterator[tuple[str, Shown]]:
    """A push in its middle, and the end of a cut."""
    cut = ["release", "cut", "v2.7.1", "--yes"]
    yield "push", run(cut, project.folder, project.env, columns, lambda text: text.count("B/s") >= 3)


def logs(project: Project, columns: int) -> Iterator[tuple[str, Shown]]:
    """The log of a runner: no terminal, groups."""
    env = project.env | {"CI": "true", "GITHUB_ACTIONS": "true"}
    yield "ci-log", logged(["release", "cut", "v2.7.1", "--yes"], project.folder, env, columns)


@contextmanager
def home() -> Iterator[Path]:
    """The home of somebody who is not here, while pictures are taken: its paths stand on them."""
    try:
        HOME.mkdir()
    except OSError as error:
        raise SystemExit(f"{HOME}: the pictures show this folder, so it must be free, and {error.strerror}") from None
    try:
        yield HOME
    finally:
        shutil.rmtree(HOME)


def main() -> int:
    target, widths = Path(sys.argv[1]), [int(each) for each in sys.argv[2:]] or WIDTHS
    target.mkdir(parents=True, exist_ok=True)
    for columns in widths:
        for scene, size in ((team, 100_000), (pushed, SIZE), (logs, 100_000)):
            with home() as place:
                for name, screen in scene(make(place, size, f"{scene.__name__}-{columns}"), columns):
                    (target / f"{name}-{columns}.svg").write_text(screen.svg())
                    print(f"{name}-{columns}.svg", flush=True)
    with home() as place:
        for name in pages(make(place, 100_000, "page"), target):
            print(name, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

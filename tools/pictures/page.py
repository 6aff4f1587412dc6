"""The page of a release as headless Chromium shows it: light and dark, on a wide screen and on a telephone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.pictures.project import Project

# name -> the window, and the number that Chromium has for the scheme
SHOTS: Final = {
    "report-light": ("1280,1000", 1),
    "report-dark": ("1280,1000", 0),
    "report-light-400": ("400,1000", 1),
    "report-dark-400": ("400,1000", 0),
}
_RESOLVED = "def ahead(disk):\n    return min(DEPTH * disk.speed, LIMIT)\n"
_HEADLESS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
_MEASURE: Final = """
const wide = [...document.querySelectorAll("main, main *:not(pre *)")].filter(each =>
  each.getBoundingClientRect().right > innerWidth || each.matches(".wide") && each.scrollWidth > each.clientWidth);
parent.document.title = wide.length ? wide.map(each => each.outerHTML.slice(0, 60)).join(" ") : "it fits";
"""


def pages(project: Project, target: Path) -> Iterator[str]:
    """Two releases, the second with a conflict that somebody resolves; then the pictures of its page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        raise SystemExit("the page is shown by Chromium: apt-get install chromium")
    _release(project, "cut", "v2.7.1", "--yes")
    _release(project, "cut", "v2.7.2", "--yes", ends=3)
    tree = project.folder / ".git/release/v2.7.2/worktree"
    loader = tree / "trainkit/dataloader.py"
    loader.write_text(f"{loader.read_text().partition('<<<<<<<')[0]}{_RESOLVED}")
    subprocess.run(["git", "add", "trainkit/dataloader.py"], cwd=tree, env=project.env, check=True)
    _release(project, "continue", "v2.7.2", "--yes")
    shown = _release(project, "report", "v2.7.2", "-o", "-")
    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / "page.html"
        # the registry of the lab has another port each time
        page.write_text(shown.replace(os.environ["RELEASE_LAB_REGISTRY"], "registry.example.com"))
        for name, (window, scheme) in SHOTS.items():
            must_fit(browser, int(window.partition(",")[0]), page)
            _shown([
                browser, *_HEADLESS, f"--user-data-dir={place}/profile", f"--window-size={window}",
                f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={target.resolve() / name}.png",
                page.as_uri(),
            ])  # fmt: skip
            yield f"{name}.png"


def must_fit(browser: str, width: int, page: Path) -> None:
    """Nothing is wider than the window, and no table scrolls sideways; in a frame, since no window is below 500."""
    html = re.sub("<meta http-equiv.*>", "", page.read_text())  # which forbids scripts
    inner = escape(html.replace("</body>", f"<script>{_MEASURE}</script></body>"))
    frame = page.with_name("measured.html")
    frame.write_text(f'<title>unread</title><iframe style="border:0;width:{width}px;height:900px" srcdoc="{inner}">')
    shown = _shown([browser, *_HEADLESS, f"--user-data-dir={page.parent}/profile", "--dump-dom", frame.as_uri()])
    title = shown.partition("<title>")[2].partition("</title>")[0]
    if title != "it fits":
        raise SystemExit(f"{page} is wider than {width}: {title}")


def _shown(argv: Sequence[str]) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300).stdout


def _release(project: Project, *argv: str, ends: int = 0) -> str:
    done = subprocess.run(
        ["release", *argv], cwd=project.folder, env=project.env, text=True, capture_output=True, check=False
    )
    if done.returncode != ends:
        raise SystemExit(f"release {' '.join(argv)}: {done.stdout}{done.stderr}")
    return done.stdout

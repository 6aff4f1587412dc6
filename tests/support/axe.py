"""axe-core in headless Chromium: what it objects to in pages of ours, light and dark, wide and narrow."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from tests.support.waiting import SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BROWSER: Final = shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS: Final = (1280, 400)
_DARK: Final = "@media(prefers-color-scheme:dark)"
# A frame for each page and width, since no window is below 500.  The image comes when all have been looked at, and
# Chromium ends when the page with everything in it has come.
_RIG: Final = """<!DOCTYPE html><html lang="en"><title>rig</title><body><script>
const jobs = JOBS, found = [];
addEventListener("message", ({data}) => { found.push(data); next(); });
function next() {
  if (!jobs.length) { fetch("/found", {method: "POST", body: JSON.stringify(found)}); return; }
  const frame = document.createElement("iframe"), [name, width] = jobs.shift();
  frame.style = `border:0;width:${width}px;height:900px`;
  frame.src = `/${name}?${width}`;
  document.body.querySelector("main").replaceChildren(frame);
}
</script><main></main><img alt="" src="/until"><script>next();</script>"""
# What it cannot decide is an objection too, but for the contrast of a mark alone, such as a tick: its colours are those
# of words beside it.
_LOOK: Final = """<script src="/axe.min.js"></script><script>
const said = {page: location.pathname.slice(1), width: innerWidth, bad: [], passed: []};
const mark = node => node.any.some(each => each.data && each.data.messageKey === "nonBmp");
axe.run().then(({violations, incomplete, passes}) => {
  said.passed = passes.map(each => each.id);
  for (const each of [...violations, ...incomplete])
    for (const node of each.nodes.filter(each => !mark(each)))
      said.bad.push(`${each.id}: ${node.html.slice(0, 100)}: ${node.failureSummary}`);
}).catch(error => said.bad.push(String(error))).finally(() => parent.postMessage(said, "*"));
</script>"""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What axe says of a page; `bad` is what it objects to and what it cannot decide."""

    page: str
    width: int
    passed: list[str]
    bad: list[str]


def look(pages: Mapping[str, str]) -> list[Seen]:
    """Show each page in both schemes at each width, all by one browser."""
    assert BROWSER is not None
    assert all(_DARK in html for html in pages.values())
    schemes = {"light": "@media not all", "dark": "@media all"}
    shown = {
        f"{name}-{scheme}": re.sub("<meta http-equiv.*>", "", html).replace(_DARK, rule) + _LOOK  # it forbids scripts
        for name, html in pages.items()
        for scheme, rule in schemes.items()
    }
    jobs = json.dumps([[name, width] for name in shown for width in WIDTHS])
    own = {"rig": _RIG.replace("JOBS", jobs), "axe.min.js": (files("axe_playwright_python") / "axe.min.js").read_text()}
    # the path of its socket must be short
    with _served({**shown, **own}) as server, tempfile.TemporaryDirectory(dir="/tmp") as place:
        done = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000", "--dump-dom",
             f"--user-data-dir={place}/profile", f"http://127.0.0.1:{server.server_port}/rig"],
            capture_output=True, text=True, check=False, timeout=2 * SECONDS, env=os.environ | {"TMPDIR": place},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [Seen(**each) for each in server.found]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, pages: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self.found: list[dict[str, Any]] = []
        self.done = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].removeprefix("/")
        if name == "until":
            self.server.done.wait(2 * SECONDS)
        kind = "text/javascript" if name.endswith(".js") else "text/html"
        self.answer(self.server.pages.get(name, ""), f"{kind}; charset=utf-8")

    def do_POST(self) -> None:
        self.server.found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.done.set()
        self.answer("", "text/plain")

    def answer(self, text: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _served(pages: Mapping[str, str]) -> Iterator[_Server]:
    server = _Server(pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.done.set()
        server.shutdown()
        thread.join()
        server.server_close()

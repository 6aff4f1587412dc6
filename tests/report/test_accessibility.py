"""axe-core looks at the pages of `release report` in headless Chromium: light and dark, wide and narrow."""

from __future__ import annotations

import pytest

from orchestrator.attest.differences import changes
from orchestrator.core.results import CheckResult, CheckState
from orchestrator.report.page import line_page, release_page
from orchestrator.report.page.facts import MOST
from orchestrator.report.page.told import ChangedContents, Line
from orchestrator.session.yanks import Yank
from tests.attest.bills import bill
from tests.report.test_page import LONG_NAME, hundreds, read, told
from tests.support.axe import BROWSER, WIDTHS, look
from tests.support.records import B, image, pick
from tests.support.story import VERSION


def pages() -> dict[str, str]:
    """Each kind of section on one of them, opened; many picks, folded; the line."""
    states = zip("abc", (CheckState.PASSED, CheckState.FAILED, CheckState.SKIPPED), strict=True)
    checks = tuple(CheckResult(name=f"signature: {name}", state=state, message="said") for name, state in states)
    version = read(
        picks=[pick(), pick(source="3" * 40, result="4" * 40, state="adapted")], images=[image(reference=LONG_NAME)]
    )
    before = read(version="v2.7.0", tag={"name": "v2.7.0", "object": B})
    yank = Yank(version=VERSION, reason="a leak")
    inside = ((bill(), changes(bill(version="v2.7.0", patch=b""), bill())),)
    diffs = {each.result: ["@@ -1 +1 @@", "-a", "+b"] for each in version.picks} | {version.commit: ["+x"]}
    whole = told(
        version, before=before, yank=yank, signatures=checks, contents=ChangedContents(images=inside, lacks="no SBOM"),
        unchecked=("the tag",), diffs=diffs,
    )  # fmt: skip
    line = Line(branch="release/v2.7", records=(version, before), yanks={VERSION: yank}, without=("v2.6.9",))
    return {
        "whole": release_page(whole).replace("<details>", "<details open>"),
        "many": hundreds(MOST + 1, lines=1),
        "line": line_page(line),
    }


@pytest.mark.wide
@pytest.mark.skipif(BROWSER is None, reason="NOT RUN: there is no Chromium on this machine (apt-get install chromium)")
def test_axe_finds_nothing() -> None:
    """Contrast among all else; and in a page that is made worse it finds it."""
    shown = pages()
    shown["worse"] = shown["line"].replace("</style>", "body{color:#808080}</style>").replace(' lang="en"', "")
    seen = look(shown)
    assert [(each.page, each.width) for each in seen] == [
        (f"{name}-{scheme}", width) for name in shown for scheme in ("light", "dark") for width in WIDTHS
    ]
    ours, worse = seen[:-4], seen[-4]
    assert [each.bad for each in ours] == [[]] * len(ours)
    assert all("color-contrast" in each.passed for each in ours)
    assert {"html-has-lang", "color-contrast"} <= {each.partition(":")[0] for each in worse.bad}

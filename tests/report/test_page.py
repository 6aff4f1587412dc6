"""`release report`: nothing is loaded from elsewhere, what others wrote is escaped, what the record says is there."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from orchestrator.attest.differences import changes
from orchestrator.audit.branch import BranchAudit
from orchestrator.core.record import parse_record
from orchestrator.core.results import CheckResult, CheckState
from orchestrator.report.page import is_ours, line_page, release_page
from orchestrator.report.page.told import ChangedContents, Line, Told
from orchestrator.session.yanks import Yank
from tests.attest.bills import bill
from tests.support.cli import release
from tests.support.records import A, B, image, pick, record
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from orchestrator.core.record import Record
    from tests.support.story import Story

VOID = {"meta", "br"}
LONG_NAME = "registry.example.com:5000/a-team/training/pytorch-cuda-with-a-long-name:v2.7.1"
EVIL = "<script>alert(1)</script>\"'&"


class Page(HTMLParser):
    """The text of a page and what it links to; it must be well formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert tag not in {"script", "img", "link", "iframe", "object"}
        assert not {"src", "onclick", "srcset"} & given.keys()
        self.links += [given["href"] or ""] if "href" in given else []
        self.ids += [given["id"] or ""] if "id" in given else []
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def told(version: Record, **more: object) -> Told:
    audit = BranchAudit(
        branch="release/v2.7", base=A, tip=B, versions=(VERSION,), verdicts=(), problems=(), unchecked=(), notes=()
    )
    facts = {"record": version, "yank": None, "before": None, "audit": audit, "unchecked": ()}
    return Told(**facts | more)  # type: ignore[arg-type]


def read(**changes: object) -> Record:
    return parse_record(json.dumps(record(**changes)).encode(), "refs/release-records/x")


def test_a_page_of_a_real_release(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    made = release("report", VERSION, cwd=tale.clone.path)
    assert made.code == 0
    path = tale.clone.path / f"release-{VERSION}.html"
    assert made.out == f"{path}\n"
    page = Page(path.read_text())
    assert "picked, to the very id" in page.text
    assert "Nothing to object to, in 2 commits." in page.text
    assert "+    return 5  # closed" in page.text
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    line = Page(release("report", "--all", "-o", "-", cwd=tale.clone.path).out)
    assert VERSION in line.text


def test_it_writes_over_nothing_of_others(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    path = tale.clone.path / f"release-{VERSION}.html"
    path.write_text("mine")
    assert "[file-exists]" in release("report", VERSION, cwd=tale.clone.path).err
    assert path.read_text() == "mine"
    assert release("report", VERSION, "-o", "nowhere/x.html", cwd=tale.clone.path).code == 2
    assert release("report", VERSION, "--all", cwd=tale.clone.path).code == 2
    assert release("report", VERSION, "-o", "-", "--json", cwd=tale.clone.path).code == 2
    assert release("report", "v2.7.0", cwd=tale.clone.path).code == 2


def test_words_of_others_stay_words() -> None:
    version = read(summary=EVIL, picks=[pick(subject=EVIL, reason=EVIL, author=EVIL)], images=[], committer=EVIL)
    yank = Yank(version=VERSION, reason=EVIL)
    html = release_page(told(version, yank=yank, unchecked=(EVIL,), diffs={B: [f"+{EVIL}"]}))
    assert "<script" not in html
    assert Page(html).text.count(EVIL) >= 7
    assert is_ours(html)
    line = Page(line_page(Line(branch=EVIL, records=(version,), yanks={VERSION: yank}, without=(EVIL,))))
    assert line.text.count(EVIL) >= 5


def test_what_moved_and_what_did_not() -> None:
    """A layer that the version before has is not marked; the bytes are those that were measured."""
    old, new = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    delta = {"previous": "v2.7.0", "size": 20480, "layers": 1, "unknown": ""}
    version = read(images=[image(layers=[old, new], delta=delta)])
    before = read(version="v2.7.0", tag={"name": "v2.7.0", "object": B}, images=[image(layers=[old])])
    html = release_page(told(version, before=before))
    page = Page(html)
    assert f'<li class="new">+ {"2" * 12}</li>' in html
    assert f"<li>{'1' * 12}</li>" in html
    assert "pulls 20.0 KiB in 1 layer." in " ".join(page.text.split())
    assert "3 labels" in page.text
    assert "Promoted from v2.7.1-rc.1" in page.text


def test_signatures_and_what_is_inside() -> None:
    """Passed, failed and not checked are told apart by sign; of packages what changed, else that nothing did."""
    states = zip("abc", (CheckState.PASSED, CheckState.FAILED, CheckState.SKIPPED), strict=True)
    checks = tuple(CheckResult(name=f"signature: {name}", state=state, message=EVIL) for name, state in states)
    old, new = bill(version="v2.7.0", patch=b""), bill()
    version = read(previous="v2.7.0")
    before = read(version="v2.7.0", tag={"name": "v2.7.0", "object": B})
    contents = ChangedContents(images=((new, changes(old, new)), (new, ())))
    page = Page(release_page(told(version, before=before, signatures=checks, contents=contents)))
    text = " ".join(page.text.split())
    assert [f"{mark}{name}: {EVIL}" in text for mark, name in zip("✓!?", "abc", strict=True)] == [True] * 3
    assert "1 not as in v2.7.0 packagebeforeafterpatches torch pypi2.7.02.7.0+torch-2.7.0/0001-close.patch" in text
    assert "4 Python and 2 Debian packages; 1 CUDA libraries; 1 patched. The same as in v2.7.0." in text
    assert {"signatures", "contents"} <= set(page.ids)
    lacking = Page(release_page(told(version, contents=ChangedContents(lacks=EVIL))))
    assert f"Not read: {EVIL}" in lacking.text


def hundreds(number: int = 300, *, lines: int = 100) -> str:
    """The page of so many picks; of ten one was resolved, and one is there already."""
    states = [*["clean"] * 8, "adapted", "duplicate"]
    picks = [
        pick(source=f"{each:040x}", result=f"{each + 1000:040x}", subject=f"fix: it {each}", state=states[each % 10])
        for each in range(number)
    ]
    diffs = {each["result"]: ["+x"] * lines for each in picks}
    return release_page(told(read(picks=picks, images=[image(reference=LONG_NAME)]), diffs=diffs))


@pytest.mark.wide
def test_three_hundred_picks_are_counted_and_folded() -> None:
    """A row a fix; what there is to read of it opens, and so do the lists of what is not clean."""
    html = hundreds()
    page = Page(html)
    assert sum(each.startswith("pick-") for each in page.ids) == 300
    assert "300 picks: 240 clean, 30 adapted, 30 duplicate; 1 more skipped." in page.text
    assert {"#pick-9", "#pick-10", "#picks", "#images"} <= set(page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert html.count("<summary>fix: it ") == 300
    assert "<details open" not in html
    assert "<summary>fix: it " not in hundreds(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_of_text_can_be_read(scheme: str) -> None:
    """WCAG 2.1, 1.4.3: at least 4.5:1 for text, on each ground; 1.4.11: 3:1 for the bars."""
    light, _, dark = style().partition("prefers-color-scheme:dark")
    colours = dict(re.findall(r"--(\w+):(#\w+)", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--(\w+):(#\w+)", dark.partition("}}")[0]))
    for ground in ("ground", "panel"):
        for ink in ("ink", "soft", "link", "good", "bad", "note"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, f"{ink} on {ground}"
    assert contrast(colours["bar"], colours["ground"]) >= 3
    assert contrast("#000", "#ffffff") == pytest.approx(21)


def style() -> str:
    return release_page(told(read())).partition("<style>")[2].partition("</style>")[0]


def contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio"""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)

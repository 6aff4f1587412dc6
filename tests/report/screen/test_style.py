"""Lines on a terminal: they fit, lose nothing, and say without colours what they say with them."""

from __future__ import annotations

import re

import pytest

from orchestrator.report.screen.style import BAD, CARE, GOOD, QUIET, TODO, painted, wrapped

LONG = (
    "error: release.yaml:8:9: the registry answered that the tag v2.7.1 is there already as another image, which this "
    "release has not made: somebody else has pushed it since the plan was made, or an earlier run under another "
    "name; nothing is pushed over it [tag-taken]"
)
PICK = "  +  aa902c394f1c clean      fix(dataloader): stop the worker when a batch loop ends early  -> 662c66f97984"


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("line", [LONG, PICK])
def test_a_long_line_fits_and_loses_no_word(line: str, width: int) -> None:
    shown = wrapped(line, width)
    assert max(map(len, shown.split("\n"))) <= width
    assert shown.split() == line.split()


def test_the_text_of_a_row_stays_in_its_column() -> None:
    first, second = wrapped(PICK, 80).split("\n")
    assert second == f"{' ' * first.index('fix(')}ends early  -> 662c66f97984"


def test_what_is_to_be_copied_is_broken_by_nobody() -> None:
    command = "release yank v2.7.1 --back-to v2.7.0 --reason 'a data loader that leaks one thread for every epoch'"
    shown = wrapped(f"  do: look at what the registry has under that name, then {command}", 80)
    assert command in shown.split("\n")[1]
    assert wrapped(f"      {command}", 80) == f"      {command}"
    digest = f"  image   registry.example.com/pytorch-cuda:v2.7.1@sha256:{'a' * 64}"
    assert wrapped(digest, 80).split() == digest.split()
    snippet = f"         - commit: aa902c394f1c  # {'because ' * 12}"
    assert wrapped(snippet, 80) == snippet


@pytest.mark.parametrize(
    ("line", "style", "words"),
    [
        (LONG, BAD, ["error:"]),
        (PICK, GOOD, ["+", "clean"]),
        ("  !  aa902c394f1c conflict   fix: x", BAD, ["!", "conflict"]),
        ("  ~  aa902c394f1c adapted    fix: x", CARE, ["~", "adapted"]),
        ("  =  aa902c394f1c duplicate  fix: x", QUIET, ["=", "duplicate"]),
        ("    + 662c66f97984 proved         fix: x", GOOD, ["+", "proved"]),
        ("ok       git: 2.39.5", GOOD, ["ok"]),
        ("skipped  records: a dry run", CARE, ["skipped"]),
        ("FAILED   disk: full", BAD, ["FAILED"]),
        ("  do: release continue v2.7.1", TODO, ["do: release continue v2.7.1"]),
        ("  or: release abort v2.7.1", TODO, ["or: release abort v2.7.1"]),
        ("           git add -- x.py", TODO, ["git add -- x.py"]),
        ("  next     release abort v2.7.1", TODO, ["next     release abort v2.7.1"]),
        ("v2.7.1 is released", GOOD, ["v2.7.1 is released"]),
        ("a word like error: in the middle", "", []),
    ],
)
def test_a_colour_is_that_of_a_sign_or_word(line: str, style: str, words: list[str]) -> None:
    shown = painted(line)
    assert re.findall(r"\x1b\[([\d;]+)m(.*?)\x1b\[0m", shown) == [(style, word) for word in words]
    assert re.sub(r"\x1b\[[\d;]+m", "", shown) == line

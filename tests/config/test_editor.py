"""Fixes put into release.yaml: every byte that was there stays, and the reader sees old and new entries."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config.editor import UNFINISHED, FixEntry, insert, snippet
from orchestrator.config.reader import parse
from orchestrator.core.errors import UsageError
from tests.support.sample import examples

VERSION = "v2.7.1"
A, B, C = ("a" * 40, "b" * 40, "c" * 40)
HEAD = "version: 1\nbranch: release/v2.7\nsource: main\n"


def declared(text: bytes, version: str = VERSION) -> list[str]:
    entry = parse(text, "release.yaml").release(version)
    assert entry
    return [fix.declared for fix in entry.fixes]


def is_kept(old: bytes, new: bytes) -> bool:
    """Whether the new text is the old one with something added."""
    matcher = difflib.SequenceMatcher(None, old.splitlines(), new.splitlines(), autojunk=False)
    return all(kind in ("equal", "insert") for kind, *_ in matcher.get_opcodes())


def test_a_prerequisite_stands_directly_before_its_fix_and_above_its_comment() -> None:
    text = f"""{HEAD}releases:
  v2.7.1:  # soon
    fixes:
      - commit: {A}

      # the leak
      - commit: {B}   # found by mia
        reason: it leaks

image:
  repository: example.com/x
"""
    new = insert(
        text.encode(), VERSION, [FixEntry(commit=C, reason="needed by bbbb", subject="fix: first")], B
    ).decode()
    assert new == text.replace(
        "      # the leak", f"      - commit: {C}  # fix: first\n        reason: needed by bbbb\n      # the leak"
    )


def test_new_fixes_stand_at_the_end_behind_what_belongs_to_the_last() -> None:
    text = (
        f"{HEAD}releases:\n  v2.7.1:\n    fixes:\n    - commit: {A}\n      # of a\n    # - commit: gone\nverify: [x]\n"
    )
    new = insert(text.encode(), VERSION, [FixEntry(commit=B)]).decode()
    assert new == text.replace("      # of a\n", f"      # of a\n    - commit: {B}\n")


@pytest.mark.parametrize(
    "tail",
    [
        "",  # no releases yet
        "releases:\n",
        "releases: {}  # none\n",
        "releases:\n  v2.7.1:\n    fixes: []  # to be filled\n",
        "releases:\n  v2.7.1:\n    fixes:\n    summary: s\n",
        f"releases:\n  v2.7.0:\n    fixes:\n    - commit: {A}\n",
        f"releases:\n  v2.7.0:\n    fixes:\n      - commit: {A}",  # no line end
        f"releases:\n    v2.7.0:\n        fixes:\n            -\n              # why\n              commit: {A}\n...\n",
        f"releases:\n  v2.7.1:\n    fixes:\n      -   commit: {A}\n          reason: |\n            a word\n\n\n",
        f"releases:\n  v2.7.1:\n    fixes:\n      - &x {{commit: {A}}}\n  v2.7.2:\n    fixes:\n      - *x\n",
    ],
)
def test_shapes_that_can_be_added_to(tail: str) -> None:
    for text in ((HEAD + tail).encode(), (HEAD + tail).replace("\n", "\r\n").encode()):
        new = insert(text, VERSION, [FixEntry(commit=B), FixEntry(commit=C, reason="it's: needed")])
        assert declared(new)[-2:] == [B, C]
        assert (b"\r\n" in new) == (b"\r\n" in text)
        assert new.count(b"\n") == new.count(b"\r\n") or b"\r\n" not in text
        bare = text.replace(b" []", b"").replace(b" {}", b"")  # what stood for nothing
        assert is_kept(bare, new)


def test_where_the_newest_release_stands_first_a_new_one_does_too() -> None:
    old = f"  v2.7.1:\n    fixes:\n      - commit: {A}\n  v2.7.0:\n    fixes:\n      - commit: {B}\n"
    new = insert(f"{HEAD}releases:\n{old}".encode(), "v2.7.2", [FixEntry(commit=C)]).decode()
    assert new == f"{HEAD}releases:\n  v2.7.2:\n    fixes:\n      - commit: {C}\n{old}"


@pytest.mark.parametrize(
    "releases",
    [
        f"{{v2.7.1: {{fixes: [{{commit: {A}}}]}}}}",
        f"\n  v2.7.1: {{fixes: [{{commit: {A}}}]}}",
        f"\n  v2.7.1:\n    fixes: [{{commit: {A}}}]",
        f"\n  v2.7.1:\n    fixes: [\n      commit: {A}]",
        f"\n  v2.7.0:\n    fixes: &all\n      - commit: {A}\n  v2.7.1:\n    fixes: *all",
    ],
)
def test_what_has_no_line_to_add_to_is_refused_with_its_place(releases: str) -> None:
    with pytest.raises(UsageError) as caught:
        insert(f"{HEAD}releases: {releases}\n".encode(), VERSION, [FixEntry(commit=B)])
    assert caught.value.code == "cannot-edit"
    assert caught.value.where.startswith("release.yaml:")
    assert "\n" not in caught.value.message


def test_an_edit_that_would_change_another_release_is_refused() -> None:
    text = f"{HEAD}releases:\n  v2.7.1:\n    fixes: &all\n      - commit: {A}\n  v2.7.2:\n    fixes: *all\n"
    with pytest.raises(UsageError, match="without changing something else"):
        insert(text.encode(), VERSION, [FixEntry(commit=B)])


@pytest.mark.parametrize(
    ("version", "entry", "before"),
    [(VERSION, A, None), (VERSION, B, "elsewhere"), ("2.7.1", B, None), ("v2.7", B, None)],
    ids=["declared already", "no such fix", "other spelling", "no version"],
)
def test_an_edit_that_would_make_the_file_wrong_is_refused(version: str, entry: str, before: str | None) -> None:
    text = f"{HEAD}releases:\n  v2.7.1:\n    fixes:\n      - commit: {A}\n".encode()
    with pytest.raises(UsageError) as caught:
        insert(text, version, [FixEntry(commit=entry)], before)
    assert caught.value.code == "cannot-edit"


@settings(max_examples=examples(60), deadline=None)
@given(reason=st.text(max_size=30), subject=st.text(max_size=30))
def test_any_words_can_stand_in_an_entry(reason: str, subject: str) -> None:
    """Subjects and reasons come from commits: whatever they hold, the file stays readable and says the same."""
    text = f"{HEAD}releases:\n".encode()
    new = insert(text, VERSION, [FixEntry(commit=A, reason=reason, subject=subject)])
    assert declared(new) == [A]
    assert is_kept(text, new)


NOISE = st.sampled_from(["", "# a", "      # b", "        # c", "    # d", "   "])


@settings(max_examples=examples(60), deadline=None)
@given(
    noise=st.lists(st.lists(NOISE, max_size=3), min_size=4, max_size=4),
    indent=st.sampled_from([4, 6, 9]),
    gap=st.sampled_from([" ", "   "]),
    end=st.sampled_from(["\n", "\r\n"]),
    before=st.sampled_from([A, B, None]),
)
def test_every_old_byte_stays_in_its_order(
    noise: list[list[str]], indent: int, gap: str, end: str, before: str | None
) -> None:
    pad, some = " " * indent, ["".join(f"{line}\n" for line in lines) for lines in noise]
    text = (
        f"{HEAD}{some[0]}releases:\n  v2.7.1:\n{some[1]}    fixes:\n{some[2]}{pad}-{gap}commit: {A}\n{some[3]}"
        f"{pad}-{gap}commit: {B}\n{some[1]}  v2.7.2:\n    fixes:\n      - commit: {A}\n{some[0]}"
    )
    old = text.replace("\n", end).encode()
    new = insert(old, VERSION, [FixEntry(commit=C, reason="why")], before)
    wanted = [A, B]
    wanted.insert(wanted.index(before) if before else 2, C)
    assert declared(new) == wanted
    assert is_kept(old, new)
    assert declared(new, "v2.7.2") == [A]


def test_an_unfinished_list_is_forgiven_only_where_it_is_asked_for() -> None:
    text = f"{HEAD}releases:\n  v2.7.1:\n    fixes: []\n".encode()
    assert parse(text, "release.yaml", forgive=UNFINISHED).releases[0].fixes == ()
    with pytest.raises(UsageError):
        parse(text, "release.yaml")


def test_a_snippet_is_what_an_edit_writes() -> None:
    entries = [FixEntry(commit=A, reason="yes", subject="fix: a"), FixEntry(commit=B)]
    text = f"{HEAD}releases:\n  v2.7.1:\n    fixes:\n      - commit: {C}\n"
    assert insert(text.encode(), VERSION, entries).decode() == text + snippet(entries, 6)
    assert "reason: 'yes'" in snippet(entries, 0)

"""Pages on a forge, told from remotes' URLs; and the changelog's order and escaping."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator.core.commit_message import breaks, conventional
from orchestrator.core.pick import Pick, PickState
from orchestrator.core.remote_url import (
    commit_page,
    compare_page,
    is_public,
    listed_remotes,
    page_of,
    read_remote,
    source_url,
    without_login,
)
from orchestrator.plan.changelog import grouped, markdown, section
from tests.support.sample import examples


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://github.com/org/image.git", "https://github.com/org/image"),
        ("https://github.com/org/image/", "https://github.com/org/image"),
        ("https://bob:hunter2@gitlab.com/a/b/c.git", "https://gitlab.com/a/b/c"),
        ("git@github.com:org/image.git", "https://github.com/org/image"),
        ("ssh://git@gitlab.example.com:2222/org/image.git", "https://gitlab.example.com/org/image"),
        ("git@GitHub.com:org/image", "https://github.com/org/image"),
        ("https://codeberg.org/org/image", "https://codeberg.org/org/image"),
        ("https://example.com/org/image.git", ""),
        ("https://notgithub.com/org/image", ""),
        ("https://github.com.evil.example/x", ""),
        ("https://github.com/org", ""),
        ("https://github.com/org/image?x=<b>", ""),
        ("git@work:org/image.git", ""),
        ("/srv/github.com/org/image.git", ""),
        ("file:///srv/github.com/a/b", ""),
        ("", ""),
    ],
)
def test_the_page_of_a_remote(url: str, page: str) -> None:
    assert page_of(url) == page


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://a:b@Example.com:8443/o/p.git", ("https", "example.com", "8443", "o/p")),
        ("ssh://git@example.com:2222/o/p.git", ("ssh", "example.com", "2222", "o/p")),
        ("git+ssh://git@example.com/o/p", ("git+ssh", "example.com", "", "o/p")),
        ("git://example.com/p", ("git", "example.com", "", "p")),
        ("http://[::1]:3000/o/p", ("http", "[::1]", "3000", "o/p")),
        ("git@example.com:o/p.git", ("ssh", "example.com", "", "o/p")),
        ("example.com:o/p", ("ssh", "example.com", "", "o/p")),
        ("https://example.com", ("https", "example.com", "", "")),
        ("/srv/git/p.git", None),
        ("../p", None),
        ("file:///srv/git/p", None),
        ("https://[bad/a/b", None),
        ("example.com:with blank", None),
        ("", None),
    ],
)
def test_an_address_is_read_by_one_grammar(url: str, read: tuple[str, str, str, str] | None) -> None:
    found = read_remote(url)
    assert (found and (found.scheme, found.host, found.port, found.name)) == read


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("git@example.com:/srv/o/p.git", "https://example.com/srv/o/p"),
        ("ssh://git@example.com:2222/o/p.git", "https://example.com/o/p"),
        ("http://u:p@example.com:3000/o/p", "http://example.com:3000/o/p"),
        ("https://example.com/o/p?x", ""),
        ("https://example.com/", ""),
        ("/srv/o/p", ""),
    ],
)
def test_the_source_of_an_image(url: str, source: str) -> None:
    assert source_url(url) == source


def test_what_says_something_to_others() -> None:
    said = {"https://h/p": True, "git@h:p": True, "C:/p": False, "/srv/p": False, "work:p": False}
    assert {each: is_public(each) for each in said} == said


def test_no_login_is_left_in_a_text() -> None:
    text = "fatal: 'https://u:p@ss@h/x' and ssh://git@h/y: a@b"
    assert without_login(text) == "fatal: 'https://h/x' and ssh://h/y: a@b"


def test_pages_by_forge() -> None:
    assert commit_page("https://github.com/o/p", "abc") == "https://github.com/o/p/commit/abc"
    assert commit_page("https://gitlab.com/o/p", "abc") == "https://gitlab.com/o/p/-/commit/abc"
    assert commit_page("https://bitbucket.org/o/p", "abc") == "https://bitbucket.org/o/p/commits/abc"
    assert compare_page("https://gitlab.com/o/p", "v1", "v2") == "https://gitlab.com/o/p/-/compare/v1...v2"


def pick(message: str, **values: object) -> Pick:
    subject = message.partition("\n")[0]
    return Pick(
        source="a" * 40,
        subject=subject,
        state=PickState.CLEAN,
        type=conventional(subject).type,
        breaking=breaks(message),
        **values,  # type: ignore[arg-type]  # kinds
    )


def test_groups_come_in_a_fixed_order_and_what_breaks_first() -> None:
    picks = [
        pick(text) for text in ("chore: z", "docs: d", "perf: p", "fix: a", "feat: f", 'Revert "fix: b"', "feat!: g")
    ]
    titles = [title for title, _ in grouped(picks)]
    assert titles == [
        "Breaking changes", "Features", "Fixes", "Performance", "Reverts", "Documentation", "Other changes",
    ]  # fmt: skip
    assert sum(len(members) for _, members in grouped(picks)) == len(picks)
    assert titles == [title for title, _ in grouped(picks[::-1])]
    assert grouped([pick("fix: a"), Pick(source="b" * 40, subject="fix: b", state=PickState.EMPTY)])[0][1] == [picks[3]]


def test_a_section_tells_scope_reason_link_and_approvals() -> None:
    told = pick("fix(a)!: b\n\nBREAKING CHANGE: c\n", reason="d", approved_by=("x", "y"))
    name = "`aaaaaaaaaaaa`"
    text = section("v1.0.1", "s", [told], "https://github.com/o/p")
    link = f"[{name}](https://github.com/o/p/commit/{'a' * 40})"
    assert text == f"## v1.0.1\n\ns\n\n### Breaking changes\n\n- **a:** b: c — d ({link}; approved by x, y)\n"
    assert f"({name}; approved by x, y)" in section("v1.0.1", "s", [told])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b *c*", "a_b *c*"),
        ("<img src=x>", "&lt;img src=x>"),
        ("![x](http://t)", "!\\[x\\](http://t)"),
        ("`a<b>[0]` <i>", "`a<b>[0]` &lt;i>"),
        ("a\\", "a\\\\"),
        ("thanks @mia and @org/team, a@b.c", "thanks `@mia` and `@org/team`, a@b.c"),
        ("`a`@mia`b`", "`a` `@mia` `b`"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("R&D &copy; \x1b[31m\u202e", "R&D &amp;copy;  \\[31m"),
        ("`` <b> `x`", "\\`\\` &lt;b> `x`"),
        ("a ` b", "a \\` b"),
    ],
)
def test_markdown_takes_no_html_and_no_links(text: str, expected: str) -> None:
    assert markdown(text) == expected


FOREIGN = st.lists(
    st.sampled_from([
        "`", "``", "<img src=x onerror=y>", "<!--", "[a](http://t)", "![", "\\", "@mia", " ", "a", "# ", "- ", "1. ",
        "***", "~~~", "> ", "&lt;", "=", "http", "\x1b", "\u2028", "<", ">", "|", "_", "1", ")",
    ]), max_size=12,
).map("".join)  # fmt: skip


@settings(max_examples=examples(100), deadline=None)
@given(scope=FOREIGN, text=FOREIGN, reason=FOREIGN, broken=FOREIGN)
@example(scope="`", text="`<img src=x>`", reason="", broken="")
@example(scope="", text="`` <img src=x> `", reason="", broken="")
@example(scope="", text="x ` y", reason="z `<img src=x>`", broken="")
@example(scope="_", text="", reason="", broken="`_@mia")
@example(scope="", text="~~~ x", reason="", broken="")
def test_a_commonmark_parser_sees_one_item_with_nothing_of_the_text_s_own(
    scope: str, text: str, reason: str, broken: str
) -> None:
    told = [
        Pick(source="a" * 40, subject=subject, state=PickState.CLEAN, reason=reason, breaking=broken, type="fix")
        for subject in (f"fix({scope}): {text}", "fix: next")
    ]
    tokens = MarkdownIt("commonmark").parse(section("v1.0.1", "", told))
    kinds = [token.type for token in tokens]
    assert kinds.count("list_item_open") == 2
    assert not {"html_block", "fence", "code_block", "hr", "blockquote_open", "ordered_list_open"} & set(kinds)
    assert (kinds.count("heading_open"), kinds.count("bullet_list_open")) == (2, 1)
    inline = [each for token in tokens for each in token.children or ()]
    assert not {"html_inline", "link_open", "image"} & {each.type for each in inline}
    assert not any(re.search(r"(?<![^\W_])@mia", each.content) for each in inline if each.type == "text")


def test_what_git_lists_of_remotes() -> None:
    lines = [
        "origin\thttps://h/x (fetch) [blob:none]",
        "origin\t/srv/a (b) [c]/x.git (push)",
        "origin\tssh://h/y (push)",
        "up stream\t/srv/with blank (fetch)",
        "none\t (push)",
    ]
    assert listed_remotes(lines) == {
        "origin": ("https://h/x", ["/srv/a (b) [c]/x.git", "ssh://h/y"]),
        "up stream": ("/srv/with blank", []),
        "none": ("", [""]),
    }

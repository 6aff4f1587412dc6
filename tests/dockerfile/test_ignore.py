"""`.dockerignore`, by the rules of the Dockerfile reference."""

from __future__ import annotations

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.dockerfile.ignore import ignore_filter


@pytest.mark.parametrize(
    ("patterns", "left_out", "kept"),
    [
        ("", [], ["a", ".dockerignore"]),
        ("a", ["a", "a/b/c"], ["b/a", "ab", "A"]),
        ("/a", ["a", "a/b"], ["b/a"]),
        ("a/", ["a", "a/b"], ["b/a"]),
        ("./a//b/../c", ["a/c", "a/c/d"], ["a/b", "a"]),
        ("*.log", ["x.log"], ["d/x.log", "x.logs", "xalog"]),
        ("*/*.log", ["d/x.log"], ["x.log", "d/e/x.log"]),
        ("**/*.log", ["x.log", "d/x.log", "d/e/x.log"], ["x.txt"]),
        ("**/node_modules", ["node_modules/x", "a/b/node_modules/x/y"], ["a/node_modules2/x"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["z", "a/y"]),
        ("a/**", ["a/b", "a/b/c"], ["b", "ab"]),
        ("**", ["a", "a/b"], []),
        ("temp?", ["tempa", "tempb/x"], ["temp", "tempab"]),
        ("te?t", ["test"], ["te/t"]),
        ("[a-c].txt", ["a.txt"], ["d.txt"]),
        ("[^a].txt", ["b.txt"], ["a.txt"]),
        ("a[", ["a["], ["a"]),
        (r"\*.txt", ["*.txt"], ["a.txt"]),
        ("a$b+(c)", ["a$b+(c)"], ["ab"]),
        ("*\n!keep", ["x", "d/keep"], ["keep", "keep/all/of/it"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["a.md", "README-secret.md"], ["README.md"]),
        ("*.md\nREADME-secret.md\n!README*.md", ["a.md"], ["README-secret.md"]),
        ("d\n!d/keep", ["d/x"], ["d/keep", "d/keep/y"]),
        ("!a\na", ["a"], []),
        ("# a\n\n   \n  b  \r\n! c", ["b"], ["a", "# a", "c"]),
        ("  # a", ["# a"], ["a"]),
        (".", [], ["a"]),
        ("\ufeffa", ["a"], []),
    ],
)
def test_rules(patterns: str, left_out: list[str], kept: list[str]) -> None:
    ignored = ignore_filter(patterns)
    assert [path for path in left_out if not ignored(path)] == []
    assert [path for path in kept if ignored(path)] == []


def test_a_lone_exclamation_mark_is_refused_with_its_line() -> None:
    with pytest.raises(UsageError, match="includes nothing again") as caught:
        ignore_filter("a\n!\n")
    assert caught.value.where == ".dockerignore:2"

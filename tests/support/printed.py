"""Every command that the program tells people to type, collected from its source; and who has typed it.

A command is named by its module and what is fixed of it: `session/branch_state.py: git push {} {}`.  A test says with
`types` which ones it types; when it has run, what it typed (`remedies.typed`) must hold them.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import remedies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SOURCE = Path(__file__).parents[2] / "orchestrator"
TYPED_BY: dict[str, list[str]] = {}  # command -> the tests that say to type it

_GIT = (
    "add rm fetch push tag config remote show log ls-remote fsck cat-file reset restore submodule lfs range-diff pull "
    "cherry-pick notes commit update-index check-attr for-each-ref merge-file worktree clone merge"
)
_RELEASE = (
    "init check doctor schema plan declare candidates cut status continue skip abort build smoke publish promote audit "
    "verify show log notes yank duplicates rebuild hook ci protect patch announce prune"
)
_BEGIN = re.compile(
    rf"(?<![\w./-])(?:git (?:-[Cc] \S+ )*(?:{'|'.join(_GIT.split())})|release (?:{'|'.join(_RELEASE.split())})|"
    r"docker (?:pull|login|run|context|system)|cd|rm|ssh-add|pip install)(?= |$|[`,;:)])"
)
# A word of a command: a hole, an option, a placeholder, a quoted text, a path or ref, or one of git's own words.
_WORD = re.compile(
    r" (?:&& git [\w-]+|&& release \w+|\S*\{\}\S*|-[\w=.-]+|[A-Z][A-Z_]+\S*|\"[^\"]*\"|'[^']*'|FETCH_HEAD|"
    r"(?:tag|origin|install|import|init|run|get-url|set-url|add|true|false|tag\.gpgSign|commit\.gpgSign|v2\.7\.[01]|signing-try|"
    r"user\.\w+|you@\S+|safe\.directory|release\.\w+|ls|df|prune|fetch|update|paramiko|audit|add|merge)(?=[ ,;:)`]|$))"
)
_NOT_PRINTED = ("forges/pipelines/", "config/template.py")  # files that are written, tried in tests/forges


def commands() -> dict[str, list[str]]:
    """Each command -> the lines of its module that print it."""
    found: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        module = path.relative_to(SOURCE).as_posix()
        if module.startswith(_NOT_PRINTED):
            continue
        for line, text in _texts(ast.parse(path.read_text())):
            for command in of_text(text):
                found.setdefault(f"{module}: {command}", []).append(f"{module}:{line}")
    return found


def of_text(text: str) -> Iterator[str]:
    """What is fixed of the commands in a text; `{}` stands for what is put in."""
    at = 0
    while begin := _BEGIN.search(text, at):
        at = begin.end()
        while more := _WORD.match(text, at):
            at = more.end()
            if text[at - 1] in ",;:)" or text[at : at + 1] in ",;:)":
                break
        yield text[begin.start() : at].rstrip(",;:)`.")


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every string that is no docstring; neighbouring parts and `+` are one."""
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            inner.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            inner |= {id(each) for each in ast.walk(node) if isinstance(each, ast.Constant)}
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = (str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def types(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """This test types these commands, as they were printed; where it did not, it fails."""

    def claimed(test: Callable[..., None]) -> Callable[..., None]:
        claim(names, test.__name__)

        @functools.wraps(test)
        def checked(*args: Any, **kwargs: Any) -> None:
            remedies.TYPED.clear()
            test(*args, **kwargs)
            must_be_typed(names)

        return checked

    return claimed


def claim(names: Iterable[str], test: str) -> None:
    """Say that a test types these commands; it calls `must_be_typed` at its end."""
    for name in names:
        TYPED_BY.setdefault(name, []).append(test)


def must_be_typed(names: Iterable[str]) -> None:
    """Fails where one of the commands is not among the lines that were typed."""
    for name in names:
        assert any(_is_one(command, name) for command in remedies.TYPED), f"not typed: {name}"


def _is_one(command: str, name: str) -> bool:
    fixed = [re.escape(part) for part in re.split(r"\{\}|[A-Z]{3,}(?![_a-z])|\"\.\.\.\"", name.partition(": ")[2])]
    return re.search(r"\S*?.*?".join(fixed), command) is not None

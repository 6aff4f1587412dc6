"""Every command that the program prints is typed by a test, or stands here with the reason why none types it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from tests.support.printed import TYPED_BY, commands, of_text

HERE = Path(__file__).parent
TYPISTS = ("test_every_state", "test_printed_commands", "test_printed_ways", "test_ways_out")

# A pattern of commands -> why no scenario types them.
NOT_TYPED = {
    # a person's secret, or a program that is not everywhere
    r".*: docker login": "asks for a person's password",
    r".*: git lfs fetch --all": "git-lfs is not on every machine",
    r".*: pip install.*": "changes the Python that runs the tests",
    r"audit/snapshot.py: git fetch --force \{\} \{\}": "tests/audit/test_branch.py types it",
    r"release/confirm.py: .*": "asks in a terminal: tests/release/test_confirm.py answers it there",
    # an engine, a registry, a forge: the tests of those tiers
    r"(engines|image|registry|thin)/.*": "an engine or a registry, or about a Dockerfile: tests/docker, tests/image",
    r"release/doctor.py: .*|report/notes.py: .*": "an engine: tests/docker",
    r"audit/(links|rebuild).py: release (publish|rebuild|status).*": "a registry: tests/docker/test_audit_image.py",
    r"forges/.*": "a forge: tests/forges",
    # no remedy
    r"(config|core)/.*: git remote.*": "a word of a sentence",
    r"(git/repository|git/worktree).py: git (remote \{\}|merge-file).*": "a message, or what git itself runs",
    r".*: cd": "a sentence: which directory only the person knows",
    r"report/markdown.py: .*": "a mark in a file",
    r"cli/.*": "help, and what is said at a start or end: the commands themselves are typed elsewhere",
    # they show something, and change nothing
    r".*: git (show|fsck|cat-file|range-diff|ls-remote|log|tag --list|for-each-ref|remote get-url|check-attr)\b.*":
        "shows something and changes nothing",
    r"(core|release|audit)/.*: release (show|verify) \{\}": "shows something and changes nothing",
    r"git/push.py: git fetch \{\} \{\} && git cat-file.*": "shows something and changes nothing",
    # what a server or a hook says to who pushed by hand
    r"guard/.*": "a sentence that names the command which makes it; `release cut` is typed by test_printed_ways",
}  # fmt: skip

# Commands that no scenario types yet.  This list only gets shorter.
OPEN = {
    "git/push.py: git fetch {} {} && git log FETCH_HEAD",
    "landing/forms.py: release abort {}",
    "landing/forms.py: release check",
    "landing/forms.py: release cut {}",
    "landing/request.py: git fetch {} {} && git log {}..FETCH_HEAD",
    "landing/request.py: release abort {}",
    "landing/request.py: release abort {} && release cut {}",
    "landing/request.py: release cut {}",
    "release/landing.py: git push {} :refs/heads/{}",
    "release/landing.py: release abort {}",
    "release/landing.py: release check",
    "release/landing.py: release cut {}",
    "release/publish.py: release cut {} --pull-request",
    "release/publish.py: release publish {} --platform {}",
    "release/steps/join.py: release cut {}",
    "release/steps/join.py: release publish {} --platform {}",
    "release/steps/land.py: git push {} :refs/heads/{}",
    "picks/classify.py: release abort",
    "plan/remake.py: release cut",
    "session/state.py: release cut {}",
    "audit/tags.py: release cut",
    "audit/tags.py: git config tag.gpgSign true",
    "git/content.py: git add -- {}",
    "git/push.py: git fetch {} tag {}",
    "git/push.py: release status",
    "git/worktree.py: git update-index --force-remove -- {}",
    "picks/candidates.py: release plan",
    "picks/classify.py: release cut",
    "plan/document.py: release publish {}",
    "plan/picker.py: release plan --write",
    "plan/picker.py: release cut",
    "release/cut.py: release plan --write",
    "release/cut.py: git add --update",
    "release/declare.py: release plan",
    "release/promotion.py: git fetch {} refs/tags/{} && git show FETCH_HEAD",
    "release/publish.py: git fetch --force {} tag {} tag {}",
    "release/status.py: release plan {}",
    "release/steps/land.py: release cut {}",
    "release/steps/land.py: release abort {}",
    "release/yank.py: release yank {}",
    "report/audit.py: release cut",
    "report/audit.py: release audit",
}


def test_every_printed_command_is_typed_or_excused() -> None:
    for name in TYPISTS:
        importlib.import_module(f"tests.scenarios.{name}")
    printed = commands()
    excused = {each for each in printed if any(re.fullmatch(pattern, each) for pattern in NOT_TYPED)}
    assert sorted(printed.keys() - TYPED_BY.keys() - excused - OPEN) == []
    assert sorted(TYPED_BY.keys() - printed.keys()) == []  # nobody claims what is not printed any more
    assert sorted(OPEN & TYPED_BY.keys() | OPEN - printed.keys()) == []
    assert [each for each in NOT_TYPED if not any(re.fullmatch(each, name) for name in printed)] == []


def test_all_files_with_typists_are_read() -> None:
    found = {path.stem for path in HERE.glob("*.py") if "support.printed import" in path.read_text()}
    assert found - {"test_printed_table"} == set(TYPISTS)


def test_a_command_is_found_in_its_sentence() -> None:
    text = "tag {} is here only: git push {} refs/tags/{}, or: git tag -d {}; see `release show {}` (done)"
    assert list(of_text(text)) == ["git push {} refs/tags/{}", "git tag -d {}", "release show {}"]

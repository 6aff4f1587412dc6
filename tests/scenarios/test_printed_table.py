"""Every command that the program prints is typed by a test, or stands here with the reason why none types it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from tests.support.printed import TYPED_BY, commands, of_text

TESTS = Path(__file__).parents[1]
TYPISTS = [path for path in sorted(TESTS.rglob("test_*.py")) if "support.printed import" in path.read_text()]

# A pattern of commands -> why no test types them.
NOT_TYPED = {
    # a person's secret, a package, or a program that is not everywhere
    r".*: docker login.*": "asks for a person's password",
    r"audit/snapshot.py: git fetch --force \{\} \{\}": "tests/audit/test_tags_and_records.py types it",
    r"(git/content|image/inputs).py: git lfs fetch --all": "git-lfs is not on every machine",
    r"(engines/failures|forges/ci|forges/failures).py: pip install.*": "changes the Python that runs the tests",
    r"image/builders.py: ssh-add": "the agent and the key of git/signing, which are typed",
    r"release/confirm.py: release cut -i \{\}": "asks in a terminal: tests/release/test_confirm.py answers it there",
    # an engine, a registry, several machines: what leads out is tried in the tier that has them
    r"engines/(contexts|failures).py: docker (context ls|system df)": "shows something and changes nothing",
    r"engines/failures.py: docker system prune": "empties the engine that all tests share",
    r"(engines/refusals|image/smoke|release/setup/doctor|report/notes).py: docker pull.*": "an engine: tests/docker",
    r"engines/failures.py: release doctor --image REF": "an engine: tests/docker/test_doctor_image.py",
    r"image/contents.py: docker run --rm IMAGE": "an image that is wrong: tests/docker/test_contents.py",
    r"image/contents.py: release smoke IMAGE --gpus": "a GPU",
    r"report/registry.py: release prune --write": "a registry: tests/docker/test_prune.py",
    r"audit/links.py: release publish \{\}": "a registry: tests/docker/test_audit_image.py",
    r"audit/rebuild.py: release (rebuild \{\}|status)": "an engine: tests/docker/test_rebuild.py",
    r"release/(publish|steps/join).py: release (publish \{\} --platform \{\}|cut \{\})":
        "a job for each machine: tests/docker/test_platforms.py",
    r"(audit/links|release/(modes/building|setup/who_builds|status)|session/published|report/plan).py: release "
    "publish.*": "an engine: tests/docker/test_who_builds.py",
    r"(cli/options/__init__|config/image_keys).py: release (publish|check)": "the help: names another command",
    r"release/setup/who_builds.py: release ci init.*": "pipelines of forges: tests/forges/test_ci.py",
    # a forge that is hosted
    r"forges/protect.py: release protect --dry-run": "a hosted forge: tests/forges/test_protect.py",
    r"(forges/(ci|ci_init|protect)|release/setup/pipeline_checks|cli/status).py: release ci init.*":
        "pipelines of forges: tests/forges/test_ci.py",
    # repositories of others
    r"image/patch_import.py: git -C \{\} fetch.*": "a clone of PyTorch: tests/image/test_patch_import.py",
    r"report/scan.py: release patch import \{\} --repo PATH":
        "a clone of PyTorch: tests/image/test_patch_import.py",
    r"(image/inputs|image/patches|image/patchfile|thin/prepared).py: release patch import.*":
        "a clone of PyTorch: tests/image/test_patch_import.py",
    r"image/inputs.py: git submodule update --init --recursive -- \{\}":
        "git refuses submodules by path unless told otherwise: tests/image/test_context.py",
    # what a Dockerfile should say in place of something, and help: no remedy of a state
    r"engines/classic_dialect.py: (git (clone URL DIR && git -C DIR|update-index --chmod=)|pip install .*)":
        "a line for a Dockerfile",
    r"cli/(help|release|forge).py: .*": "the help: examples, and other names of commands",
    r"cli/start.py: .*": "tests/cli types what `release` alone prints",
    r"cli/exits.py: release status": "at an interruption; what it shows then is walked by test_every_state",
    r"cli/(audit|hook|plan).py: release (verify VERSION|hook run NAME|candidates --write VERSION)":
        "usage, with a word to fill in",
    r"guard/hook_install.py: release hook run": "a line for somebody's own hook",
    r"guard/push.py: git clone -b": "a word of a sentence",
    r"(config|core|cli)/.*: git remote.*": "a word of a sentence",
    r"(git/repository|git/worktree).py: git (remote \{\}|merge-file).*": "a message, or what git itself runs",
    r"(git/repository|guard/hook_install|session/session).py: cd": "a sentence: which directory only the person knows",
    r"report/markdown.py: release plan --": "a mark in a file",
    r"report/audit.py: release (audit|cut|check)": "the name of a tool in SARIF, and a word of a sentence",
    # they show something, and change nothing
    r".*: git (show|fsck|cat-file|range-diff|ls-remote|log|tag --list|for-each-ref|remote get-url|check-attr)\b.*":
        "shows something and changes nothing",
    r"release/setup/server.py: git push --dry-run.*": "changes nothing",
    r"(core|release|audit|session)/.*: release (show|verify) \{\}": "shows something and changes nothing",
    r"git/(records/)?push.py: git fetch \{\} \{\} && git (cat-file|log).*": "shows something and changes nothing",
    # another way to a command that is typed
    r"git/push.py: release status": "the second of two ways: test_every_state walks from what it shows",
    r"audit/tags.py: git config tag.gpgSign true": "the command of git/tags.py and guard/push.py, which are typed",
    r"release/declare.py: release plan": "only where a file cannot be written, which root always can",
}  # fmt: skip

# Commands that no test types yet.  This list only gets shorter.
OPEN = {"git/worktree.py: git add --update"}


def test_every_printed_command_is_typed_or_excused() -> None:
    for path in TYPISTS:
        importlib.import_module(".".join(path.relative_to(TESTS.parent).with_suffix("").parts))
    printed = commands()
    excused = {each for each in printed if any(re.fullmatch(pattern, each) for pattern in NOT_TYPED)}
    assert sorted(printed.keys() - TYPED_BY.keys() - excused - OPEN) == []
    assert sorted(TYPED_BY.keys() - printed.keys()) == []  # nobody claims what is not printed any more
    assert sorted(OPEN & TYPED_BY.keys() | OPEN - printed.keys()) == []
    assert [each for each in NOT_TYPED if not any(re.fullmatch(each, name) for name in printed)] == []


def test_a_command_is_found_in_its_sentence() -> None:
    text = "tag {} is here only: git push {} refs/tags/{}, or: git tag -d {}; see `release show {}` (done)"
    assert list(of_text(text)) == ["git push {} refs/tags/{}", "git tag -d {}", "release show {}"]

"""`release check` and `plan` say which command makes a lock that is missing, lacks a platform or is out of date."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from orchestrator.image.lock_sources import how_to_make, outdated, requirements_of
from orchestrator.image.pytorch_builds import read_lock
from tests.support.cli import release
from tests.support.story import fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

HASH = f"--hash=sha256:{'0' * 64}"
# Stands for a resolver: it writes what the requirements pin, with a hash.
MAKER = f"""\
in=${{1%-linux-*}}.in; mkdir -p "$1"
sed -n 's/\\(==[^ ]*\\).*/\\1 {HASH}/p' "$in" > "$1/torch.txt"
"""
IMAGE = """
image:
  repository: registry.example.com/team/image
  platforms: [linux/amd64, linux/arm64]
  lock: locks/cpu-{platform}
  lock-command: sh tools/lock {lock}
"""


def test_each_command_that_is_said_is_typed_until_nothing_is_missing(tale: Story) -> None:
    """Two platforms without a lock; then another version is wanted."""
    clone, folder = tale.clone, tale.clone.path
    tale.release_yaml(fix_line(tale.fix))
    for name, text in {
        "tools/lock": MAKER,
        "locks/cpu.in": "torch==2.7.0+cpu\n",
        "Dockerfile": "FROM scratch\n",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    config = folder / "release.yaml"
    config.write_text(config.read_text() + IMAGE)
    for code, wanted in (("no-lock", "2.7.0"), ("lock-outdated", "2.7.1")):
        (folder / "locks/cpu.in").write_text(f"torch=={wanted}+cpu  # from PyTorch's index\n")
        said = release("check", cwd=folder)
        assert said.code == 2, said.out + said.err
        lines = [line for line in (said.out + said.err).splitlines() if "sh tools/lock" in line]
        commands = [line[line.index("sh tools/lock") :].strip() for line in lines]
        assert [each.split()[:3] for each in commands] == [
            ["sh", "tools/lock", f"locks/cpu-linux-{machine}"] for machine in ("amd64", "arm64")
        ], said.err
        assert code in said.out + said.err
        planned = release("plan", "v2.7.1", "--offline", cwd=folder)
        assert (planned.code, "no-lock" in planned.err) == (2, True), "no fix has brought one to the branch"
        assert all(f"reached: {command}" in planned.err for command in commands), planned.err
        for command in commands:
            subprocess.run(command.split(), cwd=folder, check=True)
    assert "[lock-" not in release("check", cwd=folder).err
    assert clone.git("status", "--porcelain", "--", "locks")
    clone.git("add", "Dockerfile", "locks", "tools")
    clone.git("commit", "--quiet", "-m", "fix: torch 2.7.1")
    newer = clone.commit("fix: want another torch", {"locks/cpu.in": "torch==2.7.2+cpu\n"})
    for fixes, old in (([clone.rev("HEAD~1")], False), ([clone.rev("HEAD~1"), newer], True)):
        tale.release_yaml("\n".join(map(fix_line, fixes)))
        config.write_text(config.read_text() + IMAGE)
        planned = release("plan", "v2.7.1", "--offline", cwd=folder)
        assert ("[lock-outdated]" in planned.err, "[no-lock]" in planned.err) == (old, False), planned.err
        assert all(f"reached: {command}" in planned.err for command in commands if old), planned.err


def test_requirements_stand_beside_the_lock_of_any_platform() -> None:
    assert requirements_of("locks/cu128", "") == "locks/cu128.in"
    assert requirements_of("locks/cu128-linux-arm64", "linux/arm64") == "locks/cu128.in"
    assert requirements_of("locks/cu128.txt", "linux/amd64") == "locks/cu128.in"


def test_what_is_not_fulfilled_is_said_at_its_line() -> None:
    pins, _ = read_lock({"l.txt": f"torch==2.7.0 {HASH}\nnumpy==2.2.6 {HASH}\n".encode()})
    wanted = b"# what it holds\nTorch==2.7.1 ; python_version > '3'\nnumpy>=2\nscipy[all]\n-r other.in\n"
    found = list(outdated(wanted, "locks/x.in", pins, "make it"))
    assert [(each.where, each.message.partition(": ")[2]) for each in found] == [
        ("locks/x.in:2", "Torch==2.7.1 is wanted, and it has 2.7.0"),
        ("locks/x.in:4", "scipy is wanted, and it has none"),
    ]
    assert {(each.code, each.remedy) for each in found} == {("lock-outdated", "make it")}


def test_a_path_is_quoted_and_nothing_is_guessed() -> None:
    assert how_to_make("tools/lock {lock}", "my locks/x").endswith(": tools/lock 'my locks/x'")
    assert "image.lock-command" in how_to_make("", "locks/x")

"""The git side of the story: a bare remote, a clone, a fix between two pieces of unfinished work.

main            A (the image) ── B (release.yaml for v2.7.1)
release/v2.7    A                     <- v2.7.0
fix/dataloader-leak   A ── W1 (wip) ── F (the fix) ── W2 (wip)
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tools.demo.shell import DemoError, Shell

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILE = "images/pytorch-cuda/Dockerfile"
LIGHT = "demo"
# Variant -> what release.yaml asks of its image beyond the loader.
VARIANTS = {
    LIGHT: "",
    "cu126": """    - python -c 'import torch; assert torch.version.cuda == "12.6", torch.version.cuda'
    - python /opt/release/patches/torch-2.7.0/0001-dynamo-autocast-exception.py
""",
}
PATCHES = "images/pytorch-cuda/patches"
LOADER = "images/pytorch-cuda/trainkit/dataloader.py"

# The project's loader is right.  In the story v2.7.0 was published without these lines, and the worker of
# every loop that ends early waits for ever.
THE_FIX = (
    (
        """        try:
            yield from _drain(ready)
        finally:
            stopped.set()
            worker.join()
""",
        """        yield from _drain(ready)
""",
    ),
)

UNFINISHED = '''"""How many batches to prepare, from what the last steps cost.  Not ready: it never shrinks."""


def depth(wait: float, step: float) -> int:
    return max(4, round(wait / max(step, 1e-6)))
'''

WHO = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Dana Developer",
    "GIT_AUTHOR_EMAIL": "dana@example.com",
    "GIT_COMMITTER_NAME": "Dana Developer",
    "GIT_COMMITTER_EMAIL": "dana@example.com",
}

CONFIG = """version: 1
branch: release/v2.7
source: [main, fix/dataloader-leak]
releases:
  v2.7.1:
    summary: stop the data loader's worker when a batch loop ends early
    fixes:
      - commit: {fix}
        reason: jobs that stop early leak one thread for every epoch
{patch}image:
  repository: {repository}
  dockerfile: images/pytorch-cuda/Dockerfile
  heavy: heavy
  context: .
  patches: images/pytorch-cuda/patches
  build-args: {{BASE_IMAGE: "{base}", VARIANT: {variant}}}
  network: host
  floating: [v2.7]
  lock: images/pytorch-cuda/locks/{variant}
  delta-budget: 64KiB
  smoke:
    - python -c 'from trainkit.dataloader import Prefetcher as P; assert list(P(range(9))) == list(range(9))'
{smoke}"""


# With torch in the image, v2.7.1 brings a patch to it too.
THE_PATCH = """      - commit: {commit}
        reason: torch.compile stops at an exception that leaves autocast; upstream has it in 2.7.1
"""


@dataclass(frozen=True)
class Sandbox:
    """`shell` works in the clone; `fix` is the commit to ship."""

    shell: Shell
    fix: str


def make(folder: Path, repository: str, base: str, variant: str) -> Sandbox:
    """Everything up to the tag v2.7.0 and the edited release.yaml, all pushed."""
    work = clone(folder)
    start(work)
    fix = topic_branch(work)
    work.quiet("git", "checkout", "--quiet", "main")
    patch = "" if variant == LIGHT else THE_PATCH.format(commit=torch_patch(work)[:12])
    text = CONFIG.format(
        fix=fix[:12], patch=patch, repository=repository, base=base, variant=variant, smoke=VARIANTS[variant]
    )
    (work.folder / "release.yaml").write_text(text)
    commit(work, "chore: declare v2.7.1", day=8)
    work.quiet("git", "push", "--quiet", "origin", "main", "release/v2.7", "fix/dataloader-leak", "v2.7.0")
    return Sandbox(shell=work, fix=fix)


def clone(folder: Path) -> Shell:
    (folder / "gitconfig").write_text(
        "[user]\n\tname = Robin Releaser\n\temail = robin@example.com\n"
        "[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
    )
    environment = {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
    Shell(folder, environment).quiet("git", "init", "--quiet", "--bare", "remote.git")
    Shell(folder, environment).quiet("git", "clone", "--quiet", "remote.git", "work")
    return Shell(folder / "work", environment)


def start(work: Shell) -> None:
    """The image as v2.7.0 had it, on main and on the release branch."""
    source = PROJECT / "images" / "pytorch-cuda"
    ignore = shutil.ignore_patterns("__pycache__", "torch-*")  # v2.7.0 had no patches
    shutil.copytree(source, work.folder / "images" / "pytorch-cuda", ignore=ignore)
    edit(work, THE_FIX)
    commit(work, "feat: the training image", day=1)
    work.quiet("git", "branch", "release/v2.7")
    work.quiet(*("git", "tag", "--annotate", "v2.7.0", "--message", "v2.7.0", "release/v2.7"), more=stamp(day=2))


def topic_branch(work: Shell) -> str:
    """Three commits, of which the middle one is the fix; the answer is its id."""
    work.quiet("git", "checkout", "--quiet", "-b", "fix/dataloader-leak")
    (work.folder / LOADER).with_name("adaptive.py").write_text(UNFINISHED)
    commit(work, "wip: choose the depth from measured times", day=5)
    edit(work, tuple((wrong, right) for right, wrong in THE_FIX))
    fix = commit(work, "fix(dataloader): stop the worker when a batch loop ends early", day=6)
    edit(work, (("DEPTH = 4 ", "DEPTH = 64 "),))
    commit(work, "wip: try a much deeper queue", day=7)
    return fix


def torch_patch(work: Shell) -> str:
    """A commit on main that brings the project's patches to torch; the answer is its id."""
    for folder in (PROJECT / PATCHES).glob("torch-*"):
        shutil.copytree(folder, work.folder / PATCHES / folder.name)
    return commit(work, "fix(torch): an exception that leaves autocast stops torch.compile", day=7)


def edit(work: Shell, changes: tuple[tuple[str, str], ...]) -> None:
    """Replace each first text by the second in the data loader."""
    path = work.folder / LOADER
    text = path.read_text()
    for old, new in changes:
        if text.count(old) != 1:
            raise DemoError(f"{LOADER} has changed: the demo's story no longer finds {old!r} in it")
        text = text.replace(old, new)
    path.write_text(text)


def commit(work: Shell, subject: str, *, day: int) -> str:
    """Commit everything; the answer is the full id."""
    work.quiet("git", "add", "--all")
    work.quiet("git", "commit", "--quiet", "--message", subject, more=WHO | stamp(day))
    return work.quiet("git", "rev-parse", "HEAD")


def stamp(day: int) -> dict[str, str]:
    date = f"2025-06-{day:02}T12:00:00+00:00"
    return {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}

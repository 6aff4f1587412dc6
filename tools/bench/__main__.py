"""`python tools/bench`: ratios against plain git, measured in one run on one machine.

    planning N picks       `release plan` (a whole process), cache cold and warm, against a fresh worktree and
                           `git cherry-pick -x` one by one, and against one `git cherry-pick A B C...`; how much of it
                           is no work but Python's start, by `release schema`, which reads no repository
    duplicates             `release duplicates` of a long branch against `git cherry`, cold and warm, as a process and
                           without Python's start
    audit                  `release audit` of that branch: commits a second, cold and warm, and against the
                           patch-ids of the same commits by `git log -p | git patch-id`
    a guarded server       what a push of 50 picks waits for its hook
    prerequisites          of the conflicting fixes of a real history
    many picks             a plan of 1,000 picks against one of 100
    a finished release     `release cut` again, against `git ls-remote`
    help                   `--help` of each command, against `python -c "import typer"`

The repository is made by `git fast-import`: 5,000 files, 50,000 commits, a release branch in the middle.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # run by its path, it knows no package

from tests.replay import needing
from tools.clidoc import every_command

FILES, COMMITS, LINES = 5_000, 50_000, 60
EPOCH = 1_700_000_000


def git(repo: Path, *args: str, stdin: bytes | None = None) -> str:
    """Run git there; its output.  Fails loudly."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *args], cwd=repo, env=env, input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


def history(files: int, commits: int) -> bytes:
    """A fast-import stream: every commit changes one line of one file, files in turn, lines in turn."""
    texts = {n: [f"file {n} line {line}" for line in range(LINES)] for n in range(files)}
    out: list[str] = []

    def commit(branch: str, number: int, changed: range) -> None:
        message = f"fix: change {number}"
        out.append(f"commit refs/heads/{branch}\ncommitter B <b@example.com> {EPOCH + number} +0000")
        out.append(f"data {len(message)}\n{message}")
        for n in changed:
            text = "\n".join(texts[n]) + "\n"
            out.append(f"M 100644 inline dir{n % 100}/file{n}.txt\ndata {len(text)}\n{text}")

    commit("main", 0, range(files))
    for number in range(1, commits):
        n = number % files
        texts[n][(number // files * 7) % LINES] = f"changed by {number}"
        commit("main", number, range(n, n + 1))
        if number == commits - 2_000:
            out.append("reset refs/heads/release/v1.0\nfrom refs/heads/main\n")
    return ("\n".join(out) + "\n").encode()


def make(root: Path, files: int, commits: int) -> Path:
    """The repository and its bare remote; the clone is on main."""
    repo, remote = root / "clone", root / "remote.git"
    repo.mkdir()
    git(repo, "init", "--quiet", "--initial-branch=main")
    git(repo, "fast-import", "--quiet", stdin=history(files, commits))
    git(repo, "config", "user.name", "B")
    git(repo, "config", "user.email", "b@example.com")
    git(repo, "tag", "-a", "-m", "v1.0.0", "v1.0.0", "release/v1.0")
    git(repo, "reset", "--quiet", "--hard", "main")
    git(repo, "repack", "-adq")
    git(root, "clone", "--quiet", "--bare", str(repo), str(remote))
    git(repo, "remote", "add", "origin", str(remote))
    git(repo, "fetch", "--quiet", "origin")
    return repo


def seconds(work: Callable[[], object], times: int, before: Callable[[], object] = lambda: None) -> float:
    """Median wall time of `times` runs; `before` is not counted."""
    found = []
    for _ in range(times):
        before()
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def release(repo: Path, *args: str, allowed: tuple[int, ...] = (0,)) -> str:
    """A whole process, as installed: compiled modules are kept between runs."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *args], cwd=repo, env=env, capture_output=True, check=False
    )
    if done.returncode not in allowed:
        raise SystemExit(f"release {args}: {done.stderr.decode()}")
    return done.stdout.decode()


def declare(repo: Path, picks: list[str]) -> None:
    fixes = "".join(f"      - commit: {sha}\n" for sha in picks)
    text = f"version: 1\nbranch: release/v1.0\nsource: main\nreleases:\n  v1.0.1:\n    fixes:\n{fixes}"
    (repo / "release.yaml").write_text(text)


def cherry_pick(repo: Path, picks: list[str], *, one_by_one: bool) -> str:
    """Plain git in a fresh worktree; the tree that comes out."""
    with tempfile.TemporaryDirectory() as where:
        path = Path(where) / "worktree"
        git(repo, "worktree", "add", "--quiet", "--detach", str(path), "release/v1.0")
        try:
            for group in [[sha] for sha in picks] if one_by_one else [picks]:
                git(path, "cherry-pick", "-x", *group)
            return git(path, "rev-parse", "HEAD^{tree}")
        finally:
            git(repo, "worktree", "remove", "--force", str(path))


def processes(repo: Path) -> int:
    """How many git processes one plan starts, counted by git's own trace."""
    with tempfile.TemporaryDirectory() as where:
        os.environ["GIT_TRACE2_EVENT"] = where
        try:
            release(repo, "plan", "v1.0.1", "-q")
        finally:
            del os.environ["GIT_TRACE2_EVENT"]
        return sum(1 for path in Path(where).iterdir() if '"event":"start"' in path.read_text())


def main() -> int:
    """Print one line a measurement; with --check exit 1 when a ratio is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--commits", type=int, default=COMMITS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="fail when a ratio is over its limit")
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="release-bench-"))
    try:
        over = measure(make(root, args.files, args.commits), args.runs)
    finally:
        shutil.rmtree(root)
    return 1 if over and args.check else 0


def forget(repo: Path) -> None:
    """Make the cache cold."""
    shutil.rmtree(repo / ".git/release", ignore_errors=True)


def planning(repo: Path, available: list[str], runs: int) -> list[str]:
    """The table of plans; names of those over their limit."""
    print(
        f"{'planning':<10}{'git':>8}{'cold':>8}{'ratio':>7}{'warm':>8}{'ratio':>7}{'at once':>9}{'ratio':>7}  processes"
    )
    over = []
    start = seconds(lambda: release(repo, "schema"), runs)
    for number, limit in ((1, 1.0), (10, 0.3), (50, 0.6)):
        picks = available[3 :: len(available) // number][:number]
        declare(repo, picks)
        forget(repo)
        plan = json.loads(release(repo, "plan", "v1.0.1", "--json"))
        if plan["picked_tree"] != cherry_pick(repo, picks, one_by_one=True):
            raise SystemExit(f"{number} picks: the tree differs from plain git's")
        cold = seconds(lambda: release(repo, "plan", "v1.0.1", "-q"), runs, before=lambda: forget(repo))
        warm = seconds(lambda: release(repo, "plan", "v1.0.1", "-q"), runs)
        single = seconds(partial(cherry_pick, repo, picks, one_by_one=True), runs)
        together = seconds(partial(cherry_pick, repo, picks, one_by_one=False), runs)
        forget(repo)
        count = processes(repo)
        print(
            f"{number:>3} picks {single:>7.2f}s{cold:>7.2f}s{cold / single:>7.2f}{warm:>7.2f}s{warm / single:>7.2f}"
            f"{together:>8.2f}s{cold / together:>7.2f}  {count}, warm {processes(repo)}"
        )
        print(f"{'':>10}without Python's start: cold {(cold - start) / single:.2f}, warm {(warm - start) / single:.2f}")
        over += [f"{number} picks"] if cold / single > limit else []
        over += [f"{number} picks, warm"] if (warm - start) / single > limit / 2 else []
    print(f"Python's start (release schema): {start:.2f}s")
    return over


def many(repo: Path, available: list[str]) -> list[str]:
    """Cost for each pick among 100 and among 1,000."""
    each = {}
    for number in (100, 1000):
        declare(repo, available[3 :: max(1, len(available) // number)][:number])
        forget(repo)
        each[number] = seconds(lambda: release(repo, "plan", "v1.0.1", "-q"), 1) / number
    print(f"a pick among 100: {each[100] * 1000:.1f} ms, among 1,000: {each[1000] * 1000:.1f} ms")
    return ["1,000 picks"] if each[1000] > 1.5 * each[100] else []


def duplicates(repo: Path, runs: int) -> list[str]:
    """A branch of some thousand commits, 300 of them picked: ours as a process and as work, `git cherry`."""
    far = git(repo, "rev-list", "--reverse", "main").splitlines()
    git(repo, "branch", "--force", "release/v0.9", far[len(far) // 3])
    with tempfile.TemporaryDirectory() as where:
        path = Path(where) / "worktree"
        git(repo, "worktree", "add", "--quiet", str(path), "release/v0.9")
        git(path, "cherry-pick", "--allow-empty", "-Xtheirs", *far[len(far) // 3 + 7 :: len(far) // 450][:300])
        git(repo, "worktree", "remove", "--force", str(path))
    (repo / "release.yaml").write_text("version: 1\nbranch: release/v0.9\nsource: main\n")
    args = ("duplicates", "main", "--offline", "--json")

    def ask() -> int:
        return len(json.loads(release(repo, *args, allowed=(0, 9)))["duplicates"])

    theirs = seconds(lambda: git(repo, "cherry", "release/v0.9", "main"), runs)
    start = seconds(lambda: release(repo, "schema"), runs)
    cold = seconds(ask, runs, before=lambda: forget(repo))
    warm = seconds(ask, runs)
    print(
        f"duplicates: {ask()} found, git cherry {theirs:.2f}s, "
        f"cold {cold:.2f}s ({cold / theirs:.2f}), warm {warm:.2f}s ({warm / theirs:.2f})"
    )
    print(f"{'':>10}without Python's start: cold {(cold - start) / theirs:.2f}, warm {(warm - start) / theirs:.2f}")
    return ["duplicates"] if cold - start > theirs else []


def auditing(repo: Path, runs: int) -> list[str]:
    """The branch that `duplicates` made: 300 picks without trailers, found and done again."""

    def ask() -> int:
        found = json.loads(release(repo, "audit", "release/v0.9", "--offline", "--json", allowed=(0, 9)))
        return sum(line["counts"].get("proved", 0) for line in found["lines"])

    number = len(git(repo, "rev-list", "release/v0.9", "--not", "main").splitlines())
    start = seconds(lambda: release(repo, "schema"), runs)
    cold = seconds(ask, runs, before=lambda: forget(repo)) - start
    warm = seconds(ask, runs) - start
    plain = seconds(lambda: patch_ids(repo, "release/v0.9", "main"), runs)
    print(
        f"audit: {ask()} of {number} commits proved, without Python's start: cold {cold:.2f}s "
        f"({number / cold:.0f} a second, limit 150), warm {warm:.2f}s; "
        f"git log -p | git patch-id {plain:.2f}s, cold {cold / plain:.2f}, warm {warm / plain:.2f}"
    )
    return ["audit"] if number / cold < 150 else []


def patch_ids(repo: Path, branch: str, source: str) -> None:
    """Plain git's way to compare them: the patch-ids of what each side has and the other has not."""
    for rows in (f"{source}..{branch}", f"{branch}..{source}"):
        patches = subprocess.run(
            ["git", "log", "-p", "--no-merges", rows], cwd=repo, capture_output=True, check=True
        ).stdout
        git(repo, "patch-id", "--stable", stdin=patches)


def pushing(repo: Path, available: list[str]) -> list[str]:
    """A push of 50 picks by hand to a guarded server that has 5,000 branches more."""
    picks = available[5:205:4]
    with tempfile.TemporaryDirectory() as where:
        server, path = Path(where) / "server.git", Path(where) / "worktree"
        git(repo, "clone", "--quiet", "--bare", str(repo.parent / "remote.git"), str(server))
        base = git(server, "rev-parse", "release/v1.0")
        branches = "".join(f"create refs/heads/t/{number} {base}\n" for number in range(5_000))
        git(server, "update-ref", "--stdin", stdin=branches.encode())
        git(server, "pack-refs", "--all")
        release(server, "hook", "install", "pre-receive", "--server")
        git(repo, "worktree", "add", "--quiet", "--detach", str(path), "main")
        try:
            declare(path, picks)
            git(path, "add", "release.yaml")
            git(path, "commit", "--quiet", "--message", "chore: declare")
            git(path, "push", "--quiet", str(server), "HEAD:main")
            git(path, "checkout", "--quiet", "--detach", base)
            git(path, "cherry-pick", "-x", *picks)
            took = seconds(lambda: git(path, "push", "--quiet", str(server), "HEAD:release/v1.0"), 1)
        finally:
            git(repo, "worktree", "remove", "--force", str(path))
    print(f"a push of 50 picks to a guarded server: {took:.2f}s (limit 5)")
    return ["guarded push"] if took > 5 else []


def prerequisites() -> list[str]:
    """What conflicting fixes of a real history need (tests/replay)."""
    data = ROOT / "tests/replay/data"
    with tempfile.TemporaryDirectory() as where:
        git(ROOT, "clone", "--quiet", "--bare", str(data / "history.bundle"), where)
        cases = needing.cases(json.loads((data / "history.json").read_text()))
        took = statistics.median(needing.find(Path(where) / "objects", case, 10.0).seconds for case in cases)
    print(f"what a conflicting fix needs: {took:.2f}s in the median of {len(cases)} cases (limit 1)")
    return ["prerequisites"] if took > 1 else []


def helping(repo: Path, runs: int) -> list[str]:
    """`--help` of every command: how much longer than to load typer, which each of them must."""
    bare = seconds(lambda: subprocess.run([sys.executable, "-c", "import typer"], check=True), runs)
    took = {name: seconds(partial(release, repo, *name.split(), "--help"), runs) for name, _ in every_command()}
    worst = max(took, key=lambda name: took[name])
    print(
        f"--help of {len(took)} commands: {statistics.median(took.values()):.2f}s in the median, {took[worst]:.2f}s at"
        f" most ({worst}); python -c 'import typer' {bare:.2f}s ({took[worst] / bare:.2f}, limit 0.1s more)"
    )
    return ["help"] if took[worst] - bare > 0.1 else []


def measure(repo: Path, runs: int) -> list[str]:
    """All measurements; returns the names of those over their limit."""
    available = git(repo, "rev-list", "--reverse", "release/v1.0..main").splitlines()
    over = planning(repo, available, runs) + many(repo, available) + duplicates(repo, runs)
    over += helping(repo, runs) + auditing(repo, runs) + pushing(repo, available) + prerequisites()
    declare(repo, available[3:200:20])
    cut = seconds(lambda: release(repo, "cut", "v1.0.1", "--yes", "-q"), 1)
    again = seconds(lambda: release(repo, "cut", "v1.0.1", "--yes", "-q"), runs)
    asking = seconds(lambda: git(repo, "ls-remote", "origin"), runs)
    print(f"cut of 10 picks without an image: {cut:.2f}s (limit 5)")
    print(f"the finished release again: {again:.2f}s (limit 1); git ls-remote alone: {asking:.2f}s")
    return over + (["cut"] if cut > 5 else []) + (["again"] if again > 1 else [])


if __name__ == "__main__":
    sys.exit(main())

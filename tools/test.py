"""The tests: `python tools/test.py [--whole] [--coverage] [TIER...]`, all tiers without a name; a line for each at the
end.

Of long rows of similar cases (a kill at each record of the journal, a walk out of each state) each n-th is run, and
some slow ones are left out: the line says how many.  `--whole` runs all, as every night does.

Those without an engine are one run of pytest.  Those with one wait for it most of the time, so they run meanwhile: two
halves, each in a lab of its own, because tests look at all that an engine has.  Where an engine is borrowed (tools/lab
says when) there is one for both halves, which are one then.

The exit code is 1 when a test failed, or could not run with CI=true; without, a tier that could not run is only told.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, it knows no package

from tools.lab import engine, packages, talk

TIERS = {  # and the marks that choose it
    "fast": "not commands and not docker and not hostile and not history and not replay",
    "commands": "commands and not docker and not hostile and not history and not replay",
    "history": "history or replay",
    "hostile": "hostile",
    "docker": "docker",
}
# The files of tests/docker that build and run the project's own image, and some to make both halves take as long.
HALF = (
    "contents", "locks", "patches", "reproducible", "runtime", "runtime_ssh", "rebuild", "rollback", "upload",
    "variants", "image_cut", "cosign_signers", "signatures", "pipelines", "first_release", "prune",
    "records_registry",
)  # fmt: skip
BY_HAND = "cdi"  # needs an engine newer than Debian 12's, which it names: docs/smoke.md
WORKERS = max(3, os.cpu_count() or 1)  # tests wait for the processes that they start
MEMORY = Path("/dev/shm")  # noqa: S108  # Linux's file system in memory, used only below a new folder
ENOUGH = 2 << 30  # bytes free there


@dataclass(frozen=True)
class Part:
    """A run of pytest: its arguments, and where it says what became of each tier."""

    arguments: list[str]
    tiers: list[str]
    place: Path
    in_lab: bool = False

    def counts(self) -> dict[str, dict[str, int]] | None:
        """How many tests of each tier passed, failed, ...; None where it did not come so far."""
        said = self.place / "counts"
        return json.loads(said.read_text()) if said.exists() else None

    def left(self) -> dict[str, int]:
        """How many tests of each tier were left out."""
        said = self.place / "counts.left"
        return json.loads(said.read_text()) if said.exists() else {}

    def start(self, *, coverage: bool, whole: bool, log: int | None) -> subprocess.Popen[bytes]:
        python = [sys.executable, "-m", *(["coverage", "run", "-m"] if coverage else []), "pytest"]
        lab = [sys.executable, str(ROOT / "tools/lab"), "run", "--"] if self.in_lab else []
        options = [f"--basetemp={self.place / 'tmp'}", "-o", "tmp_path_retention_policy=failed"]
        env = os.environ | {"RELEASE_TEST_COUNTS": str(self.place / "counts")}
        env["RELEASE_TEST_SAMPLE"] = "" if whole else "1"
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # each start of the program would compile all of it
        argv = [*lab, *python, "--continue-on-collection-errors", *options, *self.arguments]
        return subprocess.Popen(argv, cwd=ROOT, env=env, stdout=log, stderr=log and subprocess.STDOUT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coverage", action="store_true", help="measure which lines are run, and show it")
    parser.add_argument("--whole", action="store_true", help="leave nothing out")
    parser.add_argument("tier", nargs="*", choices=[[], *TIERS], metavar="TIER", help=", ".join(TIERS))
    arguments = parser.parse_args()
    tiers = [tier for tier in TIERS if tier in arguments.tier or not arguments.tier]
    begun = time.monotonic()
    if "hostile" in tiers:
        provide("sshd")
    with tempfile.TemporaryDirectory(dir=quick(), prefix="release-tests-", ignore_cleanup_errors=True) as where:
        codes = run(made := parts(tiers, Path(where)), coverage=arguments.coverage, whole=arguments.whole)
        fine = [tell(tier, made, codes) for tier in tiers]
    print(f"{time.monotonic() - begun:.0f} s", flush=True)
    if arguments.coverage:
        show_coverage()
    return 0 if all(fine) else 1


def provide(command: str) -> None:
    """Install its Debian package, where that can be; else the tests that need it fail and say so."""
    try:
        if packages.can_install():
            packages.ensure([command])
    except talk.LabError as error:
        print(f"{command}: {error}", file=sys.stderr)


def quick() -> Path | None:
    """A file system in memory, where there is one with room that lets programs run: git waits for the disk often."""
    try:
        seen = os.statvfs(MEMORY)
    except OSError:
        return None
    fit = seen.f_bavail * seen.f_frsize > ENOUGH and not seen.f_flag & os.ST_NOEXEC and os.access(MEMORY, os.W_OK)
    return MEMORY if fit else None


def parts(tiers: list[str], where: Path) -> list[Part]:
    """What there is to run at the same time."""
    made = []
    if here := [tier for tier in tiers if tier != "docker"]:
        marks = " or ".join(f"({TIERS[tier]})" for tier in here)
        made.append(Part(["-n", str(WORKERS), "--dist", "worksteal", "-m", marks], here, where / "here"))
        made[0].arguments.append(f"--ignore={ROOT / 'tests/docker'}")  # nothing of it would be chosen
    if "docker" in tiers:
        for number, files in enumerate(halves()):
            made.append(Part(["-m", "docker", *files], ["docker"], where / f"lab{number}", in_lab=True))
    for part in made:
        part.place.mkdir()
    return made


def halves() -> list[list[str]]:
    """The files of tests/docker."""
    files = {path.stem.removeprefix("test_"): str(path) for path in sorted((ROOT / "tests/docker").glob("test_*.py"))}
    first = [files[name] for name in HALF]
    rest = [path for name, path in files.items() if name not in (*HALF, BY_HAND)]
    return [rest + first] if engine.borrowed() else [rest, first]


def run(made: list[Part], *, coverage: bool, whole: bool) -> list[int]:
    """Run all at the same time.  The first one is heard at once, the others at their end."""
    with ExitStack() as open_files:
        logs = [open_files.enter_context(tempfile.TemporaryFile()) for _ in made[1:]]
        started = [
            part.start(coverage=coverage, whole=whole, log=log.fileno() if log else None)
            for part, log in zip(made, [None, *logs], strict=True)
        ]
        try:
            for process in started:
                process.wait()
        finally:  # ctrl-C has reached them too
            codes = [process.wait() for process in started]
            for log in logs:
                log.seek(0)
                sys.stdout.flush()
                shutil.copyfileobj(log, sys.stdout.buffer)
    return codes


def tell(tier: str, made: list[Part], codes: list[int]) -> bool:
    """Print the tier's line; whether all is well with it."""
    total: Counter[str] = Counter()
    absent = broken = False
    for part, code in zip(made, codes, strict=True):
        if tier not in part.tiers:
            continue
        counts = part.counts()
        if counts is None and part.in_lab and code == 1:  # the lab's own code when it cannot start
            absent = True
        else:
            total.update((counts or {}).get(tier, {"broken": 1}))
            total["left for make test-whole"] += part.left().get(tier, 0)
            broken |= code not in (0, 1)
    bad = broken or any(total[outcome] for outcome in ("failed", "error", "broken"))
    words = ", ".join(f"{number} {outcome}" for outcome, number in total.items() if number)
    end = "FAILED" if bad else "COULD NOT RUN" if absent else "ok"
    print(f"==> {tier:<8} {end:<14} {words}", flush=True)
    return not bad and not (absent and os.environ.get("CI") == "true")


def show_coverage() -> None:
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--quiet"], cwd=ROOT, check=True)
    subprocess.run([*coverage, "report"], cwd=ROOT, check=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

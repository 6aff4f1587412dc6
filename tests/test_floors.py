"""The house: a module imports only from its own floor or below, in no circle, and a library only through its door.

Floors and doors are told in CONTRIBUTING.md and docs/adr/0001-floors-and-doors.md.  Imports for type checkers count.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.cli import clean_env

ROOT = Path(__file__).parents[1] / "orchestrator"

# Every module fits exactly one line.  A name ending in a dot stands for a package and all in it.
FLOORS = {
    0: "errors model inside_probe",  # words
    1: "reference versions trailers changelog versionfiles quoting starter outcomes plans context dockerignore"
    " config config_image config_keys config_rules config_shapes registry_answer yamledit compat claims"
    " registry_patience inside layers comparing patchfile patches config_policy policy pages releasenotes ci ci_texts"
    " checks checks.dockerfile checks.dockerfile_syntax",  # rules: pure, nothing outside is touched
    2: "git. engines. forges. registry registry_http registry_auth credentials journal live cache",  # doors
    3: "facts fixes homes followups aftermath upstream judge planner replay suspects prerequisites store pipeline"
    " verifying provenance smoke beginning images delta checks.preflight likeness verdicts proofs tracing"
    " remaking retelling proving tagged differing budgets yanks accounts enforcement continuation standing guard"
    " protection protection_github protection_gitlab addresses",  # deciding
    4: "steps.",  # doing: one step a module
    5: "doors desk asking cut abort publish status doctor duplicates declare candidates released"
    " smoking public yank promotion rebuilding patching noting links world auditing verification protect"
    " ci_init hooks",  # one release
    6: "report report_history report_rebuild report_audit report_markdown report_guard console cli."
    " __main__",  # six people: what they see and type
}
DOORS = {
    "git": "git.", "gitdb": "git.", "yaml": "config", "semver": "versions", "typer": "cli.", "rich": "live",
    "docker": "engines.connection engines.containers engines.docker engines.endpoint", "sqlite3": "cache",
    # docker-py, PyGithub and python-gitlab raise requests' and urllib3's errors as they are
    "requests": "registry_http engines.connection forges.github forges.gitlab",
    "urllib3": "registry_http engines.connection forges.github",
    "github": "forges.github", "gitlab": "forges.gitlab",
    # the user's verify commands, docker's credential helpers, what runs inside an image
    "subprocess": "git.process verifying credentials inside_probe",
}  # fmt: skip
MAY_PRINT = "cli. console"
MAY_READ_ENVIRONMENT = "__main__ cli. verifying inside_probe"  # the probe runs in the image


def within(module: str, names: str) -> bool:
    """Whether a module is one of these names, or in one of these packages (`git.`)."""
    return any(module == name.rstrip(".") or (name[-1] == "." and module.startswith(name)) for name in names.split())


@cache
def sources() -> dict[str, ast.Module]:
    """Module name without `orchestrator.` -> its syntax tree; the package itself, a version number, is left out."""
    found = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(), str(path))
    del found["__init__"]
    return found


def imports(module: str) -> set[str]:
    """Everything a module imports, wherever in it: modules of the house without `orchestrator.`, libraries by name."""
    found: set[str] = set()
    for node in ast.walk(sources()[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            inside = {name for name in names if name.removeprefix("orchestrator.") in sources()}
            found |= inside or ({str(node.module)} if node.module != "orchestrator" else set())
    return {name.removeprefix("orchestrator.") for name in found}


def floor(module: str) -> int:
    return next(number for number, names in FLOORS.items() if within(module, names))


@pytest.mark.parametrize("module", sources())
def test_a_module_has_one_floor_and_imports_none_above_it(module: str) -> None:
    assert sum(within(module, names) for names in FLOORS.values()) == 1, f"give {module} a floor in FLOORS"
    above = {name for name in imports(module) & set(sources()) if floor(name) > floor(module)}
    assert not above, f"{module} (floor {floor(module)}) imports {above}"


@pytest.mark.parametrize("module", sources())
def test_a_library_is_imported_only_by_its_door(module: str) -> None:
    outside = {name.partition(".")[0] for name in imports(module) - set(sources())}
    guarded = {name for name in outside if name in DOORS or name not in sys.stdlib_module_names}
    wrong = {name for name in guarded if not within(module, DOORS.get(name, "-"))}
    assert not wrong, f"{module} imports {wrong}"


def test_imports_make_no_circle() -> None:
    TopologicalSorter({module: imports(module) & set(sources()) for module in sources()}).prepare()


def test_the_doors_do_not_know_each_other() -> None:
    """git, engines and registries meet only on the floors above; a login is a value that two of them share."""
    for door, others in (("git.", "engines. registry registry_http"), ("engines.", "git. registry registry_http")):
        for module in (name for name in sources() if within(name, door)):
            assert not {name for name in imports(module) if within(name, others)}, module


@pytest.mark.parametrize("module", sources())
def test_only_the_console_prints_and_only_the_top_reads_the_environment(module: str) -> None:
    for node in ast.walk(sources()[module]):
        if isinstance(node, ast.Name) and node.id == "print":
            assert within(module, MAY_PRINT), f"{module}:{node.lineno} prints"
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and ast.unparse(node.value) == "os":
            assert within(module, MAY_READ_ENVIRONMENT), f"{module}:{node.lineno} reads the environment"


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_load_no_heavy_library(flag: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchestrator", flag],
        env=clean_env(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "orchestrator" in loaded  # the listing is what we think it is
    assert not loaded & {"docker", "git", "gitdb", "github", "gitlab", "requests", "urllib3", "yaml"}

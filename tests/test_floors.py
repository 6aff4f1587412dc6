"""The house: a room imports only from the rooms below it, in no circle, and a library comes in by one door.

Told in CONTRIBUTING.md and docs/adr/0014-rooms.md.  Imports for type checkers count.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.declaration import IMAGE_CHECKS
from orchestrator.image.contents import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1] / "orchestrator"

# Rooms, from the ground up.  Those of one row do not know each other.
ROOMS = (
    "core",
    "config git registry engines",
    "session dockerfile",
    "image forges",
    "landing thin attest",
    "attest.scan",
    "picks release.steps",  # a step knows a plan only as a value
    "plan",
    "guard release.modes",
    "attest.released",
    "release",
    "audit",
    "report",
    "announce",
    "cli",
    "__main__",
)
MOST_MODULES = 16  # in a room
MOST_LINES = 400  # in a file, of the tests too
DOORS = {
    "git": "git.", "gitdb": "git.", "yaml": "config.reader", "semver": "core.versions", "typer": "cli.",
    "rich": "report.screen.live", "sqlite3": "git.cache",
    "zstandard": "registry.compression",
    "jinja2": "report.page.render",
    "univers": "attest.scan.matching", "cvss": "attest.scan.advisory", "packageurl": "attest.scan.vex",
    "cryptography": "attest.keys", "nacl": "attest.keys",
    "docker": "engines.client engines.connection engines.containers engines.docker_engine engines.endpoint",
    # docker-py, PyGithub and python-gitlab raise requests' and urllib3's errors as they are
    "requests": "registry.http registry.transport engines.connection forges.github forges.gitlab forges.webhook "
    "attest.scan.osv_dev",
    "urllib3": "registry.http registry.transport engines.connection forges.github",
    "github": "forges.github", "gitlab": "forges.gitlab",
    # the user's verify commands, docker's credential helpers, docker buildx, what runs inside an image
    "subprocess": "git.process release.steps.verify registry.credentials attest.cosign engines.buildx.program "
    "image.probe image.probe_services",
}  # fmt: skip
MAY_PRINT = "cli. report.console"
MAY_READ_ENVIRONMENT = "__main__ cli. release.steps.verify image.probe image.probe_services"  # the probe runs in images


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


@cache
def nodes(module: str) -> list[ast.AST]:
    """All of a module's tree, walked once for all tests."""
    return list(ast.walk(sources()[module]))


def placed() -> Iterator[tuple[str, ast.AST]]:
    """Each node of each module, and the module."""
    return ((module, node) for module in sources() for node in nodes(module))


@cache
def imports(module: str) -> set[str]:
    """Everything a module imports, wherever in it: modules of the house without `orchestrator.`, libraries by name."""
    found: set[str] = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            inside = {name for name in names if name.removeprefix("orchestrator.") in sources()}
            found |= inside or ({str(node.module)} if node.module != "orchestrator" else set())
    return {name.removeprefix("orchestrator.") for name in found}


@cache
def room(module: str) -> str:
    """The innermost room that a module is in."""
    return max((name for row in ROOMS for name in row.split() if within(module, f"{name}.")), key=len)


def floor(module: str) -> int:
    return next(number for number, row in enumerate(ROOMS) if room(module) in row.split())


def faults(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Where something is wrong, and what."""
    return {where: wrong for where, wrong in found.items() if wrong}


def test_a_room_knows_only_the_rooms_below_it() -> None:
    wrong = {}
    for module in sources():
        others = {name for name in imports(module) & sources().keys() if room(name) != room(module)}
        wrong[f"{module} (room {room(module)})"] = {name for name in others if floor(name) >= floor(module)}
    assert faults(wrong) == {}


def test_no_room_and_no_file_is_too_large() -> None:
    for name in {room(module) for module in sources()}:
        modules = [path for path in ROOT.joinpath(*name.split(".")).glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= MOST_MODULES, f"room {name} has {len(modules)} modules"
    for path in (*ROOT.rglob("*.py"), *Path(__file__).parent.rglob("*.py")):
        assert len(path.read_text().splitlines()) <= MOST_LINES, f"{path} is too long"


def test_every_room_says_what_it_is() -> None:
    for row in ROOMS[:-1]:
        for name in row.split():
            text = ast.get_docstring(sources()[name]) or ""
            assert text.count(".") >= 2, f"{name}/__init__.py: say what the room is and what it must not know"


def test_a_library_is_imported_only_by_its_door() -> None:
    wrong = {}
    for module in sources():
        outside = {name.partition(".")[0] for name in imports(module) - sources().keys()}
        guarded = {name for name in outside if name in DOORS or name not in sys.stdlib_module_names}
        wrong[module] = {name for name in guarded if not within(module, DOORS.get(name, "-"))}
    assert faults(wrong) == {}


def test_imports_make_no_circle() -> None:
    TopologicalSorter({module: imports(module) & sources().keys() for module in sources()}).prepare()


def test_only_the_console_prints_and_only_the_top_reads_the_environment() -> None:
    for module, node in placed():
        if isinstance(node, ast.Name) and node.id == "print":
            assert within(module, MAY_PRINT), f"{module}:{node.lineno} prints"
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and ast.unparse(node.value) == "os":
            assert within(module, MAY_READ_ENVIRONMENT), f"{module}:{node.lineno} reads the environment"


def test_no_decision_hangs_on_the_code_of_an_error() -> None:
    """What is told apart has a class; a code is for machines outside."""
    for module, handler in placed():
        if isinstance(handler, ast.ExceptHandler) and handler.name:
            compared = [
                side
                for node in ast.walk(handler)
                if isinstance(node, ast.Compare)
                for side in (node.left, *node.comparators)
            ]
            assert f"{handler.name}.code" not in map(ast.unparse, compared), f"{module}:{handler.lineno}"


def test_a_label_is_spelled_in_one_place() -> None:
    """Who writes a label and who reads it must mean the same one."""
    spelled = {
        module
        for module, node in placed()
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(("org.opencontainers.image.", "org.release-orchestrator."))
    }
    assert spelled == {"core.labels"}


def test_each_built_in_check_has_its_function() -> None:
    assert tuple(CHECKS) == IMAGE_CHECKS


def test_one_name_means_one_thing() -> None:
    """Of classes that are not private: nested ones, such as a subclass made where its library is loaded, apart."""
    names = [node.name for tree in sources().values() for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [name for name, number in Counter(names).items() if number > 1 and name[0] != "_"] == []

"""Files that say a project's version: what is found is its own, and never that of something it uses."""

from __future__ import annotations

import json

import pytest

from orchestrator.core.declaration import VersionFile
from orchestrator.core.results import Place
from orchestrator.plan.version_files import rewrite
from orchestrator.plan.version_kinds import patterns_of

NPM = {
    "name": "web",
    "version": "1.4.0",
    "lockfileVersion": 2,
    "packages": {
        "": {"name": "web", "version": "1.4.0", "workspaces": ["packages/*"], "dependencies": {"left-pad": "1.4.0"}},
        "node_modules/left-pad": {"version": "1.4.0", "resolved": "https://registry.npmjs.org/left-pad-1.4.0.tgz"},
        "node_modules/a": {"resolved": "packages/a", "link": True},
        "packages/a": {"version": "1.4.0", "license": "MIT"},
        "packages/a/node_modules/left-pad": {"version": "1.4.0"},
    },
    "dependencies": {"left-pad": {"version": "1.4.0"}, "a": {"version": "1.4.0"}},
}
CARGO = """version = 4

[[package]]
name = "tiny"
version = "1.4.0"
source = "registry+https://github.com/rust-lang/crates.io-index"

[[package]]
name = "tiny"
version = "1.4.0"
dependencies = [
 "serde",
]

[[package]]
name = "serde"
version = "1.4.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
"""
UV = """version = 1

[[package]]
name = "numpy"
version = "1.4.0"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "tiny-core"
version = "1.4.0"
source = { editable = "." }
"""
POM = """<project>
  <!-- <artifactId>old</artifactId><version>1.4.0</version> -->
  <parent><artifactId>spring</artifactId><version>1.4.0</version></parent>
  <artifactId>tiny</artifactId>
  <packaging>jar</packaging>
  <version>1.4.0</version>
  <dependencies><dependency><artifactId>x</artifactId><version>1.4.0</version></dependency></dependencies>
</project>
"""
MODULE = """<project>
  <parent><artifactId>tiny</artifactId><version>1.4.0</version></parent>
  <artifactId>tiny-web</artifactId>
  <dependencies><dependency><artifactId>x</artifactId><version>1.4.0</version></dependency></dependencies>
</project>
"""
GEM = "PATH\n  remote: .\n  specs:\n    tiny (1.4.0)\n      rake (1.4.0)\n\nGEM\n  specs:\n    rake (1.4.0)\n"


@pytest.mark.parametrize(
    ("path", "text", "lines"),
    [
        ("package-lock.json", json.dumps(NPM, indent=2), [3, 8, 25]),
        ("npm-shrinkwrap.json", json.dumps(NPM, indent="\t"), [3, 8, 25]),
        ("package-lock.json", '{"name": "web", "version": "1.4.0", "dependencies": {"x": {"version": "1.4.0"}}}', [1]),
        ("package-lock.json", "{not json", []),
        ("package-lock.json", "[" * 5000, []),
        ("Cargo.lock", CARGO, [10]),
        ("Cargo.lock", CARGO.replace("\n", "\r\n"), [10]),
        ("Cargo.lock", "package = 7\n", []),
        ("uv.lock", UV, [10]),
        ("pom.xml", POM, [6]),
        ("web/pom.xml", MODULE, [2]),
        ("Gemfile.lock", GEM, [4]),
        ("lib/tiny/version.rb", 'module Tiny\n  VERSION = "1.4.0"\nend\n', [2]),
        ("pyproject.toml", '[project]\ndynamic = ["version"]\n', []),
        ("src/tiny/__about__.py", "__version__ = '1.4.0'\n", [1]),
        ("internal/version/version.go", 'package version\n\nconst Version = "v1.4.0"\n', [3]),
        ("composer.json", '{\n  "version": "1.4.0",\n  "require": {"x": "1.4.0"}\n}\n', [2]),
        ("build.gradle.kts", 'plugins { kotlin("jvm") version "1.4.0" }\nversion = "1.4.0"\n', [2]),
    ],
)
def test_the_projects_own_lines_and_no_others(path: str, text: str, lines: list[int]) -> None:
    place = Place(file="release.yaml")
    data = text.encode()
    files = [VersionFile(place=place, path=path, pattern=pattern) for pattern in patterns_of(path, data)]
    written, problems = rewrite(files, "v2.0.10", lambda _: data)
    assert not problems
    new = written.get(path, data)
    pairs = zip(data.splitlines(), new.splitlines(), strict=True)
    assert [at for at, (before, after) in enumerate(pairs, 1) if before != after] == lines
    assert new.count(b"2.0.10") == len(lines)


@pytest.mark.parametrize(
    ("path", "text", "remedy"),
    [
        ("package.json", '{"name": "web",\n  "version": "1.4.0"}', "write {path: 'package.json', pattern: '^[ "),
        ("package-lock.json", json.dumps(NPM), "write {path: 'package-lock.json', pattern: '\\A"),
        ("notes.txt", "1.4.0\nand more\n", "give it a `pattern:`"),
    ],
)
def test_a_file_that_is_more_than_a_version_is_not_overwritten(path: str, text: str, remedy: str) -> None:
    file = VersionFile(place=Place(file="release.yaml"), path=path)
    written, problems = rewrite([file], "v2.0.10", lambda _: text.encode())
    assert (written, [problem.code for problem in problems]) == ({}, ["version-file"])
    assert problems[0].remedy.startswith(remedy)

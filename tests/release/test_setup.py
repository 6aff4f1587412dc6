"""`release init` knows the project: version files, image, smoke, schema; by options and by a dialogue on a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.reader import load
from orchestrator.release.setup.project_facts import registry_of, schema_of
from tests.support.cli import Ran, release
from tests.support.printed import types
from tests.support.remedies import typed
from tests.support.story import fix_line, make_repo
from tests.support.terminal import CTRL_D, Terminal

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config
    from tests.support.story import Repo, Story

PROJECT: dict[str, str | bytes | None] = {
    "pyproject.toml": '[project]\nname = "tiny"\nversion = "1.4.0"\n',
    "src/tiny/__init__.py": "'''Tiny.'''\n__version__ = '1.4.0'\n",
    "web/package.json": '{\n  "name": "web",\n  "version": "1.4.0",\n  "dependencies": {"x": "1.4.0"}\n}\n',
    "web/package-lock.json": (
        '{\n  "name": "web",\n  "version": "1.4.0",\n  "packages": {\n    "": {"version": "1.4.0"}\n  }\n}\n'
    ),
    "charts/tiny/Chart.yaml": 'name: tiny\nversion: 0.3.0\nappVersion: "1.4.0"\n',
    "Dockerfile": "FROM python:3.12\nCOPY . /src\nRUN pip install /src\n",
    "docker/Dockerfile.dev": "FROM scratch\n",
}
LISTED = [
    "charts/tiny/Chart.yaml",
    "pyproject.toml",
    "src/tiny/__init__.py",
    *["web/package-lock.json"] * 2,
    "web/package.json",
]


@pytest.fixture
def project(tmp_path: Path) -> Repo:
    """A project with tags without `v`, whose remote is on a forge that is not asked."""
    repo = make_repo(tmp_path / "tiny")
    repo.commit("feat: tiny", PROJECT)
    repo.git("tag", "-a", "-m", "1.4.0", "1.4.0")
    repo.git("branch", "release/1.4")
    repo.commit("feat: more", {"pyproject.toml": '[project]\nname = "tiny"\nversion = "1.5.0.dev0"\n'})
    repo.git("remote", "add", "origin", "git@github.com:Acme/Tiny.git")
    return repo


def init(repo: Repo, *args: str) -> tuple[Config, Ran]:
    (repo.path / "release.yaml").unlink(missing_ok=True)
    ran = release("init", "--offline", *args, cwd=repo.path)
    assert ran.code == 0, ran.err
    return load(repo.path / "release.yaml", shown_as="release.yaml"), ran


def test_everything_is_filled_in_without_a_question(project: Repo) -> None:
    config, ran = init(project)
    assert (config.branch, config.source) == ("release/1.4", ("main",))
    assert [each.path for each in config.version_files] == LISTED  # as they are on the release branch
    assert config.image is not None
    assert (config.image.repository, config.image.dockerfile) == ("ghcr.io/acme/tiny", "Dockerfile")
    text = (project.path / "release.yaml").read_text()
    assert "import tiny" in text
    assert "torch" not in text
    assert "charts/tiny/Chart.yaml says 0.3.0" in ran.err  # the chart's own version is not the project's
    assert text.startswith("# For editors: `release schema >")  # nobody knows where this copy comes from
    (project.path / "release.schema.json").write_text("{}")
    assert init(project)
    assert (
        (project.path / "release.yaml").read_text().startswith("# yaml-language-server: $schema=release.schema.json\n")
    )


def test_a_release_writes_the_version_into_all_of_them(project: Repo, tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "remote.git", bare=True)
    project.git("remote", "set-url", "origin", str(remote.path))
    project.git("push", "--quiet", "origin", "main", "release/1.4", "1.4.0")
    init(project, "--image", "none")
    fix = project.commit("fix: it", {"fix": "x\n"})
    project.git("push", "--quiet", "origin", "main")
    text = (project.path / "release.yaml").read_text()
    entry = f"releases:\n  1.4.1:\n    fixes:\n{fix_line(fix)}\n"
    (project.path / "release.yaml").write_text(text.replace("releases:\n", entry))
    forgotten = (project.path / "release.yaml").read_text().partition("  - path: web/")[0]
    planned = release("plan", "1.4.1", cwd=project.path)
    assert (planned.code, "still says" in planned.out + planned.err) == (0, False), planned.err
    (project.path / "release.yaml").write_text(f"{forgotten}changelog: false\n")
    planned = release("plan", "1.4.1", cwd=project.path)
    assert planned.code == 0, planned.err
    for place in ("package.json:3", "package-lock.json:3", "package-lock.json:5"):
        assert f"web/{place} still says 1.4.0: if a release should write it, add {{path: " in planned.out
    (project.path / "release.yaml").write_text(text.replace("releases:\n", entry))
    done = release("cut", "1.4.1", "--yes", cwd=project.path)
    assert done.code == 0, done.err
    for path in set(LISTED):
        changed = project.git("diff", "-U0", "1.4.0", "1.4.1", "--", path).splitlines()[4:]
        assert [line[0] for line in changed] == ["@", "-", "+"] * LISTED.count(path), changed
        assert changed[2] == f"+{changed[1][1:].replace('1.4.0', '1.4.1')}"


def test_options_are_stronger_than_what_is_found(project: Repo) -> None:
    (project.path / "VERSION").write_text("1.4.0\n")
    config, _ = init(
        project, "--branch", "stable", "--source", "develop", "--image", "registry.example.com/x", "--dockerfile",
        "docker/Dockerfile.dev", "--version-file", "VERSION", "--version-file", "pyproject.toml",
    )  # fmt: skip
    assert (config.branch, config.source) == ("stable", ("develop",))
    assert config.image is not None
    assert (config.image.repository, config.image.dockerfile) == ("registry.example.com/x", "docker/Dockerfile.dev")
    assert [(each.path, bool(each.pattern)) for each in config.version_files] == [
        ("VERSION", False), ("pyproject.toml", True),
    ]  # fmt: skip
    config, _ = init(project, "--image", "none", "--version-file", "none")
    assert (config.image, config.version_files) == (None, ())


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--branch", "a..b"), "config-bad-branch"),
        (("--source", "a b"), "config-bad-ref"),
        (("--image", "https://x/y"), "bad-reference"),
        (("--dockerfile", "nowhere"), "bad-file"),
        (("--dockerfile", "../x"), "config-bad-path"),
        (("--version-file", "Dockerfile"), "bad-file"),
    ],
)
def test_what_release_yaml_would_not_take_is_refused(project: Repo, args: tuple[str, ...], code: str) -> None:
    ran = release("init", "--offline", *args, cwd=project.path)
    assert (ran.code, f"[{code}]" in ran.err) == (2, True), ran.err
    assert not (project.path / "release.yaml").exists()


def test_a_dialogue_on_a_terminal(project: Repo) -> None:
    person = Terminal("init", "--offline", "--source", "main", cwd=project.path)
    person.answer("release branch [release/1.4]: ", "a..b")
    person.answer("release branch [release/1.4]: ", " ")  # told why, and asked again
    person.answer("write the version into ", "n")
    person.answer("image (none for none) [ghcr.io/acme/tiny]: ", "ghcr.io/acme/other")
    person.answer("its Dockerfile [Dockerfile]: ", "docker/Dockerfile.dev")
    assert person.end() == 0, person.seen
    config = load(project.path / "release.yaml", shown_as="release.yaml")
    assert (config.branch, config.version_files) == ("release/1.4", ())
    assert config.image is not None
    assert (config.image.repository, config.image.dockerfile) == ("ghcr.io/acme/other", "docker/Dockerfile.dev")
    assert "fixes come from" not in person.seen


@types("release/setup/dialogue.py: release init --yes")
def test_who_leaves_the_dialogue_leaves_nothing_behind(project: Repo) -> None:
    person = Terminal("init", "--offline", cwd=project.path)
    person.answer("release branch", CTRL_D)
    assert person.end() == 4
    assert "nothing was written" in person.seen
    assert not (project.path / "release.yaml").exists()
    assert "do: release init --yes takes what is found" in person.seen
    assert typed("release init --yes", project.path, env={"RELEASE_CLI_OFFLINE": "1"}).returncode == 0
    (project.path / "release.yaml").unlink()
    person = Terminal("init", "--offline", cwd=project.path)
    person.interrupt("release branch [release/1.4]: ")
    assert (person.end(), (project.path / "release.yaml").exists()) == (130, False)
    assert "\nerror: interrupted" in person.seen.replace("\r", "")
    person = Terminal("init", "--offline", "--yes", cwd=project.path)  # on a terminal too
    assert person.end() == 0, person.seen


@pytest.mark.parametrize(
    ("url", "image"),
    [
        ("https://github.com/Acme/Tiny.git", "ghcr.io/acme/tiny"),
        ("git@gitlab.com:a/b/c.git", "registry.gitlab.com/a/b/c"),
        ("ssh://git@ssh.github.com:443/acme/tiny", "ghcr.io/acme/tiny"),
        ("https://git.example.com/acme/tiny", ""),
        ("/srv/git/tiny", ""),
        ("https://github.com/acme/--", ""),
    ],
)
def test_the_image_by_the_remote(url: str, image: str) -> None:
    assert registry_of(url) == image


def test_a_command_to_copy_is_one_line_of_a_narrow_terminal(project: Repo) -> None:
    project.git("branch", "-D", "release/1.4")
    person = Terminal("init", "--offline", "--yes", cwd=project.path, env={"COLUMNS": "50"})
    assert person.end() == 0
    assert "\n  do: git push origin 'refs/tags/1.4.0^{}:refs/heads/release/1.4'\n" in person.seen


def test_the_schema_of_the_commit_that_this_copy_comes_from(tmp_path: Path) -> None:
    commit = "a" * 40
    info = {"vcs": "git", "commit_id": commit}
    for url, found in {
        "https://github.com/acme/release.git": f"https://raw.githubusercontent.com/acme/release/{commit}/docs/",
        "https://me:x@gitlab.com/a/b": f"https://gitlab.com/a/b/-/raw/{commit}/docs/",
        "https://git.example.com/a/b": "",
    }.items():
        made = schema_of(tmp_path, json.dumps({"url": url, "vcs_info": info}))
        assert made == (f"{found}release.schema.json" if found else "")
    assert schema_of(tmp_path, "") == schema_of(tmp_path, "[]") == ""
    shown = Path(__file__).parents[2] / "docs/release.schema.json"  # what stands at that address
    assert json.loads(shown.read_text())["title"] == "release.yaml"


def test_another_smoke_for_another_project(tale: Story) -> None:
    """By the last stage of the Dockerfile, and what that stands on."""
    for dockerfile, command in {
        "FROM pytorch/pytorch:2.7.0\n": "import torch",
        "FROM node:22\n": "node --version",
        "FROM node:22 AS build\nRUN npm ci\nFROM nginx\nCOPY --from=build /x /x\n": "cat /etc/os-release",
        "FROM debian:12 AS base\nRUN pip install numpy\nFROM x AS y\nFROM base\n": 'python -c \\"import sys\\"',
        "FROM golang:1.22 AS build\nFROM scratch\n": "cat /etc/os-release",
    }.items():
        tale.clone.write("Dockerfile", dockerfile)
        (tale.clone.path / "release.yaml").unlink(missing_ok=True)
        made = release("init", "--offline", "--image", "registry.example.com/x", cwd=tale.clone.path)
        text = (tale.clone.path / "release.yaml").read_text()
        assert command in text
        assert ("what shows that its image works is not known" in made.err) == (command == "cat /etc/os-release")
        assert "\n#  - python -m compileall -q .\n" in text
    (tale.clone.path / "release.yaml").unlink()
    tale.clone.write("go.mod", "module example.com/x\n")
    assert "where its image is pushed is not known" in release("init", "--offline", cwd=tale.clone.path).err
    assert "\n#  - go build ./...\n" in (tale.clone.path / "release.yaml").read_text()
    (tale.clone.path / "release.yaml").unlink()
    assert "is not known" not in release("init", "--offline", "--image", "none", cwd=tale.clone.path).err

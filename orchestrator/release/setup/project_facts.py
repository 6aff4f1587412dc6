"""What the files of a project tell of its image and of where its version stands."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from orchestrator.config.template import dockerfile_of, release_branch
from orchestrator.core.errors import UsageError
from orchestrator.core.reference import parse_repository
from orchestrator.core.remote_url import read_remote, without_login
from orchestrator.core.versions import parse_tag
from orchestrator.forges.ci import commit_of
from orchestrator.forges.ci_init import installed_from
from orchestrator.plan.version_kinds import written_versions

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.config.template import StarterFacts
    from orchestrator.git.repository import Repository
    from orchestrator.plan.version_kinds import WrittenVersion

_REGISTRIES: Final = {"github.com": "ghcr.io", "ssh.github.com": "ghcr.io", "gitlab.com": "registry.gitlab.com"}
SCHEMA: Final = "release.schema.json"
_LARGEST: Final = 1 << 20  # bytes read of a Dockerfile
_VERIFY: Final = {"go.mod": "go build ./...", "Cargo.toml": "cargo check --locked", "package.json": "npm test"}


def registry_of(remote_url: str) -> str:
    """The repository that the forge of a remote keeps for the image of a project; "" where that is not known."""
    found = read_remote(remote_url)
    host = _REGISTRIES.get(found.host, "") if found else ""
    if not found or not host:
        return ""
    try:
        return str(parse_repository(f"{host}/{found.name.lower()}"))
    except UsageError:  # a name that no registry takes
        return ""


def schema_of(top: Path, direct_url: str) -> str:
    """Where an editor finds the schema: a file of the repository, else that of the commit that this copy comes from.

    `direct_url` is PEP 610's.  "" where neither is known.
    """
    if (top / SCHEMA).is_file():
        return SCHEMA
    try:
        url, commit = commit_of(json.loads(direct_url or "{}"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
    found = read_remote(without_login(url))
    if not found or not found.is_web or not re.fullmatch(r"[0-9a-f]{40}", commit):
        return ""
    if found.host == "github.com":
        return f"https://raw.githubusercontent.com/{found.name}/{commit}/docs/{SCHEMA}"
    return f"https://{found.host}/{found.name}/-/raw/{commit}/docs/{SCHEMA}" if "gitlab" in found.host else ""


def with_files(repository: Repository, facts: StarterFacts) -> StarterFacts:
    """The facts, with the version files of the release branch and a command that fits what the Dockerfile installs."""
    versions = _written(repository, facts)
    latest = parse_tag(facts.latest_tag)
    number = latest.bare if latest else next((each.number for each in versions), "")
    listed = tuple((each.path, each.pattern) for each in versions if each.number == number)
    said = tuple(
        f"{each.path} says {each.number}, the newest version tag is {facts.latest_tag}: it is not among the"
        " `version-files:`; name it there if a release should write it"
        for each in versions
        if each.number != number
    )
    return replace(
        facts,
        schema=schema_of(repository.top, installed_from()),
        version_files=listed,
        seen_version_files=tuple((each.path, each.pattern) for each in versions),
        unread=(*facts.unread, *said),
        smoke=_smoke(repository, facts, versions),
        verify=next((command for file, command in _VERIFY.items() if (repository.top / file).is_file()), facts.verify),
    )


def _written(repository: Repository, facts: StarterFacts) -> list[WrittenVersion]:
    """What the files of the release branch say, or those of the newest version, or of what is checked out."""
    branch = release_branch(facts)
    tag = f"refs/tags/{facts.latest_tag}" if facts.latest_tag else ""
    for ref in (f"refs/remotes/{facts.remote}/{branch}", f"refs/heads/{branch}", tag, "HEAD"):
        if ref and (commit := repository.resolve(ref)):
            with repository.scratch() as scratch:
                return written_versions(scratch, scratch.tree_of(commit))
    return []


def _smoke(repository: Repository, facts: StarterFacts, versions: list[WrittenVersion]) -> str:
    """A command for the image; "" where the Dockerfile does not tell what is in it."""
    file = repository.top / dockerfile_of(facts)
    if not file.is_file() or file.is_symlink():
        return ""
    text = _shipped(file.read_bytes()[:_LARGEST].decode("utf-8", "replace").lower())
    if re.match(r"from\s+scratch\b", text):  # no shell, and nobody knows what else there is
        return ""
    if re.search(r"\b(?:py)?torch\b", text):
        return 'python -c "import torch; print(torch.__version__)"'
    if re.search(r"^from\s+\S*\bnode\b", text, re.MULTILINE):
        return "node --version"
    if re.search(r"\bpip3? install\b|^from\s+\S*\bpython\b", text, re.MULTILINE):
        return f'python -c "import {_package(versions)}"'
    return ""


def _shipped(text: str) -> str:
    """The last stage of a Dockerfile, behind those that it stands on: what others leave is not in the image."""
    stages = [part for part in re.split(r"^(?=from\s)", text, flags=re.MULTILINE) if part.startswith("from")]
    found = stages.pop() if stages else text
    for stage in reversed(stages):
        head = re.match(r"from\s.*\sas\s+(\S+)", stage)
        if head and re.match(rf"from\s+(?:--\S+\s+)?{re.escape(head[1])}(?:\s|$)", found):
            found = stage + found
    return found


def _package(versions: list[WrittenVersion]) -> str:
    """The package that says the version; one that each Python has where none does."""
    folders = (each.path.rpartition("/")[0] for each in versions if each.path.endswith(".py"))
    names = (folder.rpartition("/")[2] for folder in folders)
    return next((name for name in names if name.isidentifier()), "sys")

"""The release.yaml that `release init` writes: from facts about a repository to a commented text.

Prose stands behind `# `, examples to uncomment directly behind `#`: removing that one character of each
gives a file that is valid too.
"""

from __future__ import annotations

import json
import re
from dataclasses import field
from typing import TYPE_CHECKING

from orchestrator.config.validators import BadTextError, branch, check_text, file_path, ref, remote
from orchestrator.core.dataclass import dataclass
from orchestrator.core.versions import Line, Scheme, TagVersion, in_use, line_of_branch, next_patch, parse_tag

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS_OF_YAML = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


@dataclass(frozen=True, kw_only=True)
class StarterFacts:
    """What a repository tells.  Everything may be empty; names that release.yaml refuses are passed over."""

    branches: tuple[str, ...] = ()  # short names: those of the remote, of a clone without one its own
    default_branch: str = "main"
    remote: str = "origin"
    latest_tag: str = ""  # the highest version tag
    dockerfiles: tuple[str, ...] = ()  # paths from the repository's top
    project: str = "pytorch-cuda"  # the repository's name, for the example image
    page: str = ""  # the repository's page on its forge
    versions: Scheme = field(default_factory=Scheme)  # how its tags are written
    unread: tuple[str, ...] = ()  # what is to be said of tags and files that are written otherwise
    version_files: tuple[tuple[str, str], ...] = ()  # path and pattern, "" for a whole file; what is to be written
    seen_version_files: tuple[tuple[str, str], ...] = ()  # the same of all files that say one
    image: str = ""  # the repository of the image, where the remote tells one
    smoke: str = ""  # a command that shows that an image of this project works
    verify: str = "python -m compileall -q ."  # one that shows that a pick broke nothing
    schema: str = ""  # where editors find the schema
    chosen_branch: str = ""  # what a person said, stronger than what is found
    chosen_dockerfile: str = ""


def starter(facts: StarterFacts) -> str:
    """A valid release.yaml with one example release and one example image commented out."""
    latest = parse_tag(facts.latest_tag)
    branch_name = release_branch(facts)
    return _TEMPLATE.format(
        schema=_SCHEMA.format(facts.schema) if facts.schema else _NO_SCHEMA,
        verify=facts.verify,
        image=_image(facts, line=_example_line(branch_name, latest)),
        version_files=_version_files(facts.version_files),
        branch=_scalar(branch_name),
        source=_scalar(_usable(ref, facts.default_branch, "main")),
        remote=_scalar(_usable(remote, facts.remote, "origin")),
        scheme=_scheme_lines(facts.versions),
        version=_example_version(branch_name, latest),
        url="repository-url: " + facts.page if facts.page else "#repository-url: https://github.com/org/project",
    )


def _image(facts: StarterFacts, *, line: str) -> str:
    """The section of the image: at work where its Dockerfile and its name are known, else an example."""
    known = bool(facts.image and (facts.dockerfiles or facts.chosen_dockerfile))
    text = _IMAGE.format(
        repository=_scalar(facts.image or f"registry.example.com/{_image_name(facts.project)}"),
        dockerfile=_scalar(dockerfile_of(facts)),
        line=line,
    )
    smoke = _SMOKE.format(json.dumps(facts.smoke or "cat /etc/os-release", ensure_ascii=False))
    lines = (text if known else _commented(text)) + _commented(smoke)
    return lines.rstrip("\n")


def _commented(text: str) -> str:
    return "".join(f"#{line}\n" for line in text.splitlines())


def _version_files(files: tuple[tuple[str, str], ...]) -> str:
    """The version files, or an example of one."""
    if not files:
        return _commented(_VERSION_FILE.format("VERSION")).rstrip("\n")
    lines = ["version-files:"]
    for path, pattern in files:
        lines.append(f"  - path: {_scalar(path)}")
        lines += [f"    pattern: {json.dumps(pattern)}"] if pattern else []
    return "\n".join(lines)


def dockerfile_of(facts: StarterFacts) -> str:
    """The Dockerfile that the image is made of: as said, else the shallowest one."""
    if facts.chosen_dockerfile:
        return facts.chosen_dockerfile
    found = sorted(facts.dockerfiles, key=lambda path: (path.count("/"), path))
    return _usable(file_path, *found, "Dockerfile")


_SCHEMA = "# yaml-language-server: $schema={}\n"
_NO_SCHEMA = """\
# For editors: `release schema > release.schema.json`, and a first line that names the file:
# `# yaml-language-server: $schema=release.schema.json`.
"""

_IMAGE = """\
image:
  repository: {repository}
  dockerfile: {dockerfile}
  context: .
  floating: ["{line}"]
"""

_SMOKE = """\
  smoke:
    - {}
"""

_VERSION_FILE = """\
version-files:
  - path: {}
"""

_TEMPLATE = """\
{schema}# What this repository releases.  `release check` reads this file.
version: 1

# The release branch: fixes are picked onto it, version tags are made on it.
branch: {branch}

# Where fixes come from: one ref, or a list.
source: {source}

# The git remote that branch and tag are pushed to.
remote: {remote}
{scheme}
# One entry per version.  Uncomment the example, name your fix, then run `release plan {version}`.
releases:
#  {version}:
#    summary: one line for the tag and the changelog
#    fixes:
#      - commit: 4f1c2d9a
#        reason: why it must ship
#        approved-by: name or link
#      - range: e4f5a6b^..c7d8e9f

# Files that say the version: the release commit writes it there.
{version_files}

# The image that is built of the tag, proved and pushed.  Without this section a release ends with the tag.
# `smoke` are commands that are run in it before anything is public.
{image}

# Commands run after each pick; one that fails stops the release.
#verify:
#  - {verify}

# The repository's page on its forge: the changelog links to commits there.
{url}

# Who may release what.  The policy that counts is the one on the source branch of the remote.
#policy:
#  required-approvals: 1
#  types: [fix, perf, docs, build]
"""


def release_branch(facts: StarterFacts) -> str:
    """As said; else the branch of the newest line, of several the one with the plainest name; or what the latest tag
    suggests.
    """
    if facts.chosen_branch:
        return facts.chosen_branch
    if named := _of_lines(facts):
        return named[0]
    latest = parse_tag(facts.latest_tag)
    return f"release/{_dotted(latest)}" if latest else "release/v0.1"


def other_lines(facts: StarterFacts) -> list[str]:
    """The other branches that are named after a line, where nobody said which one is meant; newest first."""
    return [] if facts.chosen_branch else _of_lines(facts)[1:]


def _of_lines(facts: StarterFacts) -> list[str]:
    """The branches that are named after a line; the newest first, of one line the one with the plainest name."""
    named = [name for name in facts.branches if line_of_branch(name) and _usable(branch, name, "")]
    return sorted(named, key=lambda name: (_newest_first(line_of_branch(name)), name.count("/"), len(name), name))


def _newest_first(line: Line | None) -> Line:
    return (-line[0], -line[1]) if line else (0, 0)


def _usable(rule: Callable[[str], str], *texts: str) -> str:
    """The first text that release.yaml takes under `rule`; the last one where none is."""
    for text in texts:
        try:
            if check_text(text, one_line=True, exact=False) == text:
                return rule(text)
        except BadTextError:
            continue
    return texts[-1]


def _example_version(release_branch: str, latest: TagVersion | None) -> str:
    """The version that the branch would make next, as far as branch name and latest tag tell."""
    line = line_of_branch(release_branch)
    if latest and line in (None, latest.line):
        return str(next_patch(latest))
    major, minor = line or (0, 1)
    return f"{latest.prefix if latest else f'{in_use().product}v'}{major}.{minor}.0"


def _example_line(release_branch: str, latest: TagVersion | None) -> str:
    return _example_version(release_branch, latest).removeprefix(in_use().product).rpartition(".")[0]


def _scheme_lines(scheme: Scheme) -> str:
    """The keys that say how versions are written, where that is not the usual way."""
    said = [f"tag-prefix: {_scalar(scheme.product)}"] if scheme.product else []
    said += [f"scheme: {scheme.kind}"] if scheme.kind != Scheme().kind else []
    return "".join(f"{line}\n" for line in ["", "# How the version tags are written.", *said]) if said else ""


def _dotted(version: TagVersion) -> str:
    return f"{version.prefix}{version.line[0]}.{version.line[1]}"


def _image_name(project: str) -> str:
    """`project` as a repository component: lower case, single separators."""
    return re.sub(r"[^a-z0-9]+", "-", project.lower()).strip("-") or "image"


def _scalar(text: str) -> str:
    """`text` as YAML: plain where nothing can be misread, else double-quoted, which JSON's form is."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    return json.dumps(text, ensure_ascii=False)

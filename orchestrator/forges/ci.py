"""The pipeline files that `release ci init` writes: from release.yaml to text, with a digest against edits.  Pure."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.declaration import Variant, platform_word
from orchestrator.core.errors import UsageError
from orchestrator.core.remote_url import without_login
from orchestrator.forges.ci_templates import GITHUB_QUEUE, GITHUB_SETUP, PINS, PIPELINES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.declaration import Config
    from orchestrator.forges.ci_templates import Template

PLAN_JOB: Final = "release-plan"  # the name of the check that `release protect` requires
_PIP: Final = "python3 -I -m pip install"  # -I: the branch may bring a folder `pip`

_DIGEST: Final = re.compile(r"(?:#|//) sha256 of the lines below: ([0-9a-f]{64})")
_MADE: Final = "Made by `"
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/*+@-]+")


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What the pipeline file is made of; the texts are fit for shell, YAML and Groovy."""

    provider: str
    config_path: str
    source: str
    branches: str
    tags: str
    has_image: bool
    install: str
    platforms: tuple[str, ...] = ()  # that have a publishing job each, none where one job makes all
    file: str = ""  # where it is written, "" for where the provider looks
    on_github_com: bool = True


def pipeline_of(
    config: Config, *, provider: str, config_path: str, branches: str, tags: str, install: str, file: str = ""
) -> Pipeline:
    """The pipeline that release.yaml asks for.  Raises UsageError for a name that no pipeline file can carry."""
    source = config.source[0].removeprefix("refs/heads/").removeprefix(f"{config.remote}/")
    for what, text in (("source", source), ("branch", branches), ("the path of the file", config_path)):
        if not _PLAIN.fullmatch(text):
            raise UsageError(
                f"{what} {text!r} has characters that mean something else in a pipeline file",
                where=str(config.place),
                remedy="use letters, digits and . _ / + @ - there, or write the pipeline by hand (docs/ci.md)",
                code="ci-name",
            )
    if not install.isprintable() or "'''" in install or "\\" in install or "${{" in install:
        raise UsageError(
            "--install is not one line of shell", remedy=f"one command, such as `{_PIP} ...`", code="bad-install"
        )
    return Pipeline(
        provider=provider, config_path=config_path, source=source, branches=branches, tags=tags,
        has_image=config.image is not None, install=install, file=file,
        platforms=_platforms(config),
        on_github_com=not config.repository_url or config.repository_url.startswith("https://github.com/"),
    )  # fmt: skip


def _platforms(config: Config) -> tuple[str, ...]:
    """Those that have a job each: where every image is one of the same several platforms."""
    spec = config.image
    if spec is None:
        return ()
    found = {spec.platforms_of(each) for each in spec.variants or (Variant(place=spec.place, name=""),)}
    platforms = found.pop() if len(found) == 1 else ()
    return platforms if len(platforms) > 1 else ()


def _matrix(pipeline: Pipeline, template: Template) -> Mapping[str, str]:
    """The pieces of a publishing job for each platform; those of one job where there is one."""
    if not (pipeline.platforms and template.matrix):
        return template.alone
    rows = [template.row.format(platform=each, runner=_runner(template, each)) for each in pipeline.platforms]
    return {name: piece.replace("@ROWS@", "".join(rows)) for name, piece in template.matrix.items()}


def _runner(template: Template, platform: str) -> str:
    return template.runners.get(platform, platform_word(platform))


def text_of(pipeline: Pipeline) -> str:
    """The whole file: how it was made, the digest of what follows, and the pipeline."""
    template = PIPELINES[pipeline.provider]
    body = template.text
    pieces = {
        "@SETUP@": GITHUB_SETUP,
        "@QUEUE@": GITHUB_QUEUE if pipeline.on_github_com else "",
        "@PUBLISH@": template.publish[pipeline.has_image],
        **_matrix(pipeline, template),
        "@PLAN_JOB@": PLAN_JOB,
        "@SOURCE@": pipeline.source,
        "@BRANCHES@": pipeline.branches,
        "@TAGS@": pipeline.tags,
        "@TAG_REGEX@": _regex(pipeline.tags),
        "@BRANCH_REGEX@": _regex(pipeline.branches),
        "@CONFIG@": pipeline.config_path,
        "@OPTION@": "" if pipeline.config_path == "release.yaml" else f" --config {shlex.quote(pipeline.config_path)}",
        "@INSTALL@": pipeline.install,
        **{f"@{name}@": pin for name, pin in PINS.items()},
    }
    for mark, piece in pieces.items():
        body = body.replace(mark, piece)
    return (
        f"{template.comment} {_made(pipeline)}\n{template.comment} sha256 of the lines below: {_digest(body)}\n{body}"
    )


def install_from(source: str) -> str:
    """How a job installs this tool: from where this copy of it comes, told by PEP 610's direct_url.json ("" for none).

    Only a commit of a repository that a job can reach will do: a name on an index may be anybody's tomorrow.  Raises
    UsageError where it comes from elsewhere.
    """
    try:
        url, commit = _commit_of(json.loads(source or "{}"))
    except (ValueError, TypeError, KeyError, AttributeError):
        url, commit = "", ""
    if not (re.fullmatch(r"(?:https|ssh)://[^\s'\"\\$`]+", url) and re.fullmatch(r"[0-9a-f]{40}", commit)):
        raise UsageError(
            "nobody knows from where a job can install this tool: this copy was not installed from a commit",
            remedy=f"say it: --install \"{_PIP} 'git+https://HOST/PATH@COMMIT'\"",
            code="no-install",
        )
    return f"{_PIP} 'git+{without_login(url)}@{commit}'"


def _commit_of(data: dict[str, Any]) -> tuple[str, str]:
    """URL and commit of an installation from git."""
    info = data["vcs_info"]
    return (str(data["url"]), str(info["commit_id"])) if info["vcs"] == "git" else ("", "")


def _regex(pattern: str) -> str:
    """A pattern with `*` as GitLab's regular expression between slashes."""
    return re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\-", "-").replace("/", r"\/")


def _made(pipeline: Pipeline) -> str:
    given = {"file": pipeline.file, "config": "", "install": pipeline.install}
    if pipeline.config_path != "release.yaml":
        given["config"] = pipeline.config_path
    options = "".join(f" --{name} {shlex.quote(value)}" for name, value in given.items() if value)
    return f"{_MADE}release ci init --provider {pipeline.provider}{options} --write`: run it again, do not edit."


def is_ours(text: str) -> bool:
    """Whether a file is one that `text_of` made and nobody has edited since."""
    first, _, rest = text.partition("\n")
    second, _, body = rest.partition("\n")
    found = _DIGEST.fullmatch(second)
    return _MADE in first and found is not None and found[1] == _digest(body)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()

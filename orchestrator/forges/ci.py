"""The pipeline files that `release ci init` writes: from release.yaml to text, with a digest against edits.  Pure."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import BY_CUT, BY_REQUEST, Variant
from orchestrator.core.errors import UsageError
from orchestrator.core.reference import parse_reference, parse_repository
from orchestrator.core.remote_url import without_login
from orchestrator.forges.pipelines.github import region_of
from orchestrator.forges.pipelines.regions import BadRegionError, emptied, with_own
from orchestrator.forges.pipelines.table import PIPELINES
from orchestrator.forges.pipelines.triggers import version_tags_of
from orchestrator.forges.pipelines.values import AWS, AZURE, GCP, JOB, PASSWORD, Pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.forges.pipelines.table import PipelineModule

PROJECT: Final = "release-orchestrator"
NONE: Final = "none"  # of --environment
_PIP: Final = "python3 -I -m pip install"  # -I: the branch may bring a folder `pip`

_DIGEST: Final = re.compile(r"(?:#|//) sha256 of the lines below: ([0-9a-f]{64})")
_MADE: Final = "Made by `"
_YOURS: Final = "and edit only what is marked as your own"
_SAID: Final = ("provider", "file", "install", "login", "environment", "tool_image")  # with a value
_WORD: Final = re.compile(r"[A-Za-z0-9._-]+")
_CLOUDS: Final = {
    AWS: re.compile(r"[0-9]+[.]dkr[.]ecr[.][a-z0-9-]+[.]amazonaws[.]com(?:[.]cn)?"),
    GCP: re.compile(r"(?:[a-z0-9-]+-docker[.]pkg[.]dev|(?:[a-z]+[.])?gcr[.]io)"),
    AZURE: re.compile(r"[a-z0-9]+[.]azurecr[.]io"),
}
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/*+@-]+")


@dataclass(frozen=True, kw_only=True)
class PipelineWish:
    """What was asked for at the command line; empty means as release.yaml, remote and provider tell."""

    provider: str
    install: str = ""
    file: str = ""
    login: str = ""
    environment: str = ""
    tool_image: str = ""
    cut: bool = False
    comment: bool = False


def pipeline_of(
    config: Config, wish: PipelineWish, *, config_path: str, branches: str, tags: Sequence[str], remote_host: str = ""
) -> Pipeline:
    """The pipeline that release.yaml asks for; `tags` are those of the repository.

    Raises UsageError for a name that no pipeline file can carry, and for what the provider has not.
    """
    module = PIPELINES[wish.provider]
    source = config.source[0].removeprefix("refs/heads/").removeprefix(f"{config.remote}/")
    for what, text in (("source", source), ("branch", branches), ("the path of the file", config_path)):
        if not _PLAIN.fullmatch(text):
            raise UsageError(
                f"{what} {text!r} has characters that mean something else in a pipeline file",
                where=str(config.place),
                remedy="use letters, digits and . _ / + @ - there, or write the pipeline by hand (docs/ci.md)",
                code="ci-name",
            )
    registry = parse_repository(config.image.repository).host if config.image else ""
    forge = host_of(config.repository_url) or remote_host
    return Pipeline(
        provider=wish.provider, config_path=config_path, source=source, branches=branches, file=wish.file,
        versions=version_tags_of(tags), has_image=config.image is not None, cut=wish.cut, registry=registry,
        install="" if wish.tool_image else _one_line(wish.install), platforms=_platforms(config),
        comment=_comment(wish, module),
        on_github_com=forge in ("", "github.com", "ssh.github.com"), login=_login(wish, module, registry, forge),
        announces=bool(config.notify or config.forge_release),
        comments_on_fixes=bool(config.forge_release and config.forge_release.comment_on_fixes),
        secrets=tuple(dict.fromkeys(each.url_env for each in config.notify)),
        environment=_environment(wish, module), tool_image=_tool_image(wish, module),
        built_by=config.image.built_by if config.image else "",
        requests=config.land is not None and config.land.by == BY_REQUEST,
    )  # fmt: skip


def host_of(page: str) -> str:
    """The host of a forge's page, "" for none."""
    return page.partition("://")[2].partition("/")[0]


def _one_line(install: str) -> str:
    if not install.isprintable() or "'''" in install or "\\" in install or "${{" in install:
        raise UsageError(
            "--install is not one line of shell", remedy=f"one command, such as `{_PIP} ...`", code="bad-install"
        )
    return install


def _login(wish: PipelineWish, module: PipelineModule, registry: str, forge: str) -> str:
    """How the jobs log in: as asked for, else without a password where registry and forge allow it."""
    if wish.login and wish.login not in module.WAYS_IN:
        raise UsageError(
            f"--login {wish.login!r} is not known for {wish.provider}",
            remedy=f"give --login {'|'.join(module.WAYS_IN)}", code="bad-login",
        )  # fmt: skip
    login = wish.login or _usual_login(wish.provider, registry, forge)
    if login == AWS and registry and not region_of(registry):
        raise UsageError(
            f"--login aws is for a registry ACCOUNT.dkr.ecr.REGION.amazonaws.com, and {registry} is none",
            remedy="--login password", code="bad-login",
        )  # fmt: skip
    return login if login in module.WAYS_IN else PASSWORD


def _usual_login(provider: str, registry: str, forge: str) -> str:
    if provider == "github" and registry == "ghcr.io":
        return JOB
    if provider == "gitlab" and registry.partition(":")[0] in {forge.partition(":")[0], f"registry.{forge}"} - {""}:
        return JOB
    return next((login for login, hosts in _CLOUDS.items() if hosts.fullmatch(registry)), PASSWORD)


def _environment(wish: PipelineWish, module: PipelineModule) -> str:
    name = wish.environment or module.ENVIRONMENT
    if not _WORD.fullmatch(name or NONE):
        raise UsageError(
            f"--environment {name!r} is no name", remedy="letters, digits and . _ -; none for none", code="bad-name"
        )
    return "" if name == NONE else name


def _tool_image(wish: PipelineWish, module: PipelineModule) -> str:
    if not wish.tool_image:
        return ""
    if not module.TAKES_IMAGE:
        raise UsageError(
            f"--tool-image does not go with {wish.provider}: a job in a container has no Docker Engine there",
            remedy="leave it out: the jobs install the tool", code="options-exclude",
        )  # fmt: skip
    if wish.install:
        raise UsageError("give only one of --install, --tool-image", code="options-exclude")
    return str(parse_reference(wish.tool_image))


def _comment(wish: PipelineWish, module: PipelineModule) -> bool:
    if wish.comment and module.INSTEAD_OF_COMMENT:
        raise UsageError(
            f"--comment does not go with {wish.provider}, whose jobs have no token of the forge",
            remedy=f"leave it out; {module.INSTEAD_OF_COMMENT}", code="options-exclude",
        )  # fmt: skip
    return wish.comment


def _platforms(config: Config) -> tuple[str, ...]:
    """Those that have a job each: where every image is one of the same several platforms."""
    spec = config.image
    if spec is None or spec.built_by == BY_CUT:
        return ()
    found = {spec.platforms_of(each) for each in spec.variants or (Variant(place=spec.place, name=""),)}
    platforms = found.pop() if len(found) == 1 else ()
    return platforms if len(platforms) > 1 else ()


def text_of(pipeline: Pipeline, wish: PipelineWish, own: Mapping[str, str] | None = None) -> str:
    """The whole file: how it was made, the digest of what follows, and the pipeline with what people have in it."""
    module = PIPELINES[pipeline.provider]
    body, sign = module.text(pipeline), module.COMMENT
    head = f"{sign} {_made(pipeline, wish)}\n{sign} sha256 of the lines below: {_digest(body)}\n"
    return head + with_own(body, own or {})


def install_from(source: str, extras: Sequence[str]) -> str:
    """How a job installs this tool: from where this copy of it comes, told by PEP 610's direct_url.json ("" for none).

    With `extras` come the client libraries, without which no job can speak to the forge.

    Only a commit of a repository that a job can reach will do: a name on an index may be anybody's tomorrow.  Raises
    UsageError where it comes from elsewhere.
    """
    project = f"{PROJECT}[{','.join(extras)}]"
    try:
        url, commit = commit_of(json.loads(source or "{}"))
    except (ValueError, TypeError, KeyError, AttributeError):
        url, commit = "", ""
    if not (re.fullmatch(r"(?:https|ssh)://[^\s'\"\\$`]+", url) and re.fullmatch(r"[0-9a-f]{40}", commit)):
        raise UsageError(
            "nobody knows from where a job can install this tool: this copy was not installed from a commit",
            remedy=f"say it: --install \"{_PIP} '{project} @ git+https://HOST/PATH@COMMIT'\"",
            code="no-install",
        )
    return f"{_PIP} '{project} @ git+{without_login(url)}@{commit}'"


def commit_of(data: dict[str, Any]) -> tuple[str, str]:
    """URL and commit of an installation from git."""
    info = data["vcs_info"]
    return (str(data["url"]), str(info["commit_id"])) if info["vcs"] == "git" else ("", "")


def _made(pipeline: Pipeline, wish: PipelineWish) -> str:
    given = {
        "file": wish.file, "config": "" if pipeline.config_path == "release.yaml" else pipeline.config_path,
        "install": pipeline.install, "login": wish.login, "environment": wish.environment,
        "tool-image": pipeline.tool_image,
    }  # fmt: skip
    options = "".join(f" --{name} {shlex.quote(value)}" for name, value in given.items() if value)
    options += " --cut" if wish.cut else ""
    options += " --comment" if wish.comment else ""
    return f"{_MADE}release ci init --provider {pipeline.provider}{options} --write`: run it again, {_YOURS}."


def made_by(text: str) -> list[str]:
    """The command that made a file, as words; empty for a file that is not this tool's."""
    first = text.partition("\n")[0]
    command = first.partition(_MADE)[2].rpartition("`: run it again")[0]
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    return words if words[:3] == ["release", "ci", "init"] else []


def wish_of(text: str) -> PipelineWish | None:
    """What a file was made of, read off its first line; None for a file that is not this tool's."""
    words = made_by(text)[3:]
    given = {name.removeprefix("--").replace("-", "_"): value for name, value in pairwise(words) if name[:2] == "--"}
    if given.get("provider") not in PIPELINES:
        return None
    known = {name: value for name, value in given.items() if name in _SAID}
    return PipelineWish(**known, cut="--cut" in words, comment="--comment" in words)


def is_ours(text: str) -> bool:
    """Whether a file is one that `text_of` made, and nobody has edited it since outside of the places for people."""
    first, _, rest = text.partition("\n")
    second, _, body = rest.partition("\n")
    found = _DIGEST.fullmatch(second)
    try:
        return _MADE in first and found is not None and found[1] == _digest(emptied(body))
    except BadRegionError:
        return False


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()

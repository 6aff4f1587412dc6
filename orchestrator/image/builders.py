"""Who builds an image, and whether that one has what release.yaml gives to its steps.

`auto` is decided once, where an engine may be asked; from then on the plan says it, and a resumed release keeps it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.core.declaration import PREVIOUS
from orchestrator.core.errors import UsageError
from orchestrator.core.plan import NO_ENGINE
from orchestrator.core.results import Problem
from orchestrator.core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.core.declaration import BuildOptions, BuildSecret, ImageSpec
    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.session.connections import Connections

AUTO: Final = "auto"
CLASSIC: Final = "classic"
BUILDX: Final = "buildx"
LARGEST_SECRET: Final = 500 * 1024  # bytes, BuildKit's own limit

# Options that the classic builder has not -> what to do without.
_BUILDX_ONLY: Final = {
    "builders": "leave it out",
    "secrets": "fetch what needs the secret outside the build",
    "ssh": "fetch what needs the key outside the build",
    "gpus": "do what needs the GPU outside the build",
    "compression": "leave it out: then it is gzip",
}
ZSTD_CLIENTS: Final = (
    "new layers are compressed with zstd: Docker before 23.0 and containerd before 1.5 cannot pull them"
)
_NETWORKS: Final = ("", "default", "none", "host")  # BuildKit knows no others


def choose(plan: Plan, connections: Connections) -> tuple[Plan, tuple[str, ...]]:
    """The plan with a builder for every image that leaves it open, and a line where BuildKit is there and cannot."""
    if not any(image.engine == AUTO for image in plan.builds):
        return plan, ()
    engine, notes = BUILDX, tuple[str, ...]()
    named = any(image.options.builders for image in plan.images)  # asked for by name: they are asked before the build
    try:
        if not named and (why := connections.direct().incapable):
            engine, notes = CLASSIC, (f"built by the classic builder: {one_line(why)}",)
    except UsageError:  # there is no such program, which most machines have not
        engine = CLASSIC
    return replace(plan, images=tuple(_decided(image, engine) for image in plan.images)), notes


def _decided(image: PlannedImage, engine: str) -> PlannedImage:
    parts = tuple(_decided(part, engine) for part in image.parts)
    return replace(image, parts=parts, engine=engine if image.engine == AUTO else image.engine)


def sure_to_be_tried(spec: ImageSpec) -> tuple[str, ...]:
    """The builders of buildx, "" for the current one, that a cut tries whatever its plan says.

    With a heavy base and `auto` there may be nothing to build: then none is tried, which could start it.
    """
    if spec.options.builder == BUILDX or (spec.options.builder == AUTO and spec.heavy is None):
        return spec.options.builders or ("",)
    return ()


def likely(asked: str, connections: Connections) -> str:
    """Who builds where release.yaml asks for that builder, as far as can be told without asking any: with `auto`
    BuildKit where its program is."""
    if asked != AUTO:
        return asked
    try:
        connections.direct()
    except UsageError:
        return CLASSIC
    return AUTO


def of_base(image: PlannedImage, connections: Connections) -> str:
    """Who makes the heavy base of an image that no engine makes: BuildKit where it is there and can."""
    try:
        can = image.options.builders or not connections.direct().incapable
    except UsageError:
        can = False
    return BUILDX if can else CLASSIC


def option_problems(plan: Plan, spec: ImageSpec | None) -> tuple[Problem, ...]:
    """What release.yaml asks of a build and its builder cannot give, each once."""
    found = [problem for image in plan.builds for problem in _problems(image, spec)] if spec else []
    return tuple(dict.fromkeys(found))


def _problems(image: PlannedImage, spec: ImageSpec) -> Iterator[Problem]:
    if image.engine == NO_ENGINE:
        if image.heavy and image.heavy.builder == CLASSIC:
            yield from _lacking(image.options, spec, f"the heavy base of {image.reference} is built by")
        if image.options.cache.sources or image.options.cache.to:
            yield _cannot("cache", spec, f"{image.reference} is written without an engine", "leave it out")
    elif image.engine == CLASSIC:
        yield from _lacking(image.options, spec, f"{image.reference} is built by")
        yield from _lacking_cache(image.options, spec, str(image.reference))
    elif image.engine == BUILDX and image.network not in _NETWORKS:
        yield _no_network(image.network, spec)


def option_problems_here(spec: ImageSpec, engine: str) -> tuple[Problem, ...]:
    """As `option_problems`, before anything is planned; `engine` is to build it (`likely`).

    Where a heavy base is declared the plan says it: it may be there already, and no builder is needed then.
    """
    if engine == CLASSIC and spec.heavy is None:
        by_classic = f"{spec.repository} is built by"
        return (*_lacking(spec.options, spec, by_classic), *_lacking_cache(spec.options, spec, spec.repository))
    return (_no_network(spec.network, spec),) if engine == BUILDX and spec.network not in _NETWORKS else ()


def _lacking(options: BuildOptions, spec: ImageSpec, built_by: str) -> Iterator[Problem]:
    for key, instead in _BUILDX_ONLY.items():
        if getattr(options, key):
            yield _cannot(key, spec, f"{built_by} the classic builder", instead)


def _lacking_cache(options: BuildOptions, spec: ImageSpec, name: str) -> Iterator[Problem]:
    if options.cache.to or set(options.cache.sources) - {PREVIOUS}:
        instead = f"say `cache: {{from: [{PREVIOUS}]}}` alone"
        yield _cannot("cache", spec, f"{name} is built by the classic builder", instead)


def _cannot(key: str, spec: ImageSpec, why: str, instead: str) -> Problem:
    return Problem(
        code="builder-cannot",
        message=f"image.{key} needs BuildKit, and {why}",
        where=str(dict(spec.places).get(key, spec.place)),
        remedy=f"install docker buildx and set `builder: buildx`, or {instead}",
    )


def _no_network(network: str, spec: ImageSpec) -> Problem:
    return Problem(
        code="builder-cannot",
        message=f"image.network: BuildKit knows the networks none and host, not {network!r}",
        where=str(spec.place),
        remedy="use one of these, or set `builder: classic`",
    )


def secret_values(image: PlannedImage, env: Mapping[str, str], top: Path) -> dict[str, bytes]:
    """The secrets of a build by id; those that need not be there and are not are left out.

    A cached step would not miss a secret that is not there, so it is looked for before.  Raises UsageError.
    """
    found = ((secret, secret_value(secret, env, top)) for secret in image.options.secrets)
    return {secret.name: value for secret, value in found if value is not None}


def secret_value(secret: BuildSecret, env: Mapping[str, str], top: Path) -> bytes | None:
    """None for one that need not be there and is not.  Raises UsageError."""
    where = f"the variable {secret.env}" if secret.env else secret.file
    value = env.get(secret.env, "").encode("utf-8", "surrogateescape") if secret.env else _content(secret, env, top)
    if not value and not secret.required:
        return None
    remedy = f"set {secret.env}" if secret.env else "put the secret into that file"
    if not value:
        says = "is empty" if value is not None and (not secret.env or secret.env in env) else "is not there"
        raise _bad(secret, f"{where} {says}", f"{remedy}, or say `required: false`")
    if len(value) > LARGEST_SECRET:
        raise _bad(secret, f"{where} has {len(value)} bytes, BuildKit takes {LARGEST_SECRET}", "use a smaller one")
    return value


def _content(secret: BuildSecret, env: Mapping[str, str], top: Path) -> bytes | None:
    path = secret.file
    if path.startswith("~/"):
        path = f"{env.get('HOME') or Path.home()}/{path[2:]}"
    try:
        with (top / path).open("rb") as file:
            return file.read(LARGEST_SECRET + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _bad(secret, f"{secret.file}: {error.strerror}", "make it a file that can be read") from error


def _bad(secret: BuildSecret, why: str, remedy: str) -> UsageError:
    return UsageError(f"build secret {secret.name}: {why}", remedy=remedy, code="build-secret")


def ssh_agents(image: PlannedImage, env: Mapping[str, str]) -> tuple[str, ...]:
    """What `image.ssh` names, with `~` filled in.  Raises UsageError for what is not there."""
    return tuple(ssh_agent(each, env) for each in image.options.ssh)


def ssh_agent(text: str, env: Mapping[str, str]) -> str:
    """One of them."""
    name, _, path = text.partition("=")
    if not path:
        path, text = env.get("SSH_AUTH_SOCK", ""), name
        remedy = (
            "start an agent (ssh-agent, ssh-add) and export SSH_AUTH_SOCK, or name a key: `default=~/.ssh/id_ed25519`"
        )
    else:
        path = f"{env.get('HOME') or Path.home()}/{path[2:]}" if path.startswith("~/") else path
        text, remedy = f"{name}={path}", "correct the path under `ssh`"
    if not path or not Path(path).exists():
        what = f"there is no {path}" if path else "SSH_AUTH_SOCK is not set"
        raise UsageError(f"image.ssh {name}: {what}", remedy=remedy, code="build-ssh")
    return text


def described(asked: str, connections: Connections) -> str:
    """Who builds where release.yaml asks for that builder, found out now.  Raises UsageError where none can."""
    if asked == CLASSIC:
        return "the classic builder, as release.yaml says"
    try:
        builder = connections.direct()
        why = builder.incapable
    except UsageError as error:
        if asked == AUTO:
            return f"the classic builder: {error.message}"
        raise
    if not why:
        return f"docker buildx, builder {builder.title}"
    if asked == AUTO:
        return f"the classic builder: {why}"
    named = connections.env.get("BUILDX_BUILDER", "")
    other = f"correct or unset BUILDX_BUILDER, which is {named}" if named else "choose another (docker buildx use NAME)"
    raise UsageError(
        why,
        remedy=f"repair that builder, {other}, or set `builder: classic`",
        code="builder-unusable",
    )

"""The keys under `image:` that say how it is built: by whom, which stage, and what its steps may use."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

from orchestrator.config import validators as rules
from orchestrator.config.schema import Got, Key, ListOf, MapOf, Table, Text
from orchestrator.core import labels as names
from orchestrator.core.declaration import BUILDERS, PREVIOUS, BuildOptions, BuildSecret, CacheSpec
from orchestrator.core.errors import UsageError
from orchestrator.core.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.results import Place

_STAGE: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_SSH: Final = rf"default|{_ID}=\S.*"
_DEVICE: Final = r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+=[A-Za-z0-9._:-]+"
_DEVICES: Final = f"{_DEVICE}(?:,{_DEVICE})*"
_LABEL: Final = r"[a-zA-Z0-9][a-zA-Z0-9._/-]{0,254}"
# Set by the tool, which its own checks compare: another value would make them fail.
_OURS: Final = (
    names.VERSION, names.REVISION, names.CREATED, names.REF_NAME, names.SOURCE, names.TITLE, names.BASE_NAME,
    names.BASE_DIGEST, names.VARIANT, names.PATCHES,
)  # fmt: skip


def _label(text: str) -> str:
    if text in _OURS or text.startswith(names.OWN):
        raise rules.BadTextError("config-reserved-label", "is set by this tool", "remove it")
    return rules.matching(_LABEL, "com.example.team")(text)


def _matching(grammar: str, example: str) -> Text[str]:
    check: Callable[[str], str] = rules.matching(grammar, example)
    return Text(convert=check, json={"pattern": f"^(?:{grammar})$"})


# Of OCI's image index; a builder makes an image for any word, and a registry takes it.
_SYSTEMS: Final = ("linux", "windows", "freebsd", "darwin")
_ARCHITECTURES: Final = (
    "amd64", "arm64", "arm", "386", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64",
    "s390x", "wasm",
)  # fmt: skip
_ELSEWHERE: Final = {"x86_64": "amd64", "x64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm/v7"}
_PLATFORM: Final = rf"({'|'.join(_SYSTEMS)})/({'|'.join(_ARCHITECTURES)})(/[a-z][a-z0-9.]*)?"
_PLAIN_VARIANT: Final = {"arm64": "v8", "arm": "v7", "amd64": "v1"}  # what stands for none


def _platform(text: str) -> str:
    if re.fullmatch(_PLATFORM, text):
        return text
    system, _, rest = text.partition("/")
    architecture, _, variant = rest.partition("/")
    near = difflib.get_close_matches(architecture, _ARCHITECTURES, n=1)
    meant = _ELSEWHERE.get(architecture) or next(iter(near), "")
    meant += f"/{variant}" if re.fullmatch(r"[a-z][a-z0-9.]*", variant) and "/" not in meant else ""
    found = f"{next(iter(difflib.get_close_matches(system, _SYSTEMS, n=1)), 'linux')}/{meant}"
    remedy = f"did you mean {found}?" if meant and re.fullmatch(_PLATFORM, found) else "write it as linux/amd64"
    raise rules.BadTextError("config-bad-platform", "is no platform", remedy)


def same_platform(platform: str) -> str:
    """The shortest form: linux/arm64/v8 is linux/arm64."""
    system, architecture, variant = (*platform.split("/"), "", "")[:3]
    plain = not variant or _PLAIN_VARIANT.get(architecture) == variant
    return f"{system}/{architecture}" if plain else platform


PLATFORM_NAME = Text(convert=_platform, what="a platform", json={"pattern": f"^{_PLATFORM}$"})
BUILDER = Key(
    name="builder",
    shape=Text(convert=rules.one_of(*BUILDERS), json={"enum": list(BUILDERS)}),
    help="Who builds: `buildx` (BuildKit, by `docker buildx`), `classic` (the engine's own builder), or `auto`: buildx "
    "where there is one that can, else classic ([buildkit.md](buildkit.md)).",
    default="auto",
)
NAMED_BUILDERS = Key(
    name="builders",
    shape=ListOf(item=_matching(_ID, "farm-1"), what="a list of builders", unique=True),
    help="Builders of `docker buildx ls` that share the variants and platforms of a release; one that is down gives "
    "its work to the others ([scale.md](scale.md)). Needs buildx.",
    default="the one that `docker buildx use` chose",
)
TARGET = Key(
    name="target",
    shape=_matching(_STAGE, "runtime"),
    help="The stage of the Dockerfile that is the image.",
    default="the last one",
)
SECRET_ENV = Key(
    name="env",
    shape=_matching(rules.ARG_GRAMMAR, "PIP_TOKEN"),
    help="The environment variable with the value.",
)
SECRET_FILE = Key(
    name="file",
    shape=Text(convert=rules.plain, what="a path"),
    help="The file with the value, on the machine that builds; `~` is the home folder, anything else that is not "
    "absolute begins at the repository's top.",
)
REQUIRED = Key(
    name="required",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether nothing is built without it.",
    default="true",
)


def _secret(got: Got) -> BuildSecret:
    return BuildSecret(name="", env=got(SECRET_ENV, ""), file=got(SECRET_FILE, ""), required=got(REQUIRED, True))


SECRET = Table(
    title="a build secret", keys=(SECRET_ENV, SECRET_FILE, REQUIRED), build=_secret, exactly_one=("env", "file")
)
SECRETS = Key(
    name="secrets",
    shape=MapOf(
        key=_matching(_ID, "pip-token"),
        value=SECRET,
        join=lambda entries, _: tuple(
            BuildSecret(name=name, env=value.env, file=value.file, required=value.required)
            for _, name, value in entries
        ),
        what="a mapping of ids to where the secrets are",
    ),
    help="Secrets for `RUN --mount=type=secret,id=ID`. They reach no layer, no log, no record and no command line; "
    "needs buildx.",
)
SSH = Key(
    name="ssh",
    shape=ListOf(item=_matching(_SSH, "default, or ID=/path/to/key"), what="a list of agents and keys", unique=True),
    help="For `RUN --mount=type=ssh`: `default` is the agent of SSH_AUTH_SOCK, `ID=PATH` a key or another agent's "
    "socket; needs buildx.",
)
SHM_SIZE = Key(
    name="shm-size",
    shape=Text(convert=rules.byte_size, what="a size", json={"pattern": f"^{rules.SIZE_GRAMMAR}$"}),
    help="The size of /dev/shm in `RUN` steps, such as `2GiB`.",
    default="64MiB",
)
GPUS = Key(
    name="gpus",
    shape=_matching(_DEVICES, "nvidia.com/gpu=all"),
    help="CDI devices that `RUN --device` may use, such as `nvidia.com/gpu=all`; needs buildx, and a builder with CDI.",
)
PULL = Key(
    name="pull",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether the registries are asked for newer bases, also where the builder has them.",
    default="false",
)
LABELS = Key(
    name="labels",
    shape=MapOf(
        key=Text(convert=_label, json={"pattern": f"^{_LABEL}$"}),
        value=Text(convert=rules.plain, one_line=False, exact=True),
        join=lambda entries, _: tuple((name, value) for _, name, value in entries),
        what="a mapping of names to texts",
    ),
    help="Further labels of the image; those of OCI that the tool knows the value of are set by it.",
)

_COMPRESSION: Final = "gzip|zstd(:([1-9]|1[0-9]|2[0-2]))?"


def _compression(text: str) -> str:
    """`zstd`, `zstd:LEVEL`, or "" for gzip, which is what every client reads."""
    if text.startswith("estargz"):
        raise rules.BadTextError("config-bad-word", "makes Docker's engine panic at the push", "use gzip or zstd")
    if not re.fullmatch(_COMPRESSION, text):
        raise rules.BadTextError("config-bad-word", "is not known here", "gzip, zstd, or zstd:LEVEL of 1 to 22")
    return "" if text == "gzip" else text


COMPRESSION = Key(
    name="compression",
    shape=Text(convert=_compression, what="gzip or zstd", json={"pattern": f"^({_COMPRESSION})$"}),
    help="How new layers are compressed: `gzip`, `zstd` or `zstd:LEVEL` (1 to 22). Those of the base stay as they are. "
    "zstd needs buildx, and Docker before 23.0 cannot pull it ([platforms.md](platforms.md#zstd)).",
    default="gzip",
)


def _cache_source(text: str) -> str:
    """`previous`, or a name with the digest that it has to have."""
    if text == PREVIOUS:
        return text
    try:
        pinned = parse_reference(text).digest
    except UsageError as error:
        raise rules.BadTextError("config-bad-repository", f"cannot be used: {error.message}", error.remedy) from error
    if not pinned:
        remedy = f"`{PREVIOUS}`, or add @sha256:... : who may push to a cache can put layers into the image"
        raise rules.BadTextError("config-bad-text", "names no digest", remedy)
    return text


CACHE_FROM = Key(
    name="from",
    shape=ListOf(
        item=Text(convert=_cache_source, json={"pattern": f"^({PREVIOUS}|.+@sha256:[0-9a-f]{{64}})$"}),
        what="a list of caches",
        empty_code="config-no-caches",
        empty_remedy=f"name at least one, such as `{PREVIOUS}`, or remove the key",
        unique=True,
    ),
    help=f"What may be taken over: `{PREVIOUS}` is what the version before left, by the digest in its record; "
    "`REPOSITORY[:TAG]@sha256:...` any other cache of BuildKit.",
)
CACHE_TO = Key(
    name="to",
    shape=Text(convert=rules.image_repository, what="an image repository", json={"pattern": "^[^@]*$"}),
    help="The repository that the build leaves its cache in, as `cache-<12 hex digits of the commit>`; needs buildx.",
)
CACHE = Key(
    name="cache",
    shape=Table(
        title="'cache'",
        keys=(CACHE_FROM, CACHE_TO),
        build=lambda got: CacheSpec(sources=got(CACHE_FROM, ()), to=got(CACHE_TO, "")),
    ),
    help="What a build takes over from earlier ones on other machines ([buildkit.md](buildkit.md#caches)).",
)

BUILD_KEYS = (BUILDER, NAMED_BUILDERS, TARGET, SECRETS, SSH, SHM_SIZE, GPUS, PULL, LABELS, COMPRESSION, CACHE)


def build_options(got: Got) -> BuildOptions:
    """What the `image:` section says of the build itself."""
    return BuildOptions(
        builder=got(BUILDER, BuildOptions.builder),
        builders=got(NAMED_BUILDERS, ()),
        target=got(TARGET, ""),
        secrets=got(SECRETS, ()),
        ssh=got(SSH, ()),
        shm_size=got(SHM_SIZE, 0),
        gpus=got(GPUS, ""),
        pull=got(PULL, BuildOptions.pull),
        labels=got(LABELS, ()),
        compression=got(COMPRESSION, ""),
        cache=got(CACHE, BuildOptions.cache),
    )


def places(got: Got) -> tuple[tuple[str, Place], ...]:
    """Where these keys stand."""
    return tuple((key.name, got.faults.place(got.nodes[key.name])) for key in BUILD_KEYS if key.name in got.nodes)

"""The `image:` section of release.yaml."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from orchestrator.config import validators as rules
from orchestrator.config.build_keys import BUILD_KEYS, PLATFORM_NAME, TARGET, build_options, places, same_platform
from orchestrator.config.schema import Either, Faults, Got, Key, ListOf, MapOf, Mapped, Table, Text
from orchestrator.config.smoke_keys import FILE, RUN, SMOKE_COMMAND, bare_command, named
from orchestrator.core.declaration import (
    BUILT_BY,
    IMAGE_ALLOWED,
    IMAGE_CHECKS,
    LOCK_IN_COMMAND,
    PLATFORM_IN_LOCK,
    HeavySpec,
    ImageSpec,
    SmokeCommand,
    Variant,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.results import Place

# ------------------------------------------------------------------ image

REPOSITORY = Key(
    name="repository",
    shape=Text(convert=rules.image_repository, what="an image repository", json={"pattern": "^[^@]*$"}),
    help="Where the image goes: registry and path, without scheme, login and tag.",
    required=True,
)
DOCKERFILE = Key(name="dockerfile", shape=FILE, help="The Dockerfile, from the repository's top.", default="Dockerfile")
CONTEXT = Key(
    name="context",
    shape=Text(convert=rules.folder, what="a folder", json={"pattern": r"^[^/~-]"}),
    help="The build context, from the repository's top.",
    default=".",
)
BUILD_ARGS = Key(
    name="build-args",
    shape=MapOf(
        key=Text(convert=rules.build_arg, json={"pattern": f"^{rules.ARG_GRAMMAR}$"}),
        value=Text(convert=rules.plain, one_line=False, exact=True),
        join=lambda entries, _: tuple((name, value) for _, name, value in entries),
        what="a mapping of names to texts",
    ),
    help="Build arguments. They stay in the image's history, so no secrets. RELEASE_VERSION, "
    "RELEASE_REVISION and SOURCE_DATE_EPOCH are set by the tool.",
)
FLOATING = Key(
    name="floating",
    shape=ListOf(
        item=Text(convert=rules.floating_tag, what="an image tag", json={"pattern": f"^{rules.TAG_GRAMMAR}$"}),
        what="a list of image tags",
        unique=True,
    ),
    help="Image tags that follow the newest release, such as `v2.7` or `latest`. They only move forward.",
)
SMOKE = Key(
    name="smoke",
    shape=ListOf(
        item=Either(
            what="a command (text, list or mapping)",
            text=Mapped(shape=RUN.shape, into=bare_command),
            items=Mapped(shape=RUN.shape, into=bare_command),
            pairs=SMOKE_COMMAND,
        ),
        what="a list of commands",
    ),
    help="Commands that must succeed in the built image before anything is public.",
)
PLATFORM = Key(
    name="platform",
    shape=PLATFORM_NAME,
    help="The platform to build for.",
    default="the engine's own",
)
PLATFORMS = Key(
    name="platforms",
    shape=ListOf(
        item=PLATFORM_NAME,
        what="a list of platforms",
        empty_code="config-no-platforms",
        empty_remedy="name at least one, such as linux/amd64, or remove the key",
        unique=True,
    ),
    help="The platforms to build for, in place of `platform`. Several become one image with one tag, of which each "
    "machine pulls its own ([platforms.md](platforms.md)).",
)
BUILD_NETWORK = Key(
    name="network",
    shape=Text(
        convert=rules.matching(rules.NETWORK_GRAMMAR, "none, host, or a network's name"),
        what="a network",
        json={"pattern": f"^{rules.NETWORK_GRAMMAR}$"},
    ),
    help="The network of the build's `RUN` steps: `none`, `host`, or a network's name.",
    default="the engine's own",
)


def _whole_lock(path: str, _: Place) -> tuple[tuple[str, str], ...]:
    return (("", path),)


LOCK: Key[tuple[tuple[str, str], ...]] = Key(
    name="lock",
    shape=Either(
        what="a path, or a mapping of platforms to paths",
        text=Mapped(shape=FILE, into=_whole_lock),
        pairs=MapOf(
            key=PLATFORM_NAME,
            value=FILE,
            join=lambda entries, _: tuple((platform, path) for _, platform, path in entries),
            what="a mapping of platforms to paths",
        ),
    ),
    help="The lock that the image is installed from, in the repository: a file in pip's format with hashes, or a "
    "folder whose `*.txt` files are the lock together. `{platform}` in it becomes `linux-arm64`; a mapping names a "
    "lock for each platform.",
)
LOCK_COMMAND = Key(
    name="lock-command",
    shape=Text(convert=rules.containing(LOCK_IN_COMMAND), what="a command"),
    help="What makes a lock, `{lock}` being its path: `tools/lock {lock}`. Where one is missing or out of date "
    "`release check` says the command; nothing runs it.",
)
PATCHES = Key(
    name="patches",
    shape=FILE,
    help="The folder with patches to installed packages, `<package>-<version>/NNNN-name.patch`, that the Dockerfile "
    "applies ([patches.md](patches.md)).",
)
PARALLEL = Key(
    name="parallel",
    shape=Text(convert=rules.at_most(16), what="a number", json={"type": ["integer", "string"]}),
    help="How many variants are built at the same time.",
    default="1",
)

DELTA_BUDGET = Key(
    name="delta-budget",
    shape=Text(convert=rules.byte_size, what="a size", json={"pattern": f"^{rules.SIZE_GRAMMAR}$"}),
    help="The most that a client with the previous version may have to pull for this one, such as `64KiB`. A cut that "
    "needs more stops before anything is public.",
    default="no limit",
)

SIZE_BUDGET = Key(
    name="size-budget",
    shape=Text(convert=rules.byte_size, what="a size", json={"pattern": f"^{rules.SIZE_GRAMMAR}$"}),
    help="The most that the built image may hold, unpacked, as the engine counts it, such as `6GiB`. A larger one "
    "fails the smoke check `budget`.",
    default="no limit",
)
MAX_LAYERS = Key(
    name="max-layers",
    shape=Text(convert=rules.at_most(127), what="a number", json={"type": ["integer", "string"]}),
    help="The most layers that the built image may have, base included. More fail the smoke check `budget`.",
    default="no limit but docker's, 127",
)

ALLOW = Key(
    name="allow",
    shape=ListOf(
        item=Text(convert=rules.one_of(*IMAGE_ALLOWED), json={"enum": list(IMAGE_ALLOWED)}),
        what="a list of differences",
        unique=True,
    ),
    help="How the image may differ from that of the version before, which is else taken for a mistake: "
    + "; ".join(f"`{word}`, {meaning}" for word, meaning in IMAGE_ALLOWED.items())
    + ".",
)
BUILT_BY_KEY = Key(
    name="built-by",
    shape=Text(convert=rules.one_of(*BUILT_BY), json={"enum": list(BUILT_BY)}),
    help="Where the image is built, and nowhere else: `cut`, before anything is public; or `ci`, by `release publish`"
    " in the pipeline of the tag, when the cut ends with the tag ([who-builds.md](who-builds.md)).",
    default="the cut; `publish` where the image is not there",
)
# ------------------------------------------------------------------ heavy base

STAGE_NAME = Text(convert=rules.matching(rules.STAGE_GRAMMAR, "heavy"), json={"pattern": f"^{rules.STAGE_GRAMMAR}$"})
STAGE = Key(name="stage", shape=STAGE_NAME, help="The stage's name in the Dockerfile.", required=True)
HEAVY_REPOSITORY = Key(
    name="repository",
    shape=REPOSITORY.shape,
    help="Where the heavy base goes: another repository of the same registry.",
    default="the image's own",
)
EPOCH = Key(
    name="epoch",
    shape=Mapped(
        shape=Text(
            convert=rules.matching("[0-9]{1,10}", "1745366400"),
            what="seconds since 1970",
            json={"type": ["integer", "string"], "pattern": "^[0-9]{1,10}$"},
        ),
        into=lambda text, _: int(text),
    ),
    help="The time that its files and its configuration have, in seconds since 1970. Another one makes it anew.",
    default=str(HeavySpec.epoch),
)


def _heavy(got: Got) -> HeavySpec:
    return HeavySpec(
        place=got.place,
        stage=got(STAGE, ""),
        repository=got(HEAVY_REPOSITORY, ""),
        epoch=got(EPOCH, HeavySpec.epoch),
    )


HEAVY = Key(
    name="heavy",
    shape=Either(
        what="a stage's name, or a mapping",
        text=Mapped(shape=STAGE_NAME, into=lambda name, place: HeavySpec(place=place, stage=name)),
        pairs=Table(title="'heavy'", keys=(STAGE, HEAVY_REPOSITORY, EPOCH), build=_heavy),
    ),
    help="The stage of the Dockerfile with all that is heavy. It is built once and kept beside the image as "
    "`heavy-<hash of its inputs>`; a release then adds thin layers to it ([thin.md](thin.md)).",
)

CHECKS = Key(
    name="checks",
    shape=ListOf(
        item=Text(convert=rules.one_of(*IMAGE_CHECKS), json={"enum": list(IMAGE_CHECKS)}),
        what="a list of checks",
        unique=True,
    ),
    help=f"The built-in checks of what is inside the image: {', '.join(f'`{name}`' for name in IMAGE_CHECKS)}. "
    "What a check needs and the image has not is skipped, with the reason.",
    default="all of them where there is a `lock`; else `patches` where there are some",
)

# ------------------------------------------------------------------ variants

VARIANT_NAME = Key(
    name="name",
    shape=Text(convert=rules.matching(rules.VARIANT_GRAMMAR, "cu126"), json={"pattern": f"^{rules.VARIANT_GRAMMAR}$"}),
    help="The variant's name, such as `cu126`. Unique.",
    required=True,
)
SUFFIX = Key(
    name="tag-suffix",
    shape=Text(convert=rules.tag_suffix, what="the end of a tag", json={"pattern": f"^{rules.SUFFIX_GRAMMAR}$"}),
    help="What stands behind the version, and behind floating tags, in the variant's tags.",
    default="`-` and the name",
)


def _variant(got: Got) -> Variant:
    name = got(VARIANT_NAME, "")
    lock = got(LOCK, ())
    return Variant(
        place=got.place,
        name=name,
        build_args=got(BUILD_ARGS, ()),
        platform=got(PLATFORM, ""),
        platforms=got(PLATFORMS, ()),
        suffix=got(SUFFIX, f"-{name}"),
        smoke=_smoke_commands(got),
        lock=dict(lock).get("", ""),
        locks=tuple(entry for entry in lock if entry[0]),
        target=got(TARGET, ""),
    )


VARIANT = Table(
    title="a variant", keys=(VARIANT_NAME, BUILD_ARGS, PLATFORM, PLATFORMS, SUFFIX, SMOKE, LOCK, TARGET), build=_variant
)
VARIANTS = Key(
    name="variants",
    shape=ListOf(
        item=VARIANT,
        what="a list of variants",
        empty_code="config-no-variants",
        empty_remedy="declare at least one, or remove the key",
    ),
    help="Images of the same release with other contents, each with tags of its own, such as `v2.7.1-cu118`. "
    "The first is the default: it has the plain version tag as well.",
)


def _smoke_commands(got: Got) -> tuple[SmokeCommand, ...]:
    smoke = got(SMOKE, ())
    if any(command.command[:1] == ("",) for command in smoke):
        message = "a smoke command starts with an empty word"
        got.faults.add("config-no-command", message, got.nodes[SMOKE.name], "name the program first")
    given = Counter(command.name for command in smoke if command.name)
    for name in sorted(name for name, count in given.items() if count > 1):
        message = f"two smoke commands are called {rules.quoted(name)}"
        got.faults.add("config-same-name", message, got.nodes[SMOKE.name], "give each a name of its own")
    return named(smoke)


def _check_variants(variants: Sequence[Variant], smoke: Sequence[SmokeCommand], faults: Faults) -> None:
    """Names and suffixes are unique: two variants with one tag would overwrite each other."""
    for index, variant in enumerate(variants):
        before = variants[:index]
        if variant.name and any(variant.name == other.name for other in before):
            message = f"two variants are called {rules.quoted(variant.name)}"
            faults.add_at("config-same-name", message, variant.place, "give each a name of its own")
        elif any(variant.suffix == other.suffix for other in before):
            message = f"two variants have the tag suffix {rules.quoted(variant.suffix)}"
            faults.add_at("config-same-suffix", message, variant.place, "give each a tag-suffix of its own")
        for name in sorted({command.name for command in variant.smoke} & {command.name for command in smoke}):
            message = f"smoke command {rules.quoted(name)} is the image's and the variant's"
            faults.add_at("config-same-name", message, variant.place, "the image's runs for every variant: keep one")


def _image(got: Got) -> ImageSpec:
    smoke, variants, lock = _smoke_commands(got), got(VARIANTS, ()), got(LOCK, ())
    _check_variants(variants, smoke, got.faults)
    spec = ImageSpec(
        place=got.place,
        repository=got(REPOSITORY, ""),
        dockerfile=got(DOCKERFILE, ImageSpec.dockerfile),
        context=got(CONTEXT, ImageSpec.context),
        build_args=got(BUILD_ARGS, ()),
        floating=got(FLOATING, ()),
        smoke=smoke,
        platform=got(PLATFORM, ""),
        platforms=got(PLATFORMS, ()),
        network=got(BUILD_NETWORK, ""),
        lock=dict(lock).get("", ""),
        locks=tuple(entry for entry in lock if entry[0]),
        lock_command=got(LOCK_COMMAND, ""),
        variants=variants,
        parallel=got(PARALLEL, ImageSpec.parallel),
        patches=got(PATCHES, ""),
        delta_budget=got(DELTA_BUDGET, 0),
        size_budget=got(SIZE_BUDGET, 0),
        max_layers=got(MAX_LAYERS, 0),
        allow=got(ALLOW, ()),
        built_by=got(BUILT_BY_KEY, ""),
        heavy=got(HEAVY, None),
        checks=got(CHECKS, None),
        options=build_options(got),
        places=places(got),
    )
    _check_platforms(spec, got.faults)
    return spec


def _check_platforms(spec: ImageSpec, faults: Faults) -> None:
    """One way to say the platform, and a lock for each where some have one."""
    sections: tuple[ImageSpec | Variant, ...] = (spec, *spec.variants)
    for each in sections:
        if each.platform and each.platforms:
            message = "both 'platform' and 'platforms' are given"
            faults.add_at("config-two-platforms", message, each.place, "keep 'platforms'")
        names = list(dict.fromkeys(each.platforms))
        if twice := next((one for one in names if [*map(same_platform, names)].count(same_platform(one)) > 1), ""):
            message = f"'platforms' lists {same_platform(twice)} in two forms"
            faults.add_at("config-duplicate-item", message, each.place, "keep one")
    for variant in spec.variants or (Variant(place=spec.place, name=""),):
        given: Variant | ImageSpec = variant if variant.lock or variant.locks else spec
        for platform in spec.platforms_of(variant):
            if given.locks and not spec.lock_of(variant, platform):
                what = platform or "the engine's own platform"
                message = f"'lock' names none for {what}"
                faults.add_at("config-no-lock", message, given.place, f"add it to 'lock': {what}: PATH")
            if not platform and PLATFORM_IN_LOCK in given.lock:
                message = f"'lock' has {PLATFORM_IN_LOCK}, and no platform is named"
                faults.add_at("config-no-platforms", message, given.place, "name it by 'platform' or 'platforms'")


IMAGE = Table(
    title="'image'",
    keys=(
        REPOSITORY, DOCKERFILE, CONTEXT, BUILD_ARGS, FLOATING, SMOKE, PLATFORM, PLATFORMS,
        BUILD_NETWORK, LOCK, LOCK_COMMAND, PATCHES,
        VARIANTS, PARALLEL, DELTA_BUDGET, SIZE_BUDGET, MAX_LAYERS, ALLOW, BUILT_BY_KEY, CHECKS, HEAVY,
        *BUILD_KEYS,
    ),
    build=_image,
)  # fmt: skip

"""How a release comes onto its branch, and where its record is kept: `land:` and `records:` of release.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config import validators as rules
from orchestrator.config.schema import Either, Got, Key, Mapped, Table, Text
from orchestrator.core.declaration import (
    BY_PUSH,
    BY_REQUEST,
    DEFAULT_BRANCH,
    NOWHERE,
    ON_BRANCH,
    REGISTRY,
    WAYS,
    LandSpec,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def _candidate_branch(text: str) -> str:
    """A branch with the version in its name, so that two releases never share one."""
    if "{version}" not in text:
        remedy = "write `{version}` where the version goes, such as release-candidate/{version}"
        raise rules.BadTextError("config-bad-branch", "names no version", remedy)
    rules.branch(text.replace("{version}", "v1.0.0"))
    return text


LAND_BY = Key(
    name="by",
    shape=Text(convert=rules.one_of(*WAYS), json={"enum": list(WAYS)}),
    help="`push`: branch and tag together; `pull-request`: proposed on a branch of its own, for people to merge.",
    required=True,
)
LAND_BRANCH = Key(
    name="branch",
    shape=Text(convert=_candidate_branch, what="a branch", json={"pattern": r"\{version\}"}),
    help="The branch that a release is proposed on; `{version}` stands for the version.",
    default=DEFAULT_BRANCH,
)
LAND_ATOMIC = Key(
    name="atomic",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether branch and tag are pushed together, both or neither. `false`, with `push`, is for a server that"
    " cannot: the branch first, then the tag.",
    default="true",
)
LAND_PROVIDER = Key(
    name="provider",
    shape=Text(convert=rules.one_of("github", "gitlab"), json={"enum": ["github", "gitlab"]}),
    help="The forge that the remote is on, where its URL does not tell.",
    default="by the remote's URL",
)
LAND_API = Key(
    name="api",
    shape=Text(convert=rules.web_page, what="a URL", json={"pattern": "^https?://[^@\\s]+$"}),
    help="The root of the forge's API, such as `https://git.example.com/api/v3` for GitHub Enterprise.",
    default="the forge's own",
)
LAND_REPOSITORY = Key(
    name="repository",
    shape=Text(convert=rules.matching(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+", "owner/name"), what="owner/name"),
    help="The repository on the forge, `owner/name`, where the remote's URL does not tell.",
    default="by the remote's URL",
)


def _land(got: Got) -> LandSpec:
    if got(LAND_BY, BY_PUSH) != BY_PUSH and not got(LAND_ATOMIC, True):
        remedy = "remove it: what is proposed is merged by people, and the tag is pushed alone"
        got.faults.add("config-land-atomic", "`atomic: false` is for `by: push`", got.nodes[LAND_ATOMIC.name], remedy)
    return LandSpec(
        place=got.place,
        by=got(LAND_BY, BY_PUSH),
        branch=got(LAND_BRANCH, DEFAULT_BRANCH),
        atomic=got(LAND_ATOMIC, True),
        provider=got(LAND_PROVIDER, ""),
        api=got(LAND_API, ""),
        repository=got(LAND_REPOSITORY, ""),
    )


LAND_TABLE = Table(
    title="how a release lands",
    keys=(LAND_BY, LAND_BRANCH, LAND_ATOMIC, LAND_PROVIDER, LAND_API, LAND_REPOSITORY),
    build=_land,
)
LAND = Key(
    name="land",
    shape=Either(
        what="`push`, `pull-request`, or a mapping",
        text=Mapped(shape=LAND_BY.shape, into=lambda by, place: LandSpec(place=place, by=by)),
        pairs=LAND_TABLE,
    ),
    help="How a release comes onto its branch: `push`, or `pull-request` (docs/landing.md).",
    default=BY_PUSH,
)


def _records(text: str) -> str:
    if text in (NOWHERE, REGISTRY):
        return text
    if not text.startswith(ON_BRANCH):
        remedy = "write `branch NAME`, `registry` or `none`; without the key they are refs of their own"
        raise rules.BadTextError("config-bad-records", "is no place for records", remedy)
    return ON_BRANCH + rules.branch(text.removeprefix(ON_BRANCH).strip())


_PLACES = r"^(none|registry|branch +[^-/\s][^\s]*)$"
RECORDS = Key(
    name="records",
    shape=Text(convert=_records, what="`branch NAME`, `registry` or `none`", json={"pattern": _PLACES}),
    help="Where records, kept sources, yanks and notes go on a server that takes no refs but branches and tags:"
    " `branch NAME`, a branch that this tool alone writes; `registry`, beside the images (no notes); or `none`: they"
    " are not kept ([records.md](records.md)).",
    default="refs of their own",
)


def check_records(got: Got, branch: str, source: Sequence[str], land: LandSpec | None, *, image: bool) -> None:
    """The branch of the records is another than all that releases are made of, and what is proposed is kept."""
    told = got(RECORDS, "")
    own = told.removeprefix(ON_BRANCH) if told.startswith(ON_BRANCH) else ""
    if own and own in (branch, *source):
        message = f"{rules.quoted(own)} is a branch that releases are made of"
        got.faults.add("config-records-branch", message, got.nodes[RECORDS.name], "name one for the records alone")
    if told == REGISTRY and not image:
        message = "a record in the registry lies beside an image, and this declares none"
        remedy = f"leave the key out, or: `records: {ON_BRANCH}release-records`"
        got.faults.add("config-records-image", message, got.nodes[RECORDS.name], remedy)
    if told in (NOWHERE, REGISTRY) and land and land.by == BY_REQUEST:
        message = "what is proposed by a pull request must be kept until it lands"
        if told == REGISTRY:
            message += ", and there is no image before"
        remedy = f"keep it on a branch: `records: {ON_BRANCH}release-records`"
        got.faults.add("config-records-none", message, got.nodes[RECORDS.name], remedy)

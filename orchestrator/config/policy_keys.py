"""The `policy:` section of release.yaml: its keys, each named as forges and commit checkers name the thing."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from orchestrator.config import validators as rules
from orchestrator.config.schema import Got, Key, ListOf, Table, Text
from orchestrator.config.smoke_keys import LINE
from orchestrator.config.validators import BadTextError
from orchestrator.core.declaration import CodeOwners, Freeze, Policy
from orchestrator.core.glob import LONGEST

_MOST = 9  # approvals
_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})? ?(Z|[+-][0-9]{2}:[0-9]{2})"
_TYPE = r"[a-z][a-z0-9-]*"


def instant(text: str) -> datetime:
    """A moment as in RFC 3339; seconds may be left out, the zone may not."""
    remedy = "write it with its offset from UTC, such as 2026-12-20T18:00+01:00 or 2026-12-20T17:00Z"
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:]+)?", text):
        raise BadTextError("config-bad-time", "has no time zone, or no time", remedy)
    fault = BadTextError("config-bad-time", "is not a moment", remedy)
    if not re.fullmatch(_INSTANT, text):
        raise fault
    try:
        moment = datetime.fromisoformat(f"{text[:10]}T{text[11:].replace(' ', '')}")
        return moment.astimezone(UTC).astimezone(moment.tzinfo)  # years 1 and 9999 have days that UTC has not
    except (ValueError, OverflowError) as error:
        raise fault from error


def owned_path(text: str) -> str:
    """A pattern as in CODEOWNERS: gitignore's rules without `!` and `[...]`."""
    says = ""
    if text.startswith("!"):
        says = "starts with '!', which CODEOWNERS does not know"
    elif any(char in text for char in "[]\\"):
        says = "holds '[', ']' or a backslash, which CODEOWNERS does not know"
    elif not text.strip("/") or "//" in text or ".." in text.split("/"):
        says = "can match no file"
    elif len(text) > LONGEST:
        says = f"has more than {LONGEST} characters"
    if says:
        raise BadTextError("config-bad-owned-path", says, "write it like *.py, docs/ or /images/pytorch-cuda/**")
    return text


OWNED_PATH = Key(
    name="path",
    shape=Text(convert=owned_path, what="a pattern", json={"pattern": r"^[^!\[\]\\]+$"}),
    help="Files, as in CODEOWNERS: `*`, `*.py`, `docs/`, `/images/**`. The last entry that matches a file counts.",
    required=True,
)
OWNERS = Key(
    name="owners",
    shape=ListOf(item=LINE, what="a list of names", unique=True),
    help="Who may approve changes of them; one is enough. Nobody in particular is needed for an empty list.",
    required=True,
)

CODE_OWNERS_ENTRY = Table(
    title="code owners",
    keys=(OWNED_PATH, OWNERS),
    build=lambda got: CodeOwners(place=got.place, path=got(OWNED_PATH, ""), owners=got(OWNERS, ())),
)

_MOMENT = Text(convert=instant, what="a moment", json={"type": "string", "pattern": f"^{_INSTANT}$"})
FROM = Key(name="from", shape=_MOMENT, help="Its beginning, with the offset from UTC.", required=True)
UNTIL = Key(name="until", shape=_MOMENT, help="Its end, with the offset from UTC.", required=True)
WHY = Key(name="reason", shape=LINE, help="Why; shown to who is refused.", required=True)


def _freeze(got: Got) -> Freeze | None:
    start, end = got(FROM, None), got(UNTIL, None)
    if start is None or end is None:
        return None
    if end <= start:
        got.faults.add(
            "config-bad-freeze", "it does not end after it begins", got.nodes[UNTIL.name], "give a later end"
        )
    return Freeze(place=got.place, start=start, end=end, reason=got(WHY, ""))


FREEZE_WINDOW = Table(title="a freeze", keys=(FROM, UNTIL, WHY), build=_freeze)

# ------------------------------------------------------------------ the section

_NUMBER = Text(convert=rules.at_most(_MOST), what="a number", json={"type": ["integer", "string"], "minimum": 1})
_SWITCH = Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"})

REQUIRED_APPROVALS = Key(
    name="required-approvals",
    shape=_NUMBER,
    help="How many people must have approved a fix (`approved-by`). The author of the commit is not counted.",
    default="1 where there are `code-owners`, else none",
)
ADAPTED_APPROVALS = Key(
    name="adapted-approvals",
    shape=_NUMBER,
    help="The same for a pick that is not the original change: a conflict resolved by hand, a `backport`,"
    " or one merged with `strategy-option: ours` or `theirs`.",
    default="as `required-approvals`",
)
CODE_OWNERS = Key(
    name="code-owners",
    shape=ListOf(
        item=CODE_OWNERS_ENTRY,
        what="a list of entries",
        empty_code="config-no-owners",
        empty_remedy='write `- {path: "*", owners: [name]}`, or remove the key',
    ),
    help="Whose approvals count, by the files that a pick changes. Each file needs one by an owner of it.",
)
TYPES = Key(
    name="types",
    shape=ListOf(
        item=Text(convert=rules.matching(_TYPE, "fix"), what="a type", json={"pattern": f"^{_TYPE}$"}),
        what="a list of types",
        empty_code="config-no-types",
        empty_remedy="name some, such as fix and perf, or remove the key",
        unique=True,
    ),
    help="The Conventional Commit types that a release may take. A subject that is none has no type and is not judged.",
    default="all",
)
CONVENTIONAL_COMMITS = Key(
    name="conventional-commits",
    shape=_SWITCH,
    help="Whether the subject of every fix must be a Conventional Commit.",
    default="false",
)
SIGNED_TAGS = Key(
    name="signed-tags",
    shape=_SWITCH,
    help="Whether the tag must be signed: `cut` refuses where git does not sign, `publish` what `git verify-tag` does"
    " not believe.",
    default="false",
)
SIGNED_IMAGES = Key(
    name="signed-images",
    shape=_SWITCH,
    help="Whether a release with images must `sign:` them, with keys that the protected branch pins; `audit` and"
    " `verify` then miss a signature that is not there.",
    default="false",
)
PROTECTED_SOURCES = Key(
    name="protected-sources",
    shape=ListOf(
        item=Text(convert=rules.branch, what="a branch", json={"pattern": r"^[^-/\s][^\s]*$"}),
        what="a list of branches",
        empty_code="config-no-source",
        empty_remedy="name one, such as main, or remove the key",
        unique=True,
    ),
    help="Branches of the remote, by their short names: a fix must be on one of them.",
    default="any branch",
)
DECLARED_ON_SOURCE = Key(
    name="declared-on-source",
    shape=_SWITCH,
    help="Whether the release must be declared, as it is used, in release.yaml of the first `source` branch: its entry,"
    " `branch`, `image`, `verify`, `changelog` and `version-files`.",
    default="false",
)
FREEZE = Key(
    name="freeze",
    shape=ListOf(item=FREEZE_WINDOW, what="a list of freezes"),
    help="When nothing is released, unless `--break-freeze` gives a reason.",
)


def _policy(got: Got) -> Policy:
    owners = got(CODE_OWNERS, ())
    least = got(REQUIRED_APPROVALS, 1 if owners else 0)
    adapted = got(ADAPTED_APPROVALS, least)
    if adapted < least:
        message = f"{ADAPTED_APPROVALS.name} {adapted} is less than {REQUIRED_APPROVALS.name} {least}"
        remedy = "an adapted pick needs at least what any other needs"
        got.faults.add("config-fewer-approvals", message, got.nodes[ADAPTED_APPROVALS.name], remedy)
    return Policy(
        place=got.place,
        places=tuple((name, got.faults.place(node)) for name, node in got.nodes.items()),
        required_approvals=least,
        adapted_approvals=adapted,
        code_owners=owners,
        types=got(TYPES, ()),
        conventional_commits=got(CONVENTIONAL_COMMITS, False),
        signed_tags=got(SIGNED_TAGS, False),
        signed_images=got(SIGNED_IMAGES, False),
        protected_sources=got(PROTECTED_SOURCES, ()),
        declared_on_source=got(DECLARED_ON_SOURCE, False),
        freeze=got(FREEZE, ()),
    )


POLICY = Table(
    title="'policy'",
    keys=(
        REQUIRED_APPROVALS,
        ADAPTED_APPROVALS,
        CODE_OWNERS,
        TYPES,
        CONVENTIONAL_COMMITS,
        SIGNED_TAGS,
        SIGNED_IMAGES,
        PROTECTED_SOURCES,
        DECLARED_ON_SOURCE,
        FREEZE,
    ),
    build=_policy,
)

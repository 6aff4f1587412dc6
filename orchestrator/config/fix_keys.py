"""The keys of a fix in release.yaml: how it is named, why it ships, and how it is applied."""

from __future__ import annotations

from orchestrator.config import revision_rules
from orchestrator.config import validators as rules
from orchestrator.config.policy_keys import owned_path
from orchestrator.config.schema import Either, Got, Key, ListOf, Mapped, Table, Text
from orchestrator.config.smoke_keys import LINE
from orchestrator.core.declaration import ALLOWED, ALLOWED_WITH_REASON, STRATEGY_OPTIONS, Fix

_REVISION = Text(convert=revision_rules.revision, what="a revision", json={"pattern": r"^(:/.+|[^-^\s:][^\s]*)$"})
COMMIT = Key(
    name="commit",
    shape=_REVISION,
    help="The commit to pick, by its id, perhaps abbreviated; no name that moves. A fix has this or `range`.",
)
PR = Key(
    name="pr",
    shape=Text(convert=revision_rules.request_number, what="a number", json={"pattern": "^[#!]?[1-9][0-9]{0,8}$"}),
    help="A merged pull or merge request by its number (`412`, `'#412'`, `'!412'`). The release keeps its commits by"
    " their ids, beside it; where `commit` or `range` is given too, those are picked.",
)
RANGE = Key(
    name="range",
    shape=Text(
        convert=revision_rules.revision_range,
        what="a range A..B",
        json={"pattern": r"^[^-\s.]([^\s]*[^\s.])?\.\.[^\s.][^\s]*$"},
    ),
    help="Several commits, oldest first: `A..B` without A, `A^..B` with A. With `mainline: 1` it may cross merges.",
)
REASON = Key(name="reason", shape=LINE, help="Why it must ship; kept in the plan, the tag and the record.")
APPROVED_BY: Key[tuple[str, ...]] = Key(
    name="approved-by",
    shape=Either(
        what="a name or a list of names",
        text=Mapped(shape=LINE, into=lambda name, _: (name,)),
        items=ListOf(item=LINE, empty_code="config-no-approval", empty_remedy="name one, or remove it", unique=True),
    ),
    help="Who approved it: names or links, one or a list.",
)
BACKPORT = Key(name="backport", shape=_REVISION, help="A hand-made commit that is applied in place of `commit`.")
MAINLINE = Key(
    name="mainline",
    shape=Text(convert=revision_rules.parent_number, what="a parent's number", json={"type": "integer", "minimum": 1}),
    help="For a merge commit: the number of the parent that the change is taken against, usually 1. For a range only"
    " 1: each merge in it is picked as a whole, and what it merges is not picked one by one.",
)
ALLOW = Key(
    name="allow",
    shape=ListOf(item=Text(convert=rules.one_of(*ALLOWED), json={"enum": list(ALLOWED)}), unique=True),
    help=f"Findings that are known and fine for this fix: {', '.join(f'`{word}`' for word in ALLOWED)}"
    " (the last three with a `reason`).",
)

CONFIRM = Key(
    name="confirm",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether a person must say yes to each of its picks; `--yes` does not.",
    default="false",
)

AGAIN = Key(
    name="again",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether to pick it though the branch seems to have it already; with a `reason`.",
    default="false",
)


EXCLUDE: Key[tuple[str, ...]] = Key(
    name="exclude",
    shape=ListOf(
        item=Text(convert=owned_path, what="a pattern", json={"pattern": r"^[^!\[\]\\]+$"}),
        what="a list of patterns",
        empty_code="config-no-paths",
        empty_remedy="name files that are not to be picked, or remove the key",
        unique=True,
    ),
    help="Files that are not picked of it, by patterns as in CODEOWNERS: `CHANGELOG.md`, `.github/`, `/docs/**`.",
)


REUSE_RESOLUTIONS = Key(
    name="reuse-resolutions",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether a conflict that a released version of any line resolved before, in a pick by the same committer, is"
    " resolved like that by itself. Else, and by another committer, the pause has that resolution for a look.",
    default="false",
)
_OPTION = Text(
    convert=revision_rules.strategy_option,
    what="a strategy option",
    json={"pattern": f"^({'|'.join(STRATEGY_OPTIONS)}|find-renames=(100|[1-9][0-9]?)%?)$"},
)
STRATEGY_OPTION: Key[tuple[str, ...]] = Key(
    name="strategy-option",
    shape=Either(
        what="a strategy option or a list of them",
        text=Mapped(shape=_OPTION, into=lambda option, _: (option,)),
        items=ListOf(item=_OPTION, empty_code="config-no-option", empty_remedy="name one, or remove it", unique=True),
    ),
    help="What git is given for the merge of this fix (its option `-X`), one or a list:"
    f" {', '.join(f'`{option}`' for option in STRATEGY_OPTIONS)}, `find-renames=N` (percent).",
)


def _fix(got: Got) -> Fix:
    bold = [word for word in got(ALLOW, ()) if word in ALLOWED_WITH_REASON]
    if bold and REASON.name not in got.nodes:
        remedy = f"say in `reason:` why: {ALLOWED_WITH_REASON[bold[0]]}"
        got.faults.add("config-no-reason", f"{bold[0]!r} is allowed without a reason", got.nodes[ALLOW.name], remedy)
    if got(AGAIN, False) and REASON.name not in got.nodes:
        remedy = "say in `reason:` why: what the branch seems to have is picked once more"
        got.faults.add("config-no-reason", "'again' without a reason", got.nodes[AGAIN.name], remedy)
    _check_mainline(got)
    return Fix(
        place=got.place,
        pr=got(PR, 0),
        commit=got(COMMIT, ""),
        range=got(RANGE, ""),
        reason=got(REASON, ""),
        approved_by=got(APPROVED_BY, ()),
        backport=got(BACKPORT, ""),
        mainline=got(MAINLINE, 0),
        allow=got(ALLOW, ()),
        confirm=got(CONFIRM, False),
        again=got(AGAIN, False),
        exclude=got(EXCLUDE, ()),
        strategy_options=_options(got),
    )


def _options(got: Got) -> tuple[str, ...]:
    options = got(STRATEGY_OPTION, ())
    for kind in ("ours theirs", "find-renames no-renames", "patience diff-algorithm"):
        found = [option for option in options if option.partition("=")[0] in kind.split()]
        if len(found) > 1:
            says = f"{' and '.join(repr(each) for each in found)} exclude each other"
            got.faults.add("config-contradiction", says, got.nodes[STRATEGY_OPTION.name], "keep one of them")
    return options


def _check_mainline(got: Got) -> None:
    node = got.nodes.get(MAINLINE.name)
    if node and not {"commit", "range"} & got.nodes.keys():
        remedy = "remove it: how a request was merged is found out"
        got.faults.add("config-misplaced-key", "'mainline' goes with 'commit' or 'range' only", node, remedy)
    if node and "range" in got.nodes and got(MAINLINE, 1) != 1:
        remedy = "write 1: a range is walked along the first parents"
        got.faults.add("config-bad-mainline", "'mainline' of a range is not 1", node, remedy)


FIX = Table(
    title="a fix",
    keys=(COMMIT, RANGE, PR, REASON, APPROVED_BY, BACKPORT, MAINLINE, ALLOW, CONFIRM, AGAIN, EXCLUDE, STRATEGY_OPTION),
    build=_fix,
    exactly_one=("commit", "range"),
    or_else="pr",
    needs={"backport": "commit"},
)

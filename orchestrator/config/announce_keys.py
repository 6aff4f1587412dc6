"""The keys of release.yaml that tell people and programs about a release: `hooks:`, `notify:`, `forge-release:`."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.config import validators as rules
from orchestrator.config.schema import Either, Got, Key, ListOf, Mapped, Table, Text
from orchestrator.config.smoke_keys import COMMAND_TEXT, TIMEOUT
from orchestrator.config.validators import BadTextError
from orchestrator.core.commit_message.release import unknown
from orchestrator.core.declaration.announcement import (
    ASSETS,
    HOOKED_AFTER,
    HOOKED_BEFORE,
    PLACEHOLDERS,
    USUAL_TEXT,
    WEBHOOKS,
    ForgeReleaseSpec,
    StepHook,
    Webhook,
)


def _template(text: str) -> str:
    if bad := unknown(text, PLACEHOLDERS):
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        remedy = f"one of {known}; a brace itself is written twice"
        raise BadTextError("config-bad-template", f"names {bad}, which stands for nothing here", remedy)
    return text


KIND = Key(
    name="kind",
    shape=Text(convert=rules.one_of(*WEBHOOKS), json={"enum": list(WEBHOOKS)}),
    help="How the message is written: `slack`, `mattermost`, `teams` (a workflow's webhook), or `generic`: JSON with"
    " the release's facts and its record.",
    required=True,
)
URL_ENV = Key(
    name="url-env",
    shape=Text(
        convert=rules.matching(rules.ARG_GRAMMAR, "RELEASE_SLACK_URL"),
        what="a variable's name",
        json={"pattern": f"^{rules.ARG_GRAMMAR}$"},
    ),
    help="The environment variable with the webhook's address, which is a secret and never stands here.",
    required=True,
)
TEXT = Key(
    name="text",
    shape=Text(convert=_template, what="a text", one_line=False),
    help=f"What is said, with {', '.join(f'`{{{name}}}`' for name in PLACEHOLDERS)}.",
    default=USUAL_TEXT,
)


def _webhook(got: Got) -> Webhook:
    return Webhook(place=got.place, kind=got(KIND, ""), url_env=got(URL_ENV, ""), text=got(TEXT, USUAL_TEXT))


NOTIFY = Key(
    name="notify",
    shape=ListOf(item=Table(title="a webhook", keys=(KIND, URL_ENV, TEXT), build=_webhook), what="a list of webhooks"),
    help="Who is told when a version is released (docs/announce.md). It never fails a release.",
)

ASSETS_KEY = Key(
    name="assets",
    shape=ListOf(item=Text(convert=rules.one_of(*ASSETS), json={"enum": list(ASSETS)}), what="a list", unique=True),
    help="Files beside the notes: `record`, `report` (the page of the release), `sbom` (a bill of"
    " materials for each image).",
    default="record and report",
)


COMMENT_ON_FIXES = Key(
    name="comment-on-fixes",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether the pull or merge requests that the fixes came with get a comment: released in which version.",
    default="false",
)


def _spec(got: Got) -> ForgeReleaseSpec:
    return ForgeReleaseSpec(
        place=got.place, assets=tuple(got(ASSETS_KEY, ForgeReleaseSpec.assets)),
        comment_on_fixes=got(COMMENT_ON_FIXES, False),
    )  # fmt: skip


FORGE_RELEASE = Key(
    name="forge-release",
    shape=Either(
        what="true, false, or a mapping",
        text=Mapped(
            shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
            into=lambda wanted, place: ForgeReleaseSpec(place=place) if wanted else None,
        ),
        pairs=Table(title="a release on the forge", keys=(ASSETS_KEY, COMMENT_ON_FIXES), build=_spec),
    ),
    help="Whether a released version gets a release on GitHub or GitLab, with its notes (docs/announce.md). Where the"
    " remote's URL does not tell the forge, `land:` does.",
    default="false",
)


# ------------------------------------------------------------------ hooks

BEFORE = Key(
    name="before",
    shape=Text(convert=rules.one_of(*HOOKED_BEFORE), json={"enum": list(HOOKED_BEFORE)}),
    help="The step that waits for it, and does not begin where it fails:"
    f" {', '.join(f'`{each}`' for each in HOOKED_BEFORE)}. A hook has this or `after`.",
)
AFTER = Key(
    name="after",
    shape=Text(convert=rules.one_of(*HOOKED_AFTER), json={"enum": list(HOOKED_AFTER)}),
    help="The step that it follows; also `promote`, `record` and `annotate`. Where it fails, that is noted.",
)
HOOK_RUN = Key(name="run", shape=COMMAND_TEXT, help="The command, run by `/bin/sh -c`.", required=True)
HOOK_TIMEOUT = replace(TIMEOUT, default="600")


def _hook(got: Got) -> StepHook:
    before = got(BEFORE, "")
    return StepHook(
        place=got.place, when="before" if before else "after", step=before or got(AFTER, ""), run=got(HOOK_RUN, ""),
        timeout=got(HOOK_TIMEOUT, StepHook.timeout),
    )  # fmt: skip


HOOKS = Key(
    name="hooks",
    shape=ListOf(
        item=Table(
            title="a hook", keys=(BEFORE, AFTER, HOOK_RUN, HOOK_TIMEOUT), build=_hook, exactly_one=("before", "after")
        ),
        what="a list of hooks",
    ),
    help="Commands before and after the steps of a release (docs/step-hooks.md). Only those that release.yaml on the"
    " protected branch has too are run.",
)

"""The keys of release.yaml that tell people about a release: `notify:` and `forge-release:`."""

from __future__ import annotations

from orchestrator.config import validators as rules
from orchestrator.config.schema import Either, Got, Key, ListOf, Mapped, Table, Text
from orchestrator.config.validators import BadTextError
from orchestrator.core.announcement import ASSETS, PLACEHOLDERS, USUAL_TEXT, WEBHOOKS, ForgeReleaseSpec, Webhook
from orchestrator.core.commit_message.release import unknown


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


def _spec(got: Got) -> ForgeReleaseSpec:
    return ForgeReleaseSpec(place=got.place, assets=tuple(got(ASSETS_KEY, ForgeReleaseSpec.assets)))


FORGE_RELEASE = Key(
    name="forge-release",
    shape=Either(
        what="true, false, or a mapping",
        text=Mapped(
            shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
            into=lambda wanted, place: ForgeReleaseSpec(place=place) if wanted else None,
        ),
        pairs=Table(title="a release on the forge", keys=(ASSETS_KEY,), build=_spec),
    ),
    help="Whether a released version gets a release on GitHub or GitLab, with its notes (docs/announce.md). Where the"
    " remote's URL does not tell the forge, `land:` does.",
    default="false",
)

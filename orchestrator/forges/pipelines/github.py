"""GitHub Actions: `.github/workflows/release.yml`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.declaration import platform_word
from orchestrator.forges.pipelines.comment import ON_GITHUB
from orchestrator.forges.pipelines.regions import region
from orchestrator.forges.pipelines.values import (
    AWS,
    AZURE,
    AZURE_USER,
    GCP,
    JOB,
    LOGINS,
    OIDC,
    PASSWORD,
    PLAN_JOB,
    Need,
    Pieces,
    of_the_cloud,
    webhook_needs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.forges.pipelines.values import Pipeline

FILE: Final = ".github/workflows/release.yml"
COMMENT: Final = "#"
WAYS_IN: Final = LOGINS
ENVIRONMENT: Final = "release"
TAKES_IMAGE: Final = False  # a job in a container has no Docker Engine
EXTRAS: Final = ("github",)
INSTEAD_OF_COMMENT: Final = ""
WHERE: Final = "Settings, Secrets and variables, Actions"

# The one place for the actions' pins: the full commit ids of these tags, read off the tags of the actions' own
# repositories.  All run on Node 24; GitHub takes Node 20, which those before used, off its runners in 2026.
PINS: Final = {
    "CHECKOUT": "actions/checkout@fbc6f3992d24b796d5a048ff273f7fcc4a7b6c09 # v5.1.0",
    "PYTHON": "actions/setup-python@ece7cb06caefa5fff74198d8649806c4678c61a1 # v6.3.0",
    "ARTIFACT": "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
    "AWS": "aws-actions/configure-aws-credentials@e6de054238d6b7531b4efff3b6587d9aade6a06c # v6.2.3",
    "GCP": "google-github-actions/auth@7c6bc770dae815cd3e89ee6cdf493a5fab2cc093 # v3.0.0",
    "AZURE": "azure/login@f5d393ae46f8fde4be8b75f32e3fc50e654ad0ca # v3.0.1",
}

_TEXT: Final = """\
name: release
on:
  pull_request:
    branches: ["@SOURCE@"]
  merge_group:
    branches: ["@SOURCE@"]
  push:
    branches: ["@BRANCHES@"]
    tags: [@TAGS@]
@DISPATCH@permissions: {}
concurrency:
  group: release-${{ github.event_name }}-${{ github.ref }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}
jobs:
  @PLAN_JOB@:
    name: @PLAN_JOB@
    if: github.event_name == 'pull_request' || github.event_name == 'merge_group'
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    permissions:
      contents: read
    steps:
      - uses: @CHECKOUT@
        with:
          fetch-depth: 0
          persist-credentials: false
@SETUP@@PLAN_BEFORE@      - name: plan
        env:
          BASE: ${{ github.event.pull_request.base.sha || github.event.merge_group.base_sha }}
          GIT_COMMITTER_NAME: @PLAN_JOB@
          GIT_COMMITTER_EMAIL: @PLAN_JOB@@localhost
        run: |
          release check@OPTION@
          if git diff --quiet "$BASE...HEAD" -- '@CONFIG@'; then
            echo "@CONFIG@ is as on the base branch: nothing to plan"
          else
            release plan --declared --offline@OPTION@ --markdown "$GITHUB_STEP_SUMMARY"
          fi
@PLAN_AFTER@@COMMENT@  release-audit:
    name: release-audit
    if: github.event_name == 'push' && github.ref_type == 'branch'
    runs-on: ubuntu-24.04
    timeout-minutes: 60
    permissions:
      contents: read
    steps:
      - uses: @CHECKOUT@
        with:
          fetch-depth: 0
          persist-credentials: false
      - name: fetch what checkout leaves out
        env:
          READ_TOKEN: ${{ github.token }}
        run: |
          # shellcheck disable=SC2016 # git's own shell expands it
          git -c credential.helper='!f() { echo username=x-access-token; echo "password=$READ_TOKEN"; }; f' \\
            fetch --force --quiet origin "+refs/release-*:refs/release-*" "+refs/notes/release*:refs/notes/release*"
@SETUP@@AUDIT_BEFORE@      - name: audit
        run: release audit --offline@OPTION@
@AUDIT_AFTER@  release-publish:
    name: release-publish
    if: github.event_name == 'push' && github.ref_type == 'tag'
@ENVIRONMENT@@MATRIX@    runs-on: @RUNNER@
    timeout-minutes: 300
    permissions:
      contents: write # refs/release-records/*, refs/release-sources/*, refs/notes/release
@FIXES_RIGHT@@RIGHTS@    concurrency:
      group: release-publish@EACH@
      cancel-in-progress: false
@QUEUE@@OUTPUTS@    steps:
      - uses: @CHECKOUT@ zizmor: ignore[artipacked] the record is pushed with it
        with:
          fetch-depth: 0
          persist-credentials: true
      - name: fetch the tags as they are, which checkout peels
        run: git fetch --force origin "refs/tags/*:refs/tags/*"
@SETUP@@LOGIN@@PUBLISH_BEFORE@      - name: publish
        id: release
@PUBLISH_ENV@        run: @PUBLISH@
      - name: prove
        if: steps.release.outputs.tag != ''
        env:
          TAG: ${{ steps.release.outputs.tag }}
@PROVE_ENV@        run: |
@PASSWORD@          release verify --allow-unchecked@OPTION@ -- "$TAG"
          release report@OPTION@ --output release-report.html -- "$TAG"
      - uses: @ARTIFACT@
        if: steps.release.outputs.tag != ''
        with:
          name: release-report
          path: release-report.html
@TELL@@PUBLISH_AFTER@@LANDED@@CUT@@JOBS@"""

_SETUP: Final = """\
      - uses: @PYTHON@
        with:
          python-version: "3.12"
      - name: install
        working-directory: ${{ runner.temp }}
        run: |
          @INSTALL@
"""
_TELL: Final = """\
      - name: tell
        if: steps.release.outputs.tag != ''
        continue-on-error: true # the release is out, whoever hears of it
        env:
          TAG: ${{ steps.release.outputs.tag }}
          GITHUB_TOKEN: ${{ github.token }}
@SECRETS@        run: release announce@OPTION@ -- "$TAG"
"""

_OUTPUTS: Final = """\
    outputs:
      released: ${{ steps.release.outputs.released }}
      version: ${{ steps.release.outputs.version }}
      tag: ${{ steps.release.outputs.tag }}
      commit_sha: ${{ steps.release.outputs.commit_sha }}
      previous_version: ${{ steps.release.outputs.previous_version }}
      image: ${{ steps.release.outputs.image }}
      digest: ${{ steps.release.outputs.digest }}
"""

# Only github.com has it: GitHub Enterprise Server starts no job at all of a file with a key that it does not know.
_QUEUE: Final = "      queue: max # else a third tag would cancel the one that waits\n"

_DISPATCH: Final = """\
  workflow_dispatch:
    inputs:
      version:
        description: the version to cut; empty for the next patch
        required: false
        type: string
"""

# A job that pushes branches or tags.
_PUSHING: Final = """\
  release-@NAME@:
    name: release-@NAME@
    if: github.event_name == @WHEN@
@ENVIRONMENT@@ON_EACH@    timeout-minutes: 300
    permissions:
      contents: write # the release branch, the tag, the records
@RIGHTS@    concurrency:
      group: release-@NAME@@OF_EACH@
      cancel-in-progress: false
@OUTPUTS@    steps:
      - uses: @CHECKOUT@ zizmor: ignore[artipacked] branch and tag are pushed with it
        with:
          fetch-depth: 0
          persist-credentials: true
          ssh-key: ${{ secrets.RELEASE_DEPLOY_KEY }}
@SETUP@@LOGIN@@BEFORE@      - name: @NAME@
        id: release
        env:
@GIVEN@          GIT_COMMITTER_NAME: ${{ github.actor }}
          GIT_COMMITTER_EMAIL: ${{ github.actor_id }}+${{ github.actor }}@users.noreply.github.com
@CUT_ENV@@ENV_OF_EACH@        run: @RUN@
@AFTER@"""
_CUT: Final = {
    "@NAME@": "cut", "@WHEN@": "'workflow_dispatch' && github.ref_name == '@SOURCE@'", "@BEFORE@": "@CUT_BEFORE@",
    "@AFTER@": "@CUT_AFTER@", "@RUN@": "@CUT_RUN@", "@GIVEN@": "          VERSION: ${{ inputs.version }}\n",
    "@ON_EACH@": "    runs-on: ubuntu-24.04\n", "@OF_EACH@": "", "@ENV_OF_EACH@": "",
}  # fmt: skip
_LANDED: Final = {
    "@NAME@": "landed", "@WHEN@": "'push' && github.ref_type == 'branch'", "@BEFORE@": "@LANDED_BEFORE@",
    "@AFTER@": "@LANDED_AFTER@", "@RUN@": "@LANDED_RUN@", "@GIVEN@": "",
    "@ON_EACH@": "@MATRIX@    runs-on: @RUNNER@\n", "@OF_EACH@": "@EACH@", "@ENV_OF_EACH@": "@PLATFORM_ENV@",
}  # fmt: skip

_LOGIN_STEPS: Final[Mapping[str, str]] = {
    AWS: """\
      - uses: @AWS@
        with:
          role-to-assume: ${{ vars.RELEASE_AWS_ROLE }}
          aws-region: @REGION@
""",
    GCP: """\
      - uses: @GCP@
        id: login
        with:
          workload_identity_provider: ${{ vars.RELEASE_GCP_PROVIDER }}
          service_account: ${{ vars.RELEASE_GCP_SERVICE_ACCOUNT }}
          token_format: access_token
          create_credentials_file: false
""",
    AZURE: """\
      - uses: @AZURE@
        with:
          client-id: ${{ vars.RELEASE_AZURE_CLIENT }}
          tenant-id: ${{ vars.RELEASE_AZURE_TENANT }}
          allow-no-subscriptions: true
""",
}
_USER: Final = {
    PASSWORD: "${{ vars.RELEASE_REGISTRY_USERNAME }}", JOB: "${{ github.actor }}", AWS: "AWS", GCP: "oauth2accesstoken",
    AZURE: AZURE_USER,
}  # fmt: skip
_SECRET: Final = {
    PASSWORD: "${{ secrets.RELEASE_REGISTRY_PASSWORD }}",
    JOB: "${{ github.token }}",
    GCP: "${{ steps.login.outputs.access_token }}",
}
# What asks for the password where a login leaves none behind.
_ASKED: Final = {
    AWS: "REGISTRY_PASSWORD=$(aws ecr get-login-password --region @REGION@)",
    AZURE: "REGISTRY_PASSWORD=$(az acr login --name @REGISTRY_NAME@ --expose-token --output tsv --query accessToken)",
}
_VERSION: Final = '-- ${VERSION:+"$VERSION"}'

_ALONE: Final = {"@MATRIX@": "", "@EACH@": "", "@RUNNER@": "ubuntu-24.04"}
# Each job builds on a machine of its own kind; the last one joins them.  Whose job that is nobody knows: outputs of a
# job that waits for others are left out.
_MATRIX: Final = {
    "@MATRIX@": """\
    strategy:
      fail-fast: false
      matrix:
        include:
@ROWS@""",
    "@EACH@": "-${{ matrix.runner }}",
    "@RUNNER@": "${{ matrix.runner }}",
}
_RUNNERS: Final = {"linux/amd64": "ubuntu-24.04", "linux/arm64": "ubuntu-24.04-arm"}


def text(pipeline: Pipeline) -> str:
    """The workflow, without its first two lines."""
    job_steps = {
        f"@{job.upper()}_{when.upper()}@": region(f"steps {when} {job}", 6)
        for job in ("plan", "comment", "audit", "publish", "landed", "cut")
        for when in ("before", "after")
    }
    marks = {
        "@DISPATCH@": _DISPATCH if pipeline.cut else "",
        "@COMMENT@": ON_GITHUB if pipeline.comment else "",
        "@LANDED@": Pieces(text=_PUSHING, marks=_LANDED).filled() if pipeline.lands else "",
        "@CUT@": Pieces(text=_PUSHING, marks=_CUT).filled() if pipeline.cut else "",
        **job_steps,
        "@JOBS@": region("jobs", 2),
        "@SETUP@": _SETUP,
        "@TELL@": _TELL if pipeline.announces else "",
        "@FIXES_RIGHT@": "      pull-requests: write # comments on fixes\n" if pipeline.comments_on_fixes else "",
        "@SECRETS@": "".join(f"          {each}: ${{{{ secrets.{each} }}}}\n" for each in pipeline.secrets),
        "@QUEUE@": _QUEUE if pipeline.on_github_com else "",
        "@OUTPUTS@": _OUTPUTS,
        "@ENVIRONMENT@": f"    environment: {pipeline.environment}\n" if pipeline.environment else "",
        **_of_image(pipeline),
        **_rows(pipeline),
        "@PLAN_JOB@": PLAN_JOB,
        "@SOURCE@": pipeline.source,
        "@BRANCHES@": pipeline.branches,
        "@TAGS@": ", ".join(f'"{each}"' for each in pipeline.versions.globs),
        "@CONFIG@": pipeline.config_path,
        "@OPTION@": pipeline.option,
        "@INSTALL@": pipeline.install,
        **{f"@{name}@": pin for name, pin in PINS.items()},
    }
    return Pieces(text=_TEXT, marks=marks).filled()


def _of_image(pipeline: Pipeline) -> dict[str, str]:
    """What a job that publishes has of the registry."""
    if not pipeline.has_image:
        return {
            "@RIGHTS@": "", "@LOGIN@": "", "@PUBLISH_ENV@": "", "@CUT_ENV@": "", "@PROVE_ENV@": "", "@PASSWORD@": "",
            "@PLATFORM_ENV@": "",
            "@PUBLISH@": "release publish@OPTION@", "@CUT_RUN@": f"release cut --yes@OPTION@ {_VERSION}",
            "@LANDED_RUN@": "release publish --landed@OPTION@",
        }  # fmt: skip
    rights = {JOB: "packages: write # the image", **dict.fromkeys(OIDC, "id-token: write # the login at the registry")}
    asked = _ASKED.get(pipeline.login, "")
    user = f"          RELEASE_REGISTRY_USERNAME: {_USER[pipeline.login]}\n"
    secret = "" if asked else f"          @PREFIX@REGISTRY_PASSWORD: {_SECRET[pipeline.login]}\n"
    login = user + secret.replace("@PREFIX@", "")
    platform = "          RELEASE_CLI_PLATFORM: ${{ matrix.platform }}\n" if pipeline.platforms else ""
    return {
        "@RIGHTS@": f"      {rights[pipeline.login]}\n" if pipeline.login in rights else "",
        "@LOGIN@": _LOGIN_STEPS.get(pipeline.login, ""),
        "@PUBLISH_ENV@": f"        env:\n{login}{platform}",
        "@CUT_ENV@": login,
        "@PLATFORM_ENV@": platform,
        "@PROVE_ENV@": user + secret.replace("@PREFIX@", "RELEASE_"),
        "@PASSWORD@": f"          RELEASE_{asked}\n          export RELEASE_REGISTRY_PASSWORD\n" if asked else "",
        "@PUBLISH@": _piped(asked, f"{pipeline.publishing} --password-stdin@OPTION@"),
        "@CUT_RUN@": _piped(asked, f"{pipeline.cutting} --password-stdin@OPTION@ {_VERSION}"),
        "@LANDED_RUN@": _piped(asked, "release publish --landed --password-stdin@OPTION@"),
        "@REGION@": region_of(pipeline.registry),
        "@REGISTRY_NAME@": pipeline.registry.partition(".")[0],
    }


def _piped(asked: str, command: str) -> str:
    """The command, with the password on its standard input."""
    piped = f'printf %s "$REGISTRY_PASSWORD" | {command}'
    return f"|\n          {asked}\n          {piped}" if asked else piped


def region_of(registry: str) -> str:
    """The region of a registry of Amazon's, "" for another."""
    found = re.fullmatch(r"[0-9]+[.]dkr[.]ecr[.]([a-z0-9-]+)[.]amazonaws[.]com(?:[.]cn)?", registry)
    return found[1] if found else ""


def _rows(pipeline: Pipeline) -> dict[str, str]:
    if not pipeline.platforms:
        return _ALONE
    rows = "".join(
        f"          - platform: {each}\n            runner: {_RUNNERS.get(each, platform_word(each))}\n"
        for each in pipeline.platforms
    )
    return {mark: piece.replace("@ROWS@", rows) for mark, piece in _MATRIX.items()}


def needs(pipeline: Pipeline) -> tuple[Need, ...]:
    """What to set in the repository's settings."""
    found: list[Need] = []
    if pipeline.environment:
        found.append(
            Need(kind="environment", name=pipeline.environment, why="who must approve a publication, and its secrets")
        )
    if pipeline.has_image and pipeline.login == PASSWORD:
        found += [
            Need(kind="variable", name="RELEASE_REGISTRY_USERNAME", why=f"the user at {pipeline.registry}",
                 environment=pipeline.environment),
            Need(kind="secret", name="RELEASE_REGISTRY_PASSWORD", why="its password or token",
                 environment=pipeline.environment),
        ]  # fmt: skip
    if pipeline.has_image and pipeline.login in OIDC:
        found += of_the_cloud(pipeline.login)
    if pipeline.has_image and pipeline.login == JOB:
        why = "the package at ghcr.io must be linked to this repository, with the role Write for its Actions"
        found.append(Need(kind="other", name="package", why=why))
    found += webhook_needs(pipeline)
    if pipeline.cut or pipeline.lands:
        why = "a deploy key that may write, where rules keep others from the release branch and from version tags"
        found.append(
            Need(kind="secret", name="RELEASE_DEPLOY_KEY", why=why, environment=pipeline.environment, optional=True)
        )
    return tuple(found)

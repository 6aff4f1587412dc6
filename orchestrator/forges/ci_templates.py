"""The texts of the pipelines.  `@NAME@` is filled in by ci.py; `{False: ..., True: ...}`: without and with an image.

What they share: the whole history, least rights, no secret in an argument, one publication at a time; and nothing is
started in the checkout of a pull request but git and this tool, both from outside of it: what is installed is installed
in another directory, because Python would load a folder `pip` that the branch brings.  The check of a
pull request runs always and says quickly when release.yaml is as it was: a required check that is not started for
some pull requests would block them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# The one place for the actions' pins: the full commit ids of these tags, read off the tags of the actions' own
# repositories.  Both run on Node 24; GitHub takes Node 20, which those before used, off its runners in 2026.
PINS: Final = {
    "CHECKOUT": "actions/checkout@fbc6f3992d24b796d5a048ff273f7fcc4a7b6c09 # v5.1.0",
    "PYTHON": "actions/setup-python@ece7cb06caefa5fff74198d8649806c4678c61a1 # v6.3.0",
}

GITHUB_SETUP: Final = """\
      - uses: @PYTHON@
        with:
          python-version: "3.12"
      - name: install
        working-directory: ${{ runner.temp }}
        run: |
          @INSTALL@
"""

GITHUB: Final = """\
name: release
on:
  pull_request:
    branches: ["@SOURCE@"]
  push:
    branches: ["@BRANCHES@"]
    tags: ["@TAGS@"]
permissions: {}
concurrency:
  group: release-${{ github.event_name }}-${{ github.ref }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}
jobs:
  @PLAN_JOB@:
    name: @PLAN_JOB@
    if: github.event_name == 'pull_request'
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    permissions:
      contents: read
    steps:
      - uses: @CHECKOUT@
        with:
          fetch-depth: 0
          persist-credentials: false
@SETUP@      - name: plan
        env:
          BASE: ${{ github.event.pull_request.base.sha }}
          GIT_COMMITTER_NAME: @PLAN_JOB@
          GIT_COMMITTER_EMAIL: @PLAN_JOB@@localhost
        run: |
          release check@OPTION@
          if git diff --quiet "$BASE...HEAD" -- '@CONFIG@'; then
            echo "@CONFIG@ is as on the base branch: nothing to plan"
          else
            release plan --declared --offline@OPTION@ --markdown "$GITHUB_STEP_SUMMARY"
          fi
  release-audit:
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
@SETUP@      - name: audit
        run: release audit --offline@OPTION@
  release-publish:
    name: release-publish
    if: github.event_name == 'push' && github.ref_type == 'tag'
@MATRIX@    runs-on: @RUNNER@
    timeout-minutes: 300
    permissions:
      contents: write # refs/release-records/*, refs/release-sources/*, refs/notes/release
    concurrency:
      group: release-publish@EACH@
      cancel-in-progress: false
@QUEUE@    outputs:
      released: ${{ steps.release.outputs.released }}
      version: ${{ steps.release.outputs.version }}
      tag: ${{ steps.release.outputs.tag }}
      commit_sha: ${{ steps.release.outputs.commit_sha }}
      previous_version: ${{ steps.release.outputs.previous_version }}
      image: ${{ steps.release.outputs.image }}
      digest: ${{ steps.release.outputs.digest }}
    steps:
      - uses: @CHECKOUT@ zizmor: ignore[artipacked] the record is pushed with it
        with:
          fetch-depth: 0
          persist-credentials: true
@SETUP@      - name: fetch the tags as they are, which checkout peels
        run: git fetch --force origin "refs/tags/*:refs/tags/*"
@PUBLISH@"""

# Only github.com has it: GitHub Enterprise Server starts no job at all of a file with a key that it does not know.
GITHUB_QUEUE: Final = "      queue: max # else a third tag would cancel the one that waits\n"

GITHUB_PUBLISH: Final = {
    False: """\
      - name: publish
        id: release
        run: release publish@OPTION@
""",
    True: """\
      - name: publish
        id: release
        env:
          RELEASE_REGISTRY_USERNAME: ${{ vars.RELEASE_REGISTRY_USERNAME }}
          REGISTRY_PASSWORD: ${{ secrets.RELEASE_REGISTRY_PASSWORD }}
@PLATFORM@        run: printf %s "$REGISTRY_PASSWORD" | release publish --password-stdin@OPTION@
""",
}

GITLAB: Final = """\
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_PIPELINE_SOURCE == "push"

.release:
  image: python:3.12
  variables:
    GIT_DEPTH: "0"
  before_script:
    - |
      cd "$(mktemp -d)"
      @INSTALL@
      cd "$CI_PROJECT_DIR"
    - git fetch --force origin "+refs/heads/*:refs/remotes/origin/*" "+refs/tags/*:refs/tags/*"

@PLAN_JOB@:
  extends: .release
  stage: test
  interruptible: true
  timeout: 30 minutes
  variables:
    GIT_COMMITTER_NAME: @PLAN_JOB@
    GIT_COMMITTER_EMAIL: @PLAN_JOB@@localhost
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_TARGET_BRANCH_NAME == "@SOURCE@"
  script:
    - release check@OPTION@
    - |
      if git diff --quiet "$CI_MERGE_REQUEST_DIFF_BASE_SHA...HEAD" -- '@CONFIG@'; then
        echo "@CONFIG@ is as on the target branch: nothing to plan" | tee release-plan.md
      else
        release plan --declared --offline@OPTION@ --markdown release-plan.md
      fi
  artifacts:
    when: always
    expose_as: release plan
    paths: [release-plan.md]
    expire_in: 30 days

release-audit:
  extends: .release
  stage: test
  timeout: 1 hour
  rules:
    - if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH =~ /^@BRANCH_REGEX@$/
  script:
    - release audit --offline@OPTION@

release-publish:
  extends: .release
  stage: deploy
@MATRIX@  resource_group: release-publish@EACH@
  interruptible: false
  timeout: 5 hours
  rules:
    - if: $CI_COMMIT_TAG =~ /^@TAG_REGEX@$/
@PUBLISH@  artifacts:
    when: always
    expose_as: release summary
    paths: [release-summary.md]
    reports:
      dotenv: release.env
"""

_GITLAB_PUSH: Final = """\
    - git remote set-url origin "$CI_SERVER_URL/$CI_PROJECT_PATH.git"
    - git config credential.helper '!f() { echo username=oauth2; echo "password=$RELEASE_PUSH_TOKEN"; }; f'
"""

GITLAB_PUBLISH: Final = {
    False: f"""\
  script:
{_GITLAB_PUSH}    - release publish@OPTION@ --outputs release.env --summary release-summary.md
""",
    True: f"""\
  services: ["docker:28-dind"]
  variables:
    DOCKER_HOST: tcp://docker:2376
    DOCKER_TLS_VERIFY: "1"
    DOCKER_CERT_PATH: /certs/client
    DOCKER_TLS_CERTDIR: /certs
    RELEASE_REGISTRY_USERNAME: $CI_REGISTRY_USER
  script:
{_GITLAB_PUSH}    - printf %s "$CI_REGISTRY_PASSWORD" | release publish --password-stdin@OPTION@
      --outputs release.env --summary release-summary.md
""",
}

_ALONE: Final = {"@MATRIX@": "", "@EACH@": "", "@PLATFORM@": "", "@RUNNER@": "ubuntu-24.04"}
# Each job builds on a machine of its own kind; the last one joins them.  Whose job that is nobody knows: outputs of a
# job that waits for others are left out.
GITHUB_MATRIX: Final = {
    "@MATRIX@": """\
    strategy:
      fail-fast: false
      matrix:
        include:
@ROWS@""",
    "@EACH@": "-${{ matrix.runner }}",
    "@PLATFORM@": "          RELEASE_PLATFORM: ${{ matrix.platform }}\n",
    "@RUNNER@": "${{ matrix.runner }}",
}
GITLAB_MATRIX: Final = {
    "@MATRIX@": """\
  parallel:
    matrix:
@ROWS@  tags: [$RELEASE_RUNNER]
""",
    "@EACH@": "-$RELEASE_RUNNER",
    "@PLATFORM@": "",
    "@RUNNER@": "",
}

JENKINS: Final = """\
pipeline {
  agent any
  options {
    disableConcurrentBuilds()
    timeout(time: 5, unit: 'HOURS')
  }
  environment {
    PATH = "${env.WORKSPACE}/.git/release-venv/bin:${env.PATH}"
  }
  stages {
    stage('install') {
      when {
        anyOf {
          changeRequest target: '@SOURCE@'
          branch pattern: '@BRANCHES@', comparator: 'GLOB'
          tag pattern: '@TAGS@', comparator: 'GLOB'
        }
      }
      steps {
        withCredentials([gitUsernamePassword(credentialsId: 'release-read')]) {
          sh '''
            if [ "$(git rev-parse --is-shallow-repository)" = true ]; then git fetch --unshallow origin; fi
            git fetch --force origin "+refs/heads/*:refs/remotes/origin/*" "+refs/tags/*:refs/tags/*"
          '''
        }
        sh '''
          cd "$WORKSPACE_TMP"
          python3 -I -m venv --clear "$WORKSPACE/.git/release-venv"
          @INSTALL@
        '''
      }
    }
    stage('@PLAN_JOB@') {
      when { changeRequest target: '@SOURCE@' }
      environment {
        GIT_COMMITTER_NAME = '@PLAN_JOB@'
        GIT_COMMITTER_EMAIL = '@PLAN_JOB@@localhost'
      }
      steps {
        sh '''
          release check@OPTION@
          if git diff --quiet "origin/$CHANGE_TARGET...HEAD" -- '@CONFIG@'; then
            echo "@CONFIG@ is as on the target branch: nothing to plan" | tee release-plan.md
          else
            release plan --declared --offline@OPTION@ --markdown release-plan.md
          fi
        '''
      }
      post {
        always {
          archiveArtifacts artifacts: 'release-plan.md', allowEmptyArchive: true
        }
      }
    }
    stage('release-audit') {
      when { branch pattern: '@BRANCHES@', comparator: 'GLOB' }
      steps {
        sh 'release audit --offline@OPTION@'
      }
    }
    stage('release-publish') {
      when { tag pattern: '@TAGS@', comparator: 'GLOB' }
      steps {
        lock('release-publish') {
@PUBLISH@        }
      }
      post {
        always {
          archiveArtifacts artifacts: 'release.env, release-summary.md', allowEmptyArchive: true
        }
      }
    }
  }
}
"""

JENKINS_PUBLISH: Final = {
    False: """\
          withCredentials([gitUsernamePassword(credentialsId: 'release-git')]) {
            sh 'release publish@OPTION@ --outputs release.env --summary release-summary.md'
          }
""",
    True: """\
          withCredentials([
            gitUsernamePassword(credentialsId: 'release-git'),
            usernamePassword(
              credentialsId: 'release-registry',
              usernameVariable: 'RELEASE_REGISTRY_USERNAME', passwordVariable: 'REGISTRY_PASSWORD'
            )
          ]) {
            sh '''
              printf %s "$REGISTRY_PASSWORD" |
                release publish --password-stdin@OPTION@ --outputs release.env --summary release-summary.md
            '''
          }
""",
}


@dataclass(frozen=True, kw_only=True)
class Template:
    """A pipeline: where the provider looks for it, its text, its publishing job without and with an image."""

    file: str
    text: str
    publish: Mapping[bool, str]
    comment: str = "#"
    alone: Mapping[str, str] = field(default_factory=lambda: _ALONE)  # pieces of the one publishing job
    matrix: Mapping[str, str] | None = None  # the same of one for each platform; None: this provider gets one job
    row: str = ""  # of its matrix, with {platform} and {runner}
    runners: Mapping[str, str] = field(default_factory=dict)  # platform -> machines of that kind


# A new provider is its texts and a word here.
PIPELINES: Final[Mapping[str, Template]] = {
    "github": Template(
        file=".github/workflows/release.yml",
        text=GITHUB,
        publish=GITHUB_PUBLISH,
        matrix=GITHUB_MATRIX,
        row="          - platform: {platform}\n            runner: {runner}\n",
        runners={"linux/amd64": "ubuntu-24.04", "linux/arm64": "ubuntu-24.04-arm"},
    ),
    "gitlab": Template(
        file=".gitlab-ci.yml",
        text=GITLAB,
        publish=GITLAB_PUBLISH,
        matrix=GITLAB_MATRIX,
        row="      - RELEASE_PLATFORM: {platform}\n        RELEASE_RUNNER: {runner}\n",
        runners={"linux/amd64": "saas-linux-small-amd64", "linux/arm64": "saas-linux-small-arm64"},
    ),
    "jenkins": Template(file="Jenkinsfile", text=JENKINS, publish=JENKINS_PUBLISH, comment="//"),
}

"""The job that keeps the plan as one comment on a pull or merge request (`release ci init --comment`).

Where a later push takes the change to release.yaml back, `--base` has the comment say so.

A job of its own: the one whose check is required goes on without any right to write.  A fork's request gets no token,
so it gets no such job.
"""

from __future__ import annotations

from typing import Final

from orchestrator.forges.pipelines.values import Need

_VARIABLE: Final = "RELEASE_COMMENT_TOKEN"  # on GitLab, where a job's own token may not comment

ON_GITHUB: Final = """\
  release-comment:
    name: release-comment
    if: github.event_name == 'pull_request' && github.event.pull_request.head.repo.full_name == github.repository
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    permissions:
      contents: read
      pull-requests: write # the comment
    steps:
      - uses: @CHECKOUT@
        with:
          fetch-depth: 0
          persist-credentials: false
@SETUP@@COMMENT_BEFORE@      - name: comment
        env:
          BASE: ${{ github.event.pull_request.base.sha }}
          NUMBER: ${{ github.event.pull_request.number }}
          GITHUB_TOKEN: ${{ github.token }}
          GIT_COMMITTER_NAME: release-comment
          GIT_COMMITTER_EMAIL: release-comment@localhost
        run: release plan --declared --offline@OPTION@ --comment "$NUMBER" --base "$BASE"
@COMMENT_AFTER@"""

ON_GITLAB: Final = """\

release-comment:
  extends: .release
  stage: test
  interruptible: true
  allow_failure: true
  resource_group: release-comment-$CI_MERGE_REQUEST_IID
  timeout: 30 minutes
  variables:
    GIT_COMMITTER_NAME: release-comment
    GIT_COMMITTER_EMAIL: release-comment@localhost
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_TARGET_BRANCH_NAME == "@SOURCE@"
        && $CI_MERGE_REQUEST_SOURCE_PROJECT_PATH == $CI_MERGE_REQUEST_PROJECT_PATH
  script:
@COMMENT_BEFORE@    - |
      GITLAB_TOKEN="${@VARIABLE@:?is not set, or is protected}" \\
        release plan --declared --offline@OPTION@ --comment "$CI_MERGE_REQUEST_IID" \\
          --base "$CI_MERGE_REQUEST_DIFF_BASE_SHA"
@COMMENT_AFTER@""".replace("@VARIABLE@", _VARIABLE)

ON_JENKINS: Final = (
    "in your own steps after plan, with GITHUB_TOKEN or GITLAB_TOKEN from a credential:"
    """ sh 'release plan --declared --offline --comment "$CHANGE_ID"'"""
)


def gitlab_needs() -> Need:
    """The token that may comment; requests run on branches that nobody protects."""
    why = "a project access token with the scope api and the role Reporter, for the comment; masked, not protected"
    return Need(kind="variable", name=_VARIABLE, why=why)

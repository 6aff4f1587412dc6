"""Jenkins: a declarative `Jenkinsfile` for a multibranch job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.forges.pipelines.regions import region
from orchestrator.forges.pipelines.values import PASSWORD, PLAN_JOB, Need, Pieces

if TYPE_CHECKING:
    from orchestrator.forges.pipelines.values import Pipeline

FILE: Final = "Jenkinsfile"
COMMENT: Final = "//"
WAYS_IN: Final = (PASSWORD,)
ENVIRONMENT: Final = ""  # a question that holds an executor is only asked where it is wanted
TAKES_IMAGE: Final = True
WHERE: Final = "Manage Jenkins, Credentials"

_TEXT: Final = """\
pipeline {
@AGENT@  options {
    disableConcurrentBuilds()
    timeout(time: 5, unit: 'HOURS')
  }
@PARAMETERS@@PATH@  stages {
    stage('install') {
      when {
        anyOf {
          changeRequest target: '@SOURCE@'
          branch pattern: '@BRANCHES@', comparator: 'GLOB'
          tag pattern: '@TAG_REGEX@', comparator: 'REGEXP'
@CUT_WHEN@        }
      }
      steps {
        withCredentials([gitUsernamePassword(credentialsId: 'release-read')]) {
          sh '''
            if [ "$(git rev-parse --is-shallow-repository)" = true ]; then git fetch --unshallow origin; fi
            git fetch --force origin "+refs/heads/*:refs/remotes/origin/*" "+refs/tags/*:refs/tags/*"
            git fetch --force origin "+refs/release-*:refs/release-*" "+refs/notes/release*:refs/notes/release*"
          '''
        }
@INSTALL_STEP@      }
    }
    stage('@PLAN_JOB@') {
      when { changeRequest target: '@SOURCE@' }
      environment {
        GIT_COMMITTER_NAME = '@PLAN_JOB@'
        GIT_COMMITTER_EMAIL = '@PLAN_JOB@@localhost'
      }
      steps {
@PLAN_BEFORE@        sh '''
          release check@OPTION@
          if git diff --quiet "origin/$CHANGE_TARGET...HEAD" -- '@CONFIG@'; then
            echo "@CONFIG@ is as on the target branch: nothing to plan" | tee release-plan.md
          else
            release plan --declared --offline@OPTION@ --markdown release-plan.md
          fi
        '''
@PLAN_AFTER@      }
      post {
        always {
          archiveArtifacts artifacts: 'release-plan.md', allowEmptyArchive: true
        }
      }
    }
    stage('release-audit') {
      when { branch pattern: '@BRANCHES@', comparator: 'GLOB' }
      steps {
@AUDIT_BEFORE@        sh 'release audit --offline@OPTION@'
@AUDIT_AFTER@      }
    }
    stage('release-publish') {
      when {
@ASKED_LATER@        tag pattern: '@TAG_REGEX@', comparator: 'REGEXP'
      }
@INPUT@      steps {
@PUBLISH_BEFORE@        lock('release-publish') {
          withCredentials([
            @LOGIN@
          ]) {
            sh '''
              @PIPE@release publish@STDIN@@OPTION@ --outputs release.env --summary release-summary.md
              if grep -qs '^tag=' release.env; then
                release verify --allow-unchecked@OPTION@ -- "$TAG_NAME"
                release report@OPTION@ --output release-report.html -- "$TAG_NAME"
              fi
            '''
          }
        }
@PUBLISH_AFTER@      }
      post {
        always {
          archiveArtifacts artifacts: 'release.env, release-summary.md, release-report.html', allowEmptyArchive: true
        }
      }
    }
@CUT@@STAGES@  }
}
"""

_PARAMETERS: Final = """\
  parameters {
    string(
      name: 'CUT_VERSION', defaultValue: '',
      description: 'The version to cut from @SOURCE@, or next for the next patch; empty to cut nothing.'
    )
  }
"""
_CUT_WHEN: Final = "          allOf { branch '@SOURCE@'; expression { params.CUT_VERSION != '' } }\n"
_CUT: Final = """\
    stage('release-cut') {
      when {
@ASKED_LATER@        branch '@SOURCE@'
        expression { params.CUT_VERSION != '' }
      }
@INPUT@      steps {
@CUT_BEFORE@        lock('release-publish') {
          withCredentials([
            @LOGIN@
          ]) {
            sh '''
              if [ "$CUT_VERSION" = next ]; then CUT_VERSION=; fi
              @PIPE@release cut --yes@STDIN@@OPTION@ -- ${CUT_VERSION:+"$CUT_VERSION"}
            '''
          }
        }
@CUT_AFTER@      }
    }
"""

_PATH: Final = """\
  environment {
    PATH = "${env.WORKSPACE}/.git/release-venv/bin:${env.PATH}"
  }
"""
_INSTALL: Final = """\
        sh '''
          cd "$WORKSPACE_TMP"
          python3 -I -m venv --clear "$WORKSPACE/.git/release-venv"
          @INSTALL@
        '''
"""
_AGENT: Final = """\
  agent {
    docker {
      image '@IMAGE@'
      args '--entrypoint= -v /var/run/docker.sock:/var/run/docker.sock'
    }
  }
"""

_PUSH: Final = "gitUsernamePassword(credentialsId: 'release-git')"
_REGISTRY: Final = """\
,
            usernamePassword(
              credentialsId: 'release-registry',
              usernameVariable: 'RELEASE_REGISTRY_USERNAME', passwordVariable: 'RELEASE_REGISTRY_PASSWORD'
            )"""


def text(pipeline: Pipeline) -> str:
    """The file, without its first two lines."""
    job_steps = {
        f"@{job.upper()}_{when.upper()}@": region(f"steps {when} {job}", 8, COMMENT)
        for job in ("plan", "audit", "publish", "cut")
        for when in ("before", "after")
    }
    image = pipeline.has_image
    asked = f"      input {{ message 'Publish, as the environment {pipeline.environment}?' }}\n"
    marks = {
        "@PARAMETERS@": _PARAMETERS if pipeline.cut else "",
        "@CUT_WHEN@": _CUT_WHEN if pipeline.cut else "",
        "@CUT@": _CUT if pipeline.cut else "",
        **job_steps,
        "@STAGES@": region("stages", 4, COMMENT),
        "@AGENT@": _AGENT.replace("@IMAGE@", pipeline.tool_image) if pipeline.tool_image else "  agent any\n",
        "@PATH@": "" if pipeline.tool_image else _PATH,
        "@INSTALL_STEP@": "" if pipeline.tool_image else _INSTALL,
        "@ASKED_LATER@": "        beforeInput true\n" if pipeline.environment else "",
        "@INPUT@": asked if pipeline.environment else "",
        "@LOGIN@": f"{_PUSH}{_REGISTRY if image else ''}",
        "@PIPE@": 'printf %s "$RELEASE_REGISTRY_PASSWORD" | ' if image else "",
        "@STDIN@": " --password-stdin" if image else "",
        "@PLAN_JOB@": PLAN_JOB,
        "@SOURCE@": pipeline.source,
        "@BRANCHES@": pipeline.branches,
        "@TAG_REGEX@": pipeline.versions.regex,
        "@CONFIG@": pipeline.config_path,
        "@OPTION@": pipeline.option,
        "@INSTALL@": pipeline.install,
    }
    return Pieces(text=_TEXT, marks=marks).filled()


def needs(pipeline: Pipeline) -> tuple[Need, ...]:
    """What to set in Jenkins."""
    found = [
        Need(kind="credential", name="release-read", why="user and token that may fetch, and not push"),
        Need(kind="credential", name="release-git", why="user and token that may push"),
    ]
    if pipeline.has_image:
        found.append(Need(kind="credential", name="release-registry", why=f"user and password at {pipeline.registry}"))
    plugins = "Git, Credentials Binding, Lockable Resources" + (", Docker Pipeline" if pipeline.tool_image else "")
    found.append(Need(kind="other", name="plugins", why=f"{plugins}; a multibranch job that discovers tags"))
    if pipeline.cut:
        why = "git on the agents has user.name and user.email: who commits what the job cuts"
        found.append(Need(kind="other", name="committer", why=why))
    return tuple(found)

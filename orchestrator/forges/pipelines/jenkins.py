"""Jenkins: a declarative `Jenkinsfile` for a multibranch job."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING, Final

from orchestrator.core.declaration import platform_word
from orchestrator.forges.pipelines.comment import ON_JENKINS
from orchestrator.forges.pipelines.regions import region
from orchestrator.forges.pipelines.values import PASSWORD, PLAN_JOB, Need, Pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.forges.pipelines.values import Pipeline

FILE: Final = "Jenkinsfile"
COMMENT: Final = "//"
WAYS_IN: Final = (PASSWORD,)
ENVIRONMENT: Final = ""  # a question that holds an executor is only asked where it is wanted
TAKES_IMAGE: Final = True
EXTRAS: Final = ("github", "gitlab")  # the repository may be on either
INSTEAD_OF_COMMENT: Final = ON_JENKINS
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
@FETCH@@INSTALL_STEP@      }
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
@INPUT@@PUBLISH@    }
@LANDED@@CUT@@STAGES@  }
}
"""

# What makes a clone whole; also on each agent of a matrix, which has a checkout of its own.
_FETCH: Final = """\
        withCredentials([gitUsernamePassword(credentialsId: 'release-read')]) {
          sh '''
            if [ "$(git rev-parse --is-shallow-repository)" = true ]; then git fetch --unshallow origin; fi
            git fetch --force origin "+refs/heads/*:refs/remotes/origin/*" "+refs/tags/*:refs/tags/*"
            git fetch --force origin "+refs/release-*:refs/release-*" "+refs/notes/release*:refs/notes/release*"
          '''
        }
"""
_PUBLISH: Final = """\
      steps {
@PUBLISH_BEFORE@        lock(@LOCK@) {
          withCredentials([
            @LOGIN@
          ]) {
            sh '''
              @PIPE@@PLATFORM@@PUBLISHING@@STDIN@@OPTION@ @OUTPUTS@
              if grep -qs '^tag=' "release@OF@.env"; then
                release verify --allow-unchecked@OPTION@ -- "$TAG_NAME"
                release report@OPTION@ --output release-report.html -- "$TAG_NAME"
              fi
            '''
          }
        }
@PUBLISH_AFTER@      }
      post {
        always {
          archiveArtifacts artifacts: '@KEPT@', allowEmptyArchive: true
        }
      }
"""
_FILES: Final = {
    "@OUTPUTS@": '--outputs "release@OF@.env" --summary "release-summary@OF@.md"',
    "@KEPT@": "release@ANY@.env, release-summary@ANY@.md, release-report.html",
}
# A publishing job for each platform, on an agent of that kind: the last one joins their images.
_MATRIX: Final = """\
      matrix {
        axes {
          axis {
            name 'RELEASE_AGENT'
            values @AGENTS@
          }
        }
        agent {
@ON@        }
        stages {
          stage('release-@NAME@-platform') {
@STEPS@          }
        }
      }
"""
_PATH_HERE: Final = """\
      environment {
        PATH = "${env.WORKSPACE}/.git/release-venv/bin:${env.PATH}"
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
# A stage that pushes branches or tags.
_PUSHING: Final = """\
    stage('release-@NAME@') {
      when {
@WHEN@      }
@INPUT@@DOES@    }
"""
_PUSHES: Final = """\
      steps {
@BEFORE@        lock(@LOCK@) {
          withCredentials([
            @LOGIN@
          ]) {
            sh '''
@GIVEN@              @PIPE@@PLATFORM@@RUN@
            '''
          }
        }
@AFTER@      }
"""
_ALONE: Final = {"@PLATFORM@": "", "@LOCK@": "'release-publish'"}
_ON_EACH: Final = {
    "@PLATFORM@": 'RELEASE_CLI_PLATFORM="$(printf %s "$RELEASE_AGENT" | tr - /)" ',
    "@LOCK@": '"release-publish-${RELEASE_AGENT}"',
}
_CUT: Final = {
    "@NAME@": "cut", "@DOES@": _PUSHES, **_ALONE, "@BEFORE@": "@CUT_BEFORE@", "@AFTER@": "@CUT_AFTER@",
    "@WHEN@": "@ASKED_LATER@        branch '@SOURCE@'\n        expression { params.CUT_VERSION != '' }\n",
    "@RUN@": '@CUTTING@@STDIN@@OPTION@ -- ${CUT_VERSION:+"$CUT_VERSION"}',
    "@GIVEN@": '              if [ "$CUT_VERSION" = next ]; then CUT_VERSION=; fi\n',
}  # fmt: skip
_LANDED: Final = {
    "@NAME@": "landed", "@BEFORE@": "@LANDED_BEFORE@", "@AFTER@": "@LANDED_AFTER@", "@INPUT@": "", "@GIVEN@": "",
    "@WHEN@": "        branch pattern: '@BRANCHES@', comparator: 'GLOB'\n",
    "@RUN@": "release publish --landed@STDIN@@OPTION@",
}  # fmt: skip

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
_DOCKER: Final = """\
docker {
  image '@IMAGE@'
@LABEL@  args '--entrypoint= -v /var/run/docker.sock:/var/run/docker.sock'
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
        for job in ("plan", "audit", "publish", "landed", "cut")
        for when in ("before", "after")
    }
    image = pipeline.has_image
    asked = f"      input {{ message 'Publish, as the environment {pipeline.environment}?' }}\n"
    marks = {
        "@PARAMETERS@": _PARAMETERS if pipeline.cut else "",
        "@CUT_WHEN@": _CUT_WHEN if pipeline.cut else "",
        "@LANDED@": _landed(pipeline, job_steps) if pipeline.lands else "",
        "@CUT@": Pieces(text=_PUSHING, marks=_CUT).filled() if pipeline.cut else "",
        "@PUBLISH@": _publish(pipeline, job_steps),
        **job_steps,
        "@STAGES@": region("stages", 4, COMMENT),
        "@FETCH@": _FETCH,
        "@AGENT@": _agent(pipeline),
        "@PATH@": "" if pipeline.tool_image else _PATH,
        "@INSTALL_STEP@": "" if pipeline.tool_image else _INSTALL,
        "@ASKED_LATER@": "        beforeInput true\n" if pipeline.environment else "",
        "@INPUT@": asked if pipeline.environment else "",
        "@LOGIN@": _login(pipeline),
        "@PIPE@": 'printf %s "$RELEASE_REGISTRY_PASSWORD" | ' if image else "",
        "@STDIN@": " --password-stdin" if image else "",
        "@PLAN_JOB@": PLAN_JOB,
        "@PUBLISHING@": pipeline.publishing,
        "@CUTTING@": pipeline.cutting,
        "@SOURCE@": pipeline.source,
        "@BRANCHES@": pipeline.branches,
        "@TAG_REGEX@": pipeline.versions.regex,
        "@CONFIG@": pipeline.config_path,
        "@OPTION@": pipeline.option,
        "@INSTALL@": pipeline.install,
    }
    return Pieces(text=_TEXT, marks=marks).filled()


def _publish(pipeline: Pipeline, places: Mapping[str, str]) -> str:
    """What the publishing stage does: by itself, or on an agent for each platform."""
    if not pipeline.platforms:
        return Pieces(text=_PUBLISH, marks={**_ALONE, **_FILES, "@OF@": "", "@ANY@": ""}).filled()
    marks = {**places, **_ON_EACH, **_FILES, "@OF@": "-$RELEASE_AGENT", "@ANY@": "-*"}
    return _on_each(pipeline, "publish", _PUBLISH, marks)


def _landed(pipeline: Pipeline, places: Mapping[str, str]) -> str:
    """The stage of what landed: as that which publishes."""
    does = _on_each(pipeline, "landed", _PUSHES, {**_LANDED, **places, **_ON_EACH}) if pipeline.platforms else _PUSHES
    return Pieces(text=_PUSHING, marks={"@DOES@": does, **_LANDED, **_ALONE}).filled()


def _on_each(pipeline: Pipeline, name: str, text: str, marks: Mapping[str, str]) -> str:
    """A matrix of these steps, on an agent of each platform, which has a clone and the program first."""
    opening = "      steps {\n"
    steps = Pieces(
        text=text.replace(opening, f"{'' if pipeline.tool_image else _PATH_HERE}{opening}@FETCH@@INSTALL_STEP@", 1),
        marks={
            **marks,
            "@LOGIN@": _login(pipeline),
            "@FETCH@": _FETCH,
            "@INSTALL_STEP@": "" if pipeline.tool_image else _INSTALL,
        },
    )
    label = 'label "${RELEASE_AGENT}"\n'
    docker = Pieces(text=_DOCKER, marks={"@LABEL@": f"  {label}", "@IMAGE@": pipeline.tool_image}).filled()
    around = {
        "@NAME@": name,
        "@AGENTS@": ", ".join(f"'{platform_word(each)}'" for each in pipeline.platforms),
        "@ON@": indent(docker if pipeline.tool_image else label, " " * 10),
        "@STEPS@": indent(steps.filled(), " " * 6),
    }
    return Pieces(text=_MATRIX, marks=around).filled()


def _login(pipeline: Pipeline) -> str:
    return f"{_PUSH}{_REGISTRY if pipeline.has_image else ''}"


def _agent(pipeline: Pipeline) -> str:
    if not pipeline.tool_image:
        return "  agent any\n"
    docker = Pieces(text=_DOCKER, marks={"@LABEL@": "", "@IMAGE@": pipeline.tool_image}).filled()
    return f"  agent {{\n{indent(docker, ' ' * 4)}  }}\n"


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
    if pipeline.platforms:
        labels = " and ".join(platform_word(each) for each in pipeline.platforms)
        found.append(Need(kind="other", name="agents", why=f"with the labels {labels}, one machine of each kind"))
    if pipeline.cut or pipeline.lands:
        why = "git on the agents has user.name and user.email: who commits what a job cuts, and tags what landed"
        found.append(Need(kind="other", name="committer", why=why))
    return tuple(found)

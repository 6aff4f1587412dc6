"""GitLab CI: `.gitlab-ci.yml`, or a file that it includes.

No `workflow:` section: it would speak for the whole project, and its scheduled pipelines and other jobs are not ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.declaration import platform_word
from orchestrator.forges.pipelines.comment import ON_GITLAB, gitlab_needs
from orchestrator.forges.pipelines.github import region_of
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

FILE: Final = ".gitlab-ci.yml"
COMMENT: Final = "#"
WAYS_IN: Final = LOGINS
ENVIRONMENT: Final = "release"
TAKES_IMAGE: Final = True
EXTRAS: Final = ("gitlab",)
INSTEAD_OF_COMMENT: Final = ""
WHERE: Final = "Settings, CI/CD, Variables"
CUT_VERSION: Final = "CUT_VERSION"

_TEXT: Final = """\
@VARIABLES@.release:
  image: @IMAGE@
  variables:
    GIT_DEPTH: "0"
  before_script:
@INSTALL_STEP@    - git fetch --force origin "+refs/heads/*:refs/remotes/origin/*" "+refs/tags/*:refs/tags/*"
      "+refs/release-*:refs/release-*" "+refs/notes/release*:refs/notes/release*"

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
@PLAN_BEFORE@    - release check@OPTION@
    - |
      if git diff --quiet "$CI_MERGE_REQUEST_DIFF_BASE_SHA...HEAD" -- '@CONFIG@'; then
        echo "@CONFIG@ is as on the target branch: nothing to plan" | tee release-plan.md
      else
        release plan --declared --offline@OPTION@ --markdown release-plan.md
      fi
@PLAN_AFTER@  artifacts:
    when: always
    expose_as: release plan
    paths: [release-plan.md]
    expire_in: 30 days
@COMMENT@
release-audit:
  extends: .release
  stage: test
  timeout: 1 hour
  rules:
    - if: $CI_COMMIT_BRANCH =~ /^@BRANCH_REGEX@$/
  script:
@AUDIT_BEFORE@    - release audit --offline@OPTION@
@AUDIT_AFTER@
release-publish:
  extends: .release
  stage: deploy
@ENVIRONMENT@@MATRIX@  resource_group: release-publish@EACH@
  interruptible: false
  timeout: 5 hours
  rules:
    - if: $CI_COMMIT_TAG =~ /^@TAG_REGEX@$/
@ENGINE@  script:
@PUSH@@LOGIN@@PUBLISH_BEFORE@    - @PIPE@@PUBLISHING@@STDIN@@OPTION@
      --outputs release.env --summary release-summary.md
    - |
      if grep -qs '^tag=' release.env; then
@PROVE_LOGIN@        release verify --allow-unchecked@OPTION@ -- "$CI_COMMIT_TAG"
        release report@OPTION@ --output release-report.html -- "$CI_COMMIT_TAG"
@TELL@      fi
@PUBLISH_AFTER@  artifacts:
    when: always
    paths: [release-summary.md, release-report.html]
    reports:
      dotenv: release.env
@LANDED@@CUT@
@JOBS@"""

_INSTALL: Final = """\
    - |
      cd "$(mktemp -d)"
      @INSTALL@
      cd "$CI_PROJECT_DIR"
"""

_VARIABLES: Final = """\
variables:
  CUT_VERSION:
    value: ""
    description: The version to cut from @SOURCE@, or next for the next patch; empty to cut nothing.

"""

# A job that pushes branches or tags.
_PUSHING: Final = """\

release-@NAME@:
  extends: .release
  stage: deploy
@ENVIRONMENT@@ON_EACH@  resource_group: release-@NAME@@OF_EACH@
  interruptible: false
  timeout: 5 hours
  rules:
    - if: $CI_PIPELINE_SOURCE == @WHEN@
@CUT_ENGINE@  script:
@PUSH@@GIVEN@@LOGIN@@BEFORE@    - @PIPE@@RUN@
@AFTER@"""
_CUT: Final = {
    "@NAME@": "cut", "@WHEN@": '"web" && $CI_COMMIT_BRANCH == "@SOURCE@" && $CUT_VERSION', "@BEFORE@": "@CUT_BEFORE@",
    "@AFTER@": "@CUT_AFTER@", "@RUN@": '@CUTTING@@STDIN@@OPTION@ -- ${CUT_VERSION:+"$CUT_VERSION"}',
    "@GIVEN@": '    - if [ "$CUT_VERSION" = next ]; then CUT_VERSION=; fi\n', "@ON_EACH@": "", "@OF_EACH@": "",
}  # fmt: skip
_LANDED: Final = {
    "@NAME@": "landed", "@WHEN@": '"push" && $CI_COMMIT_BRANCH =~ /^@BRANCH_REGEX@$/', "@BEFORE@": "@LANDED_BEFORE@",
    "@AFTER@": "@LANDED_AFTER@", "@RUN@": "release publish --landed@STDIN@@OPTION@", "@GIVEN@": "",
    "@ON_EACH@": "@MATRIX@", "@OF_EACH@": "@EACH@",
}  # fmt: skip

_TELL: Final = """\
        release announce@OPTION@ -- "$CI_COMMIT_TAG" || echo "the release is out; not everybody was told of it"
"""

_PUSH: Final = """\
    - git remote set-url origin "$CI_SERVER_URL/$CI_PROJECT_PATH.git"
    - git config credential.helper '!f() { echo username=oauth2; echo "password=$RELEASE_PUSH_TOKEN"; }; f'
"""

_ENGINE: Final = """\
  services: ["docker:28-dind"]
@ID_TOKEN@  variables:
@COMMITTER@    DOCKER_HOST: tcp://docker:2376
    DOCKER_TLS_VERIFY: "1"
    DOCKER_CERT_PATH: /certs/client
    DOCKER_TLS_CERTDIR: /certs
@USER@"""
_COMMITTER: Final = """\
    GIT_COMMITTER_NAME: $GITLAB_USER_NAME
    GIT_COMMITTER_EMAIL: $GITLAB_USER_EMAIL
"""

_USER: Final = {JOB: "$CI_REGISTRY_USER", AWS: "AWS", GCP: "oauth2accesstoken", AZURE: AZURE_USER}
_FIELD: Final = """python3 -I -c 'import json, sys; print(json.load(sys.stdin)["@FIELD@"])'"""
# The token of the job is exchanged for one of the registry; secrets go through pipes.
_LOGIN: Final[Mapping[str, str]] = {
    PASSWORD: "    - REGISTRY_PASSWORD=$RELEASE_REGISTRY_PASSWORD\n",
    JOB: "    - REGISTRY_PASSWORD=$CI_REGISTRY_PASSWORD\n",
    AWS: """\
    - |
      cd "$(mktemp -d)"
      python3 -I -m venv aws
      aws/bin/python -I -m pip install --quiet 'awscli==1.46.3'
      printf %s "$RELEASE_ID_TOKEN" >token
      REGISTRY_PASSWORD=$(AWS_ROLE_ARN=$RELEASE_AWS_ROLE AWS_WEB_IDENTITY_TOKEN_FILE=$PWD/token \\
        aws/bin/aws ecr get-login-password --region @REGION@)
      rm token
      cd "$CI_PROJECT_DIR"
""",
    GCP: f"""\
    - |
      federated=$(printf %s "$RELEASE_ID_TOKEN" | curl -fsS https://sts.googleapis.com/v1/token \\
        --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\
        --data-urlencode requested_token_type=urn:ietf:params:oauth:token-type:access_token \\
        --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:jwt \\
        --data-urlencode scope=https://www.googleapis.com/auth/cloud-platform \\
        --data-urlencode "audience=//iam.googleapis.com/$RELEASE_GCP_PROVIDER" \\
        --data-urlencode subject_token@- | {_FIELD.replace("@FIELD@", "access_token")})
      account="projects/-/serviceAccounts/$RELEASE_GCP_SERVICE_ACCOUNT"
      REGISTRY_PASSWORD=$(printf 'Authorization: Bearer %s\\n' "$federated" | curl -fsS -H @- \\
        --json '{{"scope": ["https://www.googleapis.com/auth/cloud-platform"]}}' \\
        "https://iamcredentials.googleapis.com/v1/$account:generateAccessToken" \\
        | {_FIELD.replace("@FIELD@", "accessToken")})
""",
    AZURE: f"""\
    - |
      access=$(printf %s "$RELEASE_ID_TOKEN" | curl -fsS \\
        "https://login.microsoftonline.com/$RELEASE_AZURE_TENANT/oauth2/v2.0/token" \\
        --data-urlencode grant_type=client_credentials --data-urlencode scope=https://management.azure.com/.default \\
        --data-urlencode "client_id=$RELEASE_AZURE_CLIENT" \\
        --data-urlencode client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \\
        --data-urlencode client_assertion@- | {_FIELD.replace("@FIELD@", "access_token")})
      REGISTRY_PASSWORD=$(printf %s "$access" | curl -fsS https://@REGISTRY@/oauth2/exchange \\
        --data-urlencode grant_type=access_token --data-urlencode service=@REGISTRY@ \\
        --data-urlencode "tenant=$RELEASE_AZURE_TENANT" --data-urlencode access_token@- \\
        | {_FIELD.replace("@FIELD@", "refresh_token")})
""",
}
_AUDIENCE: Final = {
    AWS: "sts.amazonaws.com", GCP: "https://iam.googleapis.com/$RELEASE_GCP_PROVIDER", AZURE: "api://AzureADTokenExchange"
}  # fmt: skip

_ALONE: Final = {"@MATRIX@": "", "@EACH@": ""}
_MATRIX: Final = {
    "@MATRIX@": """\
  parallel:
    matrix:
@ROWS@  tags: [$RELEASE_RUNNER]
""",
    "@EACH@": "-$RELEASE_RUNNER",
}
_RUNNERS: Final = {"linux/amd64": "saas-linux-small-amd64", "linux/arm64": "saas-linux-small-arm64"}


def text(pipeline: Pipeline) -> str:
    """The file, without its first two lines."""
    job_steps = {
        f"@{job.upper()}_{when.upper()}@": region(f"steps {when} {job}", 4)
        for job in ("plan", "comment", "audit", "publish", "landed", "cut")
        for when in ("before", "after")
    }
    image = f'{{name: "{pipeline.tool_image}", entrypoint: [""]}}' if pipeline.tool_image else "python:3.12"
    marks = {
        "@VARIABLES@": _VARIABLES if pipeline.cut else "",
        "@COMMENT@": ON_GITLAB if pipeline.comment else "",
        "@LANDED@": Pieces(text=_PUSHING, marks=_LANDED).filled() if pipeline.lands else "",
        "@CUT@": Pieces(text=_PUSHING, marks=_CUT).filled() if pipeline.cut else "",
        **job_steps,
        "@JOBS@": region("jobs", 0),
        "@IMAGE@": image,
        "@INSTALL_STEP@": "" if pipeline.tool_image else _INSTALL,
        "@TELL@": _TELL if pipeline.announces else "",
        "@PUSH@": _PUSH,
        "@ENVIRONMENT@": f"  environment: {pipeline.environment}\n" if pipeline.environment else "",
        **_of_image(pipeline),
        **_rows(pipeline),
        "@PLAN_JOB@": PLAN_JOB,
        "@PUBLISHING@": pipeline.publishing,
        "@CUTTING@": pipeline.cutting,
        "@SOURCE@": pipeline.source,
        "@TAG_REGEX@": pipeline.versions.regex.replace("/", r"\/"),
        "@BRANCH_REGEX@": _regex(pipeline.branches),
        "@CONFIG@": pipeline.config_path,
        "@OPTION@": pipeline.option,
        "@INSTALL@": pipeline.install,
    }
    return Pieces(text=_TEXT, marks=marks).filled()


def _of_image(pipeline: Pipeline) -> dict[str, str]:
    """What a job that publishes has of engine and registry."""
    if not pipeline.has_image:
        return {
            "@ENGINE@": "", "@CUT_ENGINE@": f"  variables:\n{_COMMITTER}", "@LOGIN@": "", "@PIPE@": "", "@STDIN@": "",
            "@PROVE_LOGIN@": "",
        }  # fmt: skip
    audience = _AUDIENCE.get(pipeline.login, "")
    token = f"  id_tokens:\n    RELEASE_ID_TOKEN:\n      aud: {audience}\n" if audience else ""
    return {
        "@ENGINE@": _ENGINE.replace("@COMMITTER@", ""),
        "@CUT_ENGINE@": _ENGINE.replace("@COMMITTER@", _COMMITTER),
        "@ID_TOKEN@": token,
        "@USER@": f"    RELEASE_REGISTRY_USERNAME: {user}\n" if (user := _USER.get(pipeline.login)) else "",
        "@LOGIN@": _LOGIN[pipeline.login],
        "@PIPE@": 'printf %s "$REGISTRY_PASSWORD" | ',
        "@STDIN@": " --password-stdin",
        "@PROVE_LOGIN@": "        export RELEASE_REGISTRY_PASSWORD=$REGISTRY_PASSWORD\n",
        "@REGION@": region_of(pipeline.registry),
        "@REGISTRY@": pipeline.registry,
    }


def _regex(pattern: str) -> str:
    """A pattern with `*` as GitLab's regular expression between slashes."""
    return "[^/]*".join(_plain(each) for each in pattern.split("*")).replace("/", r"\/").replace(r"[^\/]", "[^/]")


def _plain(text: str) -> str:
    return "".join(f"[{each}]" if each in ".+" else each for each in text)


def _rows(pipeline: Pipeline) -> Mapping[str, str]:
    if not pipeline.platforms:
        return _ALONE
    rows = "".join(
        f"      - RELEASE_CLI_PLATFORM: {each}\n        RELEASE_RUNNER: {_RUNNERS.get(each, platform_word(each))}\n"
        for each in pipeline.platforms
    )
    return {mark: piece.replace("@ROWS@", rows) for mark, piece in _MATRIX.items()}


def needs(pipeline: Pipeline) -> tuple[Need, ...]:
    """What to set in the project's settings."""
    found = [
        Need(kind="secret", name="RELEASE_PUSH_TOKEN", environment=pipeline.environment,
             why="a project access token with the scope write_repository; masked and protected"),
    ]  # fmt: skip
    if pipeline.comment:
        found.append(gitlab_needs())
    if pipeline.environment:
        found.append(
            Need(kind="environment", name=pipeline.environment, why="who must approve (Premium)", optional=True)
        )
    if pipeline.has_image and pipeline.login == PASSWORD:
        found += [
            Need(kind="variable", name="RELEASE_REGISTRY_USERNAME", why=f"the user at {pipeline.registry}",
                 environment=pipeline.environment),
            Need(kind="secret", name="RELEASE_REGISTRY_PASSWORD", why="its password or token; masked and protected",
                 environment=pipeline.environment),
        ]  # fmt: skip
    if pipeline.has_image and pipeline.login in OIDC:
        found += of_the_cloud(pipeline.login)
    found += webhook_needs(pipeline)
    why = "release branches and version tags are protected, or the jobs do not see protected variables"
    found.append(Need(kind="other", name="protection", why=f"{why}: release protect --provider gitlab"))
    return tuple(found)

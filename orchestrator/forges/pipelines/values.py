"""What a pipeline file is made of, and what it needs of its forge."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import BY_CI, BY_CUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.forges.pipelines.triggers import VersionTags

_PATIENCE: Final = 900  # seconds until a cut has named its image
PLAN_JOB: Final = "release-plan"  # the name of the check that `release protect` requires
PASSWORD, JOB, AWS, GCP, AZURE = "password", "job", "aws", "gcp", "azure"  # ways to log in at a registry
LOGINS: Final = (PASSWORD, JOB, AWS, GCP, AZURE)
OIDC: Final = (AWS, GCP, AZURE)
AZURE_USER: Final = "00000000-0000-0000-0000-000000000000"  # of a token, by Azure's own documentation


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What the pipeline file is made of; the texts are fit for shell, YAML and Groovy."""

    provider: str
    config_path: str
    source: str
    branches: str
    versions: VersionTags
    has_image: bool
    install: str
    platforms: tuple[str, ...] = ()  # that have a publishing job each, none where one job makes all
    file: str = ""  # where it is written, "" for where the provider looks
    on_github_com: bool = True
    registry: str = ""  # its host, "" without an image
    login: str = PASSWORD  # one of LOGINS
    environment: str = ""  # of the forge, that the jobs with a secret run in; "" for none
    cut: bool = False  # whether it has a job that cuts
    comment: bool = False  # whether it has a job that keeps the plan as a comment on a request
    announces: bool = False  # whether release.yaml asks to tell anybody
    comments_on_fixes: bool = False  # whether the requests of the fixes are told
    secrets: tuple[str, ...] = ()  # variables with the addresses of webhooks
    tool_image: str = ""  # that the jobs run in, "" where they install the tool
    built_by: str = ""  # `image.built-by`
    requests: bool = False  # whether releases land by pull requests

    @property
    def lands(self) -> bool:
        """Whether it has a job that tags and publishes what landed; where the cut builds, that does it."""
        return self.requests and not (self.has_image and self.built_by == BY_CUT)

    @property
    def publishing(self) -> str:
        """What the job of a tag runs: where the cut builds, it waits for that, and proves it."""
        waits = self.has_image and self.built_by == BY_CUT
        return f"release publish --no-build --wait {_PATIENCE}" if waits else "release publish"

    @property
    def cutting(self) -> str:
        """What the job that cuts runs: where CI builds, that is this job, before anything is public."""
        return "release cut --yes --image" if self.has_image and self.built_by == BY_CI else "release cut --yes"

    @property
    def option(self) -> str:
        """The path of release.yaml as an option, "" where it is the usual one."""
        return "" if self.config_path == "release.yaml" else f" --config {self.config_path}"


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that a person must set on the forge, once."""

    kind: str  # "secret", "variable", "environment", "credential"; "other" is what no API tells
    name: str
    why: str
    environment: str = ""  # where it may stand too, "" for the whole repository alone
    optional: bool = False

    @property
    def line(self) -> str:
        return f"{self.kind} {self.name}: {self.why}{' (optional)' if self.optional else ''}"


def webhook_needs(pipeline: Pipeline) -> list[Need]:
    """The addresses of the webhooks of `notify:`."""
    why = "the address of a webhook of `notify:`"
    return [Need(kind="secret", name=each, why=why, environment=pipeline.environment) for each in pipeline.secrets]


def of_the_cloud(login: str) -> tuple[Need, ...]:
    """The variables of a login without a password."""
    return tuple(Need(kind="variable", name=name, why=why) for name, why in _CLOUD[login].items())


_CLOUD: Final[Mapping[str, Mapping[str, str]]] = {
    AWS: {"RELEASE_AWS_ROLE": "the ARN of the role that may push, and trusts this repository's tokens"},
    GCP: {
        "RELEASE_GCP_PROVIDER": "the workload identity provider: projects/NUMBER/locations/global/"
        "workloadIdentityPools/POOL/providers/NAME",
        "RELEASE_GCP_SERVICE_ACCOUNT": "the service account that may push: NAME@PROJECT.iam.gserviceaccount.com",
    },
    AZURE: {
        "RELEASE_AZURE_CLIENT": "the id of the application that may push, with a federated credential",
        "RELEASE_AZURE_TENANT": "the id of its tenant",
    },
}


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """A text with marks (`@NAME@`) and what they stand for, in this order: a piece may have marks that come later."""

    text: str
    marks: Mapping[str, str] = field(default_factory=dict)

    def filled(self) -> str:
        made = self.text
        for mark, piece in self.marks.items():
            made = made.replace(mark, piece)
        return made

"""A release.yaml with every key, and what the tests of it share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config import reader

if TYPE_CHECKING:
    from orchestrator.core.declaration import (
        Config,
    )

FULL = """\
version: 1
branch: release/v2.7
source: [main, fix/dataloader-leak]
remote: upstream
releases:
  v2.7.1:
    summary: one line
    fixes:
      - commit: 00123456       # stays text
        reason: why it must ship
        approved-by: https://example.com/pull/7
        backport: 1e5
        mainline: 1
        allow: [duplicate, empty]
      - {range: e4f5a6b^..c7d8e9f, confirm: true, again: true, reason: it was lost, approved-by: [mia, "@org/team"]}
  v2.7.2-rc.1:
    {ticket: OPS-412, from-branch: true,
     fixes: [{commit: "main^{/leak}", exclude: [/docs/, CHANGES.txt], strategy-option: [ours, find-renames=60]}]}
image:
  repository: registry.example.com:5000/team/pytorch-cuda
  dockerfile: ./images/pytorch-cuda/Dockerfile
  context: images/
  build-args: {BASE_IMAGE: "debian:12", TORCH: 2.10, EMPTY: "", TOKENIZERS_PARALLELISM: 1}
  floating: [v2.7, latest]
  smoke:
    - true
    - [python, -c, "import torch"]
    - {name: jupyter, run: jupyter --version, timeout: 90s, network: bridge}
  platform: linux/amd64
  network: host
  size-budget: 6GiB
  max-layers: 20
  patches: images/pytorch-cuda/patches
  heavy: {stage: heavy, repository: registry.example.com:5000/team/base, epoch: 1700000000}
verify:
  - make test
  - |
    set -e
    make lint
  - {run: make docs, paths: [docs/, setup.py], timeout: 10m}
  - {run: make all, paths: [docs, .]}
changelog: docs/CHANGES.md
version-files:
  - VERSION
  - path: setup.py
    pattern: 'version="(.*)"'
policy:
  required-approvals: 1
  adapted-approvals: 2
  code-owners:
    - {path: "*", owners: [mia, "@org/team"]}
    - {path: /docs/, owners: []}
  types: [fix, perf]
  conventional-commits: true
  signed-tags: true
  signed-images: true
  protected-sources: [main, next/2.8]
  declared-on-source: true
  freeze:
    - {from: 2026-12-20 18:00 +01:00, until: 2027-01-04T07:00 Z, reason: nobody is there}
signoff: true
sign-commits: true
exclude: [CHANGES.txt, .github/**]
reuse-resolutions: true
release-commit:
  subject: "{ticket}: {tag} [skip ci]"
  body: |
    {summary}

    {picks}
  trailers: {Ticket: "{ticket}", Change-Id: "{change-id}"}
sign:
  sbom: [spdx, cyclonedx]
  key-env: SIGNING_KEY
  public-keys:
    - MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
hooks:
  - {before: land, run: ./gate}
  - {after: record, run: ./tell, timeout: 5}
forge-release: {assets: [record]}
notify:
  - {kind: slack, url-env: SLACK_URL, text: "{tag} is out"}
  - {kind: teams, url-env: TEAMS_URL}
repository-url: https://github.com/org/project.git
"""


KEYLESS = """\
sign:
  keyless:
    identity: [mia@example.com, "https://ci.example.com/release.yml@refs/tags/{version}"]
    issuer: https://ci.example.com
    trusted-root: sigstore/root.json
    signing-config: sigstore/config.json
"""


MINIMAL = "version: 1\nbranch: release/v2.7\nsource: main\n"


def read(text: str) -> Config:
    return reader.parse(text.encode(), "release.yaml")

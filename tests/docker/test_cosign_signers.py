"""Signed by the cosign program: with an identity of CI, and with a key in a KMS.

The sigstore is one of nobody (tests/support/sigstore.py): an own authority and timestamp server, no transparency log.
The KMS is a plugin of cosign with a key in a file.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.attest import cyclonedx
from orchestrator.attest.attach import bundles, publish
from orchestrator.attest.signing import signer
from orchestrator.attest.statement import PICKS, PROVENANCE, SIGNATURE, Statement, signature
from orchestrator.core.declaration.signing import KeylessSpec, SignSpec
from orchestrator.core.errors import ReleaseError, UsageError
from tests.support import kms
from tests.support.imaged import VERSION, Imaged, imaged
from tests.support.signing import Cosign, cosign, pair
from tests.support.sigstore import Sigstore, sigstore, token
from tools.lab.cosign import programs, unavailable
from tools.lab.slots import cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker
KINDS = (SIGNATURE, PROVENANCE, PICKS, cyclonedx.PREDICATE)
ISSUER = "https://ci.example.com"
WORKFLOW = "https://ci.example.com/team/images/release.yml@refs/tags/"
ROOT, SERVICES = "sigstore/trusted-root.json", "sigstore/signing-config.json"
SIGN = f"""\
sign:
  keyless:
    identity: {WORKFLOW}{{version}}
    issuer: {ISSUER}
    trusted-root: {ROOT}
    signing-config: {SERVICES}
"""
KEYLESS = KeylessSpec(identities=(f"{WORKFLOW}{{version}}",), issuer=ISSUER, trusted_root=ROOT, signing_config=SERVICES)
KEY = f"{kms.SCHEME}://key-1"
CUT = ("cut", VERSION, "--yes")


@dataclass(frozen=True)
class Keyless:
    shipped: Imaged
    here: Sigstore
    cosigns: tuple[Cosign, ...]

    @property
    def path(self) -> str:
        """Where the newer cosign is found, and the KMS."""
        return f"{self.cosigns[-1].program.parent}:{self.here.folder / 'kms'}:{os.environ['PATH']}"

    def env(self, who: str = f"{WORKFLOW}{VERSION}") -> dict[str, str]:
        return {"PATH": self.path, "SIGSTORE_ID_TOKEN": token(who, ISSUER) if who else ""}

    @property
    def root(self) -> Path:
        return self.shipped.story.clone.path / ROOT

    @property
    def digest(self) -> str:
        found = self.shipped.registry.manifest(VERSION)
        assert found is not None
        return found.digest


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[Keyless]:
    """A release that CI signed, after two that could not be."""
    if reason := unavailable(os.environ):
        if os.environ.get("CI") == "true":
            pytest.fail(f"no cosign: {reason}")
        pytest.skip(f"no cosign: {reason}")
    root = tmp_path_factory.mktemp("keyless")
    cosigns = tuple(cosign(program, root / suite, lab) for suite, program in programs(cache()).items())
    with sigstore(root / "sigstore") as here:
        made = Keyless(imaged(root / "story", lab), here, cosigns)
        clone, out = made.shipped.story.clone, root / "root.json"
        done = cosigns[-1].run("trusted-root", "create", "--out", str(out),
                               "--fulcio", f"url={here.url},certificate-chain={here.folder / 'fulcio.pem'}",
                               "--tsa", f"url={here.url}/timestamp,certificate-chain={here.folder / 'tsa-chain.pem'}",
                               )  # fmt: skip
        assert done.returncode == 0, done.stderr
        clone.commit("ci: our own sigstore", {ROOT: out.read_text(), SERVICES: here.signing_config()})
        clone.git("push", "--quiet", "origin", "main")
        public = kms.plugin(here.folder / "kms")
        made.shipped.declare(smoke=f"sign:\n  key: {KEY}\n  public-keys: [{pair().public}]\n")
        unpinned = made.shipped.release(*CUT, env=made.env())
        assert (unpinned.code, public in unpinned.err) == (4, True), unpinned.err
        made.shipped.declare(smoke=SIGN)
        for who, code, says in (
            ("", 2, "nobody says who signs"),
            (f"{WORKFLOW}v9.9.9", 4, f'got "{WORKFLOW}v9.9.9"'),
        ):
            refused = made.shipped.release(*CUT, env=made.env(who))
            assert (refused.code, says in refused.err) == (code, True), refused.err
            assert made.shipped.registry.head(VERSION) is None, "nothing is public that is not signed"
            assert VERSION not in made.shipped.story.remote.git("tag").split()
        done_cut = made.shipped.release(*CUT, env=made.env())
        assert done_cut.code == 0, done_cut.err
        yield made


def test_cosign_believes_the_identity_and_no_other(keyless: Keyless) -> None:
    """The newer one: 2.5 looks for the public roots of sigstore, whatever trusted root it is given."""
    image, program = f"{keyless.shipped.repository}@{keyless.digest}", keyless.cosigns[-1]
    plain = ("verify-attestation", "--trusted-root", str(keyless.root), "--certificate-oidc-issuer", ISSUER,
             "--insecure-ignore-tlog", "--insecure-ignore-sct", "--use-signed-timestamps", image)  # fmt: skip
    for kind in KINDS:
        good = program.run(*plain, "--type", kind, "--certificate-identity", f"{WORKFLOW}{VERSION}")
        assert good.returncode == 0, (kind, good.stderr)
    bad = program.run(*plain, "--type", PICKS, "--certificate-identity", f"{WORKFLOW}v2.7.0")
    assert bad.returncode != 0


def test_again_writes_nothing_and_the_token_is_nowhere(keyless: Keyless) -> None:
    """Neither does the step itself, where the journal does not know that it was done."""
    story, asked = keyless.shipped.story, len(keyless.here.requests)
    registry = keyless.shipped.registry
    spec = SignSpec(keyless=KEYLESS)
    there = [each for _, each in bundles(registry, keyless.digest)]
    mine = signer(spec, VERSION, {**os.environ, **keyless.env()}, story.clone.path)
    again = [
        Statement(repository=registry.repository, digest=keyless.digest, predicate_type=said["predicateType"],
                  predicate=said["predicate"])
        for said in (each.statement for each in there)
    ]  # fmt: skip
    assert sorted(publish(registry, again, mine, "2025-01-01T00:00:00Z")) == sorted(
        referrer.digest for referrer, _ in bundles(registry, keyless.digest)
    )
    assert len(keyless.here.requests) == asked
    journal = (story.clone.path / ".git/release" / VERSION / "journal.jsonl").read_text()
    assert keyless.env()["SIGSTORE_ID_TOKEN"].split(".")[1][:40] not in journal


@pytest.mark.wide
def test_verify_asks_for_the_identity_that_the_protected_branch_pins(keyless: Keyless, tmp_path: Path) -> None:
    shipped, clone = keyless.shipped, keyless.shipped.story.clone
    remote, image = str(shipped.story.remote.path), f"{shipped.repository}:{VERSION}"

    def pin(text: str) -> None:
        (clone.path / "release.yaml").write_text(text)
        clone.git("add", "release.yaml")
        clone.git("commit", "--quiet", "-m", "chore: pin who signs")
        clone.git("push", "--quiet", "origin", "HEAD:main")

    declared = (clone.path / "release.yaml").read_text()
    pin(declared)
    good = shipped.release("verify", VERSION, env=keyless.env(""))
    assert good.code == 0, good.out
    assert "by the identity that is pinned" in good.out
    assert shipped.release("verify", "--image", image, "--remote", remote, env=keyless.env("")).code == 0
    (tmp_path / "git").symlink_to(shutil.which("git") or "git")
    blind = shipped.release("verify", VERSION, env={"PATH": str(tmp_path)})
    assert (blind.code, "there is no cosign on the path" in blind.out) == (6, True), blind.out
    other = "https://ci.example.com/team/other/release.yml@refs/tags/"
    pin(declared.replace(WORKFLOW, other))
    wrong = shipped.release("verify", VERSION, env=keyless.env(""))
    assert (wrong.code, "none by the identity that is pinned" in wrong.out) == (9, True), wrong.out
    assert f'got "{WORKFLOW}{VERSION}"' in wrong.out
    (clone.path / "release.yaml").write_text(declared.replace(VERSION, "v2.7.2"))
    refused = shipped.release("plan", "v2.7.2", env=keyless.env(""))
    assert "[policy-signed-images]" in refused.err + refused.out, refused.err
    pin(declared)


def test_what_a_wrong_clock_makes_is_refused(keyless: Keyless) -> None:
    """The authority's clock is a day off: its certificates are expired, or not valid yet."""
    spec = SignSpec(keyless=KEYLESS)
    mine = signer(spec, VERSION, {**os.environ, **keyless.env()}, keyless.shipped.story.clone.path)
    statement = signature(keyless.shipped.registry.repository, keyless.digest)
    for days in (-1, 1):
        keyless.here.shift = timedelta(days=days)
        try:
            with pytest.raises(ReleaseError) as refused:
                mine.sign(statement.content)
        finally:
            keyless.here.shift = timedelta()
        assert refused.value.state == "nothing is public"
        assert "certificate" in refused.value.message, refused.value.message


def test_a_key_in_a_kms_signs_and_everybody_with_the_public_one_sees_it(keyless: Keyless, tmp_path: Path) -> None:
    public, shipped = kms.plugin(keyless.here.folder / "kms"), keyless.shipped
    uri, repository = KEY, shipped.registry.repository
    (tmp_path / "kms.pub").write_text(f"-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n")
    mine = signer(SignSpec(key=uri, public_keys=(public,)), VERSION, {**os.environ, "PATH": keyless.path}, tmp_path)
    publish(shipped.registry, [signature(repository, keyless.digest)], mine, "2025-01-01T00:00:00Z")
    for program in keyless.cosigns:
        seen = program.attested(f"{repository}@{keyless.digest}", SIGNATURE, tmp_path / "kms.pub")
        assert seen.returncode == 0, (program.program, seen.stderr)
    for key, pinned, says in (
        (uri, pair().public, f"the signing key {uri} is none that `sign.public-keys` pins"),
        (f"{kms.SCHEME}://key-2", public, "there is no such key"),
        ("nowhere://key-1", public, "nowhere"),
    ):
        with pytest.raises(ReleaseError, match=re.escape(says)):
            signer(SignSpec(key=key, public_keys=(pinned,)), VERSION, {"PATH": keyless.path}, tmp_path)
    for path, says in (
        ("", "no cosign on the path"),
        (str(keyless.cosigns[0].program.parent), "too old: its attest-blob takes no --statement"),
    ):
        with pytest.raises(UsageError, match=says):
            signer(SignSpec(key=uri, public_keys=(public,)), VERSION, {"PATH": path}, tmp_path)

"""One signed cut, looked at by cosign 2.5 and 3.1 as a stranger runs them, who has an image and a key."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.attest import bundle, cyclonedx, spdx
from orchestrator.attest.attach import bundles
from orchestrator.attest.keys import signing_key
from orchestrator.attest.scan import vex
from orchestrator.attest.statement import PICKS, PROVENANCE, SIGNATURE
from orchestrator.core.labels import CREATED
from orchestrator.registry.manifest import Manifest
from orchestrator.registry.referrers import Artifact, attach
from tests.attest.scan.advisories import document, statement
from tests.support.cli import release
from tests.support.imaged import DOCKERFILE, VERSION, Imaged, imaged
from tests.support.signing import PASSWORD, Cosign, cosign, pair
from tools.lab.cosign import programs, unavailable
from tools.lab.slots import cache

if TYPE_CHECKING:
    import docker

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker
KINDS = (SIGNATURE, PROVENANCE, PICKS, cyclonedx.PREDICATE, spdx.PREDICATE)
WITH_VEX = (*KINDS, vex.PREDICATE)
PACKAGE = "bash"
STATUS = f"Package: {PACKAGE}\\nStatus: install ok installed\\nVersion: 5.2.15-2+b7\\nArchitecture: amd64\\n"
WITH_PACKAGE = f"""{DOCKERFILE}\
RUN mkdir -p /var/lib/dpkg && printf '{STATUS}' > /var/lib/dpkg/status \\
 && printf 'ID=debian\\nVERSION_ID="12"\\n' > /etc/os-release
"""
CLOSED = "def load(): return 5  # closed\n"


@dataclass(frozen=True)
class Signed:
    shipped: Imaged
    cosigns: tuple[Cosign, ...]
    keys: Path  # a folder: cosign.key, cosign.pub, other.pub
    fix: str  # it brings a VEX statement too
    journal: str
    said: str

    @property
    def manifest(self) -> Manifest:
        found = self.shipped.registry.manifest(VERSION)
        assert found is not None
        return found

    @property
    def image(self) -> str:
        return f"{self.shipped.repository}@{self.manifest.digest}"


def sign_section(keys: Path, public: str) -> str:
    pinned = f"sign:\n  key-file: {keys / 'cosign.key'}\n  sbom: [cyclonedx, spdx]\n  public-keys: [{public}]\n"
    return f'verify:\n  - test -z "$COSIGN_PASSWORD"\n{pinned}'


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Signed:
    """A release whose key cosign made; its password is in the environment alone."""
    if reason := unavailable(os.environ):
        if os.environ.get("CI") == "true":
            pytest.fail(f"no cosign: {reason}")
        pytest.skip(f"no cosign: {reason}")
    root = tmp_path_factory.mktemp("signed")
    cosigns = tuple(cosign(program, root / suite, lab) for suite, program in programs(cache()).items())
    keys = root / "trixie"
    assert cosigns[0].run("generate-key-pair").returncode == 0
    (keys / "other.pub").write_text(pair().pem)
    public = "".join((keys / "cosign.pub").read_text().splitlines()[1:-1])
    shipped = imaged(root / "story", lab, dockerfile=WITH_PACKAGE)
    clone = shipped.story.clone
    words = [statement(vulnerability={"name": "CVE-2025-3333"}, products=[{"@id": f"pkg:deb/debian/{PACKAGE}"}])]
    fix = clone.commit("fix: close it", {"loader.py": CLOSED, "vex/2025.json": json.dumps(document(*words))})
    clone.git("push", "--quiet", "origin", "main")
    shipped.declare(smoke=sign_section(keys, public), fix=fix)
    env = {"COSIGN_PASSWORD": PASSWORD}
    done = shipped.release("cut", VERSION, "--yes", env=env)
    assert done.code == 0, done.err
    journal = (shipped.story.clone.path / ".git/release" / VERSION / "journal.jsonl").read_text()
    return Signed(shipped=shipped, cosigns=cosigns, keys=keys, fix=fix, journal=journal, said=done.out + done.err)


def statements(signed: Signed) -> dict[str, dict[str, Any]]:
    found = [each.statement for _, each in bundles(signed.shipped.registry, signed.manifest.digest)]
    return {each["predicateType"]: each["predicate"] for each in found}


def test_both_cosigns_verify_all_of_it_and_refuse_another_key(signed: Signed) -> None:
    for program in signed.cosigns:
        for kind in WITH_VEX:
            good = program.attested(signed.image, kind, signed.keys / "cosign.pub")
            assert good.returncode == 0, (program.program, kind, good.stderr)
            payload = json.loads(base64.b64decode(json.loads(good.stdout.splitlines()[-1])["payload"]))
            assert payload["predicateType"] == kind
        bad = program.attested(signed.image, PICKS, signed.keys / "other.pub")
        assert bad.returncode != 0, program.program
    new = signed.cosigns[-1]
    plain = ("verify", "--insecure-ignore-tlog", "--key")
    assert new.run(*plain, str(signed.keys / "cosign.pub"), signed.image).returncode == 0
    assert new.run(*plain, str(signed.keys / "other.pub"), signed.image).returncode != 0


def test_the_statements_say_what_the_record_says(signed: Signed) -> None:
    said = statements(signed)
    assert set(said) == set(WITH_VEX)
    record = signed.shipped.release("show", VERSION, "--json").json
    (pick,) = said[PICKS]["picks"]
    assert (pick["source"], pick["state"]) == (signed.fix, "clean")
    assert pick["result"] == record["picks"][0]["result"]
    assert said[PICKS]["tag"]["object"] == signed.shipped.story.remote.rev(f"refs/tags/{VERSION}")
    commits = [
        each["digest"]["gitCommit"]
        for each in said[PROVENANCE]["buildDefinition"]["resolvedDependencies"]
        if "gitCommit" in each["digest"]
    ]
    assert commits == [record["commit"], record["base"], signed.fix]
    assert said[cyclonedx.PREDICATE]["metadata"]["component"]["version"] == VERSION


def test_what_is_known_against_it(signed: Signed, tmp_path: Path) -> None:
    """Two advisories about a package of the image: one is answered by the VEX statement that was released with it."""
    package = {"ecosystem": "Debian:12", "name": PACKAGE}
    affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]
    names, rated = ("CVE-2025-3333", "CVE-2025-4444"), {"severity": "HIGH"}
    rows = [{"id": name, "affected": affected, "database_specific": rated} for name in names]
    (tmp_path / "osv.json").write_text(json.dumps(rows))
    args = ("scan", VERSION, "--data", str(tmp_path / "osv.json"))
    told = signed.shipped.release(*args, "--json")
    assert told.code == 0, told.err
    (image,) = told.json["images"]
    assert image["digest"] == signed.manifest.digest
    assert {each["id"]: each["state"] for each in image["findings"]} == {
        "CVE-2025-3333": "not-affected", "CVE-2025-4444": "open"
    }  # fmt: skip
    assert [signed.shipped.release(*args, "--fail-on", level).code for level in ("high", "critical")] == [6, 0]
    sarif = signed.shipped.release(*args, "--sarif", "-").json
    assert len(sarif["runs"][0]["results"]) == 2
    offline = signed.shipped.release("scan", VERSION, "--offline")
    assert (offline.code, "--data FILE" in offline.err) == (2, True), offline.err
    nobody = signed.shipped.release("scan", VERSION, "--service", "http://127.0.0.1:1")
    assert (nobody.code, "Traceback" in nobody.err) == (7, False), nobody.err


def test_no_secret_is_told(signed: Signed) -> None:
    secret = (signed.keys / "cosign.key").read_text().splitlines()[1]
    for text in (signed.journal, signed.said):
        assert PASSWORD not in text
        assert secret not in text
    assert '"type": "Signed"' in signed.journal or '"type":"Signed"' in signed.journal


def test_again_writes_nothing(signed: Signed) -> None:
    """Neither does the step itself, where the journal does not know that it was done."""
    before = requests(signed, "PUT|POST|PATCH")
    env = {"COSIGN_PASSWORD": PASSWORD}
    again = signed.shipped.release("cut", VERSION, "--yes", "--json", env=env)
    assert (again.code, again.json["released"]) == (0, False), again.err
    assert requests(signed, "PUT|POST|PATCH") == before


def requests(signed: Signed, methods: str, of: str = "") -> int:
    path = re.escape(signed.shipped.repository.partition("/")[2])
    log = Path(signed.shipped.lab.registry_log).read_text(errors="replace")
    return len(re.findall(rf'"(?:{methods}) /v2/{path}/{of}', log))


def test_a_statement_of_another_image_is_believed_by_nobody(signed: Signed) -> None:
    """The bundle is genuine; what it hangs on is not what it is about."""
    registry = signed.shipped.registry
    other = Manifest(content=signed.manifest.content + b"\n", media_type=signed.manifest.media_type)
    registry.put_manifest("other", other)
    genuine = next(each for _, each in bundles(registry, signed.manifest.digest) if PICKS in str(each.statement))
    document = {
        "mediaType": bundle.MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": ""}},
        "dsseEnvelope": {
            "payload": base64.b64encode(genuine.payload).decode(),
            "payloadType": genuine.payload_type,
            "signatures": [{"sig": base64.b64encode(genuine.signatures[0]).decode()}],
        },
    }
    notes = {"dev.sigstore.bundle.predicateType": PICKS, CREATED: "2025-01-01T00:00:00Z"}
    attach(
        registry, other, [Artifact(kind=bundle.MEDIA_TYPE, content=json.dumps(document).encode(), annotations=notes)]
    )
    image, key = f"{signed.shipped.repository}@{other.digest}", signed.keys / "cosign.pub"
    for program in signed.cosigns:
        assert program.attested(image, PICKS, key).returncode != 0, program.program
    told = signed.shipped.release("verify", "--image", image, "--key", str(key))
    assert (told.code, "picks: what is there is about another image" in told.out) == (9, True), told.out


def test_a_key_that_cannot_be_opened_ends_it_before_anything(tmp_path: Path, lab: Lab) -> None:
    shipped = imaged(tmp_path / "story", lab)
    key = pair(password=PASSWORD)
    (tmp_path / "cosign.key").write_bytes(key.private)
    shipped.declare(smoke=sign_section(tmp_path, key.public))
    refused = shipped.release("cut", VERSION, "--yes", env={"COSIGN_PASSWORD": "wrong"})
    assert refused.code == 2
    assert "cannot be opened with the password given" in refused.err
    assert "set COSIGN_PASSWORD" in refused.err
    assert shipped.registry.tags() == ()
    assert VERSION not in shipped.story.remote.git("tag").split()


def test_verify_passes_with_the_pinned_key_and_says_what_was_not_checked(signed: Signed) -> None:
    """Nothing is pinned on the protected branch first: then nothing is believed, and nothing is called broken."""
    unpinned = signed.shipped.release("verify", VERSION)
    assert unpinned.code == 6, unpinned.out
    assert "no key is at hand" in unpinned.out
    assert "no key is at hand" in on_the_page(signed)
    pin(signed)
    shown = on_the_page(signed)
    assert all(f"{signed.shipped.repository}:{VERSION}: {word}: of sha256:" in shown
               for word in ("signature", "provenance", "picks", "VEX", "SBOM (CycloneDX)", "SBOM (SPDX)"))  # fmt: skip
    good = signed.shipped.release("verify", VERSION)
    assert good.code == 0, good.out
    assert all(f"signature: {signed.shipped.repository}:{VERSION}: {word}" in good.out
               for word in ("signature", "provenance", "picks", "VEX", "SBOM (CycloneDX)", "SBOM (SPDX)"))  # fmt: skip
    image, remote = f"{signed.shipped.repository}:{VERSION}", str(signed.shipped.story.remote.path)
    for more, code in (
        (("--remote", remote), 0),
        (("--key", str(signed.keys / "cosign.pub")), 6),  # git was not looked at
        (("--key", str(signed.keys / "other.pub")), 9),
        (("--key", str(signed.keys / "cosign.pub"), "--allow-unchecked"), 0),
    ):
        done = signed.shipped.release("verify", "--image", image, *more)
        assert done.code == code, (more, done.out, done.err)
    bare = signed.shipped.release("verify", "--image", image)
    assert "6 bundles are there, and no key is at hand" in bare.out


def on_the_page(signed: Signed) -> str:
    """What the report's page says about signatures; what is inside stands on it too."""
    before = requests(signed, "GET", "referrers/")
    page = signed.shipped.release("report", VERSION, "--contents", "--output", "-")
    assert page.code == 0, page.err
    assert requests(signed, "GET", "referrers/") - before == 1, "the audit and the page ask together"
    assert f"{PACKAGE} <span" in page.out
    return page.out.partition('<h2 id="signatures">')[2].partition("<h2")[0]


def pin(signed: Signed) -> None:
    """The team's release.yaml comes onto the protected branch."""
    clone = signed.shipped.story.clone
    clone.git("add", "release.yaml")
    clone.git("commit", "--quiet", "-m", "chore: pin the key")
    clone.git("push", "--quiet", "origin", "HEAD:main")


def test_audit_finds_what_is_missing_foreign_and_broken(signed: Signed) -> None:
    """In this order on one image, and healed again: the index under the fallback tag is what an attacker can write."""
    pin_again = signed.shipped.release("audit")
    assert "signature-differs" not in pin_again.out
    registry, tag = signed.shipped.registry, signed.manifest.digest.replace(":", "-")
    listed = registry.manifest(tag)
    assert listed is not None
    rows = json.loads(listed.content)["manifests"]

    def listing(kept: list[Any]) -> None:
        text = json.dumps({"schemaVersion": 2, "mediaType": listed.media_type, "manifests": kept})
        registry.put_manifest(tag, Manifest(content=text.encode(), media_type=listed.media_type))

    kinds = [row["annotations"]["dev.sigstore.bundle.predicateType"] for row in rows]
    listing([row for row, kind in zip(rows, kinds, strict=True) if kind != PICKS])
    found = signed.shipped.release("audit")
    assert (found.code, "picks: " in found.out, "has none" in found.out) == (9, True, True), found.out
    listing([])
    stranger = signing_key(pair().private, b"", "k", "P")
    genuine = [each for _, each in ((row, read_one(signed, row["digest"])) for row in rows)]
    notes = {"dev.sigstore.bundle.predicateType": PICKS, CREATED: "2025-01-01T00:00:00Z"}
    forged = [Artifact(kind=bundle.MEDIA_TYPE, content=bundle.sign(genuine[0].payload, stranger), annotations=notes)]
    attach(registry, signed.manifest, forged)
    found = signed.shipped.release("audit")
    assert (found.code, "none by a key that is pinned" in found.out) == (9, True), found.out
    key = signing_key((signed.keys / "cosign.key").read_bytes(), PASSWORD.encode(), "k", "P")
    edited = [
        each.payload.replace(b'"state":"clean"', b'"state":"adapted"') if PICKS in str(each.statement) else each.payload
        for each in genuine
    ]
    listing([])
    attach(registry, signed.manifest, [
        Artifact(kind=bundle.MEDIA_TYPE, content=bundle.sign(each, key), annotations=notes) for each in edited
    ])  # fmt: skip
    found = signed.shipped.release("audit")
    assert (found.code, "it says another thing than the record: picks" in found.out) == (9, True), found.out
    listing(rows)
    assert "signature-differs" not in signed.shipped.release("audit").out


def test_an_edited_sbom_and_a_swapped_digest_are_refused(signed: Signed) -> None:
    """Edited under the old signature; then another image under the version's tag.  The key is pinned already."""
    registry, tag, image = signed.shipped.registry, signed.manifest.digest.replace(":", "-"), signed.manifest
    key = signed.keys / "cosign.pub"
    listed = registry.manifest(tag)
    assert listed is not None
    rows = json.loads(listed.content)["manifests"]
    bill = next(row for row in rows if row["annotations"]["dev.sigstore.bundle.predicateType"] == cyclonedx.PREDICATE)
    genuine = read_one(signed, bill["digest"])
    edited = genuine.payload.replace(PACKAGE.encode(), b"dash")
    document = json.loads(genuine.document)
    document["dsseEnvelope"]["payload"] = base64.b64encode(edited).decode()

    def listing(kept: list[Any]) -> None:
        text = json.dumps({"schemaVersion": 2, "mediaType": listed.media_type, "manifests": kept})
        registry.put_manifest(tag, Manifest(content=text.encode(), media_type=listed.media_type))

    listing([row for row in rows if row is not bill])
    attach(registry, image, [Artifact(kind=bundle.MEDIA_TYPE, content=json.dumps(document).encode(),
                                      annotations=bill["annotations"])])  # fmt: skip
    for program in signed.cosigns:
        assert program.attested(signed.image, cyclonedx.PREDICATE, key).returncode != 0, program.program
    for asked in ((VERSION,), ("--image", signed.image, "--key", str(key))):
        told = signed.shipped.release("verify", *asked)
        broken = [line for line in told.out.splitlines() if "it was changed after it was signed" in line]
        assert (told.code, len(broken), "SBOM (CycloneDX)" in "".join(broken)) == (9, 1, True), told.out
    listing(rows)
    registry.put_manifest(VERSION, Manifest(content=image.content + b"\n", media_type=image.media_type))
    for program in signed.cosigns:
        swapped = f"{signed.shipped.repository}:{VERSION}"
        assert program.attested(swapped, PICKS, key).returncode != 0, program.program
    told = signed.shipped.release("verify", VERSION)
    assert told.code == 9, told.out
    registry.put_manifest(VERSION, image)


def read_one(signed: Signed, digest: str) -> bundle.Bundle:
    registry = signed.shipped.registry
    manifest = registry.manifest(digest)
    assert manifest is not None
    found = bundle.read(registry.blob(registry.layers(manifest)[0].digest))
    assert found is not None
    return found


@pytest.mark.wide
def test_another_build_of_the_tag_says_the_same(signed: Signed, tmp_path: Path, client: docker.DockerClient) -> None:
    """CI builds the tag again, in an engine that has nothing of the first build: what differs is what names the run,
    the digest of an image whose files have other times, and what an SBOM is called by that digest.
    """
    shipped, remote = signed.shipped, signed.shipped.story.remote
    before, digest = statements(signed), signed.manifest.digest
    for name in remote.git("for-each-ref", "--format=%(refname)", "refs/release-records").split():
        remote.git("update-ref", "-d", name)
    shipped.registry.delete(digest)
    assert shipped.registry.head(VERSION) is None
    for each in {str(image.id) for image in client.images.list(name=shipped.repository)}:
        client.images.remove(each, force=True)
    remote.git("clone", "--quiet", str(remote.path), str(tmp_path / "ci"))
    env = {"COSIGN_PASSWORD": PASSWORD, **shipped.lab.env}
    done = release("publish", VERSION, cwd=tmp_path / "ci", env=env)
    assert done.code == 0, done.err
    assert signed.manifest.digest != digest, "it was built again"
    after = statements(signed)
    for found in (before[PROVENANCE], after[PROVENANCE]):
        assert found["runDetails"]["metadata"].pop("invocationId")
        assert found["buildDefinition"]["internalParameters"].pop("planId")
    for kind, name in ((cyclonedx.PREDICATE, "serialNumber"), (spdx.PREDICATE, "documentNamespace")):
        assert len({found[kind].pop(name) for found in (before, after)}) == 2, "it is made of the digest"
    assert set(after) == set(before)
    for kind in WITH_VEX:
        said = json.dumps(after[kind]).replace(signed.manifest.digest[7:], digest[7:])
        assert said == json.dumps(before[kind]), kind


@pytest.mark.wide
def test_killed_when_it_has_signed_it_signs_nothing_twice(tmp_path: Path, lab: Lab, signed: Signed) -> None:
    """The statements are in the registry, and the journal does not know it yet."""
    lines = signed.journal.splitlines()
    number = 1 + next(at for at, line in enumerate(lines) if '"Signed"' in line)
    shipped, key = imaged(tmp_path / "story", lab), pair()
    (tmp_path / "cosign.key").write_bytes(key.private)
    shipped.declare(smoke=sign_section(tmp_path, key.public))
    assert shipped.killed_cut("before", number) == -signal.SIGKILL
    assert shipped.registry.head(VERSION) is None, "nothing is public before it is signed"
    again = shipped.release("cut", VERSION, "--yes")
    assert again.code == 0, again.err
    found = shipped.registry.manifest(VERSION)
    assert found is not None
    kinds = [each.statement["predicateType"] for _, each in bundles(shipped.registry, found.digest)]
    assert sorted(kinds) == sorted(KINDS)

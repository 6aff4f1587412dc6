"""Several platforms under one tag, from one engine and from a job for each; the base is an index that others made.

The second platform's binaries are those of the first: its image says arm64, and this machine can run it all the same.
Where that must not be so, /bin/sh is a file that the kernel takes for a program of that platform.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.bases import base_for, index_base
from tests.support.cli import clean_env
from tests.support.forge_repo import ForgeRepo
from tests.support.imaged import VERSION, Imaged, imaged
from tests.support.kills import killed_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

CI = {f"GIT_{who}_{what}": "ci@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
BOTH = "  platforms: [linux/amd64, linux/arm64]\n"


@pytest.fixture(scope="module")
def base(lab: Lab) -> str:
    return index_base(lab, {platform: base_for(lab, platform, {}) for platform in ("linux/amd64", "linux/arm64")})


@pytest.fixture
def several(tmp_path: Path, lab: Lab, base: str) -> Imaged:
    made = imaged(tmp_path / "story", lab)
    declare(made, base)
    return made


def declare(made: Imaged, base: str, *, image: str = BOTH, smoke: str = "") -> None:
    made.declare(image=image, smoke=smoke)
    path = made.story.clone.path / "release.yaml"
    path.write_text(path.read_text().replace(made.lab.base, base))


def platforms(made: Imaged, tag: str) -> list[str]:
    manifest = made.registry.manifest(tag)
    assert manifest
    return list(made.registry.platforms(manifest))


def test_a_cut_makes_one_index_of_all_platforms_and_everybody_calls_it_right(several: Imaged) -> None:
    plan = several.release("plan", VERSION, "--json")
    keys = plan.json["tasks"]
    assert [key for key in keys if "@" in key] == [
        f"{step}/{VERSION}@linux-{machine}" for step in ("build", "smoke", "upload") for machine in ("amd64", "arm64")
    ]
    assert f"join/{VERSION}" in keys
    done = several.release("cut", VERSION, "--yes", "--json")
    assert done.code == 0, done.err
    assert platforms(several, VERSION) == ["linux/amd64", "linux/arm64"]
    assert {tag.partition("-")[0] for tag in several.registry.tags()} == {"candidate", VERSION}
    shown = several.release("show", VERSION, "--json").json["images"][0]
    assert shown["digest"] == done.json["digest"]
    assert [each["platform"] for each in shown["platforms"]] == ["linux/amd64", "linux/arm64"]
    assert all(each["compressed_size"] and each["layers"] for each in shown["platforms"])
    assert f"linux/arm64  {shown['platforms'][1]['digest']}" in several.release("show", VERSION).out
    verified = several.release("verify", VERSION)
    assert verified.code == 0, verified.out + verified.err
    by_image = several.release("verify", "--image", f"{several.repository}:{VERSION}")
    assert by_image.code in (0, 6), by_image.out + by_image.err
    assert "version v2.7.1" in by_image.out
    audited = several.release("audit")
    assert audited.code == 0, audited.out + audited.err
    rebuilt = several.release("rebuild", VERSION, "--json")
    assert rebuilt.code in (0, 6), rebuilt.err
    assert [each["reference"].rpartition(" ")[2] for each in rebuilt.json["images"]] == [
        "(linux/amd64)",
        "(linux/arm64)",
    ]
    again = several.release("cut", VERSION, "--yes", "--json")
    assert (again.code, again.json["released"]) == (0, False), again.err


@pytest.mark.wide
def test_what_the_machine_cannot_run_is_skipped_with_the_reason_and_never_passed(tmp_path: Path, lab: Lab) -> None:
    header = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0x400000, 0, 0, 0, 64, 56, 0, 0, 0, 0)
    )
    foreign = {"bin/sh": header, "bin/grep": header}
    base = index_base(
        lab, {"linux/amd64": base_for(lab, "linux/amd64", {}), "linux/arm64": base_for(lab, "linux/arm64", foreign)}
    )
    made = imaged(
        tmp_path / "story", lab, dockerfile="ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY loader.py /opt/loader.py\n"
    )
    declare(made, base)
    done = made.release("cut", VERSION, "--yes")
    assert done.code == 0, done.err
    found = made.release("show", VERSION, "--json").json["images"][0]["platforms"]
    states = [{check["name"]: check["state"] for check in each["checks"]} for each in found]
    name = "grep -q closed /opt/loader.py"
    assert [each[name] for each in states] == ["passed", "skipped"]
    assert [each["labels"] for each in states] == ["passed", "passed"]
    reason = next(check["message"] for check in found[1]["checks"] if check["name"] == name)
    assert "linux/arm64 does not run on this engine" in reason


def published(made: Imaged, where: Path, platform: str, what: str = VERSION) -> subprocess.Popen[str]:
    """A CI job of one platform, in a clone of its own."""
    subprocess.run(["git", "clone", "--quiet", str(made.story.remote.path), str(where)], check=True, timeout=60)
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "publish", what, "--json", "--platform", platform],
        cwd=where,
        env=clean_env() | made.lab.env | CI,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def ended(job: subprocess.Popen[str]) -> tuple[int, dict[str, object], str]:
    out, err = job.communicate(timeout=300)
    return job.returncode, json.loads(out or "{}"), err


@pytest.fixture
def tagged(several: Imaged, tmp_path: Path) -> Imaged:
    """Branch and tag are public and no image is, as when the cut dies behind its push."""
    promote = "orchestrator.registry.client:Registry.promote"
    killed_at(several.story.clone.path, "before", 1, promote, "cut", VERSION, "--yes", "-q", env=several.lab.env)
    assert several.story.remote.git("tag", "-l", VERSION)
    assert several.registry.head(VERSION) is None
    return several


def test_a_job_for_each_platform_and_the_last_one_joins_them(tagged: Imaged, tmp_path: Path) -> None:
    first = ended(published(tagged, tmp_path / "one", "linux/arm64"))
    assert first[0] == 0, first[2]
    assert (first[1]["released"], first[1]["waits_for"]) == (False, "linux/amd64 is not uploaded yet")
    assert tagged.registry.head(VERSION) is None
    assert tagged.registry.head(f"part-{VERSION}-linux-arm64")
    again = ended(published(tagged, tmp_path / "again", "linux/arm64"))
    assert (again[0], again[1]["released"]) == (0, False), again[2]
    assert "build" not in again[2]
    last = ended(published(tagged, tmp_path / "two", "linux/amd64"))
    assert (last[0], last[1]["released"]) == (0, True), last[2]
    assert platforms(tagged, VERSION) == ["linux/amd64", "linux/arm64"]
    late = ended(published(tagged, tmp_path / "late", "linux/arm64"))
    assert (late[0], late[1]["released"]) == (0, False), late[2]
    assert tagged.release("verify", VERSION).code == 0


@pytest.mark.wide
def test_a_job_for_each_platform_of_what_landed(several: Imaged, tmp_path: Path) -> None:
    """The first one tags it, each builds its own image from the tag, and the last one joins them."""
    path = several.story.clone.path / "release.yaml"
    path.write_text(path.read_text() + "land: pull-request\n")
    assert several.release("cut", VERSION, "--yes").code == 10
    ForgeRepo.of(several.story, tmp_path / "forge").merge(f"release-candidate/{VERSION}", "squash")
    wrong = ended(published(several, tmp_path / "wrong", "linux/riscv64", "--landed"))
    assert (wrong[0], several.story.remote.git("tag", "-l", VERSION)) == (2, ""), wrong[2]
    first = ended(published(several, tmp_path / "one", "linux/arm64", "--landed"))
    assert (first[0], first[1]["waits_for"]) == (0, "linux/amd64 is not uploaded yet"), first[2]
    assert several.story.remote.git("tag", "-l", VERSION)
    last = ended(published(several, tmp_path / "two", "linux/amd64", "--landed"))
    assert (last[0], last[1]["released"]) == (0, True), last[2]
    assert platforms(several, VERSION) == ["linux/amd64", "linux/arm64"]
    late = ended(published(several, tmp_path / "late", "linux/arm64", "--landed"))
    assert (late[0], late[1]["released"]) == (0, False), late[2]
    several.story.clone.git("fetch", "--quiet", "--tags", "origin")
    assert several.release("verify", VERSION).code == 0


@pytest.mark.wide
def test_two_jobs_at_once_come_to_one_index_and_one_record(tagged: Imaged, tmp_path: Path) -> None:
    """Both images are offered and nobody has joined them: the jobs share an engine here, so both were built before."""
    assert ended(published(tagged, tmp_path / "arm64", "linux/arm64"))[0] == 0
    clone = tmp_path / "dead"
    subprocess.run(["git", "clone", "--quiet", str(tagged.story.remote.path), str(clone)], check=True, timeout=60)
    join = "orchestrator.release.steps.join:_proved"
    killed_at(clone, "before", 1, join, "publish", VERSION, "--platform", "linux/amd64", env=tagged.lab.env | CI)
    assert tagged.registry.head(f"part-{VERSION}-linux-amd64")
    assert tagged.registry.head(VERSION) is None
    jobs = [published(tagged, tmp_path / f"{machine}-2", f"linux/{machine}") for machine in ("amd64", "arm64")]
    ends = [ended(job) for job in jobs]
    assert [end[0] for end in ends] == [0, 0], [end[2] for end in ends]
    assert any(end[1]["released"] for end in ends)
    assert platforms(tagged, VERSION) == ["linux/amd64", "linux/arm64"]
    subprocess.run(["git", "fetch", "--quiet", "origin", "refs/release-records/*:refs/release-records/*"],
                   cwd=tagged.story.clone.path, check=True, timeout=60)  # fmt: skip
    assert tagged.release("verify", VERSION).code == 0


@pytest.mark.wide
def test_a_platform_that_nobody_declared_is_refused_with_those_that_there_are(tagged: Imaged, tmp_path: Path) -> None:
    code, said, _ = ended(published(tagged, tmp_path / "one", "linux/riscv64"))
    assert (code, said["error"]["code"]) == (2, "no-platform")  # type: ignore[index]  # JSON
    assert "linux/amd64 and linux/arm64" in said["error"]["message"]  # type: ignore[index]  # JSON

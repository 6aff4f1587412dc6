"""The main road with an image: real engine, real registry with login."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.imaged import VERSION, Imaged, imaged
from tests.support.story import Repo
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Ran
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker


@pytest.fixture
def shipped(tmp_path: Path, lab: Lab) -> Imaged:
    return imaged(tmp_path / "story", lab)


def docker(*args: str) -> str:
    done = subprocess.run(["docker", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_cut_publishes_what_was_built(shipped: Imaged) -> None:
    shipped.declare(image="  floating: [v2.7]\n")
    done = shipped.release("cut", VERSION, "--yes", "--json")
    assert done.code == 0, done.err
    digest = done.json["digest"]
    head = shipped.registry.head(VERSION)
    floating = shipped.registry.head("v2.7")
    assert head is not None
    assert floating is not None
    assert head.digest == floating.digest == digest
    record = shipped.release("show", VERSION, "--json").json
    image = record["images"][0]
    assert image["digest"] == digest
    assert image["labels"]["org.opencontainers.image.version"] == VERSION
    assert image["labels"]["org.opencontainers.image.revision"] == shipped.story.remote.rev("release/v2.7")
    states = {check["name"]: check["state"] for check in image["checks"]}
    assert states == {"labels": "passed", "version-inside": "passed", "grep -q closed /opt/loader.py": "passed"}


def test_what_colleagues_pull_holds_the_fix_and_not_the_rest(shipped: Imaged) -> None:
    assert shipped.release("cut", VERSION, "--yes").code == 0
    reference = f"{shipped.repository}:{VERSION}"
    docker("login", "-u", shipped.lab.username, "-p", shipped.lab.password, shipped.lab.registry)
    for name in docker("images", "--format", "{{.Repository}}:{{.Tag}}", shipped.repository).split():
        docker("rmi", "--force", name)
    docker("pull", "--quiet", reference)
    text = docker("run", "--rm", "--network=none", reference, "cat", "/opt/loader.py", "/etc/release/version")
    assert "return 5  # closed" in text
    assert "return 99" not in text
    assert text.endswith(VERSION)


def test_again_uploads_nothing(shipped: Imaged) -> None:
    first = shipped.release("cut", VERSION, "--yes", "--json")
    again = shipped.release("cut", VERSION, "--yes", "--json", env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert (again.code, again.json["released"]) == (0, False), again.err  # not even an engine is needed
    assert again.json["digest"] == first.json["digest"]


def test_patch_release_moves_a_thin_layer(shipped: Imaged) -> None:
    assert shipped.release("cut", VERSION, "--yes").code == 0
    shipped.declare(fix=shipped.story.after, version="v2.7.2")
    done = shipped.release("cut", "v2.7.2", "--yes")
    assert done.code == 0, done.err
    old, new = (shipped.registry.manifest(tag) for tag in (VERSION, "v2.7.2"))
    assert old is not None
    assert new is not None
    before = {layer.digest for layer in shipped.registry.layers(old)}
    fresh = [layer for layer in shipped.registry.layers(new) if layer.digest not in before]
    assert 0 < sum(layer.size for layer in fresh) < 4096


def test_a_failing_build_changes_nothing(shipped: Imaged) -> None:
    bad = shipped.story.clone
    bad.git("checkout", "--quiet", "fix/dataloader-leak")
    sha = bad.commit(
        "fix: break the build", {"Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo oh no; exit 7\n"}
    )
    bad.git("checkout", "--quiet", "main")
    shipped.declare(fix=sha)
    before = shipped.story.remote.git("for-each-ref")
    failed = shipped.release("cut", VERSION, "--yes")
    assert failed.code == 6
    assert "oh no" in failed.err
    assert "build.log" in failed.err
    assert shipped.story.remote.git("for-each-ref") == before
    assert shipped.registry.tags() == ()
    assert "failed" in shipped.release("status").out or "stopped" in shipped.release("status").out
    assert shipped.release("abort").code == 0


def test_a_failing_smoke_is_exit_6_and_nothing_gets_a_public_name(shipped: Imaged) -> None:
    shipped.declare(smoke="    - {name: never, run: 'echo seen; exit 3'}\n")
    failed = shipped.release("cut", VERSION, "--yes")
    assert failed.code == 6
    assert "never" in failed.err
    assert "state: nothing is public" in failed.err
    assert "stopped at `smoke-test" in shipped.release("status", VERSION).out
    assert all(tag.startswith("candidate-") for tag in shipped.registry.tags())
    assert VERSION not in shipped.story.remote.git("tag").split()
    shipped.declare()  # the remedy, then the same command
    assert shipped.release("cut", VERSION, "--yes").code == 0


@pytest.mark.wide
def test_a_smoke_that_hangs_is_ended(shipped: Imaged) -> None:
    shipped.declare(smoke="    - {name: hangs, run: 'sleep 600', timeout: 2}\n")
    failed = shipped.release("cut", VERSION, "--yes")
    assert failed.code == 6
    assert "hangs" in failed.err
    built = docker("images", "--quiet", shipped.repository)
    assert built != ""
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={built}") == ""


def test_buildkit_syntax_is_refused_before_anything(shipped: Imaged) -> None:
    clone = shipped.story.clone
    clone.git("checkout", "--quiet", "fix/dataloader-leak")
    sha = clone.commit("fix: heredoc", {"Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN <<EOF\necho x\nEOF\n"})
    clone.git("checkout", "--quiet", "main")
    shipped.declare(fix=sha)
    refused = shipped.release("cut", VERSION, "--yes")
    assert refused.code == 2
    assert "Dockerfile:3" in refused.err


def test_wrong_password_is_one_clear_line(shipped: Imaged) -> None:
    refused = shipped.release("cut", VERSION, "--yes", env={"RELEASE_REGISTRY_PASSWORD": "s3cret-but-wrong"})
    assert refused.code == 7
    assert "s3cret" not in refused.err + refused.out
    assert shipped.story.remote.git("tag") == "v2.7.0"
    assert not (shipped.story.clone.path / ".git/release" / VERSION / "journal.jsonl").exists()


def test_engine_down_is_found_before_anything(shipped: Imaged) -> None:
    refused = shipped.release("cut", VERSION, "--yes", env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert refused.code == 7
    assert "engine" in refused.err.lower()


@pytest.mark.wide
def test_registry_down_is_found_before_anything(shipped: Imaged) -> None:
    shipped.story.declare(
        (shipped.story.clone.path / "release.yaml").read_text().replace(shipped.lab.registry, "127.0.0.1:9")
    )
    refused = shipped.release("cut", VERSION, "--yes")
    assert refused.code == 7
    assert "127.0.0.1:9" in refused.err


def test_an_image_under_the_version_is_never_overwritten(shipped: Imaged) -> None:
    reference = f"{shipped.repository}:{VERSION}"
    docker("login", "-u", shipped.lab.username, "-p", shipped.lab.password, shipped.lab.registry)
    docker("tag", shipped.lab.base, reference)
    docker("push", "--quiet", reference)
    squatter = shipped.registry.head(VERSION)
    refused = shipped.release("cut", VERSION, "--yes")
    assert refused.code == 4
    assert squatter is not None
    assert squatter.digest in refused.err
    assert shipped.registry.head(VERSION) == squatter


def test_an_image_that_appears_meanwhile_is_refused_naming_both(shipped: Imaged) -> None:
    """After preflight somebody else pushes the version: ours stops at promote, with both digests."""
    shipped.killed_cut("before", 14)  # landed, not yet promoted
    docker("login", "-u", shipped.lab.username, "-p", shipped.lab.password, shipped.lab.registry)
    docker("tag", shipped.lab.base, f"{shipped.repository}:{VERSION}")
    docker("push", "--quiet", f"{shipped.repository}:{VERSION}")
    other = shipped.registry.head(VERSION)
    candidate = next(tag for tag in shipped.registry.tags() if tag.startswith("candidate-"))
    ours = shipped.registry.head(candidate)
    refused = shipped.release("cut", VERSION, "--yes")
    assert refused.code in (4, 9)
    assert other is not None
    assert ours is not None
    assert other.digest in refused.err
    assert ours.digest in refused.err


def test_floating_tags_move_forward_only(shipped: Imaged) -> None:
    """A patch of an older line does not take `latest` back."""
    shipped.declare(image="  floating: [v2.7, latest]\n")
    assert shipped.release("cut", VERSION, "--yes").code == 0
    clone = shipped.story.clone
    clone.git("branch", "release/v2.6", shipped.story.base)
    clone.git("tag", "-a", "-m", "v2.6.0", "v2.6.0", shipped.story.base)
    clone.git("push", "--quiet", "origin", "release/v2.6", "v2.6.0")
    text = (clone.path / "release.yaml").read_text()
    clone.write(
        "release.yaml",
        text.replace("release/v2.7", "release/v2.6").replace("v2.7.1:", "v2.6.1:").replace("[v2.7, ", "[v2.6, "),
    )
    done = shipped.release("cut", "v2.6.1", "--yes")
    assert done.code == 0, done.err
    latest, newest, old = (shipped.registry.head(tag) for tag in ("latest", VERSION, "v2.6"))
    assert latest == newest
    assert old is not None
    assert old == shipped.registry.head("v2.6.1")
    left = shipped.release("show", "v2.6.1", "--json").json["images"][0]["floating"]["left"]
    assert any("latest" in line and VERSION in line for line in left)


def test_publish_builds_from_a_tag_that_git_alone_released(shipped: Imaged, tmp_path: Path) -> None:
    """CI's job: branch and tag are public, the image is not; a fresh clone brings it out, twice without harm."""
    shipped.killed_cut("before", 14)
    Repo(tmp_path).git("clone", "--quiet", str(shipped.story.remote.path), str(tmp_path / "ci"))
    from tests.support.cli import release

    ci_env = shipped.lab.env | {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": VERSION}
    done = release("publish", "--json", cwd=tmp_path / "ci", env=ci_env)
    assert done.code == 0, done.err
    head = shipped.registry.head(VERSION)
    assert head is not None
    assert head.digest == done.json["digest"]
    again = release("publish", "--json", cwd=tmp_path / "ci", env=ci_env)
    assert (again.code, again.json["released"]) == (0, False)


def test_ci_finds_nothing_to_do_after_a_whole_cut(shipped: Imaged, tmp_path: Path) -> None:
    """The tag push of a cut starts the CI job too: it sees that the image is there, and is this commit's."""
    from tests.support.cli import release

    first = shipped.release("cut", VERSION, "--yes", "--json")
    Repo(tmp_path).git("clone", "--quiet", str(shipped.story.remote.path), str(tmp_path / "ci"))
    done = release("publish", VERSION, "--json", cwd=tmp_path / "ci", env=shipped.lab.env)
    assert (done.code, done.json["released"]) == (0, False), done.err
    assert done.json["digest"] == first.json["digest"]


def test_doctor_reports_all_at_once(shipped: Imaged) -> None:
    well = shipped.release("doctor", "--json")
    assert well.code == 0, well.err
    assert {"engine", "registry", "registry-push", "config", "remote"} <= {each["name"] for each in well.json["checks"]}
    ill = shipped.release("doctor", env={"DOCKER_HOST": "unix:///nowhere.sock", "RELEASE_REGISTRY_PASSWORD": "wrong"})
    assert ill.code == 7
    assert ill.out.count("FAILED") == 2 + 1  # engine twice (its disk too), registry once


@pytest.mark.wide
def test_container_of_a_killed_smoke_is_swept(shipped: Imaged) -> None:
    """SIGKILL in the middle of a smoke command leaves its container; the next run removes it."""
    import os
    import signal
    import subprocess
    import sys

    from tests.support.cli import clean_env

    shipped.declare(smoke="    - {name: slow, run: 'test -e /nothing || sleep 600; true', timeout: 700}\n")
    cut = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "cut", VERSION, "--yes", "-q"],
        cwd=shipped.story.clone.path,
        env=clean_env() | shipped.lab.env,
    )
    mine = ("ps", "--all", "--quiet", "--filter", "label=org.release-orchestrator.owner")

    built = ""

    def smoking() -> bool:
        nonlocal built
        built = docker("images", "--quiet", shipped.repository)
        return bool(built and docker("ps", "--quiet", "--filter", f"ancestor={built}"))

    until(smoking, pause=0.1)
    os.kill(cut.pid, signal.SIGKILL)
    cut.wait()
    left = docker(*mine, "--filter", f"ancestor={built}")
    assert left != ""
    shipped.declare()
    assert shipped.release("cut", VERSION, "--yes").code == 0
    assert left not in docker(*mine)


def test_the_upload_goes_on_beside_the_smoke_test_and_an_interruption_ends_both(shipped: Imaged) -> None:
    """The smoke command never ends by itself: that the candidate is there all the same is the upload beside it."""
    import signal
    import subprocess
    import sys

    from tests.support.cli import clean_env

    shipped.declare(smoke="    - {name: slow, run: 'test -e /nothing || sleep 600; true', timeout: 700}\n")
    cut = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "cut", VERSION, "--yes"],
        cwd=shipped.story.clone.path,
        env=clean_env() | shipped.lab.env,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: cut.poll() is not None or shipped.registry.tags() != (), pause=0.1)
    built = docker("images", "--quiet", shipped.repository)
    until(lambda: docker("ps", "--quiet", "--filter", f"ancestor={built}") != "", pause=0.1)
    cut.send_signal(signal.SIGINT)
    _, err = cut.communicate(timeout=300)
    assert (cut.returncode, "Traceback" in err) == (130, False), err
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={built}") == ""
    assert [tag.partition("-")[0] for tag in shipped.registry.tags()] == ["candidate"]
    assert VERSION not in shipped.story.remote.git("tag").split()
    left = shipped.release("abort", VERSION)
    assert (left.code, f"{shipped.repository}:candidate-" in left.out + left.err) == (0, True), left.out + left.err
    shipped.declare()
    assert shipped.release("cut", VERSION, "--yes").code == 0


def test_what_weighs_too_much_is_not_uploaded_at_all(shipped: Imaged) -> None:
    shipped.declare(image="  max-layers: 1\n")
    failed = shipped.release("cut", VERSION, "--yes")
    assert failed.code == 6, failed.err
    assert "budget" in failed.err
    assert shipped.registry.tags() == ()


def test_password_from_stdin(shipped: Imaged) -> None:
    """A login without environment or docker configuration; the password never stands in argv."""
    from tests.support.cli import release

    def cut(*args: str, stdin: str) -> Ran:
        engine = {"DOCKER_HOST": shipped.lab.docker_host}
        return release("cut", VERSION, "--yes", *args, cwd=shipped.story.clone.path, env=engine, stdin=stdin)

    nobody = cut("--password-stdin", stdin=shipped.lab.password)
    assert nobody.code == 2
    assert "--registry-username" in nobody.err
    login = ("--registry-username", shipped.lab.username, "--password-stdin")
    assert cut(*login, stdin="").code == 2
    done = cut(*login, stdin=f"{shipped.lab.password}\n")
    assert done.code == 0, done.err
    assert shipped.registry.head(VERSION) is not None

"""Yank and promote with a real registry: floating tags by digest, no byte moved, nothing deleted, killed in between."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.imaged import Imaged, imaged
from tests.support.kills import killed_at
from tests.support.story import copied

if TYPE_CHECKING:
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

VARIANTS = """\
  floating: [v2.7, latest]
  variants:
    - name: cu126
    - {name: cpu, build-args: {WHICH: none}}
"""
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY loader.py /opt/loader.py
ARG WHICH=new
LABEL which=${WHICH}
"""  # no RUN: two builds of one commit give one digest, in a second
FLOATING = ("v2.7", "v2.7-cu126", "v2.7-cpu", "latest", "latest-cu126", "latest-cpu")
WHY = ("--reason", "loses the last batch")
CALLS = "orchestrator.git.push:push_new_refs,orchestrator.registry.client:Registry.put_manifest"


@pytest.fixture(scope="module")
def lines_once(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Imaged:
    made = imaged(tmp_path_factory.mktemp("lines") / "story", lab, dockerfile=DOCKERFILE)
    cut(made, "v2.7.1", made.story.before)
    cut(made, "v2.7.2", made.story.fix)
    return made


@pytest.fixture
def lines(lines_once: Imaged, tmp_path: Path) -> Imaged:
    """v2.7.1 and v2.7.2 released, two variants each; floating tags stand at v2.7.2.  The registry is one for all."""
    now = names(lines_once)
    for tag in FLOATING:
        lines_once.registry.move(now[back(tag, "v2.7.2")], tag)
    return replace(lines_once, story=copied(lines_once.story, tmp_path / "story"))


def cut(made: Imaged, version: str, fix: str) -> str:
    made.declare(image=VARIANTS, fix=fix, version=version)
    path = made.story.clone.path / "release.yaml"
    made.story.declare(path.read_text().replace("grep -q closed /opt/loader.py", "'true'"))
    done = made.release("cut", version, "--yes", "--json")
    assert done.code == 0, done.err
    return str(done.json["digest"])


def names(made: Imaged) -> dict[str, str]:
    """Every tag of the repository, with its digest."""
    found = {tag: made.registry.head(tag) for tag in made.registry.tags()}
    return {tag: head.digest for tag, head in found.items() if head}


def uploads(made: Imaged) -> int:
    """Requests that carry bytes of a layer or config, by the registry's own access log."""
    path = re.escape(made.repository.partition("/")[2])
    log = Path(made.lab.registry_log).read_text(errors="replace")
    return len(re.findall(rf'"(?:PATCH|PUT) /v2/{path}/blobs/[^"]*" 20', log))


def back(tag: str, to: str) -> str:
    return re.sub(r"^(v2\.7|latest)", to, tag)


def test_a_yank_takes_every_floating_tag_back_and_the_next_patch_forward(lines: Imaged) -> None:
    before, sent = names(lines), uploads(lines)
    assert all(before[tag] == before[back(tag, "v2.7.2")] for tag in FLOATING)
    dry = lines.release("yank", "v2.7.2", *WHY, "--dry-run", "--json")
    assert (dry.code, names(lines)) == (0, before), dry.err
    done = lines.release("yank", "v2.7.2", *WHY, "--yes", "--json")
    assert (done.code, done.json["back_to"]) == (0, "v2.7.1"), done.err
    after = names(lines)
    assert {tag: after[tag] for tag in FLOATING} == {tag: before[back(tag, "v2.7.1")] for tag in FLOATING}
    assert {tag: after[tag] for tag in after if tag not in FLOATING} == {
        tag: before[tag] for tag in before if tag not in FLOATING
    }
    assert {(move["tag"], move["old"], move["new"]) for move in done.json["moves"]} == {
        (tag, before[tag], after[tag]) for tag in FLOATING
    }
    again = lines.release("yank", "v2.7.2", *WHY, "--yes", "--json")
    assert (again.code, again.json["yanked"], again.json["moved"]) == (0, False, []), again.err
    finished = lines.release("cut", "v2.7.2", "--yes", "--json")  # a second run must not undo it
    assert (finished.code, names(lines)) == (0, after), finished.err
    assert uploads(lines) == sent
    assert "went back to v2.7.1" in lines.release("status", "v2.7.2").out
    cut(lines, "v2.7.3", lines.story.after)
    assert all(names(lines)[tag] == names(lines)[back(tag, "v2.7.3")] for tag in FLOATING)


@pytest.mark.wide
def test_a_yank_killed_anywhere_and_run_again(lines: Imaged) -> None:
    """The calls are one push of the mark and six manifests; each run goes on where the one before was killed."""
    before, sent = names(lines), uploads(lines)
    assert sent > 0  # the log is what we think it is
    args = ("yank", "v2.7.2", *WHY, "--yes")
    for when, number, moved in (("before", 1, 0), ("after", 1, 0), ("after", 1, 1), ("before", 2, 2)):
        assert killed_at(lines.story.clone.path, when, number, CALLS, *args, env=lines.lab.env) == -signal.SIGKILL
        now = names(lines)
        assert len([tag for tag in FLOATING if now[tag] != before[tag]]) == moved
    assert lines.release("status", "v2.7.2", "--json").json["releases"][0]["state"] == "yanking"
    done = lines.release(*args, "--json")
    assert (done.code, len(done.json["moved"])) == (0, 4), done.err
    after = names(lines)
    assert {tag: after[tag] for tag in FLOATING} == {tag: before[back(tag, "v2.7.1")] for tag in FLOATING}
    assert lines.release("status", "v2.7.2", "--json").json["releases"][0]["state"] == "released"
    assert uploads(lines) == sent


@pytest.mark.wide
def test_what_is_gone_from_the_registry_since_the_mark_is_said_and_the_rest_moved(lines: Imaged) -> None:
    before, remote = names(lines), lines.story.remote
    assert lines.release("yank", "v2.7.2", *WHY, "--yes", "--dry-run", "--json").code == 0
    args = ("yank", "v2.7.2", *WHY, "--yes")
    assert killed_at(lines.story.clone.path, "after", 1, CALLS, *args, env=lines.lab.env) == -signal.SIGKILL
    mark = json.loads(remote.git("cat-file", "blob", "refs/release-yanks/v2.7.2"))
    gone = f"sha256:{'0' * 64}"  # as if a clean-up had removed it
    for move in mark["moves"]:
        move["new"] = gone if move["tag"] == "latest" else move["new"]
    blob = remote.git("hash-object", "-w", "--stdin", stdin=json.dumps(mark))
    remote.git("update-ref", "refs/release-yanks/v2.7.2", blob)
    done = lines.release(*args, "--json")
    assert done.code == 0, done.err
    assert any(line.startswith("latest was left where it is: sha256:0000") for line in done.json["left"])
    assert names(lines)["latest"] == before["v2.7.2"]
    assert names(lines)["v2.7"] == before["v2.7.1"]
    assert lines.release("status", "v2.7.2", "--json").json["releases"][0]["state"] == "released"


@pytest.mark.wide
def test_a_killed_cut_goes_on_after_a_yank_and_moves_nothing_to_it(lines: Imaged) -> None:
    """The float step of v2.7.2 is run again after v2.7.2 was yanked."""
    made, before = lines, names(lines)
    journal = made.story.clone.path / ".git/release/v2.7.2/journal.jsonl"
    kept = [
        line for line in journal.read_text().splitlines()
        if not json.loads(line)["task"].startswith(("float", "record", "annotate"))
    ]  # fmt: skip
    journal.write_text("\n".join(kept[:-1]) + "\n")
    assert made.release("yank", "v2.7.2", *WHY, "--yes").code == 0
    done = made.release("cut", "v2.7.2", "--yes")
    assert done.code == 0, done.err
    assert "finished elsewhere" in done.out  # its record is there: nothing is floated again
    assert names(made)["v2.7"] == before["v2.7.1"]
    assert names(made)["v2.7.2"] == before["v2.7.2"]


@pytest.mark.wide
def test_no_good_version_before_it_is_said_and_a_tag_elsewhere_is_left_alone(lines: Imaged) -> None:
    before = names(lines)
    assert lines.release("yank", "v2.7.1", *WHY, "--yes").code == 0  # its floating tags have gone on to v2.7.2
    assert names(lines) == before
    lines.registry.move(before["v2.7.1"], "latest")  # somebody moved it by hand
    refused = lines.release("yank", "v2.7.2", *WHY, "--yes", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (4, "no-good-predecessor"), refused.err
    assert "v2.7.0 has no image" in refused.json["error"]["message"]
    assert "--floating-to" in refused.json["error"]["remedy"]
    assert not lines.story.remote.git("for-each-ref", "refs/release-yanks/v2.7.2")
    bad = lines.release("yank", "v2.7.2", *WHY, "--yes", "--json", "--floating-to", "v2.7.1")
    assert (bad.code, bad.json["error"]["code"]) == (4, "no-good-predecessor")
    done = lines.release("yank", "v2.7.2", *WHY, "--yes", "--json", "--floating-to", "none")
    assert (done.code, done.json["moves"]) == (0, []), done.err
    said = "\n".join(done.json["left"])
    assert "latest was left where it is: it stands at v2.7.1" in said
    assert "v2.7 stays at v2.7.2" in said
    assert names(lines) == {**before, "latest": before["v2.7.1"]}
    lines.story.clone.git("push", "--quiet", "origin", f"{lines.story.base}:refs/heads/release/v2.6")
    yaml = (lines.story.clone.path / "release.yaml").read_text()
    lines.story.declare(yaml.replace("release/v2.7", "release/v2.6").replace("v2.7.2", "v2.6.0").replace("v2.7, ", ""))
    older = lines.release("cut", "v2.6.0", "--yes", "--json")
    assert older.code == 0, older.err
    assert names(lines)["latest"] == older.json["digest"]  # it stood at a yanked image, which is ahead of nothing


def test_a_candidate_gets_its_final_name_without_a_build(tmp_path: Path, lab: Lab) -> None:
    made = imaged(tmp_path / "story", lab, dockerfile=DOCKERFILE)
    cut(made, "v2.7.1-rc.1", made.story.fix)
    tested, sent = names(made), uploads(made)
    assert not set(FLOATING) & set(tested)  # a pre-release moves none
    nowhere = {"DOCKER_HOST": "unix:///nowhere.sock"}
    dry = made.release("promote", "v2.7.1-rc.1", "v2.7.1", "--dry-run", env=nowhere)
    assert (dry.code, names(made)) == (0, tested), dry.err
    done = made.release("promote", "v2.7.1-rc.1", "v2.7.1", "--yes", "--json", env=nowhere)
    assert done.code == 0, done.err
    after = names(made)
    rc = {tag: digest for tag, digest in tested.items() if tag.startswith("v2.7.1-rc.1")}
    assert len(rc) == 3
    assert {tag: after[tag.replace("-rc.1", "")] for tag in rc} == rc
    assert {tag: after[tag] for tag in FLOATING} == {tag: after[back(tag, "v2.7.1")] for tag in FLOATING}
    assert {tag: after[tag] for tag in tested} == tested
    assert uploads(made) == sent
    record = made.release("show", "v2.7.1", "--json").json
    assert record["promoted_from"]["version_inside"] == "v2.7.1-rc.1"
    assert [image["digest"] for image in record["images"]] == [after["v2.7.1"], after["v2.7.1-cpu"]]
    assert record["images"][0]["labels"]["org.opencontainers.image.version"] == "v2.7.1-rc.1"
    again = made.release("promote", "v2.7.1-rc.1", "v2.7.1", "--yes", "--json")
    assert (again.code, again.json["released"], names(made)) == (0, False, after), again.err
    by_ci = made.release("publish", "v2.7.1", "--json", env=nowhere)
    assert (by_ci.code, by_ci.json["released"], names(made)) == (0, False, after), by_ci.err
    same = made.release("yank", "v2.7.1-rc.1", *WHY, "--yes", "--json", "--floating-to", "none")
    assert (same.code, same.json["error"]["code"], names(made)) == (4, "candidate-promoted", after), same.err
    yanked = made.release("yank", "v2.7.1", *WHY, "--yes", "--json", "--floating-to", "none")
    assert yanked.code == 0, yanked.err


@pytest.mark.wide
def test_a_promotion_killed_at_any_name_goes_on_here_or_elsewhere(tmp_path: Path, lab: Lab) -> None:
    made = imaged(tmp_path / "story", lab, dockerfile=DOCKERFILE)
    cut(made, "v2.7.1-rc.1", made.story.fix)
    tested, sent = names(made), uploads(made)
    env = lab.env | {"DOCKER_HOST": "unix:///nowhere.sock"}
    args = ("promote", "v2.7.1-rc.1", "v2.7.1", "--yes")
    calls = "orchestrator.git.push:land,orchestrator.registry.client:Registry.put_manifest"
    for when, number in (("before", 1), ("after", 1), ("after", 1)):
        assert killed_at(made.story.clone.path, when, number, calls, *args, env=env) == -signal.SIGKILL
        public = "v2.7.1" in made.story.remote.git("tag").split()
        assert public or names(made) == tested
    theirs = tmp_path / "theirs"
    made.story.clone.git("clone", "--quiet", str(made.story.remote.path), str(theirs))
    made.story.clone.git("-C", str(theirs), "config", "user.name", "Ci")
    made.story.clone.git("-C", str(theirs), "config", "user.email", "ci@example.com")
    done = made.release("-C", str(theirs), "publish", "v2.7.1", "--json", env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert done.code == 0, done.err
    here = made.release(*args, "--json")
    assert here.code == 0, here.err
    after = names(made)
    assert {after["v2.7.1"], after["v2.7.1-cu126"], after["v2.7"]} == {tested["v2.7.1-rc.1"]}
    assert {after["v2.7.1-cpu"], after["latest-cpu"]} == {tested["v2.7.1-rc.1-cpu"]}
    assert uploads(made) == sent


@pytest.mark.wide
def test_a_promotion_refuses_what_is_not_what_was_tested(tmp_path: Path, lab: Lab) -> None:
    made = imaged(tmp_path / "story", lab, dockerfile=DOCKERFILE)
    cut(made, "v2.7.1-rc.1", made.story.fix)
    refs, first = made.story.remote.git("for-each-ref"), names(made)
    made.registry.move(first["v2.7.1-rc.1-cpu"], "v2.7.1-rc.1")  # swapped in the registry
    swapped = made.release("promote", "v2.7.1-rc.1", "v2.7.1", "--yes", "--json")
    assert swapped.code == 9
    assert [each["code"] for each in swapped.json["problems"]] == ["image-differs"], swapped.err
    made.registry.move(first["v2.7.1-rc.1-cu126"], "v2.7.1-rc.1")
    made.registry.move(first["v2.7.1-rc.1-cpu"], "v2.7.1")  # somebody took the name
    taken = made.release("promote", "v2.7.1-rc.1", "v2.7.1", "--yes", "--json")
    assert [each["code"] for each in taken.json["problems"]] == ["image-tag-exists"], taken.err
    assert made.story.remote.git("for-each-ref") == refs

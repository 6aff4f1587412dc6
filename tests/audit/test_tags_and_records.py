"""Tags and records that somebody moved, made anew or removed, as `release audit` tells them."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.audit.audited import ACCUSES, RECORD, audit, codes, push
from tests.support.cli import release
from tests.support.story import VERSION

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile


def _moved_here(tale: Story) -> None:
    tale.clone.git("tag", "-f", "-a", "-m", "v2.7.1", "v2.7.1", "v2.7.1^{}^")


def _moved_there(tale: Story) -> None:
    _moved_here(tale)
    push(tale, "v2.7.1")


def _lightweight(tale: Story) -> None:
    tale.clone.git("tag", "-f", "v2.7.1", "v2.7.1^{}")
    push(tale, "v2.7.1")


def _copied_tag(tale: Story) -> None:
    tale.clone.git("update-ref", "refs/tags/v2.7.2", tale.clone.rev("v2.7.1"))
    push(tale, "v2.7.2")


def _backwards(tale: Story) -> None:
    tale.clone.git("tag", "-a", "-m", "v2.7.2", "v2.7.2", tale.base)
    push(tale, "v2.7.2")


def _elsewhere(tale: Story) -> None:
    tale.clone.git("tag", "-a", "-m", "v2.7.2", "v2.7.2", "main")
    push(tale, "v2.7.2")


def _no_semver(tale: Story) -> None:
    tale.clone.git("tag", "-a", "-m", "x", "v2.7.1.1", "v2.7.1^{}")
    push(tale, "v2.7.1.1")


def _record(tale: Story, **changes: Any) -> None:
    record = json.loads(tale.remote.git("cat-file", "blob", RECORD)) | changes
    blob = tale.remote.git("hash-object", "-w", "--stdin", stdin=json.dumps(record))
    tale.remote.git("update-ref", RECORD, blob)


def _record_edited(tale: Story) -> None:
    _record(tale, tree="0" * 40)
    tale.clone.git("update-ref", "-d", RECORD)


def _record_replaced(tale: Story) -> None:
    _record(tale, summary="another one")


def _record_gone(tale: Story) -> None:
    tale.remote.git("update-ref", "-d", RECORD)
    tale.clone.git("update-ref", "-d", RECORD)


def _no_record_at_all(tale: Story) -> None:
    blob = tale.remote.git("hash-object", "-w", "--stdin", stdin="not a record")
    tale.remote.git("update-ref", RECORD, blob)
    tale.clone.git("update-ref", "-d", RECORD)


@pytest.mark.wide(5)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (_moved_here, {"ref-moved"}),
        (_moved_there, {"record-differs", "foreign"}),
        (_lightweight, {"tag-lightweight", "record-differs"}),
        (_copied_tag, {"tag-renamed", "record-missing"}),
        (_backwards, {"tag-order"}),
        (_elsewhere, {"tag-not-on-branch"}),
        (_no_semver, {"tag-not-semver"}),
        (_record_edited, {"record-differs"}),
        (_record_replaced, {"ref-moved", "record-differs"}),
        (_record_gone, {"record-missing"}),
        (_no_record_at_all, {"bad-record"}),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_tags_and_records(cut: Story, fault: Any, expected: set[str]) -> None:
    fault(cut)
    ran = audit(cut, "--json")
    assert (ran.code, set(codes(ran))) == (9, expected)
    innocent = [*ran.json["problems"], *(each for line in ran.json["lines"] for each in line["problems"])]
    assert not [each for each in innocent if ACCUSES.search(each["remedy"])], "a clone that is behind does the same"


def test_a_tag_that_is_another_one_here_is_had_again_by_what_is_printed(cut: Story) -> None:
    """`status` says the same of the tag, and accuses no record."""
    _moved_here(cut)
    told = release("status", VERSION, cwd=cut.clone.path)
    assert (told.code, "[tag-differs]" in told.err, "record" in told.err) == (9, True, False), told.err
    for command in (audit(cut, "--json").json["problems"][0]["remedy"].rpartition(": ")[2],
                    told.err.partition("do: ")[2].partition("\n")[0]):  # fmt: skip
        _moved_here(cut)
        subprocess.run(shlex.split(command), cwd=cut.clone.path, check=True, capture_output=True)
        assert audit(cut).code == 0
    assert release("status", VERSION, cwd=cut.clone.path).code == 0

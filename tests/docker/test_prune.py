"""`release prune` on a real registry: what a version, a release at work or a young date needs stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import RemoteError
from orchestrator.core.reference import parse_repository
from orchestrator.registry.client import Registry
from tests.support.imaged import VERSION, Imaged, imaged
from tests.support.registry_images import tiny_image
from tests.support.registry_process import USERS, running_registry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Ran
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker


def pruned(shipped: Imaged, *args: str) -> tuple[Ran, dict[str, str]]:
    """The run, and candidate -> why it is kept, "" where it is not."""
    ran = shipped.release("prune", *args, "--json")
    assert ran.code == 0, ran.err
    return ran, {each["tag"]: each["kept"] for each in ran.json["candidates"]}


def test_only_what_nobody_needs_is_removed(tmp_path: Path, lab: Lab) -> None:
    shipped = imaged(tmp_path / "story", lab)
    tale = shipped.story
    assert shipped.release("cut", VERSION, "--yes").code == 0
    released = f"candidate-{tale.remote.rev('release/v2.7')[:12]}"
    assert pruned(shipped, "--older-than", "0")[1] == {released: f"it is {VERSION}"}
    hook = tale.remote.path / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    shipped.declare(fix=tale.after, version="v2.7.2")
    assert shipped.release("cut", "v2.7.2", "--yes").code != 0  # uploaded, and not landed
    _, found = pruned(shipped, "--older-than", "0")
    (left,) = found.keys() - {released}
    assert found[left] == "v2.7.2 is at work in this clone"
    assert shipped.release("abort", "v2.7.2").code == 0
    assert pruned(shipped)[1][left] == "made less than 14 days ago"
    shown, found = pruned(shipped, "--older-than", "0")
    assert (found[left], shown.json["write"]) == ("", False)
    assert left in shipped.registry.tags()  # nothing is removed without --write
    told = shipped.release("prune", "--older-than", "0", "--write")
    assert told.code == 0, told.err
    assert f"removed   {left}" in told.out
    registry = shipped.registry
    assert set(registry.tags()) == {VERSION, released}
    assert registry.head(left) is None
    manifest = registry.manifest(VERSION)
    assert manifest is not None
    assert all(registry.has_blob(layer.digest) for layer in registry.layers(manifest))
    assert shipped.release("verify", VERSION, "--allow-unchecked").code == 0
    registry.move(manifest.digest, "candidate-000000000000")  # another name of a version's image
    tale.clone.git("push", "--quiet", "origin", ":refs/release-records/v2.7.1", check=False)
    hook.unlink()
    tale.clone.git("push", "--quiet", "origin", ":refs/release-records/v2.7.1")
    _, found = pruned(shipped, "--older-than", "0", "--write")
    assert found == {released: f"{VERSION} has a tag and no record yet", "candidate-000000000000": f"it is {VERSION}"}


def test_a_registry_that_removes_nothing_is_told(tmp_path: Path) -> None:
    with running_registry(tmp_path) as there:
        repository = parse_repository(f"{there.host}/x")
        registry = Registry(repository, credentials=lambda: Credentials(username="ada", password=USERS["ada"]))
        digest = registry.put_manifest("candidate-000000000000", tiny_image(repository, "1"))
        with pytest.raises(RemoteError, match="removes nothing") as told:
            registry.delete(digest)
        assert (told.value.code, bool(told.value.remedy)) == ("registry-no-delete", True)
        assert registry.head(digest) is not None

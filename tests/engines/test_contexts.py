"""docker's contexts, as `docker context create` writes them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.engines.contexts import chosen_context

if TYPE_CHECKING:
    from pathlib import Path


def create(folder: Path, name: str, document: object, *certificates: str) -> dict[str, str]:
    """A context in docker's folder; the environment that chooses it."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta, tls = folder / "contexts/meta" / key, folder / "contexts/tls" / key / "docker"
    for place in (meta, tls):
        place.mkdir(parents=True)
    (meta / "meta.json").write_text(document if isinstance(document, str) else json.dumps(document))
    for file in certificates:
        (tls / file).write_text("")
    return {"DOCKER_CONFIG": str(folder), "DOCKER_CONTEXT": name}


def described(host: str = "tcp://h:2376", **more: object) -> dict[str, object]:
    return {"Name": "lab", "Metadata": {}, "Endpoints": {"docker": {"Host": host, **more}}}


def test_a_context_needs_no_config_json(tmp_path: Path) -> None:
    context = chosen_context(create(tmp_path, "lab", described("unix:///run/x.sock", SkipTLSVerify=False)))
    assert context is not None
    assert (context.host, context.certificates, context.verify) == ("unix:///run/x.sock", {}, True)


def test_its_certificates_are_found(tmp_path: Path) -> None:
    env = create(tmp_path, "lab", described(SkipTLSVerify=True), "ca.pem", "cert.pem", "key.pem")
    context = chosen_context(env)
    assert context is not None
    assert sorted(context.certificates) == ["ca.pem", "cert.pem", "key.pem"]
    assert not context.verify


def test_the_current_context_is_that_of_config_json_below_home(tmp_path: Path) -> None:
    create(tmp_path / ".docker", "lab", described())
    (tmp_path / ".docker/config.json").write_text('{"currentContext": "lab"}')
    context = chosen_context({"HOME": str(tmp_path)})
    assert context is not None
    assert context.host == "tcp://h:2376"
    assert chosen_context({"HOME": str(tmp_path), "DOCKER_CONTEXT": "default"}) is None


@pytest.mark.parametrize("config", [None, "", "{}", "[", "[]", '{"currentContext": 7}', '{"currentContext": ""}'])
def test_without_a_choice_it_is_the_default_engine(tmp_path: Path, config: str | None) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert chosen_context({"DOCKER_CONFIG": str(tmp_path)}) is None


@pytest.mark.parametrize(
    "document", ["", "[", "[]", "{}", {"Endpoints": 7}, {"Endpoints": {"docker": {}}}, described(""), {"Endpoints": {}}]
)
def test_a_context_that_cannot_be_used_is_one_line(tmp_path: Path, document: object) -> None:
    with pytest.raises(UsageError, match="'lab'") as caught:
        chosen_context(create(tmp_path, "lab", document))
    assert (caught.value.code, "docker context ls" in caught.value.remedy) == ("engine-context", True)


def test_a_context_that_is_not_there_is_no_other_engine(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="docker has no context 'lab'"):
        chosen_context({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "lab"})

"""ENGINES: each word is a module that has what an engine needs, and loads no client library by being looked at."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from orchestrator.dockerfile.facts import examine
from orchestrator.engines import ENGINES, Builder, Dialect, Runtime, engine_module
from tests.support.cli import clean_env

VERBS = sorted(name for kind in (Builder, Runtime) for each in kind.__mro__ for name in vars(each) if name[0] != "_")


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_a_module_and_a_word(name: str) -> None:
    module = engine_module(name)
    assert isinstance(module.DIALECT, Dialect)
    assert examine(b"FROM a\nRUN true\n", "Dockerfile", {}, module.DIALECT).problems == ()
    assert set(module.DIALECT.flags) >= {"FROM", "RUN", "COPY", "ADD"}


@pytest.mark.parametrize("name", ENGINES)
def test_what_it_connects_to_has_every_verb(name: str) -> None:
    returned = engine_module(name).connect.__annotations__["return"]
    kind = getattr(import_module(f"orchestrator.engines.{name}_engine"), returned)
    assert [verb for verb in VERBS if not callable(getattr(kind, verb, None))] == []


@pytest.mark.parametrize("name", ENGINES)
def test_looking_at_its_dialect_loads_no_client_library(name: str) -> None:
    look = f"engine_module({name!r}).DIALECT"
    code = f"import sys; from orchestrator.engines import engine_module; {look}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=clean_env(), capture_output=True, text=True, check=True)
    assert f"orchestrator.engines.{name}" in done.stdout.split()
    assert not {"docker", "requests", "urllib3"} & set(done.stdout.split())

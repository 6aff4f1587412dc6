"""release.yaml: what is refused, with which place, and what an editor with the schema says of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config import reader
from orchestrator.core.errors import ConfigError, Exit
from tests.config.bad_input import BAD, MINIMAL, fix, image, top
from tests.support.waiting import within


def read(text: str) -> None:
    reader.parse(text.encode(), "release.yaml")


def faults(text: str | bytes) -> list[tuple[str, str]]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigError) as caught:
        reader.parse(data, "release.yaml")
    return [(problem.where, problem.code) for problem in caught.value.problems]


@pytest.mark.parametrize(("text", "place", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_names_its_place(text: str | bytes, place: str, code: str) -> None:
    assert faults(text) == [(f"release.yaml:{place}", code)]


def test_a_template_is_told_apart() -> None:
    assert ("release.yaml:4:10", "config-bad-key") in faults(top("remote: {{ x }}"))


def test_all_faults_at_once_in_the_order_of_the_file() -> None:
    text = "version: 1\nbrnach: release/v2.7\nsource: -x\nimage:\n  repository: R\n  dockerfile: /x\n"
    assert faults(text) == [
        ("release.yaml:1:1", "config-missing-key"),
        ("release.yaml:2:1", "config-unknown-key"),
        ("release.yaml:3:9", "config-option-like"),
        ("release.yaml:5:15", "config-bad-repository"),
        ("release.yaml:6:15", "config-bad-path"),
    ]


def test_the_error_is_a_usage_error_with_the_first_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        read(MINIMAL + "platfroms: x\nremotee: y\n")
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.where == "release.yaml:4:1"
    assert caught.value.problems[1].remedy == "did you mean 'remote'?"


def test_another_format_says_which_is_read() -> None:
    with pytest.raises(ConfigError, match="this tool reads format 1"):
        read("version: 2\n")


@pytest.mark.parametrize(
    "text",
    [
        top("image: {repository: bob:hunter2@r.io/x}"),
        top("image: {repository: https://bob:hunter2@r.io/x}"),
        top("image: {repository: bob:hunter2@r.io/x@sha256:0}"),
        top("remote: https://bob:hunter2@example.com/x.git"),
        top("remote: bob:hunter2@example.com/x.git"),
        image("build-args: {INDEX: https://u:hunter2@h/}"),
        image("build-args: {PASSWORD: hunter2}"),
        top("verify: ['curl https://u:hunter2@h/']"),
        fix("commit: https://u:hunter2@h/"),
        top("https://u:hunter2@h/: x"),
        top("releases: {'https://u:hunter2@h/': {fixes: []}}"),
    ],
)
def test_a_secret_is_refused_and_never_shown(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    for problem in caught.value.problems:
        assert "hunter2" not in f"{problem.message} {problem.remedy} {problem.where}"


def test_a_variable_in_a_url_is_no_secret() -> None:
    read(top("verify: ['curl https://$USER:$TOKEN@h/']"))


def test_a_billion_laughs_cost_nothing() -> None:
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    text = MINIMAL + "verify:\n" + "\n".join(lines) + "\n"
    with within():
        assert faults(text)[0][1] == "config-too-big"


def test_a_huge_file_is_refused_unread() -> None:
    assert faults(b"#" * (reader.MAX_BYTES + 1)) == [("release.yaml", "config-too-big")]


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
@settings(deadline=None)
def test_no_bytes_give_anything_but_a_config_error(data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        reader.parse(b"version: 1\n" + data, "release.yaml")
    assert all(problem.where.startswith("release.yaml") and problem.code for problem in caught.value.problems)


@given(st.text(alphabet="a{}[]:,-&*!|>'\"\\#% \n<", max_size=40))
@settings(deadline=None)
def test_no_yaml_gives_anything_but_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        read(MINIMAL + text)


# ------------------------------------------------------------------ the schema agrees

STRUCTURALLY_BAD = [
    *("unknown key", "underscore", "no version", "no branch", "no source", "another format", "no value"),
    *(
        "text for list",
        "list for text",
        "mapping for source",
        "list for releases",
        "no sources",
        "source twice",
    ),
    *("half a version", "metadata", "no fixes", "empty fixes", "text as fix", "commit and range", "neither"),
    *("mainline 0", "request of words", "backport of a range", "unknown allow", "no repository", "login"),
    *("no approval", "approval twice", "list as policy", "unknown rule", "no owners at all", "negated pattern"),
    *("owners without a path", "path without owners", "no types", "type in capitals", "nothing protected"),
    *("freeze without end", "freeze without zone", "freeze by days", "page of another scheme", "page with a login"),
    *("absolute", "argument's name", "unknown network", "timeout 0", "no command", "smoke without run"),
    *(
        "option as branch",
        "option as source",
        "option as commit",
        "no dots",
        "open start",
        "open end",
        "platform",
    ),
]


def editor_says(text: str) -> list[str]:
    """What an editor with the schema would underline."""
    document: Any = yaml.safe_load(text)
    validator = jsonschema.Draft202012Validator(reader.schema())
    return [error.message for error in validator.iter_errors(document)]


@pytest.mark.parametrize("name", STRUCTURALLY_BAD)
def test_bad_structure_fails_the_schema_too(name: str) -> None:
    text = next(row[1] for row in BAD if row[0] == name)
    assert isinstance(text, str)
    assert editor_says(text)

"""The JSON Schema and the reference in the docs say what the reader takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestrator.config import reader
from tests.config.declared import FULL, MINIMAL, read

DOCS = Path(__file__).parents[2] / "docs" / "release-yaml.md"


def editor_says(text: str) -> list[str]:
    """What an editor with the schema would underline."""
    document: Any = yaml.safe_load(text)
    validator = jsonschema.Draft202012Validator(reader.schema())
    return [error.message for error in validator.iter_errors(document)]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(reader.schema())


@pytest.mark.parametrize("text", [FULL, MINIMAL, f"{MINIMAL}releases: {{}}\n", f"{MINIMAL}releases:\n"])
def test_good_files_pass_the_schema_too(text: str) -> None:
    read(text)
    assert editor_says(text) == []


def test_every_key_has_a_description() -> None:
    def keys(part: object) -> list[dict[str, object]]:
        if isinstance(part, list):
            return [found for item in part for found in keys(item)]
        if not isinstance(part, dict):
            return []
        own = part.get("properties", {})
        assert isinstance(own, dict)
        return [*own.values(), *(found for value in part.values() for found in keys(value))]

    found = keys(reader.schema())
    assert len(found) > 20
    assert all(key["description"] for key in found)


def test_the_reference_in_the_docs_is_the_one_of_the_tables() -> None:
    page = DOCS.read_text(encoding="utf-8")
    _, _, rest = page.partition("<!-- keys: ")
    table = rest.partition("-->\n")[2].partition("<!-- /keys -->")[0]
    assert table.strip() == reader.config_reference_markdown().strip()


def test_the_example_in_the_docs_is_valid() -> None:
    page = DOCS.read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    assert read(example).releases[0].fixes[1].backport == "9ab8c7d"
    assert editor_says(example) == []

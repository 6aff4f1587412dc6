"""The least that a forge may answer by its description: each required field, with a value of its kind."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_FORMATS = {"uri": "https://github.com/x", "date-time": "2026-01-01T00:00:00Z"}
_KINDS: dict[str, Any] = {"integer": 1, "number": 1, "boolean": False, "array": [], "string": "x"}


@cache
def _schemas() -> dict[str, Any]:
    path = Path(__file__).parent / "data/github-openapi.json"
    found: dict[str, Any] = json.loads(path.read_text())["components"]["schemas"]
    return found


def least(name: str, **more: Any) -> dict[str, Any]:
    """An answer of GitHub's schema of this name, with `more` in it."""
    made: dict[str, Any] = _least(_schemas()[name])
    return made | more


def _least(schema: dict[str, Any]) -> Any:
    if reference := schema.get("$ref"):
        return _least(_schemas()[reference.rpartition("/")[2]])
    if schema.get("nullable"):
        return None
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return _least(schema[several][0])
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object" or "properties" in schema:
        return {name: _least(schema["properties"][name]) for name in schema.get("required", ())}
    return _FORMATS.get(schema.get("format", ""), _KINDS.get(schema.get("type", ""), "x"))

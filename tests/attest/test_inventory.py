"""What an image says of itself, read: the script runs in the Python of the tests."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zlib
from pathlib import Path

from orchestrator.attest import inside
from orchestrator.attest.inventory import debian, python

STATUS = b"""\
Package: tini
Status: install ok installed
Architecture: amd64
Version: 0.19.0-1
Description: tiny but valid init
 Version: 9 of this line is no field

Package: bash
Status: install ok installed
Architecture: amd64
Source: bash (5.2.15-2)
Version: 5.2.15-2+b7

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


def test_dpkg_status() -> None:
    found = list(debian(STATUS, {"tini": ["Expat"]}))
    assert [(each.name, each.version, each.licences) for each in found] == [
        ("bash", "5.2.15-2+b7", ()),
        ("tini", "0.19.0-1", ("Expat",)),
    ]
    assert found[0].source == "bash"
    assert list(debian(b"", {})) == []


def test_the_script_lists_what_pip_would() -> None:
    done = subprocess.run(
        [sys.executable, "-c", Path(inside.__file__).read_text()], capture_output=True, text=True, check=True
    )
    rows = json.loads(zlib.decompress(base64.b64decode(done.stdout.strip())))["python"]
    found = {each.name: each for each in python(rows)}
    assert found["cryptography"].licences, "a package that says its licence"
    assert "pytest" in found


def test_licences_in_the_order_in_which_they_are_exact() -> None:
    row = {"name": "A_b.C", "version": "1", "expression": "", "license": "", "classifiers": []}
    named = {"classifiers": ["License :: OSI Approved", "License :: OSI Approved :: MIT License"]}
    rows = [
        row | {"expression": "Apache-2.0", "license": "x"} | named,
        row | {"name": "two", "license": "x"} | named,
        row | {"name": "three", "license": "BSD"},
        row | {"name": "four", "license": "y" * 101},
        row | {"name": "five", "license": "UNKNOWN"},
    ]
    said = {each.name: each.licences for each in python(rows)}
    assert said == {"a-b-c": ("Apache-2.0",), "two": ("MIT License",), "three": ("BSD",), "four": (), "five": ()}

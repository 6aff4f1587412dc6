"""Names of licences as packagers write them, made into what SPDX knows."""

from __future__ import annotations

import re
from typing import Final

# PyPI's classifiers and Debian's short names that are one licence of SPDX's list; what could be several is left out.
KNOWN: Final = {
    "Apache Software License": "Apache-2.0",
    "Apache-2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "GPL-2": "GPL-2.0-only",
    "GPL-2+": "GPL-2.0-or-later",
    "GPL-3": "GPL-3.0-only",
    "GPL-3+": "GPL-3.0-or-later",
    "LGPL-2": "LGPL-2.0-only",
    "LGPL-2+": "LGPL-2.0-or-later",
    "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-2.1+": "LGPL-2.1-or-later",
    "LGPL-3": "LGPL-3.0-only",
    "LGPL-3+": "LGPL-3.0-or-later",
    "BSD-2-clause": "BSD-2-Clause",
    "BSD-3-clause": "BSD-3-Clause",
    "BSD-4-clause": "BSD-4-Clause",
    "BSL-1": "BSL-1.0",
    "CC0": "CC0-1.0",
    "Expat": "MIT",  # as Debian's machine-readable format has it
    "GFDL-1.2+": "GFDL-1.2-or-later",
    "GFDL-1.3": "GFDL-1.3-only",
    "GFDL-1.3+": "GFDL-1.3-or-later",
    "GFDL-NIV-1.3": "GFDL-1.3-no-invariants-only",
    "GFDL-NIV-1.3+": "GFDL-1.3-no-invariants-or-later",
    "GPL-1": "GPL-1.0-only",
    "GPL-1+": "GPL-1.0-or-later",
    "GPL-2.0": "GPL-2.0-only",
    "GPL-2.0+": "GPL-2.0-or-later",
    "GPL-3.0": "GPL-3.0-only",
    "GPL-3.0+": "GPL-3.0-or-later",
    "LGPL-2.0+": "LGPL-2.0-or-later",
    "LGPL-3.0+": "LGPL-3.0-or-later",
    "MPL-2": "MPL-2.0",
    "ZLIB": "Zlib",
    "zlib": "Zlib",
}
# What expressions of packages are made of, of SPDX's list.
_IDS: Final = frozenset(KNOWN.values()) | {
    "0BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "HPND", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0",
    "Python-2.0", "Unlicense", "Zlib", "BSL-1.0", "OFL-1.1", "OpenSSL", "curl", "FSFAP", "FSFULLR", "X11", "MS-PL",
    "CC-BY-3.0", "Beerware", "Sleepycat",
}  # fmt: skip
_EXPRESSION: Final = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR) [A-Za-z0-9.+-]+)*")


def is_expression(text: str) -> bool:
    """Whether a text is an SPDX expression of licences that are known here, without brackets and exceptions."""
    return bool(_EXPRESSION.fullmatch(text)) and set(re.split(r" (?:AND|OR) ", text)) <= _IDS


def known_id(name: str) -> str:
    """The id on SPDX's list, "" where it has none."""
    known = KNOWN.get(name, name)
    return known if known in _IDS else ""


def spdx(name: str) -> tuple[str, str]:
    """An expression for SPDX, and the text that its `LicenseRef-` stands for, "" where it is none."""
    known = KNOWN.get(name, name)
    if is_expression(known):
        return known, ""
    return "LicenseRef-" + (re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-") or "unnamed"), name

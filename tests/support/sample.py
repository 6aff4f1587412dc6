"""Whether this run is `make test`, which leaves the long rows of similar cases to `make test-whole`."""

from __future__ import annotations

import os

SAMPLED = os.environ.get("RELEASE_TEST_SAMPLE") == "1"


def examples(number: int) -> int:
    """How many examples of a property to try; of a sample a third."""
    return number // 3 if SAMPLED else number

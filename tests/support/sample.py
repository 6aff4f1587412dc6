"""Whether this run is `make test`, which leaves the long rows of similar cases to `make test-whole`."""

from __future__ import annotations

import os

SAMPLED = os.environ.get("RELEASE_TEST_SAMPLE") == "1"

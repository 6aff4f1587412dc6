"""Who builds what: natives before emulators, the least loaded first, and everybody who could step in."""

from __future__ import annotations

import pytest

from orchestrator.image.farm import spread

AMD, ARM = "linux/amd64", "linux/arm64"


@pytest.mark.parametrize(
    ("work", "platforms", "wanted"),
    [
        pytest.param(["", ""], {"a": (AMD,), "b": (AMD,)}, [("a", "b"), ("b", "a")], id="two images, two builders"),
        pytest.param([""] * 3, {"a": (AMD,)}, [("a",)] * 3, id="one builder"),
        pytest.param([AMD, ARM], {"a": (AMD, ARM), "b": (ARM,)}, [("a",), ("b", "a")], id="natives first"),
        pytest.param([ARM, ARM], {"a": (AMD, ARM), "b": (ARM,)}, [("b", "a")] * 2, id="emulating is no load to share"),
        pytest.param([ARM], {"a": (AMD,)}, [()], id="nobody"),
        pytest.param([ARM], {"a": ()}, [("a",)], id="one that does not say"),
        pytest.param([AMD], {}, [()], id="all are down"),
    ],
)
def test_who_builds_what(work: list[str], platforms: dict[str, tuple[str, ...]], wanted: list[tuple[str, ...]]) -> None:
    assert list(spread(work, platforms)) == wanted

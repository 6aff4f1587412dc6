"""How far things are, from what engines report."""

from __future__ import annotations

from orchestrator.core.results import Progress
from orchestrator.report.screen.activity import Activity, short


def test_bytes_never_go_back() -> None:
    """Unpacking starts at nothing again, and so does a second try."""
    activity = Activity()
    for status, current in (("Downloading", 90), ("Extracting", 10)):
        activity.take(Progress(text=status, item="a" * 12, current=current, total=100, in_bytes=True))
    assert (activity.bytes_moved, activity.bytes_total) == (90, 100)


def test_it_is_told_on_one_line() -> None:
    activity = Activity()
    activity.take(Progress(text="Step 2/3 : RUN make\\\n  all", item="build", current=2, total=3))
    activity.take(Progress(text="cc main.c", item="build", is_log=True))
    assert activity.told() == "step 2/3 RUN make\\: cc main.c"
    activity.take(Progress(text="Pushing", item="a" * 12, current=1024, total=2048, in_bytes=True))
    activity.take(Progress(text="Layer already exists", item="b" * 12, in_bytes=True))
    assert activity.told() == "0 of 1 layers, 1 there already, 1.0 KiB of 2.0 KiB"


def test_a_layer_has_a_short_name() -> None:
    assert short(f"extracting sha256:{'ab' * 32}") == "ab" * 6
    assert short("exporting") == "exporting"

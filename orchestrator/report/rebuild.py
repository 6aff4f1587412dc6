"""What `rebuild` found, for people and for machines.  Pure: values in, lines and data out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from orchestrator.audit.layer_compare import Agreement
from orchestrator.audit.layers import ADDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.audit.layer_compare import ConfigDifference, ImageComparison, LayerPair
    from orchestrator.audit.layers import File, LayerDifference

_SHOWN: Final = 20  # files of a layer and kind; --json has all
_WIDTH: Final = 100
_HIDING: Final = {"whiteout": " (hides a file below)", "opaque": " (hides a folder's content below)"}


def rebuild_lines(version: str, found: Sequence[ImageComparison]) -> list[str]:
    """What `rebuild` shows."""
    lines = [line for each in found for line in _image(each)]
    return [*lines, *(f"{version}: {_summary(each)}" for each in found)]


def rebuild_document(version: str, found: Sequence[ImageComparison]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "version": version,
        "verdict": max((each.verdict for each in found), key=list(Agreement).index),
        "images": [{**asdict(each), "verdict": each.verdict} for each in found],
    }


def _image(each: ImageComparison) -> list[str]:
    lines = [f"{each.reference}@{each.digest}"]
    lines += [f"  MISMATCH  {line}" for line in each.mismatches]
    lines += [f"  base      {each.base_note}"] if each.base_note else []
    for pair in each.layers:
        lines += _layer(pair, len(each.layers))
    return lines + [line for setting in each.settings for line in _setting(setting)]


def _layer(pair: LayerPair, total: int) -> list[str]:
    number = f"{pair.number} of {total}" if pair.number else "rebuilt only"
    what = f"  {' '.join(pair.created_by.split())[:_WIDTH]}" if pair.verdict is not Agreement.IDENTICAL else ""
    lines = [f"  {pair.verdict:<9} layer {number}{what}"]
    lines += [f"      {pair.note}"] if pair.note else []
    contents = [each for each in pair.files if not each.only_time]
    times = [each for each in pair.files if each.only_time]
    lines += [f"      {', '.join(each.differs):<14} {_path(each)}{_values(each)}" for each in contents[:_SHOWN]]
    lines += [f"      only the time  {_path(each)}" for each in times[:_SHOWN]]
    more = max(len(contents) - _SHOWN, 0) + max(len(times) - _SHOWN, 0)
    return [*lines, f"      and {more} more files: --json names all"] if more else lines


def _path(each: LayerDifference) -> str:
    return f"/{each.path}{_HIDING.get(each.kind, '')}"


def _values(each: LayerDifference) -> str:
    """Old and new value of what is short enough to be shown."""
    if each.theirs is None or each.ours is None:
        return f" (only {'in the rebuilt image' if ADDED in each.differs else 'in the registry'})"
    shown = [name for name in ("kind", "mode", "owner", "size", "link", "device") if name in each.differs]
    changes = [f"{name} {_value(each.theirs, name)} -> {_value(each.ours, name)}" for name in shown]
    return f" ({', '.join(changes)})" if changes else ""


def _value(file: File, name: str) -> str:
    return f"{file.mode:04o}" if name == "mode" else str(getattr(file, name))


def _setting(setting: ConfigDifference) -> list[str]:
    return [
        f"  content   config: {setting.name}",
        f"      registry  {_short(setting.theirs)}",
        f"      rebuilt   {_short(setting.ours)}",
    ]


def _short(value: object) -> str:
    text = "(none)" if value is None else " ".join(str(value).split())
    return text if len(text) <= 2 * _WIDTH else f"{text[: 2 * _WIDTH]}..."


def _summary(each: ImageComparison) -> str:
    counts = {verdict: sum(pair.verdict is verdict for pair in each.layers) for verdict in Agreement}
    said = [f"{counts[Agreement.IDENTICAL]} of {len(each.layers)} layers are identical"]
    said += [f"only times differ in {counts[Agreement.TIMES]}"] if counts[Agreement.TIMES] else []
    said += [f"content differs in {counts[Agreement.CONTENT]}"] if counts[Agreement.CONTENT] else []
    said += [f"settings that differ: {len(each.settings)}"] if each.settings else []
    name = f"{each.variant}: " if each.variant else ""
    return f"{name}{'; '.join(said)}"

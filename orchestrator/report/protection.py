"""What `protect` shows.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.forges.protect import ProtectResult

_MARK = {"missing": "+", "differs": "~", "same": "="}


def protection_lines(outcome: ProtectResult) -> list[str]:
    """Every setting with its state; of those that differ the lines, as a diff."""
    changed = [each for each in outcome.differences if each.state != "same"]
    what = "as it should be" if not changed else f"{len(changed)} of {len(outcome.differences)} settings differ"
    if outcome.applied and changed:
        what = f"{len(changed)} of {len(outcome.differences)} settings written and read back"
    lines = [f"{outcome.address.provider} {outcome.address.repository}: {what}", ""]
    for each in outcome.differences:
        lines.append(f"  {_MARK[each.state]} {each.setting.kind} {each.setting.name!r}: {each.state}")
        if each.state != "same":
            lines += [f"      {line}" for line in each.lines]
    if outcome.others:
        lines += ["", f"  left alone: {', '.join(outcome.others)}"]
    lines += [f"  note: {note}" for note in outcome.notes]
    if changed and not outcome.applied:
        lines += ["", "  nothing was changed; write it with --apply"]
    return lines


def protection_document(outcome: ProtectResult) -> dict[str, Any]:
    """The same for machines."""
    return {
        "schema_version": 1,
        "provider": outcome.address.provider,
        "api": outcome.address.api,
        "repository": outcome.address.repository,
        "applied": outcome.applied,
        "settings": [
            {
                "kind": each.setting.kind,
                "name": each.setting.name,
                "state": each.state,
                "diff": list(each.lines),
                "wanted": dict(each.setting.value),
            }
            for each in outcome.differences
        ],
        "left_alone": list(outcome.others),
        "notes": list(outcome.notes),
    }

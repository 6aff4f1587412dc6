"""Bills of materials for people and machines.  Pure: values in, lines and data out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.attest.bill import Bill, Component
    from orchestrator.attest.differences import Change

_KINDS: Final = {"pypi": "Python", "deb": "Debian"}


def bill_lines(bill: Bill) -> list[str]:
    """A bill, one line a component."""
    lines = [f"{bill.repository}:{bill.tag}  {bill.platform}  {bill.digest}", f"  {counted(bill)}"]
    lines += [f"  not checked against the lock: {bill.unchecked}"] if bill.unchecked else []
    return lines + [line for each in bill.components for line in _component(each)]


def counted(bill: Bill) -> str:
    """How many packages of which kind, CUDA libraries and patches a bill has."""
    counts = [f"{sum(each.kind == kind for each in bill.components)} {word}" for kind, word in _KINDS.items()]
    cuda = sum(bool(each.cuda) for each in bill.components)
    patched = sum(bool(each.patches) for each in bill.components)
    return f"{' and '.join(counts)} packages; {cuda} CUDA libraries; {patched} patched"


def _component(each: Component) -> list[str]:
    said = [", ".join(each.licences) or "licence not said"]
    said += [f"CUDA library {each.cuda}"] if each.cuda else []
    lines = [f"  {_KINDS[each.kind]:<7} {each.name} {each.version}  {'  '.join(said)}"]
    for patch in each.patches:
        upstream = f"  upstream commit {patch.commit}" if patch.commit else f"  {patch.origin}"
        lines.append(f"          patched by {patch.name}{upstream}")
    return lines


def bill_markdown(bill: Bill) -> list[str]:
    """A bill as a table."""
    rows = [
        f"| {_KINDS[each.kind]} | `{each.name}` | {each.version} | {', '.join(each.licences) or '-'} "
        f"| {' '.join(patch.name for patch in each.patches) or '-'} |"
        for each in bill.components
    ]
    head = f"**`{bill.repository}:{bill.tag}`** ({bill.platform}): {counted(bill)}"
    return [head, "", "| | package | version | licences | patches |", "|---|---|---|---|---|", *rows]


def bill_document(version: str, found: Sequence[Bill]) -> dict[str, Any]:
    return {"schema_version": 1, "version": version, "images": [_document(each) for each in found]}


def _document(bill: Bill) -> dict[str, Any]:
    return {
        "image": f"{bill.repository}:{bill.tag}",
        "digest": bill.digest,
        "platform": bill.platform,
        "unchecked": bill.unchecked,
        "components": [_plain(each) for each in bill.components],
    }


def _plain(each: Component) -> dict[str, Any]:
    patches = [
        {key: value for key, value in asdict(patch).items() if key not in ("data", "sha1")} for patch in each.patches
    ]
    return {**asdict(each), "patches": patches}


# ------------------------------------------------------------------ differences


def change_lines(names: tuple[str, str], bill: Bill, found: Sequence[Change]) -> list[str]:
    """What changed between two versions in the image of one platform."""
    head = f"{bill.repository}  {bill.platform}: {names[0]} to {names[1]}"
    return [head, *(f"  {_KINDS[each.kind]:<7} {_said(each)}" for each in found)] if found else [f"{head}: the same"]


def change_markdown(names: tuple[str, str], bill: Bill, found: Sequence[Change]) -> list[str]:
    """The same as a table for notes and pull requests."""
    head = f"**What is inside**, {names[0]} to {names[1]} ({bill.platform}):"
    if not found:
        return [f"{head} the same packages."]
    rows = [
        f"| {_KINDS[each.kind]} | `{each.name}` | {each.before or '-'} | {each.after or '-'} | {patched(each)} |"
        for each in found
    ]
    return [head, "", "| | package | before | after | patches |", "|---|---|---|---|---|", *rows]


def change_document(names: tuple[str, str], pairs: Sequence[tuple[Bill, Sequence[Change]]]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "from": names[0],
        "to": names[1],
        "images": [
            {
                "repository": str(bill.repository),
                "platform": bill.platform,
                "changes": [asdict(each) for each in found],
            }
            for bill, found in pairs
        ],
    }


def _said(each: Change) -> str:
    moved = f"{each.before or 'new'} -> {each.after or 'gone'}" if each.before != each.after else each.after
    return f"{each.name} {moved}  {patched(each)}".rstrip()


def patched(each: Change) -> str:
    """The patches that came and went."""
    return " ".join([*(f"+{name}" for name in each.patches_added), *(f"-{name}" for name in each.patches_removed)])

"""A record as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.core.record import Delta, Origin, Record, RecordedImage
    from orchestrator.release.yank import Yanked
    from orchestrator.session.yanks import Yank


def size(number: float) -> str:
    """Bytes for people, in powers of 1024: `5.8 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def record_lines(record: Record, yank: Yank | None) -> list[str]:
    """What `show` shows."""
    lines = [
        f"{record.version}" + (f": {record.summary}" if record.summary else ""),
        *(f"  {line}" for line in (_mark_lines(yank) if yank else ())),
        f"  after     {record.previous or 'nothing'}, on {record.branch}",
        f"  commit    {record.commit}" + (f"  (signed; {record.signed_from} without)" if record.signed_from else ""),
        f"  tree      {record.tree}",
        f"  tag       {record.tag.object}",
        *([_origin_line(record.promoted_from)] if record.promoted_from else []),
        f"  finished  {record.finished_at} by {record.committer}, release {record.tool.version}",
        "  picks",
    ]
    lines += [
        f"    {pick.source[:12]} {pick.state:<9} {pick.subject}"
        + (f"  -> {pick.result[:12]}" if pick.result else "")
        + (f"  (from {pick.lives_on})" if pick.lives_on else "")
        + "".join(f"  ({each})" for each in pick.besides)
        for pick in record.picks
    ]
    lines += [f"    {each.source[:12]} skipped   {each.subject}  ({each.reason})" for each in record.skipped]
    lines += [f"  freeze    broken: {record.freeze_broken}"] if record.freeze_broken else []
    for image in record.images:
        lines += _image_lines(image)
    took = ", ".join(f"{key} {seconds:.1f}" for key, seconds in sorted(record.seconds.items()) if seconds >= 0.05)
    lines.append(f"  seconds   {took or 'all under 0.05'}")
    return lines


def _origin_line(origin: Origin) -> str:
    return f"  promoted  from {origin.version}: its commit, its bytes, which say {origin.version_inside} inside"


def _mark_lines(yank: Yank) -> list[str]:
    lines = [f"YANKED    {yank.at[:10]} by {yank.by}: {yank.reason}"]
    lines += [f"  back    {move.tag} to {yank.back_to}, {move.new}" for move in yank.moves]
    return [*lines, *(f"  left    {line}" for line in yank.left)]


def yanked_lines(done: Yanked, *, dry_run: bool) -> list[str]:
    """What `yank` shows."""
    yank = done.yank
    how = "would be yanked" if dry_run and not done.already else "is yanked already" if done.already else "is yanked"
    lines = [f"{yank.version} {how}: {yank.reason}"]
    for move in yank.moves:
        state = "" if dry_run or move.tag in done.moved else "  (nothing had to be moved)"
        lines.append(f"  back    {move.tag} to {yank.back_to}, {move.repository}@{move.new}{state}")
    lines += [f"  left    {line}" for line in done.left]
    return [*lines, f"  kept    tag, record and images of {yank.version}"]


def _size_line(image: RecordedImage) -> str:
    sizes = f"{size(image.size)}, {size(image.compressed_size)} in the registry"
    if image.platforms:
        return f"    size    {sizes}, all {len(image.platforms)} platforms together"
    return f"    size    {sizes}, {len(image.layers)} layers"


def _delta(delta: Delta) -> str:
    if delta.unknown:
        return f"not known: {delta.unknown}"
    return f"{size(delta.size)} in {delta.layers} layers for a client that has {delta.previous}"


def _image_lines(image: RecordedImage) -> list[str]:
    lines = [
        f"  image     {image.reference}@{image.digest}",
        *(f"    also    {name}" for name in image.aliases),
        _size_line(image),
        f"    delta   {_delta(image.delta)}",
        f"    base    {image.base.name or 'none'}",
    ]
    if image.builder:
        lines.append(f"    built   by {image.engine}, builder {image.builder}")
    if image.cache:
        lines += [f"    cache   took {name}" for name in image.cache.taken]
        lines += [f"    cache   left {image.cache.left}"] if image.cache.left else []
    for each in image.platforms:
        lines += [
            f"    for     {each.platform}  {each.digest}",
            f"      size  {size(each.size)}, {size(each.compressed_size)} in the registry, {len(each.layers)} layers",
            f"      delta {_delta(each.delta)}",
            *([f"      lock  {each.lock.path}  sha256:{each.lock.sha256[:16]}"] if each.lock else []),
        ]
    if image.lock:
        lines.append(f"    lock    {image.lock.path}  sha256:{image.lock.sha256[:16]}")
    lines += [f"    patch   {each.name}  sha256:{each.sha256[:16]}" for each in image.patches]
    lines += [f"    check   {check.state:<8} {check.name}  {check.message}" for check in image.checks]
    if image.floating:
        lines += [f"    moved   {tag}" for tag in image.floating.moved]
        lines += [f"    left    {line}" for line in image.floating.left]
    return lines

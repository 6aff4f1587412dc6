"""The document of a release record as a cut writes it, to be changed in places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

A, B, C = "a" * 40, "b" * 40, "c" * 40
DIGEST = f"sha256:{'d' * 64}"


def pick(source: str = A, result: str = B, **changes: Any) -> dict[str, Any]:
    return {
        "source": source, "subject": "fix(loader): close the workers", "state": "clean", "result": result,
        "conflicts": [], "duplicate_of": "", "duplicate_by": [], "prerequisites": [], "search": "", "near": [],
        "followups": [{"sha": C, "kind": "mention", "subject": "chore: x", "of": source, "stands": True}],
        "applied": "", "mainline": 0, "declared": source, "reason": "it leaks", "approved_by": ["mia"],
        "author": "Mia <m@example.com>", "type": "fix", "breaking": "", "confirm": False, "lives_on": "",
        "since_previous": False, "forwarded": [], "resolution": None, "exclude": [], "strategy_options": [], **changes,
    }  # fmt: skip


def image(**changes: Any) -> dict[str, Any]:
    return {
        "reference": "registry.example.com/team/cuda:v2.7.1", "variant": "",
        "aliases": ["registry.example.com/team/cuda:v2.7.1-cu126"], "digest": DIGEST, "image_id": DIGEST,
        "engine": "classic", "builder": "",
        "heavy": {"reference": "registry.example.com/team/cuda:heavy-1", "key": "a" * 64, "digest": DIGEST},
        "cache": {"taken": [f"r.io/x/cache@{DIGEST}"], "tag": "cache-1", "left": f"r.io/x/cache@{DIGEST}"},
        "size": 3, "compressed_size": 2,
        "delta": {"previous": "", "size": 0, "layers": 0, "unknown": "the first release"},
        "layers": [DIGEST], "base": {"name": "debian:12", "id": DIGEST}, "lock": {"path": "l.txt", "sha256": "e" * 64},
        "patches": [{"name": "p-1.0/0001-x.patch", "sha256": "f" * 64, "subject": "x", "origin": "o", "commit": ""}],
        "context_sha256": "1" * 64, "labels": {"org.opencontainers.image.version": "v2.7.1"},
        "checks": [{"name": "labels", "state": "passed", "message": "3 labels", "remedy": "", "seconds": 0.25}],
        "platforms": [],
        "floating": {"moved": ["v2.7"], "left": ["latest was left where it is: it is at v2.8.0"]}, **changes,
    }  # fmt: skip


def record(**changes: Any) -> dict[str, Any]:
    return {
        "schema_version": 1, "version": "v2.7.1", "previous": "v2.7.0", "summary": "leak", "branch": "release/v2.7",
        "base": A, "commit": C, "tree": A, "picked_tree": B, "tag": {"name": "v2.7.1", "object": B},
        "plan_id": "2" * 64, "config": {"path": "release.yaml", "sha256": "3" * 64},
        "committer": "Mia <m@example.com>", "picks": [pick()], "freeze_broken": "", "signed_from": "",
        "skipped": [{"source": B, "subject": "fix: other", "reason": "not here"}],
        "verify": {"image": "", "commands": 1, "trees": 1},
        "promoted_from": {"version": "v2.7.1-rc.1", "tag": A, "record": B, "version_inside": "v2.7.1-rc.1"},
        "images": [image()], "tool": {"name": "release", "version": "1", "git": "2.39.5"},
        "finished_at": "2026-11-24T12:00:00Z", "seconds": {"pick": 0.1, "land": 2}, **changes,
    }  # fmt: skip


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value in a document."""
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        yield (*at, key)
        yield from places(child, (*at, key))


def name_of(way: tuple[str | int, ...]) -> str:
    """A way as messages name it."""
    text = ""
    for step in way:
        quoted = isinstance(step, int) or "." in step
        text += f"[{step!r}]" if quoted else f".{step}" if text else str(step)
    return text

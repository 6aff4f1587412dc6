"""The release commit's message: templates filled in, and the version known again by the subject."""

from __future__ import annotations

import pytest

from orchestrator.core.commit_message import has_trailer_block, signed_off
from orchestrator.core.commit_message.release import (
    MessageFacts,
    commit_message,
    lacking,
    released_versions,
    unknown,
)
from orchestrator.core.declaration import Config, ReleaseCommitSpec, ReleaseEntry
from orchestrator.core.pick import Pick, PickState
from orchestrator.core.results import Place

HERE = Place(file="release.yaml")
PICKS = tuple(
    Pick(source=char * 40, subject=subject, state=PickState.CLEAN, result="f" * 40)
    for char, subject in (("1", "fix(loader): close {them}"), ("2", "fix: wait less"))
)


def config(subject: str = ReleaseCommitSpec.subject, **more: object) -> Config:
    entries = (
        ReleaseEntry(version="v2.7.1", place=HERE, summary="leak", ticket="OPS-1"),
        ReleaseEntry(version="v2.7.2", place=HERE),
    )
    spec = ReleaseCommitSpec(subject=subject, **more)  # type: ignore[arg-type]
    return Config(place=HERE, text=b"", branch="release/v2.7", source=("main",), releases=entries, release_commit=spec)


def made(spec: Config, **facts: object) -> str:
    told = MessageFacts(
        **{"version": "v2.7.1", "picks": PICKS, "branch": spec.branch, "date": "2026-11-28", **facts}  # type: ignore[arg-type]
    )
    return commit_message(spec, told, lambda message: f"I{len(message)}").decode()


def test_without_templates_it_is_as_ever() -> None:
    picks = "- fix(loader): close {them} (111111111111)\n- fix: wait less (222222222222)\n"
    assert made(config(), summary="leak") == f"chore(release): v2.7.1\n\nleak\n\n{picks}"
    assert made(config()) == f"chore(release): v2.7.1\n\n{picks}"
    assert made(config(), picks=()) == "chore(release): v2.7.1\n"


def test_everything_is_filled_in_once() -> None:
    text = made(
        config(
            "{ticket}: {version} ({tag}) after {previous} on {branch}, {date} {{x}} [skip ci]",
            body="{picks}\n\n\n\n{summary}  \nend",
            trailers=(("Ticket", "{ticket}"), ("Was", "{summary}"), ("Change-Id", "{change-id}")),
        ),
        ticket="OPS-{tag}",
    )
    head, picks, rest, trailers = text.split("\n\n")
    assert head == "OPS-{tag}: 2.7.1 (v2.7.1) after nothing on release/v2.7, 2026-11-28 {x} [skip ci]"
    assert picks.startswith("- fix(loader): close {them} (1111")
    assert rest == "end"
    without = text.partition("Change-Id: ")[0]
    assert trailers == f"Ticket: OPS-{{tag}}\nChange-Id: I{len(without)}\n"
    assert has_trailer_block(text.encode())
    assert signed_off(text.encode(), "M <m@x>").decode() == f"{text}Signed-off-by: M <m@x>\n"


@pytest.mark.parametrize(
    ("subject", "of", "versions"),
    [
        ("chore(release): {tag}", "chore(release): v2.7.1", ["v2.7.1"]),
        ("chore(release): {tag}", "chore(release): v2.7.9", ["v2.7.9"]),  # and not declared
        ("chore(release): {tag}", "chore(release): soon", []),
        ("chore(release): {tag}", "chore(release): v2.7.1 (#12)", []),
        ("{ticket} [{tag}] {version}, {date}", "OPS-1 [v2.7.1] 2.7.1, 2026-11-28", ["v2.7.1"]),
        ("{ticket} [{tag}] {tag}, {date}", "OPS-9 [v2.7.9] v2.7.9, 2026-11-28", ["v2.7.9"]),
        ("{ticket} [{tag}] {tag}, {date}", "OPS-9 [v2.7.9] v2.7.8, 2026-11-28", []),
        ("{tag} {date}", "v2.7.1 yesterday", []),
        ("release ({branch})", "release (release/v2.7)", ["v2.7.1", "v2.7.2"]),
        ("{summary}", "leak", ["v2.7.1"]),
        ("a.b {tag}", "axb v2.7.1", []),
        ("{tag} after {previous}", "v2.7.2 after v2.7.1", ["v2.7.2"]),
    ],
)
def test_a_subject_tells_the_version(subject: str, of: str, versions: list[str]) -> None:
    assert released_versions(config(subject), of) == versions


@pytest.mark.parametrize(
    ("template", "bad"),
    [
        ("{tag} {{x}}", ""),
        ("{tag", "{"),
        ("tag}", "}"),
        ("{}", "{}"),
        ("{Tag}", "{Tag}"),
        ("{{}}", ""),
        ("{a{tag}", "{"),
    ],
)
def test_what_stands_for_nothing_is_named(template: str, bad: str) -> None:
    assert unknown(template, ("tag",)) == bad


def test_what_this_version_has_not_is_named() -> None:
    spec = config("{tag}: {summary}", trailers=(("T", "{ticket}"), ("S", "{summary}")))
    assert lacking(spec, MessageFacts(version="v2.7.1")) == ["summary", "ticket"]
    assert lacking(spec, MessageFacts(version="v2.7.1", summary="x", ticket="y")) == []
    assert lacking(config(), MessageFacts(version="v2.7.1")) == []

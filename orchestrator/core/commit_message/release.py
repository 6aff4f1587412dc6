"""The release commit's message: written by the templates of release.yaml, and known again by its subject.  Pure."""

from __future__ import annotations

import re
from dataclasses import field, replace
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.tag_message import shipped
from orchestrator.core.versions import TagVersion, completed, parse_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from orchestrator.core.declaration import Config, ReleaseEntry
    from orchestrator.core.pick import Pick

CHANGE_ID: Final = "change-id"  # stands for what Gerrit's commit-msg hook makes
# What stands for something in each part of a template; the words are those of docs/server-rules.md.
IN_SUBJECT: Final = ("tag", "version", "previous", "branch", "date", "ticket", "summary")
IN_BODY: Final = (*IN_SUBJECT, "picks")
IN_TRAILER: Final = (*IN_SUBJECT, CHANGE_ID)
_PART = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|[{}]")
_LIKE = {"previous": r"\S+", "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}"}  # of what a subject alone does not tell
NO_VERSION: Final = "nothing"  # the version before the first of a line


@dataclass(frozen=True, kw_only=True)
class MessageFacts:
    """What a message is made from.  `date` is the day of the commit (`2026-11-28`), `previous` a tag or ""."""

    version: str
    summary: str = ""
    ticket: str = ""
    branch: str = ""
    previous: str = ""
    date: str = ""
    picks: Sequence[Pick] = field(default=())

    @property
    def values(self) -> Mapping[str, str]:
        return {
            "tag": self.version,
            "version": TagVersion.from_text(self.version).bare,
            "previous": self.previous or NO_VERSION,
            "branch": self.branch,
            "date": self.date,
            "ticket": self.ticket,
            "summary": self.summary,
            "picks": "\n".join(f"- {pick.subject} ({pick.source[:12]})" for pick in shipped(self.picks)),
        }


def facts_of(config: Config, version: str, entry: ReleaseEntry | None) -> MessageFacts:
    """What release.yaml tells of a version."""
    return MessageFacts(
        version=version,
        summary=entry.summary if entry else "",
        ticket=entry.ticket if entry else "",
        branch=config.branch,
    )


# ------------------------------------------------------------------ templates


def _pieces(template: str) -> Iterator[tuple[str, str]]:
    """(literal, name of a placeholder), one of them ""; a brace alone, and `{}`, come as names."""
    at = 0
    for found in _PART.finditer(template):
        yield template[at : found.start()], ""
        if found[0] in ("{{", "}}"):
            yield found[0][0], ""
        else:
            yield "", found["name"] or found[0]
        at = found.end()
    yield template[at:], ""


def names(template: str) -> list[str]:
    """The placeholders of a template, in order."""
    return [name for _, name in _pieces(template) if name]


def unknown(template: str, allowed: Collection[str]) -> str:
    """The first placeholder that is none, "" where all are."""
    name = next((name for name in names(template) if name not in allowed), "")
    return f"{{{name}}}" if name.strip("{}") else name


def filled(template: str, values: Mapping[str, str]) -> str:
    return "".join(values[name] if name else literal for literal, name in _pieces(template))


# ------------------------------------------------------------------ writing


def commit_message(config: Config, facts: MessageFacts, change_id: Callable[[bytes], str]) -> bytes:
    """The message; `change_id` makes a Change-Id of the message without it, and is asked only where one is wanted."""
    spec, values = config.release_commit, facts.values
    subject, body = filled(spec.subject, values), _paragraphs(filled(spec.body, values))
    plain = [(key, filled(value, values)) for key, value in spec.trailers if CHANGE_ID not in names(value)]
    if len(plain) == len(spec.trailers):
        return _composed(subject, body, plain)
    more = {**values, CHANGE_ID: change_id(_composed(subject, body, plain))}
    return _composed(subject, body, [(key, filled(value, more)) for key, value in spec.trailers])


def _composed(subject: str, body: str, trailers: Sequence[tuple[str, str]]) -> bytes:
    block = "\n".join(f"{key}: {value}" for key, value in trailers if value)
    return ("\n\n".join(part for part in (subject, body, block) if part) + "\n").encode()


def _paragraphs(text: str) -> str:
    """The text without blanks at the ends of lines, and with one empty line at most between others."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")


def lacking(config: Config, facts: MessageFacts) -> list[str]:
    """The placeholders that are empty for this version where that cannot be: any of the subject, a ticket anywhere."""
    spec, values = config.release_commit, facts.values
    wanted = names(spec.subject) + [name for text in spec.texts for name in names(text) if name == "ticket"]
    return [name for name in dict.fromkeys(wanted) if not values[name]]


# ------------------------------------------------------------------ known again


def released_versions(config: Config, subject: str) -> list[str]:
    """The versions whose release commits have this subject, by release.yaml; several where it does not tell them apart.

    One that is named and not declared is one too.
    """
    found = [entry.version for entry in config.releases if _pattern(config, entry).fullmatch(subject)]
    named = "" if found else _named(config, subject)
    return found or ([named] if named else [])


def _pattern(config: Config, entry: ReleaseEntry) -> re.Pattern[str]:
    facts = replace(facts_of(config, entry.version, entry), date="x", previous="x")
    return _regex(config.release_commit.subject, {key: re.escape(text) for key, text in facts.values.items()} | _LIKE)


def _named(config: Config, subject: str) -> str:
    """The version that a subject names where the template has a place for it."""
    used = [name for name in ("tag", "version") if name in names(config.release_commit.subject)]
    if not used:
        return ""
    one = {used[0]: r"(?P<release>\S+)"}
    found = _regex(config.release_commit.subject, dict.fromkeys(IN_SUBJECT, ".*") | _LIKE | one).fullmatch(subject)
    name = completed(found["release"]) if found else ""
    return name if parse_tag(name) else ""


def _regex(template: str, groups: Mapping[str, str]) -> re.Pattern[str]:
    """A pattern of what a template may give; the group of a name that stands there twice is asked for again."""
    parts: list[str] = []
    for literal, name in _pieces(template):
        part = groups[name] if name else re.escape(literal)
        parts.append("(?P=release)" if "(?P<" in part and part in parts else part)
    return re.compile("".join(parts))

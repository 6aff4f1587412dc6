"""The keys of release.yaml about the commits of a release: what their messages say, and who signs them off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.config import validators as rules
from orchestrator.config.schema import Got, Key, MapOf, Table, Text
from orchestrator.config.smoke_keys import LINE
from orchestrator.config.validators import BadTextError
from orchestrator.core.commit_message import copied_from, reverted
from orchestrator.core.commit_message.release import CHANGE_ID, IN_BODY, IN_SUBJECT, IN_TRAILER, names, unknown
from orchestrator.core.declaration import ReleaseCommitSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.config.schema import Faults, Scalar
    from orchestrator.core.declaration import ReleaseEntry

_TRAILER_KEY = r"[A-Za-z0-9][A-Za-z0-9-]{0,63}"  # git's word for a trailer's key
_CHANGE_ID = re.compile(r"I[0-9a-f]{40}")

SIGNOFF = Key(
    name="signoff",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether picks and release commit carry the `Signed-off-by:` of who commits them, where `cherry-pick -s -x`"
    " puts it, for servers that want the Developer Certificate of Origin.",
    default="false",
)
SIGN_COMMITS: Key[bool] = Key(
    name="sign-commits",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether picks and release commit are signed with git's key (`user.signingKey`, `gpg.format`), and must be."
    " `false` signs none, whatever git is set to.",
    default="as `commit.gpgSign` of git says",
)
TICKET = Key(
    name="ticket",
    shape=LINE,
    help="The release's ticket, for `{ticket}` in `release-commit`, such as `OPS-412`.",
)


def _template(allowed: Sequence[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if bad := unknown(text, allowed):
            known = ", ".join(f"{{{name}}}" for name in allowed)
            says = f"names {bad}, which stands for nothing here" if bad.strip("{}") else f"has a {bad} alone"
            raise BadTextError("config-bad-template", says, f"one of {known}; a brace itself is written twice")
        return text

    return check


def _subject(text: str) -> str:
    """One line that no git takes for a comment, or for a change of another commit."""
    if text.startswith("#") or re.match(r"(?:fixup|squash|amend)! ", text):
        raise BadTextError(
            "config-bad-template", "is a comment, or a change of another commit, to git", "begin it with a word"
        )
    return _template(IN_SUBJECT)(text)


def _body(text: str) -> str:
    if named := (*copied_from(text), *reverted(text)):
        says = f"says that the commit is made from {named[0][:12]}"
        raise BadTextError("config-bad-template", says, "a release commit is no pick: leave that line out")
    return _template(IN_BODY)(text)


def _trailer(text: str) -> str:
    if text.casefold() == "signed-off-by":
        raise BadTextError("config-bad-trailer", "is written by the tool", "write `signoff: true`")
    return rules.matching(_TRAILER_KEY, "Ticket or Reviewed-on: letters, digits and '-'")(text)


def _trailers(entries: Sequence[tuple[Scalar, str, str]], faults: Faults) -> tuple[tuple[str, str], ...]:
    for node, key, value in entries:
        if key.casefold() == "change-id" and not names(value) and not _CHANGE_ID.fullmatch(value):
            message = f"{key} {rules.quoted(value)} is no Change-Id"
            faults.add("config-bad-trailer", message, node, f'write "{{{CHANGE_ID}}}", or I and 40 hexadecimal digits')
    return tuple((key, value) for _, key, value in entries)


_PLAIN = ReleaseCommitSpec()
COMMIT_SUBJECT = Key(
    name="subject",
    shape=Text(convert=_subject, what="a line of text in quotes"),
    help=f"The subject, with {', '.join(f'`{{{name}}}`' for name in IN_SUBJECT)} where they are to stand.",
    default=_PLAIN.subject,
)
COMMIT_BODY = Key(
    name="body",
    shape=Text(convert=_body, what="a text", one_line=False),
    help="What follows it; also with `{picks}`, a line for each.",
    default="`{summary}`, and `{picks}` below it",
)
COMMIT_TRAILERS = Key(
    name="trailers",
    shape=MapOf(
        key=Text(convert=_trailer, what="a trailer's key", json={"pattern": f"^{_TRAILER_KEY}$"}),
        value=Text(convert=_template(IN_TRAILER), what="a line of text in quotes"),
        join=_trailers,
        what="a mapping of trailers to texts",
    ),
    help='Trailers, such as `Ticket: "{ticket}"`. `{change-id}` stands for the Change-Id that Gerrit\'s hook makes.'
    " One whose text is empty is left out.",
)
RELEASE_COMMIT = Key(
    name="release-commit",
    shape=Table(
        title="'release-commit'",
        keys=(COMMIT_SUBJECT, COMMIT_BODY, COMMIT_TRAILERS),
        build=lambda got: ReleaseCommitSpec(
            place=got.place,
            subject=got(COMMIT_SUBJECT, _PLAIN.subject),
            body=got(COMMIT_BODY, _PLAIN.body),
            trailers=got(COMMIT_TRAILERS, ()),
        ),
    ),
    help="The message of the release commit (docs/server-rules.md).",
)


def check_tickets(got: Got, releases: Sequence[ReleaseEntry], spec: ReleaseCommitSpec) -> None:
    """A ticket that no message names would do nothing."""
    if any("ticket" in names(text) for text in spec.texts):
        return
    for entry in releases:
        if entry.ticket:
            says = f"ticket {rules.quoted(entry.ticket)} stands in no message"
            got.faults.add_at("config-unused-ticket", says, entry.place, 'name it in `release-commit`: "{ticket}"')

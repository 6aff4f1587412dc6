"""Release notes of one version, as Markdown for a forge's release page, as a page of HTML, or as a document.  Pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.commit_message import conventional
from orchestrator.core.remote_url import commit_page
from orchestrator.core.tag_message import shipped
from orchestrator.plan.changelog import grouped, section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.core.pick import Pick
    from orchestrator.release.notes import Notes


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}h1 small{font-weight:normal;"
    "color:#666}.said{color:#555}@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}.said,"
    "h1 small{color:#aaa}a{color:#8ab4f8}}"
)


def _markdown(notes: Notes) -> str:
    """For the body of a release, whose title is the version: so the version itself is not repeated."""
    body = section(notes.version, notes.summary, notes.picks, notes.page).partition("\n")[2].strip("\n")
    parts = [body] if body else []
    if not notes.released:
        parts.insert(0, "*Planned, not released.*")
    if not shipped(notes.picks):
        parts.append("No fixes.")
    if notes.images:
        lines = (f"docker pull {reference}" + (f"@{digest}" if digest else "") for reference, digest in notes.images)
        parts.append("### Images\n\n```console\n" + "\n".join(lines) + "\n```")
    if notes.compare:
        parts.append(f"All changes: [{notes.previous}...{notes.version}]({notes.compare})")
    return "\n\n".join(parts) + "\n"


def document(notes: Notes) -> dict[str, Any]:
    """What `--format json` prints."""
    return {
        "schema_version": 1,
        "version": notes.version,
        "previous": notes.previous,
        "released": notes.released,
        "summary": notes.summary,
        "commit": notes.commit,
        "groups": [
            {"title": title, "fixes": [_fix(notes, each) for each in picks]} for title, picks in grouped(notes.picks)
        ],
        "skipped": [{"source": each.source, "subject": each.subject, "reason": each.reason} for each in notes.skipped],
        "images": [{"reference": reference, "digest": digest} for reference, digest in notes.images],
        "freeze_broken": notes.freeze_broken,
        "page": notes.page,
        "compare": notes.compare,
        "markdown": _markdown(notes),
    }  # fmt: skip


def _fix(notes: Notes, pick: Pick) -> dict[str, Any]:
    parsed = conventional(pick.subject)
    return {
        "source": pick.source,
        "result": pick.result,
        "state": str(pick.state),
        "type": parsed.type,
        "scope": parsed.scope,
        "subject": pick.subject,
        "text": parsed.text,
        "breaking": pick.breaking,
        "reason": pick.reason,
        "approved_by": list(pick.approved_by),
        "author": pick.author,
        "url": commit_page(notes.page, pick.source) if notes.page else "",
    }


def _html(notes: Notes) -> str:
    """One page with nothing outside of it; every text is escaped."""
    version = escape(notes.version)
    parts = [f"<h1>{version}{'' if notes.released else ' <small>planned, not released</small>'}</h1>"]
    parts += [f"<p>{escape(notes.summary)}</p>"] if notes.summary else []
    for title, picks in grouped(notes.picks):
        items = "\n".join(f"<li>{_item(notes, pick)}</li>" for pick in picks)
        parts.append(f"<h2>{escape(title)}</h2>\n<ul>\n{items}\n</ul>")
    if not shipped(notes.picks):
        parts.append("<p>No fixes.</p>")
    if notes.images:
        rows = "\n".join(f"<li><code>{escape(name)}{escape('@' + digest if digest else '')}</code></li>"
                         for name, digest in notes.images)  # fmt: skip
        parts.append(f"<h2>Images</h2>\n<ul>\n{rows}\n</ul>")
    if notes.compare:
        parts.append(f'<p><a href="{escape(notes.compare)}">All changes since {escape(notes.previous)}</a></p>')
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">\n<title>{version}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _item(notes: Notes, pick: Pick) -> str:
    parsed = conventional(pick.subject)
    scope = f"<strong>{escape(parsed.scope)}:</strong> " if parsed.scope else ""
    breaks = f": {escape(pick.breaking)}" if pick.breaking not in ("", parsed.text) else ""
    reason = f" — {escape(pick.reason)}" if pick.reason else ""
    code = f"<code>{pick.source[:12]}</code>"
    link = f'<a href="{escape(commit_page(notes.page, pick.source))}">{code}</a>' if notes.page else code
    told = ", adapted" if pick.state == "adapted" else ""
    told += f"; approved by {escape(', '.join(pick.approved_by))}" if pick.approved_by else ""
    return f'{scope}{escape(parsed.text)}{breaks}{reason} <span class="said">({link}{told})</span>'


# What `--format` takes; json is the document that every command has.  A new format is a function and a word here.
RENDERERS: Final[Mapping[str, Callable[[Notes], str]]] = {"md": _markdown, "html": _html}
FORMATS: Final = (*RENDERERS, "json")


def render(notes: Notes, form: str) -> str:
    """The text of `form`, one of `FORMATS`; for json, which is written as a document, that of Markdown."""
    return RENDERERS.get(form, _markdown)(notes)

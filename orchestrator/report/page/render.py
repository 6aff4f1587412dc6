"""From what is told of a release to HTML.  Every text is escaped by the templates' engine."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import jinja2

from orchestrator.core.remote_url import commit_page, compare_page
from orchestrator.report.audit import line_problems
from orchestrator.report.page.facts import MOST, bars, by_state, edges, image_rows, pick_rows
from orchestrator.report.record import size
from orchestrator.report.sbom import counted, patched

if TYPE_CHECKING:
    from orchestrator.report.page.told import Line, Told

_GENERATOR: Final = '<meta name="generator" content="release report">'


def is_ours(text: str) -> bool:
    """Whether a file is a page that was written here."""
    return _GENERATOR in text


def release_page(told: Told) -> str:
    """The page of one version."""
    record = told.record
    problems = line_problems(told.audit)
    picks = pick_rows(told)
    return _written(
        "release.html",
        record=record, yank=told.yank, told=told, problems=problems, picks=picks, edges=edges(record),
        states=by_state(picks), many=len(picks) > MOST, most=MOST,
        images=image_rows(told), bars=bars(record.seconds),
        compare=compare_page(told.page, str(record.previous), str(record.version))
        if told.page and record.previous else "",
    )  # fmt: skip


def line_page(line: Line) -> str:
    """The page of a release branch: a row a version, newest first."""
    return _written("line.html", line=line)


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: (files(__package__) / name).read_text("utf-8")),
    )  # fmt: skip
    made.filters["size"] = size
    made.filters["short"] = lambda text: str(text).removeprefix("sha256:")[:12]
    made.globals |= {"counted": counted, "patched": patched}
    made.globals["commit_page"] = lambda page, sha: commit_page(page, sha) if page else ""
    return made


def _written(template: str, **facts: Any) -> str:
    return _templates().get_template(template).render(generator=_GENERATOR, **facts)

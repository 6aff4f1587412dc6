"""The only writer.  stdout is the result, stderr is the talk; `--json` puts one document on stdout.

On a terminal progress is live (rich); elsewhere a line a task; in GitHub Actions groups and annotations too.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from orchestrator.core.errors import ConfigError, ProblemsError
from orchestrator.report import text as report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.errors import ReleaseError
    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.core.results import Problem, Progress
    from orchestrator.report.live import Live
    from orchestrator.session.journal import JournalRecord

_PLACE = re.compile(r"(?P<file>.+?)(?::(?P<line>\d+))?(?::(?P<column>\d+))?", re.DOTALL)
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|##(vso)?\[", re.MULTILINE)


class Console:
    """Where a command's words go.  `quiet` keeps results and errors only; `verbose` shows other people's logs."""

    def __init__(
        self, *, as_json: bool, quiet: bool, verbose: bool, color: bool, env: Mapping[str, str], interactive: bool
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.color = color and interactive
        self.env = env
        self.interactive = interactive  # whether somebody can be asked
        self.on_github = env.get("GITHUB_ACTIONS") == "true"
        self._obeyed = self.on_github or "TF_BUILD" in env  # a runner that looks for commands in what is written
        self._answered = False
        self._live: Live | None = None
        self._titles: dict[str, str] = {}
        self._at_work: list[str] = []  # titles of tasks
        self._lock = RLock()  # tasks of one group speak from threads of their own

    # -------------------------------------------------------------- results

    def lines(self, lines: Sequence[str]) -> None:
        """The result, as text; nothing where a document is asked for."""
        self._stop_live()
        if not self.as_json:
            sys.stdout.write("".join(f"{self._shown(line)}\n" for line in lines))
            sys.stdout.flush()

    def document(self, data: Mapping[str, Any]) -> None:
        """The result, as the one JSON document of `--json`."""
        self._stop_live()
        if self.as_json and not self._answered:
            self._answered = True  # one document, whatever goes wrong after it
            self.written(data)

    def written(self, data: Mapping[str, Any]) -> None:
        """A JSON document on stdout.  ASCII: names in any encoding, any locale."""
        text = json.dumps(data, indent=2)
        sys.stdout.write((text.replace("##[", "##\\u005b") if self._obeyed else text) + "\n")
        sys.stdout.flush()

    # -------------------------------------------------------------- talk

    def note(self, text: str) -> None:
        if not self.quiet:
            with self._lock:
                self._talk(text)

    def show_plan(self, plan: Plan) -> None:
        from orchestrator.report.plan import plan_lines

        for line in plan_lines(plan):
            self._talk(line)

    def confirm(self, question: str) -> bool | None:
        """The answer to a yes/no question, None when nobody can be asked.  The default is no."""
        if not self.interactive:
            return None
        return (self.ask(f"{question} [y/N] ") or "").lower() in ("y", "yes")

    def ask(self, question: str) -> str | None:
        """The line that was typed, None at the end of input or when nobody can be asked."""
        if not self.interactive:
            return None
        self._stop_live()
        sys.stderr.write(printable(question))
        sys.stderr.flush()
        line = sys.stdin.buffer.readline().decode("utf-8", "replace")
        if not line:
            self._talk("")
            return None
        return "".join(char for char in line if char.isprintable()).strip()  # an arrow key is no answer

    def show_pick(self, pick: Pick, *, which: str, stat: Sequence[str], subjects: Mapping[str, str]) -> None:
        from orchestrator.report.plan import forecast_lines

        for line in forecast_lines(pick, which, stat, subjects):
            self._talk(line)

    def show_text(self, lines: Sequence[str]) -> None:
        """Something long: through the pager where it is longer than a terminal that is there to show it."""
        text = "".join(f"{self._shown(line)}\n" for line in lines)
        if sys.stdout.isatty() and len(lines) >= shutil.get_terminal_size().lines:
            import pydoc

            before = signal.signal(signal.SIGINT, lambda *_: None)  # ctrl-C is the pager's
            try:
                pydoc.pager(text)
            finally:
                signal.signal(signal.SIGINT, before)
        else:
            sys.stderr.write(text)
            sys.stderr.flush()

    def record(self, record: JournalRecord) -> None:
        """A journal record, as it is written."""
        if self.quiet:
            return
        title = self._titles.setdefault(record.task, str(record.body.get("title", record.task)))
        with self._lock:
            if record.kind == "started":
                self._begin(title)
            elif record.kind == "finished":
                self._end(title, f"{record.body.get('seconds', 0.0):.1f} s")
            elif record.kind == "failed":
                self._end(title, "stopped" if record.body.get("code") == "stopped" else "failed")

    def _begin(self, title: str) -> None:
        self._at_work.append(title)
        if not self.on_github:
            self._show_live()
        elif len(self._at_work) == 1:  # a runner's groups do not nest
            self._command(f"::group::{_data(title)}")

    def _end(self, title: str, how: str) -> None:
        self._stop_live()
        self._talk(f"{title}: {how}")
        if title in self._at_work:
            self._at_work.remove(title)
        if self.on_github and not self._at_work:
            self._command("::endgroup::")
        elif not self.on_github and self._at_work:
            self._show_live()

    def _show_live(self) -> None:
        """All that is at work, in one display."""
        if self.color:
            from orchestrator.report.live import Live

            self._stop_live()
            self._live = Live(printable(", ".join(self._at_work)))

    def progress(self, progress: Progress) -> None:
        """Progress of what is at work: live on a terminal, log lines with --verbose, else only plain sentences."""
        if not self.quiet:
            with self._lock:
                self._progress(progress)

    def _progress(self, progress: Progress) -> None:
        if self._live is not None:
            text, item = printable(progress.text), printable(progress.item)
            self._live.show(replace(progress, text=text, item=item))  # a build log must not drive the terminal
        elif progress.is_log:
            if self.verbose or self.on_github:
                self._talk(f"    {progress.text}")
        elif not progress.item and progress.total is None:
            self._talk(f"  {progress.text}")

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _talk(self, text: str) -> None:
        sys.stderr.write(f"{self._shown(text)}\n")
        sys.stderr.flush()

    def _command(self, text: str) -> None:
        """What a runner is to obey."""
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()

    def _shown(self, text: str) -> str:
        return inert(printable(text)) if self._obeyed else printable(text)

    # -------------------------------------------------------------- errors

    def error(self, error: ReleaseError) -> None:
        """What happened, in what state things are, what to do.  With --json the document says it too."""
        self._stop_live()
        problems = error.problems if isinstance(error, (ConfigError, ProblemsError)) else ()
        for line in report.problem_lines(problems) if problems else _error_lines(error):
            self._talk(line)
        if self.on_github:
            self._annotate(error, problems)
        self.detail(error.detail)
        if error.state:
            self._talk(f"  state: {error.state}")
        self.document(error_document(error, problems))

    def detail(self, text: str) -> None:
        """The end of somebody's output, below the error that it explains."""
        if text and not self.quiet:
            self._talk("\n".join(f"    {line}" for line in text.splitlines()[-40:]))

    def problems(self, problems: Sequence[Problem]) -> None:
        """Problems of a plan that is shown all the same."""
        for line in report.problem_lines(problems):
            self._talk(line)
        if self.on_github:
            for problem in problems:
                self._command(annotation(problem.message, problem.where, problem.code))

    def annotations(self, problems: Sequence[Problem]) -> None:
        """Findings of a result that is shown already, for the CI that shows them beside the code."""
        if self.on_github:
            for problem in problems:
                self._command(annotation(problem.message, problem.where, problem.code))

    def _annotate(self, error: ReleaseError, problems: Sequence[Problem]) -> None:
        for problem in problems:
            self._command(annotation(problem.message, problem.where, problem.code))
        if not problems:
            self._command(annotation(error.message, error.where, error.code))

    # -------------------------------------------------------------- CI

    def outputs(
        self, values: Mapping[str, str], summary: str, *, outputs: Path | None = None, summary_file: Path | None = None
    ) -> None:
        """What a CI job hands on: `key=value` lines and a summary, in files given and in those of GitHub Actions."""
        lines = "".join(f"{key}={value}\n" for key, value in values.items())
        if outputs:
            outputs.write_text(lines, encoding="utf-8")
        if summary_file:
            summary_file.write_text(summary, encoding="utf-8")
        for name, text in (("GITHUB_OUTPUT", lines), ("GITHUB_STEP_SUMMARY", summary)):
            if path := self.env.get(name):
                with open(path, "a", encoding="utf-8") as out:  # noqa: PTH123  # a path from the environment
                    out.write(text)


def printable(text: str) -> str:
    """Text from commits, logs and registries without control characters: it must not drive the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else _escaped(char) for char in text)


def inert(text: str) -> str:
    """Foreign text that no runner takes for a command: `::word::` after blanks, `##[word]` and `##vso[...]` anywhere.

    https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
    """
    return _COMMAND.sub(lambda found: f"##{found[2] or ''}\\x5b" if found[1] is None else f"{found[1]}\\x3a", text)


def _escaped(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def _error_lines(error: ReleaseError) -> list[str]:
    where = f"{error.where}: " if error.where else ""
    return [f"error: {where}{error.message} [{error.code}]"] + ([f"  do: {error.remedy}"] if error.remedy else [])


def error_document(error: ReleaseError, problems: Sequence[Problem]) -> dict[str, Any]:
    """An error for machines."""
    from orchestrator.plan.document import public

    return {
        "schema_version": 1,
        "error": {
            "code": error.code,
            "message": error.message,
            "where": error.where,
            "remedy": error.remedy,
            "state": error.state,
            "exit_code": int(error.status),
        },
        "problems": [public(problem) for problem in problems],
    }


def annotation(message: str, where: str, code: str) -> str:
    """A GitHub Actions `::error` line; data is escaped as the runner wants it.

    Only a file of the work tree can be shown beside the code: any other place (release.yaml at a tag, a ref) is told.
    """
    place = _PLACE.fullmatch(where)
    properties = []
    if place and Path(place["file"]).is_file():
        properties = [f"file={_property(place['file'])}"]
        properties += [f"line={place['line']}"] if place["line"] else []
        properties += [f"col={place['column']}"] if place["column"] else []
    elif where:
        message = f"{where}: {message}"
    properties.append(f"title={_property(code)}")
    return f"::error {','.join(properties)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

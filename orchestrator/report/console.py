"""The only writer.  stdout is the result, stderr is the talk; `--json` puts one document on stdout.

On a terminal progress is live (rich), lines fit its width and have colours; elsewhere a line a task, and a sign of life
in between.  In GitHub Actions and GitLab CI a task is a group of the log.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
import time
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Any, TextIO

from orchestrator.core.errors import ConfigError, ProblemsError
from orchestrator.report import text as report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.core.errors import ReleaseError
    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.core.results import Problem, Progress
    from orchestrator.report.screen.activity import Activity
    from orchestrator.report.screen.groups import GithubGroups, GitlabGroups
    from orchestrator.report.screen.live import Live
    from orchestrator.report.screen.pulse import Pulse
    from orchestrator.session.journal import JournalRecord

_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|##(vso)?\[", re.MULTILINE)


class Console:
    """Where a command's words go.  `quiet` keeps results and errors only; `verbose` shows other people's logs."""

    def __init__(
        self,
        *,
        as_json: bool,
        quiet: bool,
        verbose: bool,
        color: bool,
        env: Mapping[str, str],
        interactive: bool,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.color = color
        self.env = env
        self.interactive = interactive  # whether somebody can be asked
        self.on_github = env.get("GITHUB_ACTIONS") == "true"
        self._groups = _groups(env, now)
        self._moves = color and interactive and not env.get("CI")  # what moves is for who sits before it
        self._clock = clock
        self._pulse: Pulse | None = None
        self._activity: Activity | None = None  # of what is at work
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
            self._write(sys.stdout, "".join(f"{self._fitted(line, sys.stdout)}\n" for line in lines))

    def verbatim(self, text: str) -> None:
        """A result that somebody else reads as it is: YAML, a diff, a page."""
        self._stop_live()
        if not self.as_json:
            self._write(sys.stdout, "".join(f"{self._shown(line)}\n" for line in text.splitlines()))

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
        try:
            sys.stderr.write(printable(question))
            sys.stderr.flush()
            line = sys.stdin.buffer.readline().decode("utf-8", "replace")
        except KeyboardInterrupt:
            self._talk("")  # what follows begins a line of its own
            raise
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
        if len(self._at_work) == 1:
            from orchestrator.report.screen.activity import Activity

            self._activity = Activity()
            if self._groups:
                self._raw(self._groups.opened(printable(title)))  # a runner's groups do not nest
            if not self._moves:
                self._start_pulse()
        if self._moves:
            self._show_live()

    def _end(self, title: str, how: str) -> None:
        self._pause_live()
        self._talk(f"{title}: {how}")
        if title in self._at_work:
            self._at_work.remove(title)
        if self._at_work:
            self._show_live()
            return
        self._stop_live()
        self._stop_pulse()
        if self._groups:
            self._raw(self._groups.closed())

    def _show_live(self) -> None:
        """All that is at work, in one display."""
        if not self._moves:
            return
        title = printable(", ".join(self._at_work))
        if self._live is None:
            from orchestrator.report.screen.live import Live

            self._live = Live(title)
        else:
            self._live.titled(title)
            self._live.start()

    def progress(self, progress: Progress) -> None:
        """Progress of what is at work: live on a terminal, log lines with --verbose, else only plain sentences."""
        if not self.quiet:
            with self._lock:
                self._progress(progress)

    def _progress(self, progress: Progress) -> None:
        sentence = not progress.is_log and not progress.item and progress.total is None
        if self._activity is not None:
            self._activity.take(progress)
        if sentence:
            self._talk(f"  {progress.text}")
        elif self._live is not None:
            text, item = printable(progress.text), printable(progress.item)
            self._live.show(replace(progress, text=text, item=item))  # a build log must not drive the terminal
        elif progress.is_log and (self.verbose or self._groups):
            self._talk(f"    {progress.text}")

    def _start_pulse(self) -> None:
        from orchestrator.report.screen.pulse import Pulse

        self._began = self._clock()
        self._pulse = Pulse(self.beat, self._clock)
        self._pulse.start()

    def beat(self) -> None:
        """What is still at work, and how far it is."""
        with self._lock:
            if self._at_work and self._activity is not None:
                seconds, told = self._clock() - self._began, self._activity.told()
                self._talk(f"  {', '.join(self._at_work)}: {seconds:.0f} s" + (f", {told}" if told else ""))

    def _stop_pulse(self) -> None:
        if self._pulse is not None:
            self._pulse.stop()
            self._pulse = None

    def _pause_live(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _stop_live(self) -> None:
        self._pause_live()
        self._live = None

    def _talk(self, text: str) -> None:
        self._raw(self._fitted(text, sys.stderr))

    def _raw(self, text: str) -> None:
        drawn = self._live is not None and self._live.is_drawn
        if drawn:
            self._pause_live()  # what is written stays above what is drawn
        self._write(sys.stderr, f"{text}\n")
        if drawn and self._live is not None:
            self._live.start()

    def _write(self, stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()
        if self._pulse is not None:
            self._pulse.heard()

    def _command(self, text: str) -> None:
        """What a runner is to obey."""
        self._raw(printable(text))

    def _shown(self, text: str) -> str:
        return inert(printable(text)) if self._obeyed else printable(text)

    def _fitted(self, text: str, stream: TextIO) -> str:
        """The text as a terminal shows it best; as it is for everybody else."""
        if not stream.isatty():
            return self._shown(text)
        from orchestrator.report.screen.style import painted, wrapped

        width = shutil.get_terminal_size().columns
        lines = [wrapped(line, width) for line in self._shown(text).split("\n")]
        return "\n".join(painted(line) if self.color else line for line in lines)

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
            self._raw("\n".join(self._shown(f"    {line}") for line in text.splitlines()[-40:]))

    def problems(self, problems: Sequence[Problem]) -> None:
        """Problems of a plan that is shown all the same."""
        for line in report.problem_lines(problems):
            self._talk(line)
        if self.on_github:
            for problem in problems:
                self._annotated(problem.message, problem.where, problem.code)

    def annotations(self, problems: Sequence[Problem]) -> None:
        """Findings of a result that is shown already, for the CI that shows them beside the code."""
        if self.on_github:
            for problem in problems:
                self._annotated(problem.message, problem.where, problem.code)

    def _annotated(self, message: str, where: str, code: str) -> None:
        from orchestrator.report.screen.groups import annotation

        self._command(annotation(message, where, code))

    def _annotate(self, error: ReleaseError, problems: Sequence[Problem]) -> None:
        for problem in problems:
            self._annotated(problem.message, problem.where, problem.code)
        if not problems:
            self._annotated(error.message, error.where, error.code)

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


def _groups(env: Mapping[str, str], now: Callable[[], float]) -> GithubGroups | GitlabGroups | None:
    """Those of the runner that this is, None for none that has them."""
    if "GITHUB_ACTIONS" not in env and "GITLAB_CI" not in env:
        return None
    from orchestrator.report.screen.groups import groups_of

    return groups_of(env, now)


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
    where = f"{error.where}: " if error.where and not error.message.startswith(error.where) else ""
    return [f"error: {where}{error.message} [{error.code}]", *report.remedy_lines(error.remedy)]


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

"""One by one: show each pick to the person at the terminal and take a yes, a no, or a stop.

Nothing is written before the last answer.  A yes is kept for this release, by source and for the branch's tip that it
was given on: what a person resolves or leaves out meanwhile changes the commits that follow, and asks nobody twice.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, NoReturn

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit, RefusedError
from orchestrator.git.objects import EMPTY_TREE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.core.pick import Pick, PickState
    from orchestrator.core.plan import Plan
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.session.session import Session
    from orchestrator.session.state import ReleaseState

BY_HAND = "left out by hand"
_ANSWERS = {"y": "y", "yes": "y", "n": "n", "no": "n", "d": "d", "diff": "d", "q": "q", "quit": "q"}
_ANSWERABLE = (Exit.DECISION, Exit.CONFLICT)  # problems of a pick, gone where it is left out


@dataclass(kw_only=True)
class Answers:
    """What was said: the plan that came of it, source -> state that was shown, source -> reason for leaving it out."""

    plan: Plan
    accepted: dict[str, PickState] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def keep(self, state: ReleaseState) -> None:
        """Remember them for this release."""
        for source, reason in self.left_out.items():
            state.skip(source, reason)
        if self.accepted:
            resolved = state.decisions().resolved
            stamps = {pick.source: _stamp(self.plan, pick, resolved) for pick in self.plan.picks}
            state.confirm({source: stamps[source] for source in self.accepted if source in stamps})


def ask(
    session: Session, state: ReleaseState, plan: Plan, *, each: bool, redraft: Callable[[Mapping[str, str]], Plan]
) -> Answers:
    """Ask for the picks that `confirm: true` demands, or for `each`; those confirmed before are not asked for again.

    `redraft` plans again without some sources; a pick that changes its state by that is asked for again.  Raises
    RefusedError where nobody can be asked, or the person stops.
    """
    answers = Answers(plan=plan)
    while open_ := _open(answers, state, each=each):
        if not session.terminal.interactive:
            _refuse(plan, open_, each=each)
        before = len(answers.left_out)
        for number, pick in enumerate(open_, 1):
            if _takes(session, answers.plan, pick, f"{number} of {len(open_)}"):
                answers.accepted[pick.source] = pick.state
            else:
                answers.left_out[pick.source] = _reason(session)
        if len(answers.left_out) > before:
            answers.plan = redraft(answers.left_out)
    return answers


def _open(answers: Answers, state: ReleaseState, *, each: bool) -> list[Pick]:
    """The picks to ask for; none while the plan has a problem that no answer can settle."""
    plan = answers.plan
    wanted = [pick for pick in plan.picks if each or (pick.confirm and (pick.result or pick.conflicts))]
    if not wanted or any(problem.exit_code not in _ANSWERABLE for problem in plan.problems):
        return []
    known, resolved = state.confirmed(), state.decisions().resolved
    return [
        pick
        for pick in wanted
        if answers.accepted.get(pick.source) != pick.state and not _holds(known, plan, pick, resolved)
    ]


def _stamp(plan: Plan, pick: Pick, resolved: Mapping[str, str]) -> str:
    """What a person confirmed: the tip of the branch, and the commit that stands in for the source, if any."""
    return f"{plan.base} {'' if _resolved(pick, resolved) else pick.applied}"


def _holds(known: Mapping[str, str], plan: Plan, pick: Pick, resolved: Mapping[str, str]) -> bool:
    """Whether an earlier yes is one to this pick; that a person has resolved its conflict since does not undo it."""
    said = known.get(pick.source, "")
    return said == _stamp(plan, pick, resolved) or (_resolved(pick, resolved) and said.startswith(f"{plan.base} "))


def _resolved(pick: Pick, resolved: Mapping[str, str]) -> bool:
    return bool(pick.applied) and resolved.get(pick.source) == pick.applied


def _refuse(plan: Plan, picks: Sequence[Pick], *, each: bool) -> NoReturn:
    named = ", ".join(f"{pick.source[:12]} {pick.subject!r}" for pick in picks)
    raise RefusedError(
        f"nobody can be asked, there is no terminal, and a person must say yes to: {named}",
        remedy=f"run `release cut -i {plan.version}` in a terminal, or "
        + ("leave --interactive out" if each else "remove `confirm: true`"),
        code="not-confirmed",
        state="nothing was changed",
    )


# ------------------------------------------------------------------ one pick


def _takes(session: Session, plan: Plan, pick: Pick, which: str) -> bool:
    """The answer for one pick.  Raises RefusedError when the person stops."""
    before, after = _change(session.scratch, pick)
    terminal = session.terminal
    subjects = {
        sha: session.scratch.commit(sha).subject for sha in pick.prerequisites if session.scratch.is_commit(sha)
    }
    terminal.show_pick(
        pick, which=which, stat=_diff(session.scratch, before, after, "--stat=100", "--summary"), subjects=subjects
    )
    while True:
        said = terminal.ask(f"Take it into {plan.version}? [y]es, [n]o, [d]iff, [q]uit: ")
        answer = "q" if said is None else _ANSWERS.get(said.lower(), "")
        if answer == "q":
            _stop()
        if answer == "d":
            patch = _diff(session.scratch, before, after, "--patch")
            terminal.show_text([*session.scratch.commit(pick.source).text.splitlines(), "", *patch])
        elif answer:
            return answer == "y"


def _reason(session: Session) -> str:
    said = session.terminal.ask(f"Why is it left out? (nothing: {BY_HAND}) ")
    if said is None:
        _stop()
    return said or BY_HAND


def _stop() -> NoReturn:
    raise RefusedError("stopped by hand", code="not-confirmed", state="nothing was changed")


def _change(scratch: Scratch, pick: Pick) -> tuple[str, str]:
    """The trees before and after: on the branch where the pick applies, else where it comes from."""
    if pick.result:
        return _trees(scratch, scratch.commit(pick.result), 0)
    return _trees(scratch, scratch.commit(pick.applied or pick.source), 0 if pick.applied else pick.mainline)


def _trees(scratch: Scratch, commit: Commit, mainline: int) -> tuple[str, str]:
    parent = commit.parents[max(mainline, 1) - 1] if commit.parents else ""
    return scratch.tree_of(parent) if parent else EMPTY_TREE, commit.tree


def _diff(scratch: Scratch, before: str, after: str, *form: str) -> list[str]:
    """`git diff` without any program that a user or repository may have set."""
    safe = ("--no-ext-diff", "--no-textconv", "--no-color")
    return scratch.git.run("diff-tree", "-r", "--find-renames", *safe, *form, before, after).lines()

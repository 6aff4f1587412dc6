"""The pull or merge request of a proposed release: opened, described, asked for, closed, on the forge of the remote.

Where the forge cannot be asked (no token, no client library, no known forge), git alone tells whether it was merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from orchestrator.core.declaration import LandSpec
from orchestrator.core.errors import MismatchError, RefusedError, ReleaseError, UsageError
from orchestrator.core.pick import PickState
from orchestrator.core.remote_url import page_of, read_remote
from orchestrator.core.results import Place
from orchestrator.core.text import code
from orchestrator.landing.candidate import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.forges import Forge, MergeRequest
    from orchestrator.session.session import Session

_STATES = {
    PickState.CLEAN: "applies as it is",
    PickState.ADAPTED: "**adapted by hand**",
    PickState.DUPLICATE: "is there already",
    PickState.EMPTY: "changes nothing",
    PickState.CONFLICT: "conflicts",
}


def connect(session: Session, remote: str, spec: LandSpec | None = None) -> tuple[Forge | None, str]:
    """The forge of a remote; None, and the reason, where it cannot be asked.  `spec`: else that of release.yaml."""
    spec, url = spec or _spec(session), session.repository.remote_url(remote)
    provider = spec.provider or provider_of(url)
    if not provider:
        return None, "the remote's URL names no forge that is known; `land:` in release.yaml can (`provider:`)"
    from orchestrator.forges.address import address
    from orchestrator.forges.table import forge_module

    try:
        where = address(provider, remote_url=url, repository=spec.repository, url=spec.api, env=session.env)
        return forge_module(provider).open_repository(where), ""
    except UsageError as error:
        return None, f"{error.message}: {error.remedy}"


def _spec(session: Session) -> LandSpec:
    try:
        found = session.config().land
    except ReleaseError:  # what was planned is obeyed, whatever became of the file
        found = None
    return found or LandSpec(place=Place(file="release.yaml"))


def provider_of(url: str) -> str:
    """The forge that a remote is on, by the name of its host; "" where that does not tell."""
    found = read_remote(url)
    host = found.host if found else ""
    return next((name for name in ("github", "gitlab") if name in host.split(".")), "")


def by_hand(url: str, plan: Plan) -> str:
    """Where, or with what, a person opens the request."""
    page = page_of(url)
    source, target = quote(plan.request, safe="/"), quote(plan.branch, safe="/")
    if page and "gitlab" in urlsplit(page).netloc:
        query = "merge_request%5Bsource_branch%5D={}&merge_request%5Btarget_branch%5D={}"
        return f"{page}/-/merge_requests/new?{query.format(source, target)}"
    if page:
        return f"{page}/compare/{target}...{source}?expand=1"
    return f"git request-pull {plan.branch} {plan.remote} {plan.request}"


def ensure(forge: Forge, plan: Plan) -> MergeRequest:
    """The open request of this plan, with the plan as its text: the one that is there, or a new one."""
    title, body = title_of(plan), body_of(plan)
    open_ = [each for each in forge.requests(plan.request) if each.state == "open" and each.target == plan.branch]
    if open_:
        forge.describe_request(open_[0].number, title=title, body=body)
        return open_[0]
    return forge.open_request(source=plan.request, target=plan.branch, title=title, body=body)


def refuse_gone(requests: Sequence[MergeRequest], plan: Plan) -> None:
    """Raises where the request cannot bring what was proposed any more: closed, merged elsewhere, or changed."""
    mine = [each for each in requests if each.target == plan.branch]
    elsewhere = next((each for each in requests if each.state == "merged" and each.target != plan.branch), None)
    again = f"release abort {plan.version} && release cut {plan.version}"
    current = next((each for each in mine if each.state == "open"), mine[0] if mine else None)
    if elsewhere and not (current and current.state == "open"):
        raise MismatchError(
            f"request {elsewhere.number} of {plan.version} was merged into {elsewhere.target}, not into {plan.branch}",
            where=elsewhere.url,
            remedy=f"revert it there, then: {again}",
            code="request-elsewhere",
            state=PRIVATE,
        )
    if current and current.state == "closed":
        raise RefusedError(
            f"request {current.number} of {plan.version} was closed without a merge",
            where=current.url,
            remedy=f"open it again, or give the release up: release abort {plan.version}",
            code="request-closed",
            state=PRIVATE,
        )
    if current and current.state == "open" and current.head != plan.head:
        raise changed(plan, current.head, f"request {current.number}", current.url)


def changed(plan: Plan, there: str, what: str, where: str = "") -> MismatchError:
    """The error for a proposed branch that somebody else pushed to."""
    return MismatchError(
        f"{what} of {plan.version} holds {there[:12]} now, and {plan.head[:12]} was proposed: somebody pushed to it",
        where=where or plan.request,
        remedy=f"see it: git fetch {plan.remote} {plan.request} && git log {plan.head[:12]}..FETCH_HEAD; then"
        f" release abort {plan.version}, and declare what is to be released",
        code="request-changed",
        state=PRIVATE,
    )


def close(session: Session, plan: Plan) -> list[str]:
    """Close every open request of a plan; a line for each, and for what must be done by hand."""
    forge, why = connect(session, plan.remote)
    if forge is None:
        return [f"a request for {plan.request}, where one was opened, must be closed by hand ({why})"]
    try:
        found = [each for each in forge.requests(plan.request) if each.state == "open"]
        for each in found:
            forge.close_request(each.number)
    except ReleaseError as error:
        return [f"the request for {plan.request} must be closed by hand: {error.message}"]
    return [f"request {each.number} is closed: {each.url}" for each in found]


# ------------------------------------------------------------------ what people read


def title_of(plan: Plan) -> str:
    """One line, of our own words and the release's summary."""
    return f"release {plan.version}" + (f": {plan.summary}" if plan.summary else "")


def body_of(plan: Plan) -> str:
    """The plan for those who approve it: picks, findings, image, and what will be proved of the merge."""
    onto, after = f"{code(plan.branch)} at `{plan.base[:12]}`", code(plan.previous or "nothing")
    left = [
        f"| `{each.source[:12]}` | left out: {_cell(each.reason)} | | {_cell(each.subject)} |" for each in plan.skipped
    ]
    lines = [
        f"Release {code(plan.version)} onto {onto}, after {after}.",
        "",
        "| source | what becomes of it | commit | subject |",
        "|---|---|---|---|",
        *(_row(pick) for pick in plan.picks),
        *left,
        "",
        *(line for pick in plan.picks for line in _findings(pick)),
        *(f"- note: {code(note)}" for note in plan.notes),
        f"- release commit `{plan.head}`, tree `{plan.tree}`",
        *(f"- image {code(str(image.reference))}, built from that tree after the merge" for image in plan.images),
        f"- plan `{plan.plan_id[:16]}`",
        "",
        "Merge it in any way that the forge offers, and change nothing: every tree that lands is compared with",
        f"the plan before anything is tagged. Then `release cut {plan.version}` goes on, or the pipeline does.",
    ]
    return "\n".join(lines) + "\n"


def _row(pick: Pick) -> str:
    result = f"`{pick.result[:12]}`" if pick.result else ""
    return f"| `{pick.source[:12]}` | {_STATES[pick.state]} | {result} | {_cell(pick.subject)} |"


def _cell(text: str) -> str:
    """Foreign text in a table: nothing in it may end the cell."""
    return code(text.replace("|", "/"))


def _findings(pick: Pick) -> list[str]:
    lines = [f"- `{pick.source[:12]}` why: {code(pick.reason)}"] if pick.reason else []
    lines += [f"- `{pick.source[:12]}` approved by {code(', '.join(pick.approved_by))}"] if pick.approved_by else []
    lines += [f"- `{pick.source[:12]}` {code(each)}" for each in pick.besides]
    if pick.prerequisites:
        lines.append(f"- `{pick.source[:12]}` needs {', '.join(f'`{sha[:12]}`' for sha in pick.prerequisites)}")
    return lines + [
        f"- `{pick.source[:12]}` {each.kind}: `{each.sha[:12]}` {code(each.subject)}" for each in pick.followups
    ]

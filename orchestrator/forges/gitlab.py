"""The door to GitLab: python-gitlab.

REST: https://docs.gitlab.com/api/protected_branches/, /protected_tags/, /projects/,
/merge_request_approval_settings/.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from orchestrator.core.errors import RefusedError
from orchestrator.forges import Comment, Current, ForgeRelease, KeptSetting, MergeRequest, RequestFacts, Setting
from orchestrator.forges.failures import (
    ForgeDeniedError,
    ForgeMissingError,
    bad_answer,
    missing_library,
    refusal,
    unreachable,
)
from orchestrator.forges.gitlab_rules import APPROVALS, APPROVING
from orchestrator.forges.gitlab_rules import actor as actor
from orchestrator.forges.gitlab_rules import settings as settings
from orchestrator.forges.gitlab_rules import words as words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import gitlab
    from gitlab.v4.objects import Project

    from orchestrator.forges import Address, ReleaseText


_TIMEOUT: Final = 30.0  # seconds
_READING: Final[dict[str, Any]] = {"retry_transient_errors": True, "obey_rate_limit": False, "max_retries": 3}
_WRITING: Final[dict[str, Any]] = {
    "retry_transient_errors": False,
    "obey_rate_limit": False,
}  # a lost answer may have been obeyed


class GitLab:
    """A project's protected branches and tags, its merge settings, its approval rules and their settings."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client = _client(address)
        self._opened: Project | None = None

    def read(self, wanted: Sequence[Setting]) -> Current:
        self._opened = None  # read anew: a second reading is the proof of what was written
        there = [
            *self._settings("protected branch", "list protected branches", "protectedbranches"),
            *self._settings("protected tag", "list protected tags", "protectedtags"),
            *(self._approval_rules() if any(setting.kind == APPROVALS for setting in wanted) else ()),
        ]
        keys = {setting.key for setting in wanted}
        found = {setting.key: setting for setting in there if setting.key in keys}
        for setting in wanted:
            if setting.kind == "project":
                found[setting.key] = Setting(kind="project", name=setting.name, value=self._project.asdict())
            elif setting.kind == APPROVING:
                found[setting.key] = self._approving(setting)
        return Current(
            found=found, others=tuple(f"{each.kind} {each.name!r}" for each in there if each.key not in keys)
        )

    def write(self, setting: Setting, before: Setting | None) -> None:
        with self._said(f"write {setting.kind} {setting.name!r}"):
            if setting.kind == "project":
                self._client.projects.update(self._project.get_id(), dict(setting.value), **_WRITING)
            elif setting.kind == APPROVALS:
                self._write_approvals(setting, before)
            elif setting.kind == APPROVING:
                self._project.approvals.update(new_data=dict(setting.value), **_WRITING)
            else:
                self._protect(setting, before)

    def _protect(self, setting: Setting, before: Setting | None) -> None:
        """GitLab cannot change who may push (or create) in place below Premium: take away, put anew.

        Where the new one is refused, the old one comes back, and the refusal is raised.
        """
        manager = self._project.protectedbranches if setting.kind == "protected branch" else self._project.protectedtags
        if before is not None:
            manager.delete(setting.name, **_WRITING)
        try:
            manager.create(dict(setting.value), **_WRITING)
        except Exception:
            if before is not None:
                manager.create(_as_it_was(before), **_WRITING)
            raise

    def _write_approvals(self, setting: Setting, before: Setting | None) -> None:
        if before is None:
            self._project.approvalrules.create(dict(setting.value), **_WRITING)
        else:
            self._project.approvalrules.update(before.value["id"], dict(setting.value), **_WRITING)

    # -------------------------------------------------------------- merge requests

    def requests(self, source: str) -> list[MergeRequest]:
        with self._said("list merge requests"):
            wanted = {"source_branch": source, "state": "all", "order_by": "created_at", "sort": "desc"}
            found = self._project.mergerequests.list(iterator=True, **wanted, **_READING)
            return [_request(each.asdict()) for each in found]

    def request(self, number: int) -> RequestFacts | None:
        try:
            with self._said(f"read merge request {number}"):
                return _facts(self._project.mergerequests.get(number, **_READING).asdict())
        except ForgeDeniedError:
            return self._issue(number)

    def _issue(self, number: int) -> RequestFacts | None:
        """What an issue of that number is to us; None where there is none either."""
        try:
            with self._said(f"read issue {number}"):
                url = str(self._project.issues.get(number, **_READING).asdict().get("web_url", ""))
        except ForgeDeniedError:
            return None
        return RequestFacts(number=number, url=url, state="open", target="", head="", is_issue=True)

    def open_request(self, *, source: str, target: str, title: str, body: str) -> MergeRequest:
        with self._said("open a merge request"):
            values = {"source_branch": source, "target_branch": target, "title": title, "description": body}
            return _request(self._project.mergerequests.create(values, **_WRITING).asdict())

    def describe_request(self, number: int, *, title: str, body: str) -> None:
        with self._said(f"describe merge request {number}"):
            self._project.mergerequests.update(number, {"title": title, "description": body}, **_WRITING)

    def close_request(self, number: int) -> None:
        with self._said(f"close merge request {number}"):
            self._project.mergerequests.update(number, {"state_event": "close"}, **_WRITING)

    # -------------------------------------------------------------- comments

    def comments(self, number: int) -> list[Comment]:
        with self._said(f"read the comments on {number}"):
            me = dict(self._client.http_get("/user", **_READING)).get("id")  # type: ignore[arg-type]  # or bytes
            request = self._unread.mergerequests.get(number, lazy=True)
            wanted = {"order_by": "created_at", "sort": "asc"}
            shown = [each.asdict() for each in request.notes.list(iterator=True, **wanted, **_READING)]
            return [
                Comment(key=int(each["id"]), url=self._page(number, each["id"]), body=str(each["body"]),
                        is_mine=each["author"]["id"] == me)
                for each in shown if not each.get("system")
            ]  # fmt: skip

    def comment(self, number: int, body: str, there: Comment | None) -> str:
        with self._said(f"comment on {number}"):
            notes = self._unread.mergerequests.get(number, lazy=True).notes
            if there:
                notes.update(there.key, {"body": body}, **_WRITING)
                return there.url
            return self._page(number, notes.create({"body": body}, **_WRITING).get_id())

    def _page(self, number: int, note: object) -> str:
        return f"{self._address.api}/{self._address.repository}/-/merge_requests/{number}#note_{note}"

    def merged_with(self, sha: str) -> list[MergeRequest]:
        with self._said(f"read the merge requests of {sha[:12]}"):
            found = self._unread.commits.get(sha, lazy=True).merge_requests(**_READING)
            shown = [_request(dict(each)) for each in found]
        return [each for each in shown if each.state == "merged"]

    # -------------------------------------------------------------- what pipelines need

    def barrier(self, branch: str) -> str:
        """As GitLab itself says of each branch: whether who asks may push to it."""
        try:
            with self._said(f"read branch {branch!r}"):
                found = self._project.branches.get(branch, **_READING)
        except ForgeMissingError:
            return ""
        return "" if found.asdict().get("can_push", True) else "the project lets this login only merge into it"

    def kept(self, kind: str, name: str, environment: str) -> KeptSetting:  # noqa: ARG002  # one list for all of them
        project = self._project
        if kind == "environment":
            with self._said(f"read environment {name!r}"):
                return KeptSetting(is_there=bool(project.environments.list(name=name, get_all=True, **_READING)))
        try:
            with self._said(f"read variable {name}"):
                found = project.variables.get(name, **_READING).asdict()
        except ForgeMissingError:
            return KeptSetting(is_there=False)
        wanted = ("protected", "masked") if kind == "secret" else ()
        lacking = [f"not {word}" for word in wanted if not found.get(word)]
        return KeptSetting(is_there=True, remark=" and ".join(lacking))

    # -------------------------------------------------------------- releases

    def release(self, tag: str) -> ForgeRelease | None:
        try:
            with self._said("read a release"):
                return _release(self._unread.releases.get(tag, **_READING).asdict())
        except ForgeMissingError:
            return None

    def describe_release(self, text: ReleaseText, there: ForgeRelease | None) -> ForgeRelease:
        values, project = {"name": text.tag, "description": text.body}, self._unread
        with self._said("describe a release" if there else "make a release"):
            if there is None:
                return _release(project.releases.create({"tag_name": text.tag, **values}, **_WRITING).asdict())
            project.releases.update(text.tag, values, **_WRITING)
        return there

    def attach(self, release: ForgeRelease, name: str, content: bytes, media_type: str) -> None:  # noqa: ARG002
        """In the project's package registry, under the version; the release links to it."""
        project, version = self._unread, re.sub(r"[^A-Za-z0-9.+_-]", "-", release.tag)
        with self._said(f"attach {name} to the release"):
            project.generic_packages.upload("release", version, name, data=content, **_WRITING)
            if name in release.assets:
                return
            here = f"/projects/{quote(self._address.repository, safe='')}"
            url = f"{self._address.api}/api/v4{here}/packages/generic/release/{version}/{name}"
            self._client.http_post(
                f"{here}/releases/{quote(release.tag, safe='')}/assets/links",
                post_data={"name": name, "url": url, "link_type": "other"}, **_WRITING,
            )  # fmt: skip

    @property
    def _unread(self) -> Project:
        """The project without asking for it: CI_JOB_TOKEN may write its releases, and not read the project itself."""
        return self._client.projects.get(self._address.repository, lazy=True)

    # -------------------------------------------------------------- settings

    @property
    def _project(self) -> Project:
        if self._opened is None:
            with self._said("read the project"):
                self._opened = self._client.projects.get(self._address.repository, **_READING)
        return self._opened

    def _approving(self, setting: Setting) -> Setting:
        project = self._project
        with self._said("read the approval settings"):
            return Setting(kind=setting.kind, name=setting.name, value=project.approvals.get(**_READING).asdict())

    def _settings(self, kind: str, what: str, manager: str) -> list[Setting]:
        project = self._project
        with self._said(what):
            shown = [each.asdict() for each in getattr(project, manager).list(get_all=True, **_READING)]
            return [Setting(kind=kind, name=each["name"], value=each) for each in shown]

    def _approval_rules(self) -> list[Setting]:
        try:
            return self._settings(APPROVALS, "list approval rules", "approvalrules")
        except ForgeDeniedError:
            raise RefusedError(
                "this GitLab does not let the project require approvals (it shows no approval rules)",
                remedy="they come with GitLab Premium; --approvals 0 protects everything else without them",
                code="forge-no-approvals",
                state="nothing was changed",
            ) from None

    @contextmanager
    def _said(self, what: str) -> Iterator[None]:
        """The library's errors, as ours."""
        import gitlab
        import requests

        try:
            yield
        except gitlab.exceptions.GitlabParsingError as error:
            raise bad_answer(self._address, what, error.response_body or "no JSON") from None
        except gitlab.exceptions.RedirectError:
            raise refusal(self._address, what, 301, "", {}) from None
        except gitlab.exceptions.GitlabError as error:
            if error.response_code is None:
                raise bad_answer(self._address, what, error.error_message) from None
            raise refusal(self._address, what, error.response_code, error.error_message, {}) from None
        except requests.RequestException as error:
            raise unreachable(self._address, what, error) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # an HTML page, where JSON was asked for
            raise bad_answer(self._address, what, f"{type(error).__name__}") from None


def _release(data: Mapping[str, Any]) -> ForgeRelease:
    assets, links = data.get("assets") or {}, data.get("_links") or {}
    return ForgeRelease(
        tag=str(data["tag_name"]), key=str(data["tag_name"]), url=str(links.get("self", "")),
        assets={str(each["name"]): -1 for each in assets.get("links", ())},
    )  # fmt: skip


def _request(data: Mapping[str, Any]) -> MergeRequest:
    states = {"merged": "merged", "closed": "closed"}
    return MergeRequest(
        number=int(data["iid"]), url=str(data["web_url"]), state=states.get(str(data["state"]), "open"),
        target=str(data["target_branch"]), head=str(data["sha"] or ""),
    )  # fmt: skip


def _facts(data: Mapping[str, Any]) -> RequestFacts:
    """GitLab keeps no head of an approval; a fast-forward has no commit of its own."""
    made = _request(data)
    landed = data.get("merge_commit_sha") or data.get("squash_commit_sha") or data.get("sha") or ""
    return RequestFacts(
        number=made.number, url=made.url, state=made.state, target=made.target, head=made.head,
        landed=str(landed) if made.state == "merged" else "", has_fork=bool(data.get("source_project_id")),
    )  # fmt: skip


def _as_it_was(before: Setting) -> dict[str, Any]:
    """A protected branch or tag that the API showed, as the API takes it."""
    lists = {"push_access_levels": "push", "merge_access_levels": "merge", "create_access_levels": "create"}
    body: dict[str, Any] = {"name": before.name}
    for shown, word in lists.items():
        levels = before.value.get(shown)
        if levels is None:
            continue
        special = [
            {key: each[key]}
            for each in levels
            for key in ("user_id", "group_id", "deploy_key_id")
            if each.get(key) is not None
        ]
        plain = [each["access_level"] for each in levels if not any(each.get(key) for key in _ACTORS)]
        if special:
            body[f"allowed_to_{word}"] = special + [{"access_level": level} for level in plain]
        elif plain:
            body[f"{word}_access_level"] = plain[0]
    kept = ("allow_force_push", "code_owner_approval_required")
    return body | {key: before.value[key] for key in kept if key in before.value}


_ACTORS: Final = ("user_id", "group_id", "deploy_key_id")


def _client(address: Address) -> gitlab.Gitlab:
    try:
        import gitlab
    except ImportError as error:
        raise missing_library("gitlab", error) from None
    return gitlab.Gitlab(
        address.api,
        timeout=_TIMEOUT,
        user_agent="release-orchestrator",
        private_token=None if address.is_job_token else address.token,
        job_token=address.token if address.is_job_token else None,
    )


TOKENS: Final = ("GITLAB_TOKEN", "CI_JOB_TOKEN")
DEFAULT_ACTOR: Final = "role:maintainer"
HAS_SUBGROUPS: Final = True


def api_of(host: str) -> str:
    return f"https://{host or 'gitlab.com'}"


def open_repository(address: Address) -> GitLab:
    return GitLab(address)

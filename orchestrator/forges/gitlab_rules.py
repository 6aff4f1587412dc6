"""What GitLab should keep as protected branches, tags and settings, and in which words it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.errors import UsageError
from orchestrator.forges import Setting
from orchestrator.forges.protection import Actor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.forges.protection import ProtectionRules

APPROVALS: Final = "approval rule"
APPROVING: Final = "approval settings"
_ROLES: Final = {"developer": 30, "maintainer": 40}


_NUMBERED: Final = {"user": "user_id", "group": "group_id", "deploy-key": "deploy_key_id"}


_NOBODY, _MAINTAINERS = 0, 40


_LEVELS: Final = {0: "nobody", 30: "developers", 40: "maintainers", 60: "administrators"}


_LISTS: Final = {
    "push": ("push_access_levels", "push_access_level", "allowed_to_push"),
    "merge": ("merge_access_levels", "merge_access_level", "allowed_to_merge"),
    "create": ("create_access_levels", "create_access_level", "allowed_to_create"),
}


# Without these whoever opens a merge request may lower the number that it needs, or approve a push of their own.
_APPROVAL_SETTINGS: Final = {
    "disable_overriding_approvers_per_merge_request": True,
    "merge_requests_author_approval": False,
    "merge_requests_disable_committers_approval": True,
    "reset_approvals_on_push": True,
}


def actor(text: str) -> Actor:
    """`role:maintainer`, `role:developer`, `user:ID`, `group:ID`, `deploy-key:ID`.  Raises UsageError."""
    kind, _, value = text.partition(":")
    if kind == "role" and value in _ROLES:
        return Actor(kind="access_level", id=_ROLES[value])
    if kind in _NUMBERED and value.isascii() and value.isdigit() and len(value) < 16:
        return Actor(kind=_NUMBERED[kind], id=int(value))
    raise UsageError(
        f"--actor {text!r} is nobody on GitLab",
        remedy="role:maintainer, role:developer, deploy-key:ID, or with GitLab Premium user:ID, group:ID",
        code="bad-actor",
    )


def settings(guard: ProtectionRules, _api: str = "") -> list[Setting]:
    """One setting a thing: the merge settings first, because they bind nobody who has no merge request yet."""
    merging: dict[str, Any] = {"only_allow_merge_if_all_discussions_are_resolved": True}
    if guard.checks:
        merging |= {"only_allow_merge_if_pipeline_succeeds": True, "allow_merge_on_skipped_pipeline": False}
    found = [Setting(kind="project", name="merge settings", value=merging)]
    if guard.approvals:
        rule = {"name": "release", "approvals_required": guard.approvals}
        found.append(Setting(kind="approval rule", name="release", value=rule))
        found.append(Setting(kind="approval settings", name="approvals", value=_APPROVAL_SETTINGS))
    source: dict[str, Any] = {"push_access_level": _NOBODY, "merge_access_level": _MAINTAINERS}
    if guard.approvals:
        source["code_owner_approval_required"] = True
    release = {**_allowed("push", guard), "merge_access_level": _NOBODY}
    return [
        *found,
        _branch(guard.source, source),
        _branch(guard.release_branches, release),
        Setting(kind="protected tag", name=guard.tags, value={"name": guard.tags, **_allowed("create", guard)}),
    ]


def _branch(name: str, who: Mapping[str, Any]) -> Setting:
    return Setting(kind="protected branch", name=name, value={"name": name, **who, "allow_force_push": False})


def _allowed(word: str, guard: ProtectionRules) -> dict[str, Any]:
    """One role in the old way, which every edition takes; anybody else by the list."""
    if len(guard.actors) == 1 and guard.actors[0].kind == "access_level":
        return {f"{word}_access_level": guard.actors[0].id}
    return {f"allowed_to_{word}": [{each.kind: each.id} for each in guard.actors]}


def words(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """A setting as lines, both as the API shows it and as it takes it."""
    lines = []
    for word, (shown, level, allowed) in _LISTS.items():
        if shown in value:
            lines += [f"may {word}: {_who(each)}" for each in value[shown]]
        elif level in value:
            lines.append(f"may {word}: {_who({'access_level': value[level]})}")
        elif allowed in value:
            lines += [f"may {word}: {_who(each)}" for each in value[allowed]]
    plain = {key for key in wanted if key != "name" and not key.endswith("_access_level") and "allowed_to" not in key}
    return lines + [f"{key}: {str(value.get(key)).lower()}" for key in sorted(plain)]


def _who(each: Mapping[str, Any]) -> str:
    for name, key in _NUMBERED.items():
        if each.get(key) is not None:
            return f"{name} {each[key]}"
    return _LEVELS.get(each.get("access_level", -1), f"level {each.get('access_level')}")

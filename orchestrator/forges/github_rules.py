"""What GitHub should keep as rulesets, and in which words it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.errors import UsageError
from orchestrator.forges import Setting
from orchestrator.forges.protection import Actor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.forges.protection import ProtectionRules

_ROLES: Final = {"maintain": 2, "write": 4, "admin": 5}  # GitHub's ids of its own roles


_NUMBERED: Final = {"app": "Integration", "team": "Team", "user": "User"}


_ACTIONS_APP: Final = 15368  # GitHub Actions on github.com: no other app can report the check under its name
GITHUB_API: Final = "https://api.github.com"


def actor(text: str) -> Actor:
    """`deploy-keys`, `role:maintain`, `app:ID`, `team:ID`, `user:ID`.  Raises UsageError."""
    kind, _, value = text.partition(":")
    if text == "deploy-keys":
        return Actor(kind="DeployKey")
    if kind == "role" and value in _ROLES:
        return Actor(kind="RepositoryRole", id=_ROLES[value])
    if kind in _NUMBERED and value.isascii() and value.isdigit() and len(value) < 16:
        return Actor(kind=_NUMBERED[kind], id=int(value))
    raise UsageError(
        f"--actor {text!r} is nobody on GitHub",
        remedy="deploy-keys, role:maintain, role:admin, role:write, app:ID, team:ID or user:ID",
        code="bad-actor",
    )


def settings(guard: ProtectionRules, api: str) -> list[Setting]:
    """The five rulesets."""
    release, tags = [f"refs/heads/{guard.release_branches}"], [f"refs/tags/{guard.tags}"]
    kept: list[dict[str, Any]] = [{"type": "deletion"}, {"type": "non_fast_forward"}]
    moved = {"type": "update", "parameters": {"update_allows_fetch_and_merge": False}}
    made = {"type": "creation"}
    return [
        _ruleset("release: source", "branch", [f"refs/heads/{guard.source}"], [*kept, *_reviewed(guard, api)]),
        _ruleset("release: branches are never rewritten", "branch", release, kept),
        _ruleset("release: branches move by releases", "branch", release, [made, moved], guard),
        _ruleset("release: tags never move", "tag", tags, [*kept, moved]),
        _ruleset("release: tags are made by releases", "tag", tags, [made], guard),
    ]


def _ruleset(
    name: str, target: str, include: list[str], rules: list[dict[str, Any]], guard: ProtectionRules | None = None
) -> Setting:
    bypass = [
        {"actor_id": each.id, "actor_type": each.kind, "bypass_mode": "always"}
        for each in (guard.actors if guard else ())
    ]
    value = {
        "name": name,
        "target": target,
        "enforcement": "active",
        "bypass_actors": bypass,
        "conditions": {"ref_name": {"include": include, "exclude": []}},
        "rules": rules,
    }
    return Setting(kind="ruleset", name=name, value=value)


def _reviewed(guard: ProtectionRules, api: str) -> list[dict[str, Any]]:
    reviewed = {
        "type": "pull_request",
        "parameters": {
            "required_approving_review_count": guard.approvals,
            "dismiss_stale_reviews_on_push": True,
            "require_code_owner_review": guard.approvals > 0,
            "require_last_push_approval": guard.approvals > 0,
            "required_review_thread_resolution": True,
        },
    }
    if not guard.checks:
        return [reviewed]
    app = {"integration_id": _ACTIONS_APP} if api == GITHUB_API else {}
    checked = {
        "type": "required_status_checks",
        "parameters": {
            "required_status_checks": [{"context": check, **app} for check in guard.checks],
            "strict_required_status_checks_policy": True,
        },
    }
    return [reviewed, checked]


def words(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """A ruleset as lines.  Parameters that the wanted one does not name are GitHub's defaults, and left out."""
    spoken = {rule["type"]: rule.get("parameters", {}) for rule in wanted["rules"]}
    names = (value.get("conditions") or {}).get("ref_name") or {}
    lines = [f"on {value.get('target')} {name}" for name in names.get("include", ())]
    lines += [f"not on {value.get('target')} {name}" for name in names.get("exclude", ())]
    lines += [f"enforcement {value['enforcement']}"]
    lines += [f"bypass {_bypass(each)}" for each in value.get("bypass_actors") or ()]
    for rule in value.get("rules") or ():
        lines += _rule(rule["type"], rule.get("parameters") or {}, spoken.get(rule["type"]))
    return lines


def _rule(kind: str, parameters: Mapping[str, Any], spoken: Mapping[str, Any] | None) -> list[str]:
    lines = [f"rule {kind}"]
    for key, value in parameters.items():
        if spoken is None or key not in spoken:
            continue
        if isinstance(value, list):
            lines += [f"rule {kind}: {key}: {_named(each)}" for each in value]
        else:
            lines.append(f"rule {kind}: {key}: {str(value).lower()}")
    return lines


def _named(each: Any) -> str:
    if not isinstance(each, dict):
        return str(each)
    app = f" (app {each['integration_id']})" if each.get("integration_id") else ""
    return f"{each.get('context')}{app}"


def _bypass(each: Mapping[str, Any]) -> str:
    number = "" if each.get("actor_id") is None or each["actor_type"] == "DeployKey" else f" {each['actor_id']}"
    return f"{each['actor_type']}{number} {each.get('bypass_mode', 'always')}"

"""Plans as JSON: what `plan --json` prints, what the journal stores, what `cut --plan` reads back."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.core import documents
from orchestrator.core.declaration import BuildOptions, SmokeCommand, VerifyCommand
from orchestrator.core.declaration.signing import SignSpec
from orchestrator.core.errors import UsageError
from orchestrator.core.pick import Conflict, FollowUp, Pick, PickState, Resolution, Skipped, Submodule
from orchestrator.core.plan import LATER, Landing, LandingForm, Plan, PlannedImage, PromotedFrom
from orchestrator.core.reference import Reference
from orchestrator.core.results import Problem
from orchestrator.session.journal import of_another_tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCHEMA_VERSION = 1


def encode(plan: Plan) -> dict[str, Any]:
    """The plan's document.  Problems carry what the contract names and no more."""
    data = values(plan)
    data["problems"] = [public(problem) for problem in plan.problems]
    data["images"] = [_with_args(image) for image in data["images"]]
    return {"schema_version": SCHEMA_VERSION, **data}


def _with_args(image: Mapping[str, Any]) -> dict[str, Any]:
    return {**image, "build_args": dict(image["build_args"]), "parts": [_with_args(part) for part in image["parts"]]}


def values(plan: Plan) -> dict[str, Any]:
    """All fields of a plan as plain values; a reference stands as its text."""
    data = asdict(plan)
    data["images"] = [_named(fields, image) for fields, image in zip(data["images"], plan.images, strict=True)]
    return data


def _named(fields: Mapping[str, Any], image: PlannedImage) -> dict[str, Any]:
    parts = tuple(_named(part, each) for part, each in zip(fields["parts"], image.parts, strict=True))
    return {
        **fields,
        "parts": parts,
        "reference": str(image.reference),
        "candidate": str(image.candidate),
        "aliases": [str(name) for name in image.aliases],
        "previous": str(image.previous or ""),
    }


def public(problem: Problem) -> dict[str, str]:
    """A problem as other tools read it."""
    return {
        "code": problem.code,
        "message": problem.message,
        "where": problem.where,
        "remedy": problem.remedy,
    }


def decode(data: Mapping[str, Any]) -> Plan:
    """Back from `encode`.  Raises ValueError, TypeError or KeyError for anything else."""
    if data["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version {data['schema_version']!r}")
    found = {key: value for key, value in data.items() if key not in ("schema_version", "verified")}
    found["picks"] = picks_of(data)
    found["skipped"] = tuple(Skipped(**skipped) for skipped in data["skipped"])
    found["images"] = tuple(_image(image) for image in data["images"])
    found["problems"] = tuple(Problem(**problem) for problem in data["problems"])
    found["verify"] = tuple(VerifyCommand(**{**each, "paths": tuple(each["paths"])}) for each in data["verify"])
    for key in ("tasks", "notes", "sources", "elsewhere"):
        found[key] = tuple(data.get(key, ()))
    origin = data.get("promoted_from")
    found["promoted_from"] = PromotedFrom(**origin) if origin else None
    landed = data.get("landed")
    found["landed"] = Landing(**{**landed, "form": LandingForm(landed["form"])}) if landed else None
    found["sign"] = documents.decode(SignSpec, data["sign"], "sign", exact=True) if data.get("sign") else None
    return Plan(**found)


def command(plan: Plan) -> str:
    """What to type to go on with a plan."""
    return f"release publish {plan.version}" if plan.tag_object and not plan.promoted_from else begun_by(plan)


def begun_by(plan: Plan) -> str:
    """What was typed where the release was begun."""
    if plan.promoted_from:
        return f"release promote {plan.promoted_from.version} {plan.version}"
    return f"release cut {plan.version}" + (" --no-image" if plan.built_by == LATER else "")


def finishing(plan: Plan) -> str:
    """What finishes a release whose tag is public."""
    return f"release publish {plan.version}" if plan.built_by else command(plan)


def picks_of(data: Mapping[str, Any]) -> tuple[Pick, ...]:
    """The picks of a plan's document, or of a record.  Raises ValueError, TypeError or KeyError."""
    return tuple(_pick(pick) for pick in data["picks"])


def recall(data: Mapping[str, Any], where: str) -> Plan:
    """The plan that a journal holds.  Raises DamagedStateError for one of another version of the tool."""
    try:
        return decode(data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise of_another_tool(f"the journal holds a plan that this version does not know ({error})", where) from error


def _pick(data: Mapping[str, Any]) -> Pick:
    return Pick(
        **{
            **data,
            "state": PickState(data["state"]),
            "conflicts": tuple(Conflict(**each) for each in data["conflicts"]),
            "prerequisites": tuple(data["prerequisites"]),
            "near": tuple(data.get("near", ())),
            "strategy_options": tuple(data.get("strategy_options", ())),
            "resolution": Resolution(**data["resolution"]) if data.get("resolution") else None,
            "exclude": tuple(data.get("exclude", ())),
            "approved_by": _approvals(data.get("approved_by", ())),
            "duplicate_by": tuple(data.get("duplicate_by", ())),
            "forwarded": tuple(Submodule(**each) for each in data.get("forwarded", ())),
            "followups": tuple(FollowUp(**each) for each in data["followups"]),
        }
    )


def _approvals(value: str | Sequence[str]) -> tuple[str, ...]:
    """Records of before there could be several have one text."""
    return tuple(value) if not isinstance(value, str) else (value,) if value else ()


def _image(data: Mapping[str, Any]) -> PlannedImage:
    return PlannedImage(
        **{
            **data,
            "build_args": tuple((key, value) for key, value in data["build_args"].items()),
            "floating": tuple(data["floating"]),
            "checks": tuple(data.get("checks", ())),
            "reference": _reference(data["reference"]),
            "candidate": _reference(data["candidate"]),
            "aliases": tuple(_reference(each) for each in data.get("aliases", ())),
            "previous": _reference(data["previous"]) if data.get("previous") else None,
            "smoke": tuple(_smoke(each) for each in data["smoke"]),
            "allow": tuple(data.get("allow", ())),
            "parts": tuple(_image(part) for part in data.get("parts", ())),
            "options": documents.decode(BuildOptions, data.get("options", {}), "options", exact=True),
        }
    )


def _reference(text: str) -> Reference:
    try:
        return Reference.from_text(text)
    except UsageError as error:
        raise ValueError(error.message) from error


def _smoke(data: Mapping[str, Any]) -> SmokeCommand:
    return SmokeCommand(**{**data, "command": tuple(data["command"])})


def save(plan: Plan, path: Path) -> None:
    """Write a plan file; it appears whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_text(json.dumps(encode(plan), indent=2) + "\n")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UsageError(
            f"the plan cannot be written: {error.strerror}", where=str(path), remedy="give --out another path"
        ) from error


def load(path: Path) -> Plan:
    """Read a plan file.  Raises UsageError when it is none."""
    try:
        return decode(json.loads(path.read_text()))
    except OSError as error:
        raise UsageError(
            f"the plan file cannot be read: {error.strerror}",
            where=str(path),
            remedy="make it: release plan VERSION --out FILE",
            code="no-plan-file",
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"this is not a plan of this version of the tool ({error})",
            where=str(path),
            remedy="make it again: release plan VERSION --out FILE",
            code="bad-plan-file",
        ) from error


def differences(old: Plan, new: Plan) -> Sequence[str]:
    """In words, what has changed between two plans of one version."""
    said = []
    for key, name in (
        ("version", "version"),
        ("base", "tip of the branch"),
        ("previous", "previous version"),
        ("config_sha256", "release.yaml"),
        ("committer", "committer"),
        ("git_version", "git version"),
        ("head", "resulting commit"),
    ):
        before, after = str(getattr(old, key)), str(getattr(new, key))
        if before != after:
            said.append(f"{name}: {before[:40]} -> {after[:40]}")
    return said or ["order of tasks or images"]

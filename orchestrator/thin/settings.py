"""What the instructions of a last stage do to an image's configuration, as the Dockerfile reference says.

The result is the configuration of the OCI image specification: the base's, with layers, history and settings added.
"""

from __future__ import annotations

import json
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.dockerfile.words import split
from orchestrator.thin.stages import filled_in, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.thin.final import ConfigStep, Copy

_SHELL: Final = ("/bin/sh", "-c")
_MADE_BY: Final = "release-orchestrator: written without a builder"
_TIMES: Final = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod",
                 "start-interval": "StartInterval"}  # fmt: skip
_UNITS: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@dataclass
class ImageDraft:
    """A configuration while it is changed.  `document` is the base's, as parsed; it is not changed."""

    document: dict[str, Any]
    created: str
    file: str
    escape: str = "\\"
    settings: dict[str, Any] = field(init=False)
    diff_ids: list[str] = field(init=False)
    history: list[dict[str, Any]] = field(init=False)
    _own_command: bool = False

    def __post_init__(self) -> None:
        self.document = dict(self.document)
        self.settings = dict(self.document.get("config") or {})
        self.diff_ids = list(self.document["rootfs"]["diff_ids"])
        self.history = list(self.document.get("history") or [])

    def add_layer(self, copy: Copy, diff_id: str) -> None:
        self.diff_ids.append(diff_id)
        self._note(copy.shown)

    def apply(self, setting: ConfigStep) -> None:
        """Raises UsageError for an instruction that makes no sense."""
        instruction = setting.instruction
        getattr(self, f"_{instruction.name.lower()}")(setting)
        words = [instruction.name, *(f"--{name}={value}" for name, value in instruction.flags), instruction.args]
        self._note(" ".join(words), empty_layer=True)

    def label(self, labels: Mapping[str, str]) -> None:
        self.settings["Labels"] = {**(self.settings.get("Labels") or {}), **labels}

    def finished(self) -> dict[str, Any]:
        rootfs = {"type": "layers", "diff_ids": self.diff_ids}
        named = {"created": self.created, "config": self.settings, "rootfs": rootfs, "history": self.history}
        return {**self.document, **named}

    def _note(self, text: str, **more: Any) -> None:
        self.history.append({"created": self.created, "created_by": text, "comment": _MADE_BY, **more})

    # -------------------------------------------------------------- one instruction each

    def _arg(self, _: ConfigStep) -> None:
        """For the instructions after it only."""

    def _env(self, setting: ConfigStep) -> None:
        variables = dict(each.partition("=")[::2] for each in self.settings.get("Env") or [])
        variables |= dict(self._pairs(setting))
        self.settings["Env"] = [f"{name}={value}" for name, value in variables.items()]

    def _label(self, setting: ConfigStep) -> None:
        self.label(dict(self._pairs(setting)))

    def _user(self, setting: ConfigStep) -> None:
        self.settings["User"] = self._word(setting)

    def _stopsignal(self, setting: ConfigStep) -> None:
        self.settings["StopSignal"] = self._word(setting)

    def _maintainer(self, setting: ConfigStep) -> None:
        self.document["author"] = setting.instruction.args

    def _expose(self, setting: ConfigStep) -> None:
        ports = [self._filled(word, setting) for word in split(setting.instruction.args, self.escape)]
        named: dict[str, Any] = {port if "/" in port else f"{port}/tcp": {} for port in ports}
        self.settings["ExposedPorts"] = {**(self.settings.get("ExposedPorts") or {}), **named}

    def _volume(self, setting: ConfigStep) -> None:
        names = _listed(setting.instruction.args) or split(setting.instruction.args, self.escape)
        folders = {self._filled(name, setting): dict[str, Any]() for name in names}
        self.settings["Volumes"] = {**(self.settings.get("Volumes") or {}), **folders}

    def _shell(self, setting: ConfigStep) -> None:
        words = _listed(setting.instruction.args)
        if not words:
            raise self._wrong(setting, 'write it as ["/bin/bash", "-c"]')
        self.settings["Shell"] = words

    def _cmd(self, setting: ConfigStep) -> None:
        self.settings["Cmd"], self._own_command = self._command(setting.instruction.args), True

    def _entrypoint(self, setting: ConfigStep) -> None:
        """It takes the base's command away: that was meant for another program."""
        self.settings["Entrypoint"] = self._command(setting.instruction.args)
        if not self._own_command:
            self.settings.pop("Cmd", None)

    def _healthcheck(self, setting: ConfigStep) -> None:
        kind, _, rest = setting.instruction.args.partition(" ")
        if kind.upper() == "NONE":
            self.settings["Healthcheck"] = {"Test": ["NONE"]}
            return
        words = _listed(rest.strip())
        if kind.upper() != "CMD" or not rest.strip():
            raise self._wrong(setting, "write HEALTHCHECK CMD command, or HEALTHCHECK NONE")
        check: dict[str, Any] = {"Test": ["CMD", *words] if words else ["CMD-SHELL", rest.strip()]}
        for name, value in setting.instruction.flags:
            if name == "retries" and value.isdigit():
                check["Retries"] = int(value)
            elif name in _TIMES and (time := _nanoseconds(value)):
                check[_TIMES[name]] = time
            else:
                raise self._wrong(setting, f"--{name}={value} is not understood: write it as 30s")
        self.settings["Healthcheck"] = check

    # -------------------------------------------------------------- small parts

    def _command(self, text: str) -> list[str]:
        words = _listed(text)
        return words if words is not None else [*(self.settings.get("Shell") or _SHELL), text]

    def _pairs(self, setting: ConfigStep) -> list[tuple[str, str]]:
        named = pairs(setting.instruction, self.escape)
        return [(self._filled(name, setting), self._filled(value, setting)) for name, value in named]

    def _word(self, setting: ConfigStep) -> str:
        return self._filled(setting.instruction.args, setting)

    def _filled(self, word: str, setting: ConfigStep) -> str:
        return filled_in(word, setting.values, self.escape)

    def _wrong(self, setting: ConfigStep, remedy: str) -> UsageError:
        where = f"{self.file}:{setting.instruction.line}"
        message = f"{setting.instruction.name} {setting.instruction.args} is not understood"
        return UsageError(message, where=where, remedy=remedy, code="dockerfile-invalid")


def _listed(text: str) -> list[str] | None:
    """The words of a JSON list of texts, None for what is none."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _nanoseconds(text: str) -> int:
    """A time as Go writes it, such as `1m30s`; 0 for what is none."""
    if not re.fullmatch(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ns|us|ms|s|m|h))+", text):
        return 0
    words = re.findall(r"[0-9.]+|[a-z]+", text)  # number, unit, number, unit
    return int(sum(float(number) * _UNITS[unit] for number, unit in zip(words[::2], words[1::2], strict=True)))

"""The login for a registry: from the environment, or from where `docker login` put it.

Secrets leave this module only inside Credentials (whose repr hides them); no message carries one, and neither
does what a credential helper prints, because nobody can tell what it holds.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from orchestrator.core.credentials import PASSWORD, USERNAME, Credentials
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

_TOKEN_USER: Final = "<token>"  # noqa: S105 - docker's user name for "the password is an identity token"

_HUB: Final = "docker.io"
_HUB_KEY: Final = "https://index.docker.io/v1/"  # what `docker login` writes for Docker Hub
_HUB_NAMES: Final = (_HUB, "index.docker.io", "registry-1.docker.io")
_HELPER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HELPER_SECONDS: Final = 30.0
_NOT_FOUND: Final = "credentials not found in native keychain"  # the helper protocol's only "no"


def find(
    host: str, env: Mapping[str, str], *, released_to: bool = True, docker_config: Path | None = None
) -> Credentials | None:
    """The login for registry `host` (with port), or None where nothing has one.

    Order: RELEASE_REGISTRY_USERNAME and _PASSWORD, which are for the registry that is released to and go to no
    other; then docker's config.json: `credHelpers`, `credsStore`, `auths`.  `docker_config` is the folder that
    holds it; otherwise $DOCKER_CONFIG, or ~/.docker.  Nothing is kept: a helper is asked each time.

    Raises UsageError for half a login and for a malformed config.json (with its place), RemoteError when a
    credential helper fails.
    """
    login = _from_environment(env) if released_to else None
    if login:
        return login
    config = _load(_folder(env, docker_config) / "config.json")
    helper = config.helper(host)
    return (_ask_helper(helper, _server(host), config, env) if helper else None) or config.login(host)


def read_password(stream: TextIO) -> str:
    """A password piped in: everything up to the end, less one newline.  Raises UsageError when empty."""
    text = stream.read().rstrip("\r\n")
    if not text:
        raise UsageError(
            "no password on standard input",
            remedy='pipe it in: printf %s "$PASSWORD" | release ... --password-stdin',
            code="registry-credentials",
        )
    return text


def _from_environment(env: Mapping[str, str]) -> Credentials | None:
    username, password = _value(env, USERNAME), _value(env, PASSWORD)
    if bool(username) != bool(password):
        there, missing = (USERNAME, PASSWORD) if username else (PASSWORD, USERNAME)
        raise UsageError(
            f"{there} is set and {missing} is not",
            remedy=f"set {missing} too, or unset {there} to use the login of `docker login`",
            code="registry-credentials",
        )
    return _login(username, password) if username else None


def _value(env: Mapping[str, str], name: str) -> str:
    """A variable without the line end that a pasted secret, or one from a file, brings along."""
    value = env.get(name, "").rstrip("\r\n")
    if not set(value).isdisjoint("\r\n\0"):
        raise UsageError(
            f"{name} holds more than one line",
            remedy="give it the user name or the password alone",
            code="registry-credentials",
        )
    return value


def _login(username: str, secret: str) -> Credentials:
    """In docker's own way of saying that a secret is an identity token."""
    if username == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)


def _folder(env: Mapping[str, str], given: Path | None) -> Path:
    if given:
        return given
    if env.get("DOCKER_CONFIG"):
        return Path(env["DOCKER_CONFIG"])
    return (Path(env["HOME"]) if env.get("HOME") else Path.home()) / ".docker"


def _server(host: str) -> str:
    """How docker names a registry to its helpers and in `auths`."""
    return _HUB_KEY if host in _HUB_NAMES else host


def _hostname(key: str) -> str:
    """docker's rule for the keys of `auths`: neither scheme nor path counts."""
    name = re.sub(r"^https?://", "", key).partition("/")[0]
    return _HUB if name in _HUB_NAMES else name


@dataclass(frozen=True, kw_only=True, repr=False)  # `text` holds secrets
class _DockerConfig:
    path: Path
    text: str
    values: Mapping[str, object]

    def helper(self, host: str) -> str:
        """The name of the helper that keeps the login of `host`, or ""."""
        helpers = self._section("credHelpers")
        for key in _spellings(helpers, host):
            return self._helper_name(key, helpers[key])
        return self._helper_name("credsStore", self.values.get("credsStore") or "")

    def login(self, host: str) -> Credentials | None:
        """What `auths` says of `host`; an entry without a secret (docker leaves those) says nothing."""
        auths = self._section("auths")
        for key in _spellings(auths, host):
            entry = auths[key]
            if not isinstance(entry, dict):
                raise self.fault(key, "is not an object")
            login = self._read_entry(key, entry)
            if login:
                return login
        return None

    def fault(self, key: str, what: str) -> UsageError:
        """A fault at `key`; its place is found by its text, since JSON parsers keep no positions."""
        found = re.search(re.escape(json.dumps(key)) + r"\s*:", self.text)
        where = _place(self.path, self.text, found.start()) if found else str(self.path)
        return _malformed(f"{key!r} {what}", where)

    def _section(self, name: str) -> Mapping[str, object]:
        section = self.values.get(name) or {}
        if not isinstance(section, dict):
            raise self.fault(name, "is not an object")
        return section

    def _helper_name(self, key: str, value: object) -> str:
        """Checked, since it becomes the name of a program: no path may hide in it."""
        if value == "":
            return ""
        if not isinstance(value, str) or not _HELPER.fullmatch(value):
            raise self.fault(key, "does not name a credential helper")
        return value

    def _read_entry(self, key: str, entry: Mapping[str, object]) -> Credentials | None:
        for name, value in entry.items():
            if name in ("auth", "identitytoken", "username", "password") and not isinstance(value, str):
                raise self.fault(key, f"has a {name!r} that is not a string")
        texts = cast("Mapping[str, str]", entry)
        if texts.get("identitytoken"):
            return Credentials(identity_token=texts["identitytoken"])
        if texts.get("auth"):
            return self._decode(key, texts["auth"])
        if texts.get("username") and texts.get("password"):
            return _login(texts["username"], texts["password"])
        return None

    def _decode(self, key: str, auth: str) -> Credentials:
        try:
            text = base64.b64decode(auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise self.fault(key, "has an 'auth' that is not base64 of user:password") from None
        username, colon, password = text.partition(":")
        password = password.rstrip("\0")  # as docker does
        if not (colon and username and password):
            raise self.fault(key, "has an 'auth' that is not base64 of user:password")
        return _login(username, password)


def _spellings(section: Mapping[str, object], host: str) -> Iterator[str]:
    """The keys of `section` that mean `host`, docker's own spelling first."""
    server = _server(host)
    if server in section:
        yield server
    yield from (key for key in section if key != server and _hostname(key) == _hostname(server))


def _load(path: Path) -> _DockerConfig:
    """config.json, or an empty one where there is none (docker takes an empty file for that too)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        text = ""
    except UnicodeDecodeError as error:
        raise _malformed("it is not UTF-8", f"{path} (byte {error.start})") from None
    except OSError as error:
        raise UsageError(
            f"docker's configuration cannot be read: {error.strerror}",
            where=str(path),
            remedy="make it readable, or point DOCKER_CONFIG to another folder",
            code="docker-config",
        ) from None
    try:
        values = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise _malformed(error.msg, f"{path}:{error.lineno}:{error.colno}") from None
    except (ValueError, RecursionError):
        raise _malformed("it cannot be parsed as JSON", f"{path}:1:1") from None
    if not isinstance(values, dict):
        raise _malformed("it is not a JSON object", _place(path, text, len(text) - len(text.lstrip())))
    return _DockerConfig(path=path, text=text, values=values)


def _place(path: Path, text: str, offset: int) -> str:
    before = text[:offset]
    return f"{path}:{before.count(chr(10)) + 1}:{offset - (before.rfind(chr(10)) + 1) + 1}"


def _malformed(what: str, where: str) -> UsageError:
    return UsageError(
        f"docker's configuration is malformed: {what}",
        where=where,
        remedy="repair it, or write it anew with `docker login`",
        code="docker-config",
    )


def _ask_helper(name: str, server: str, config: _DockerConfig, env: Mapping[str, str]) -> Credentials | None:
    """`docker-credential-NAME get`: the server on stdin, JSON on stdout."""
    program = f"docker-credential-{name}"
    done = _run_helper(program, server, config, env)
    if done.returncode:
        if _NOT_FOUND in done.stdout.decode(errors="replace"):
            return None
        raise _helper_failed(program, server, f"ended with exit code {done.returncode}", config)
    try:
        answer = json.loads(done.stdout)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError, RecursionError):
        username = secret = None
    if not (isinstance(username, str) and isinstance(secret, str)):
        raise _helper_failed(program, server, "did not answer with JSON that has Username and Secret", config)
    return _login(username, secret) if username and secret else None


def _run_helper(
    program: str, server: str, config: _DockerConfig, env: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    path = shutil.which(program, path=env.get("PATH"))
    if not path:
        raise _helper_failed(program, server, "is not on PATH", config)
    try:
        return subprocess.run(
            [path, "get"],
            input=server.encode(),
            capture_output=True,
            env=dict(env),
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _helper_failed(program, server, f"gave no answer in {_HELPER_SECONDS:g} s", config) from None
    except OSError as error:
        raise _helper_failed(program, server, f"cannot be started: {error.strerror}", config) from None


def _helper_failed(program: str, server: str, what: str, config: _DockerConfig) -> RemoteError:
    return RemoteError(
        f"{program}, asked for the login of {server}, {what}",
        where=str(config.path),
        remedy=f"repair or install {program}, or set {USERNAME} and {PASSWORD}",
        code="credential-helper",
    )

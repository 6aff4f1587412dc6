"""Logins: order, docker's config.json, real little credential helpers, and no secret in any message."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.registry import credentials

if TYPE_CHECKING:
    from pathlib import Path

HOST = "registry.example.com:5000"
SECRET = "s3cr:et\u00e9"


def _auth(username: str = "ada", password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


@dataclass
class Desk:
    """A home with a docker config folder and a PATH of its own."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, config: object) -> None:
        text = config if isinstance(config, str) else json.dumps(config, indent=2)
        (self.folder / "config.json").write_text(text, encoding="utf-8")

    def helper(self, name: str, body: str) -> None:
        """A Python script; `server` is what it read from stdin.  It notes its calls in `calls`."""
        path = self.folder / "bin" / f"docker-credential-{name}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"#!{sys.executable}\n"
            "import json, pathlib, sys, time\n"
            "server = sys.stdin.read()\n"
            f"with pathlib.Path({str(self.folder / 'calls')!r}).open('a') as log:\n"
            "    log.write(' '.join([*sys.argv[1:], server]) + '\\n')\n" + body,
            encoding="utf-8",
        )
        path.chmod(0o755)
        self.env["PATH"] = str(path.parent)

    @property
    def calls(self) -> list[str]:
        log = self.folder / "calls"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def find(self, host: str = HOST) -> Credentials | None:
        return credentials.find(host, self.env, docker_config=self.folder)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


ANSWER = f"print(json.dumps({{'ServerURL': server, 'Username': 'kay', 'Secret': {SECRET!r}}}))\n"


def test_nothing_anywhere_is_none(desk: Desk) -> None:
    assert desk.find() is None
    desk.write("")
    assert desk.find() is None
    desk.write({"auths": None, "credHelpers": {}, "credsStore": ""})
    assert desk.find() is None


def test_the_environment_comes_first(desk: Desk) -> None:
    desk.write({"auths": {HOST: _auth()}})
    desk.env |= {"RELEASE_REGISTRY_USERNAME": "ci", "RELEASE_REGISTRY_PASSWORD": "pw"}
    assert desk.find() == Credentials(username="ci", password="pw")


@pytest.mark.parametrize("name", ["RELEASE_REGISTRY_USERNAME", "RELEASE_REGISTRY_PASSWORD"])
def test_half_a_login_in_the_environment_is_refused(desk: Desk, name: str) -> None:
    desk.env |= {"RELEASE_REGISTRY_USERNAME": "", "RELEASE_REGISTRY_PASSWORD": "", name: SECRET}
    with pytest.raises(UsageError, match=f"{name} is set") as caught:
        desk.find()
    assert SECRET not in _everything(caught.value)


def test_the_folder_comes_from_docker_config_or_home(tmp_path: Path) -> None:
    for folder, env in (
        (tmp_path / "a", {"DOCKER_CONFIG": str(tmp_path / "a"), "HOME": str(tmp_path / "nowhere")}),
        (tmp_path / "b" / ".docker", {"HOME": str(tmp_path / "b")}),
    ):
        folder.mkdir(parents=True)
        Desk(folder).write({"auths": {HOST: _auth(folder.name)}})
        assert credentials.find(HOST, env) == Credentials(username=folder.name, password=SECRET)


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", f"http://{HOST}/v2/"])
def test_auths_keys_in_every_spelling(desk: Desk, key: str) -> None:
    desk.write({"auths": {"other.example.com": _auth("eve"), key: _auth()}})
    assert desk.find() == Credentials(username="ada", password=SECRET)
    assert desk.find("registry.example.com") is None, "another port is another registry"


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hub_has_several_names(desk: Desk, key: str) -> None:
    desk.write({"auths": {key: _auth()}})
    assert desk.find("docker.io") == Credentials(username="ada", password=SECRET)


def test_an_identity_token_is_marked_as_docker_marks_it(desk: Desk) -> None:
    desk.write({"auths": {HOST: _auth("ada", "x") | {"identitytoken": SECRET}}})
    assert desk.find() == Credentials(identity_token=SECRET)


def test_plain_username_and_password_and_entries_without_a_secret(desk: Desk) -> None:
    desk.write({"auths": {HOST: {}, f"https://{HOST}": {"username": "ada", "password": SECRET}}})
    assert desk.find() == Credentials(username="ada", password=SECRET)


# ------------------------------------------------------------------ helpers


def test_a_helper_of_the_host_comes_before_the_store_and_auths(desk: Desk) -> None:
    desk.helper("mine", ANSWER)
    desk.write({"credHelpers": {HOST: "mine"}, "credsStore": "absent", "auths": {HOST: _auth()}})
    assert desk.find() == Credentials(username="kay", password=SECRET)
    assert desk.calls == [f"get {HOST}"]


def test_the_store_is_asked_for_every_other_host(desk: Desk) -> None:
    desk.helper("store", ANSWER)
    desk.write({"credHelpers": {HOST: "absent"}, "credsStore": "store"})
    assert desk.find("docker.io") == Credentials(username="kay", password=SECRET)
    assert desk.calls == ["get https://index.docker.io/v1/"]


def test_not_found_in_the_keychain_goes_on_to_auths(desk: Desk) -> None:
    desk.helper("store", "print('credentials not found in native keychain'); sys.exit(1)\n")
    desk.write({"credsStore": "store"})
    assert desk.find() is None
    desk.write({"credsStore": "store", "auths": {HOST: _auth()}})
    assert desk.find() == Credentials(username="ada", password=SECRET)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"print({SECRET!r}); print({SECRET!r}, file=sys.stderr); sys.exit(3)\n", "exit code 3"),
        (f"print({SECRET!r})\n", "did not answer with JSON"),
        (f"print(json.dumps([{SECRET!r}]))\n", "did not answer with JSON"),
        (f"print(json.dumps({{'Username': 7, 'Secret': {SECRET!r}}}))\n", "did not answer with JSON"),
        ("print('[' * 100000)\n", "did not answer with JSON"),
    ],
)
def test_a_failing_helper_is_an_error_that_tells_no_secret(desk: Desk, body: str, message: str) -> None:
    desk.helper("bad", body)
    desk.write({"credsStore": "bad", "auths": {HOST: _auth()}})
    with pytest.raises(RemoteError, match=message) as caught:
        desk.find()
    assert SECRET not in _everything(caught.value)
    assert caught.value.remedy


def test_a_helper_that_is_missing_or_cannot_be_started(desk: Desk) -> None:
    desk.write({"credsStore": "absent"})
    desk.env["PATH"] = str(desk.folder)
    with pytest.raises(RemoteError, match="is not on PATH"):
        desk.find()
    desk.helper("absent", "")
    (desk.folder / "bin" / "docker-credential-absent").write_text("#!/no/such/interpreter\n")
    with pytest.raises(RemoteError, match="cannot be started"):
        desk.find()


def test_a_helper_that_hangs_is_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_HELPER_SECONDS", 0.3)
    desk.helper("slow", "time.sleep(60)\n")
    desk.write({"credsStore": "slow"})
    with pytest.raises(RemoteError, match=r"gave no answer in 0\.3 s"):
        desk.find()


# ------------------------------------------------------------------ malformed files


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "auths": {,}\n}', ":2:13"),
        ('{"auths": {}', ":1:13"),
        ("\n []", ":2:2"),
        ('{\n  "auths": 7}', ":2:3"),
        ('{"auths": {\n  "@HOST@": []}}', ":2:3"),
        ('{"auths": {\n  "@HOST@": {"auth": 1}}}', ":2:3"),
        ('{"auths": {\n    "@HOST@": {"auth": "s3cr-!"}}}', ":2:5"),
        ('{"auths": {\n    "@HOST@": {"auth": "c2VjcmV0"}}}', ":2:5"),
        ('{\n "credHelpers": [1]}', ":2:2"),
        ('{"credHelpers": {\n "@HOST@": "../../bin/sh"}}', ":2:2"),
        ('{ "credsStore": ["x"]}', ":1:3"),
        ("[" * 100_000, ":1:1"),
    ],
)
def test_a_malformed_file_is_named_with_line_and_column(desk: Desk, text: str, place: str) -> None:
    desk.write(text.replace("@HOST@", HOST))
    with pytest.raises(UsageError) as caught:
        desk.find()
    assert caught.value.where == f"{desk.folder / 'config.json'}{place}"
    assert "s3cr" not in _everything(caught.value)
    assert "c2VjcmV0" not in _everything(caught.value)


def test_a_file_that_cannot_be_read(desk: Desk) -> None:
    (desk.folder / "config.json").write_bytes(b'{"auths": "\xff"}')
    with pytest.raises(UsageError, match="UTF-8"):
        desk.find()
    (desk.folder / "config.json").unlink()
    (desk.folder / "config.json").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        desk.find()


# ------------------------------------------------------------------ the rest


@pytest.mark.parametrize(("text", "password"), [("pw\n", "pw"), ("pw\r\n", "pw"), ("p w \n\n", "p w "), ("pw", "pw")])
def test_read_password_takes_the_line_end_off(text: str, password: str) -> None:
    assert credentials.read_password(io.StringIO(text, newline="")) == password


@pytest.mark.parametrize("text", ["", "\n", "\r\n"])
def test_read_password_refuses_an_empty_one(text: str) -> None:
    with pytest.raises(UsageError, match="no password"):
        credentials.read_password(io.StringIO(text, newline=""))


def test_repr_shows_no_secret(desk: Desk) -> None:
    desk.write({"auths": {HOST: _auth()}})
    assert SECRET not in repr(desk.find())
    assert SECRET not in repr(credentials._load(desk.folder / "config.json"))


def _everything(error: UsageError | RemoteError) -> str:
    return os.linesep.join([str(error), repr(error), error.where, error.remedy, error.state, error.detail])

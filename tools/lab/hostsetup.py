"""How this machine reaches its package sources: apt sources and proxy, pip index and proxy, CA bundle."""

from __future__ import annotations

import configparser
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.lab import talk

SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
LOCAL_CAS = Path("/usr/local/share/ca-certificates")
DEFAULT_SOURCES = (
    "deb http://deb.debian.org/debian bookworm main",
    "deb http://deb.debian.org/debian bookworm-updates main",
    "deb http://deb.debian.org/debian-security bookworm-security main",
)

Maker = Callable[[Path], None]


@dataclass(frozen=True)
class HostSetup:
    """`sources` are files or one-line entries, in mmdebstrap's sense."""

    sources: tuple[str, ...]
    apt_options: str
    pip_conf: str
    bundles: tuple[Path, ...]  # one or none
    local_cas: tuple[Path, ...]

    def fingerprint(self) -> str:
        """Changes whenever a base made from this setup would."""
        hashed = hashlib.sha256()
        for source in self.sources:
            hashed.update(Path(source).read_bytes() if source.startswith("/") else source.encode())
        for text in (self.apt_options, self.pip_conf):
            hashed.update(text.encode())
        for path in (*self.bundles, *self.local_cas):
            hashed.update(path.read_bytes())
        return hashed.hexdigest()

    def write(self, folder: Path) -> list[str]:
        """Put the files into `folder`; the answer is mmdebstrap's options that carry them into the base."""
        folder.mkdir()
        (folder / "apt.conf").write_text(self.apt_options, encoding="utf-8")
        (folder / "pip.conf").write_text(self.pip_conf, encoding="utf-8")
        # The bundle too, and last: a host may know its private CA only there.
        uploads = [(path, str(path)) for path in self.local_cas]
        uploads += [(path, SYSTEM_BUNDLE) for path in self.bundles]
        uploads += [(folder / "pip.conf", "/etc/pip.conf")]
        hooks = [f"--customize-hook=upload '{source}' '{target}'" for source, target in uploads]
        return ([f"--aptopt={folder / 'apt.conf'}"] if self.apt_options else []) + hooks


def read() -> HostSetup:
    return HostSetup(
        sources=apt_sources(),
        apt_options=apt_options(),
        pip_conf=pip_conf(),
        bundles=tuple(filter(Path.is_file, [Path(os.environ.get("SSL_CERT_FILE") or SYSTEM_BUNDLE)])),
        local_cas=tuple(sorted(LOCAL_CAS.glob("*.crt"))),
    )


def apt_sources() -> tuple[str, ...]:
    """The host's own files for Debian 12, or Debian's public mirror where there are none."""
    folder = Path("/etc/apt/sources.list.d")
    files = [Path("/etc/apt/sources.list"), *sorted(folder.glob("*.list")), *sorted(folder.glob("*.sources"))]
    return tuple(str(path) for path in files if path.is_file() and is_debian(path)) or DEFAULT_SOURCES


def is_debian(path: Path) -> bool:
    """Third parties use the same suite names; the security suite is only Debian's."""
    return "bookworm-security" in path.read_text(encoding="utf-8", errors="replace")


def apt_options() -> str:
    """The host's proxy and date checks for apt, as apt itself understood them."""
    if not Path("/usr/bin/apt-config").exists():
        return ""
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-")
    lines = talk.output(["apt-config", "dump", "--format", '%F "%v";%n']).splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(wanted))


def pip_conf() -> str:
    """The host's remote indexes and proxy for pip, certificates from the system's bundle."""
    found = pip_settings()
    kept = {key: value for key in ("index-url", "extra-index-url") if (value := remote_only(found.get(key, "")))}
    proxy = found.get("proxy") or os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    settings = {"cert": SYSTEM_BUNDLE, **kept, **({"proxy": proxy} if proxy else {})}
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())


def remote_only(urls: str) -> str:
    """A folder of this machine is not in the image."""
    return " ".join(url for url in urls.split() if url.startswith(("http://", "https://")))


def pip_settings() -> dict[str, str]:
    """pip's own order: site, user, PIP_CONFIG_FILE, environment; the last one wins."""
    home = Path.home()
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    parser = configparser.RawConfigParser()
    parser.read([*files, os.environ.get("PIP_CONFIG_FILE", "")], encoding="utf-8")
    settings = dict(parser["global"]) if parser.has_section("global") else {}
    for key in ("index-url", "extra-index-url", "proxy"):
        value = os.environ.get(f"PIP_{key.upper().replace('-', '_')}")
        if value:
            settings[key] = value
    return settings

"""The two images that tests and demo start from: a Debian base with Python, and a tiny busybox.

From the hub where there is one, else made on the machine from Debian packages.  A base made here also takes
over how this machine reaches its mirrors: apt sources and proxy, pip index and proxy, and the CA bundle, so
that builds work behind a private CA or mirror with TLS checks on.  Such a base belongs to the lab alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from tools.lab import engine, hostsetup, packages, slots, talk

HUB_BASE = "debian:bookworm-slim"
HUB_BUSYBOX = "busybox:stable"
HUB_PATIENCE = 60.0  # seconds for a pull

SUITE = "bookworm"
PACKAGES = "ca-certificates,python3,python3-venv,tini"
SLIM = [  # what Debian's own slim images leave out
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
]
APPLETS = (
    "cat cp date dd echo env false grep head id ln ls mkdir mv printf pwd rm sed seq sh sleep sort sync tail "
    "tee test touch tr true wc yes"
)
ALONE = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child"]


def base(docker: list[str]) -> str:
    """The name of the full base in the engine's store."""
    setup = hostsetup.read()
    recipe = f"{SUITE} {PACKAGES} {SLIM} {setup.fingerprint()}"
    name = f"release-lab/base:{short(recipe)}"
    return obtain(docker, HUB_BASE, name, lambda archive: make_base(archive, setup))


def busybox(docker: list[str]) -> str:
    """The name of the tiny image in the engine's store."""
    return obtain(docker, HUB_BUSYBOX, f"release-lab/busybox:{short(APPLETS)}", make_busybox)


def short(recipe: str) -> str:
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def obtain(docker: list[str], hub: str, own: str, make: hostsetup.Maker) -> str:
    """The first of the two that the engine has, else the hub's, else our own."""
    for name in (own, hub):
        if talk.succeeds([*docker, "image", "inspect", name]):
            return name
    if os.environ.get("RELEASE_LAB_HUB") != "0" and talk.succeeds([*docker, "pull", hub], timeout=HUB_PATIENCE):
        return hub
    archive = cached(own, make)
    changes = ["--change", f"LABEL {engine.KEEP}", "--change", 'CMD ["/bin/sh"]']
    talk.output([*docker, "import", *changes, str(archive), own], timeout=300)
    return own


def cached(name: str, make: hostsetup.Maker) -> Path:
    """The archive of an own image, made once for all slots."""
    archive = slots.cache() / f"{name.replace('/', '-').replace(':', '-')}.tar"
    with slots.locked(slots.cache() / "images.lock"):
        for left in slots.cache().glob("make-*"):  # by a killed run: whoever makes something holds the lock
            shutil.rmtree(left)
        if not archive.exists():
            talk.say(f"making {name} from Debian packages")
            with tempfile.TemporaryDirectory(dir=slots.cache(), prefix="make-") as folder:
                made = Path(folder) / "image.tar"
                make(made)
                made.replace(archive)
    return archive


def make_base(archive: Path, setup: hostsetup.HostSetup) -> None:
    """A minimal Debian.

    In namespaces of its own: what mmdebstrap mounts (this machine's /dev, for one) is never seen outside and
    ends with it, so the folder can be removed whatever happens.
    """
    packages.ensure(["mmdebstrap"])
    argv = [*ALONE, "mmdebstrap", "--variant=minbase", f"--include={PACKAGES}"]
    argv += [f"--dpkgopt={option}" for option in SLIM]
    argv += setup.write(archive.parent / "setup")
    log = slots.cache() / "mmdebstrap.log"
    environment = os.environ | {"TMPDIR": str(archive.parent)}
    talk.logged([*argv, SUITE, str(archive), *setup.sources], log, environment=environment)


def make_busybox(archive: Path) -> None:
    """Debian's static busybox as the whole system; unpacked, not installed: this host keeps its own."""
    if not packages.can_install():
        raise talk.LabError(f"{HUB_BUSYBOX} cannot be pulled, and without root and apt none can be made")
    folder = archive.parent
    packages.extract("busybox-static", folder / "package")
    root = folder / "root"
    for name in ("bin", "etc", "tmp", "root"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="ascii")
    shutil.copy2(folder / "package" / "bin" / "busybox", root / "bin" / "busybox")
    for applet in APPLETS.split():
        (root / "bin" / applet).symlink_to("busybox")
    talk.output(["tar", "--create", "--file", str(archive), "--owner=0", "--group=0", "--directory", str(root), "."])

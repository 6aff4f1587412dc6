"""Apply the patches of a folder to the packages that are installed, and write down what was done.

    python apply_patches.py FOLDER RECORD [OUT]

With OUT nothing installed is touched: what changes is written below it, with its path in the image.  What is removed is
a file `.wh.NAME` there, which hides NAME of the layers below.
With SOURCE_DATE_EPOCH in the environment, what it writes has that time, folders too, so that two builds are the same.

All or nothing: the first thing that is wrong ends it with one line that names patch and file, and nothing is written.
A patch whose package is not installed at all is recorded as not applied, with the reason.  Nothing but the standard
library; the reading and applying is in patchfile.py beside this file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import py_compile
import sys
import time
from pathlib import Path
from typing import Any

from patchfile import PatchEntry, PatchError, apply_all, is_applied, read_series


class Site:
    """The folder that packages are installed in, with changes that are not written yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.changed: dict[str, bytes | None] = {}

    def read(self, path: str) -> bytes | None:
        if path in self.changed:
            return self.changed[path]
        place = self.root / path
        if not place.resolve().is_relative_to(self.root.resolve()):
            raise PatchError(f"{path} leads out of {self.root}")
        return place.read_bytes() if place.is_file() else None

    def write(self, out: str) -> list[Path]:
        """Everything that is changed, in place or below `out`; what was written."""
        written: list[Path] = []
        for path, content in self.changed.items():
            place = self.root / path
            cached = Path(importlib.util.cache_from_source(str(place)))
            target, byte_code = (Path(out + str(each)) for each in (place, cached))
            if content is None:
                for each in (target, byte_code) if path.endswith(".py") else (target,):
                    remove(each, hide=bool(out))
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            written.append(target)
            if path.endswith(".py"):
                # Python does not look at the source again, so byte code that stayed behind would win.
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                byte_code.unlink(missing_ok=True)
                py_compile.compile(
                    str(target), cfile=str(byte_code), dfile=str(place), doraise=True, invalidation_mode=mode
                )
                written.append(byte_code)
        return written


def remove(place: Path, *, hide: bool) -> None:
    if hide:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_name(f".wh.{place.name}").touch()
    else:
        place.unlink(missing_ok=True)


def apply(entry: PatchEntry, distribution: importlib.metadata.Distribution, site: Site) -> None:
    """Raises PatchError when the patch is not of this version or does not fit exactly."""
    installed = distribution.version
    if not entry.concerns(installed):
        raise PatchError(f"{entry.package} {installed} is installed, not {entry.version}")
    tops = {file.parts[0] for file in distribution.files or ()}
    for path in entry.patch.files:
        if path.partition("/")[0] not in tops:
            raise PatchError(f"{path} does not belong to {entry.package}")
    try:
        after = apply_all(entry.patch, site.read)
    except PatchError as error:
        if is_applied(entry.patch, site.read):
            raise PatchError(f"{', '.join(entry.patch.files)} has it already") from None
        raise error from None
    for path, content in after.items():
        if content is not None and path.endswith(".py"):
            check_syntax(path, content)
    site.changed.update(after)


def check_syntax(path: str, content: bytes) -> None:
    try:
        compile(content, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise PatchError(f"{path} is no valid Python afterwards: {error}") from None


def account(entry: PatchEntry, reason: str) -> dict[str, Any]:
    """What patches.json says of a patch."""
    fields = entry.patch.fields
    return {
        "name": entry.name,
        "sha256": hashlib.sha256(entry.data).hexdigest(),
        "package": entry.package,
        "version": entry.version,
        "subject": fields["Subject"],
        "author": fields.get("From", ""),
        "origin": fields["Origin"],
        "commit": fields.get("Commit", ""),
        "files": list(entry.patch.files),
        "applied": not reason,
        "reason": reason,
    }


def date(written: set[Path], since: float) -> None:
    """Give what was written since then, and the folders that it was written in, the time of the build's inputs."""
    if "SOURCE_DATE_EPOCH" not in os.environ:
        return
    moment = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in written.union(*(each.parents for each in written)):
        if path.exists() and path.stat().st_mtime >= since:
            os.utime(path, (moment, moment))


def run(folder: Path, record: Path, out: str = "") -> None:
    """Raises SystemExit with the one line that says what is wrong."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    entries, problems = read_series(files)
    for name, line, message in problems:
        raise SystemExit(f"patch {name}{f':{line}' if line else ''}: {message}")
    sites: dict[Path, Site] = {}
    since = time.time() - 2  # clocks of file systems are coarse
    rows = []
    for entry in entries:
        reason = ""
        try:
            distribution = importlib.metadata.distribution(entry.package)
            root = Path(str(distribution.locate_file("")))
            apply(entry, distribution, sites.setdefault(root, Site(root)))
        except importlib.metadata.PackageNotFoundError:
            reason = f"{entry.package} is not installed"
        except PatchError as error:
            where = f"{entry.name}:{error.line}" if error.line else entry.name
            raise SystemExit(
                f"patch {where}: {error.message}; make it for {entry.package} as installed "
                "(release patch import), or remove it"
            ) from None
        rows.append(account(entry, reason))
    written = [path for site in sites.values() for path in site.write(out)]
    text = json.dumps({"schema_version": 1, "patches": rows}, indent=2, ensure_ascii=False) + "\n"
    record.write_text(text, encoding="utf-8")
    date({record, *written, *(site.root / path for site in sites.values() for path in site.changed)}, since)
    for row in rows:
        sys.stdout.write(f"patch {row['name']}: {'applied' if row['applied'] else row['reason']}\n")


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])

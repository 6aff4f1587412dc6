"""The Jenkinsfiles of `release ci init`, parsed by the Groovy that Jenkins has inside (2.4): part of `make lint`.

Debian's package is installed where that can be done.  Where it cannot, nothing is parsed: that is said, and on a CI
machine it is a failure.  What only Jenkins knows (its sections, steps and plugins) is not looked at.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orchestrator.config.reader import parse
from orchestrator.forges.ci import PipelineWish, pipeline_of, text_of
from tools.lab import packages, talk

BROKEN = "broken"  # the one that must be refused
PARSER = """\
import org.codehaus.groovy.control.*
args.each { name ->
    def unit = new CompilationUnit()
    unit.addSource(new File(name))
    try {
        unit.compile(Phases.CONVERSION)
        println "parsed ${new File(name).name}"
    } catch (CompilationFailedException error) {
        System.err.println error.message
    }
}
"""


def main() -> int:
    try:
        provide()
    except talk.LabError as error:
        print(f"lint: the Jenkinsfiles were NOT parsed: {error}", file=sys.stderr)
        return int(os.environ.get("CI") == "true")
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder))
        done = subprocess.run(
            ["groovy", str(Path(folder) / "Parser.groovy"), *map(str, files)],
            capture_output=True, text=True, check=False, env=os.environ | {"JAVA_HOME": java_home()},
        )  # fmt: skip
    expected = [f"parsed {path.name}" for path in files if path.name != BROKEN]
    if done.returncode == 0 and done.stdout.splitlines() == expected:
        return 0
    print(f"lint: Groovy does not parse the Jenkinsfiles:\n{done.stdout}{done.stderr}", file=sys.stderr)
    return 1


def provide() -> None:
    """Groovy, installed where it is missing.  Raises LabError."""
    if packages.missing(["groovy"]) and not packages.can_install():
        raise talk.LabError("there is no groovy here; on Debian: apt-get install groovy")
    packages.ensure(["groovy"])


def write(folder: Path) -> list[Path]:
    """The files, and one with a brace too few, which shows that the parser looks."""
    (folder / "Parser.groovy").write_text(PARSER)
    texts = {"without-image": made(""), "with-image": made("image: {repository: r.example.com/x}\n")}
    whole: dict[str, Any] = {
        "cut": True,
        "environment": "live",
        "tool_image": f"r.example.com/release@sha256:{'a' * 64}",
    }
    texts["whole"] = made("image: {repository: r.example.com/x}\n", **whole)
    platforms = "land: pull-request\nimage: {repository: r.example.com/x, platforms: [linux/amd64, linux/arm64]}\n"
    texts |= {"platforms": made(platforms), "whole-platforms": made(platforms, **whole)}
    texts[BROKEN] = texts["with-image"].rstrip().removesuffix("}")
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def made(image: str, **asked: Any) -> str:
    config = parse(f"version: 1\nbranch: release/v2.7\nsource: main\nreleases: {{}}\n{image}".encode(), "release.yaml")
    install = "" if "tool_image" in asked else "python3 -I -m pip install 'git+https://git.example.com/release@COMMIT'"
    wish = PipelineWish(provider="jenkins", install=install, **asked)
    made = pipeline_of(config, wish, config_path="deploy/release.yaml", branches="release/*", tags=["v2.7.0"])
    return text_of(made, wish)


def java_home() -> str:
    """The home of the `java` that is found, which Debian's groovy does not look for."""
    java = shutil.which("java")
    return str(Path(java).resolve().parents[1]) if java else ""


if __name__ == "__main__":
    sys.exit(main())

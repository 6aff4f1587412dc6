"""Builds of one development version are told apart by the words that they write."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator
from orchestrator import __version__, digest, tool_version
from tests.support.cli import release
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

PACKAGE = Path(orchestrator.__file__).parent
REF = f"refs/release-records/{VERSION}"


def test_the_digest_is_that_of_the_words(tmp_path: Path) -> None:
    copy = shutil.copytree(PACKAGE, tmp_path / "orchestrator", ignore=shutil.ignore_patterns("__pycache__"))
    assert digest(copy) == digest(PACKAGE)
    assert tool_version() == (f"{__version__}+{digest(PACKAGE)}" if ".dev" in __version__ else __version__)
    for name in ("core/tag_message.py", "plan/changelog.py", "session/yanks.py"):
        before = digest(copy)
        (copy / name).write_text((copy / name).read_text() + "# another word\n")
        assert digest(copy) != before, name
    (copy / "report/console.py").write_text("")  # it writes nothing that is kept
    before = digest(copy)
    (copy / "report/text.py").write_text("")
    assert digest(copy) == before


def test_another_build_may_write_other_words_and_this_one_may_not(tale: Story) -> None:
    """The tag has a line that this tool does not write; its record says who wrote both."""
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    clone, remote = tale.clone, tale.remote
    data = json.loads(remote.git("cat-file", "blob", REF))
    assert data["tool"]["version"] == tool_version()
    tag = remote.git("cat-file", "tag", VERSION).replace("Picked onto", "It was made with care.\n\nPicked onto")
    data["tag"]["object"] = remote.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=f"{tag}\n")
    for tool, code in ((tool_version(), 9), (f"{__version__}+00000000", 0)):
        data["tool"]["version"] = tool
        text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
        blob = remote.git("hash-object", "-w", "--stdin", stdin=f"{text}\n")
        remote.git("update-ref", REF, blob)
        remote.git("update-ref", f"refs/tags/{VERSION}", data["tag"]["object"])
        clone.git("fetch", "--quiet", "--force", "origin", f"+{REF}:{REF}", f"+refs/tags/{VERSION}:refs/tags/{VERSION}")
        found = release("verify", VERSION, cwd=clone.path)
        assert (found.code, "words of the tag" in found.out) == (code, code == 9), found.out

"""Patches are read strictly and applied exactly; the image's build does it with the same file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.image.patchfile import PatchError, apply_all, is_applied, parse, read_series
from tests.support.story import Repo

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "images/pytorch-cuda/build"
HEAD = "Subject: a fix\nOrigin: upstream, https://example.com/x.git\n---\n"
BASE = b"".join(b"line %d\n" % number for number in range(1, 21))


def diff(tmp: Path, before: dict[str, bytes], after: dict[str, bytes], *options: str) -> bytes:
    """What git itself says is the difference, as a patch of ours."""
    repo = Repo(tmp)
    repo.git("init", "--quiet")
    trees = []
    for files in (before, after):
        for path in set(before) - set(files):
            (tmp / path).unlink()
        for path, data in files.items():
            repo.write(path, data)
        repo.git("add", "--all")
        trees.append(repo.git("write-tree"))
    done = subprocess.run(["git", "diff", *options, *trees], cwd=tmp, capture_output=True, check=True)
    return HEAD.encode() + done.stdout


def edited(number: int, text: bytes = b"other") -> bytes:
    return BASE.replace(b"line %d\n" % number, text + b"\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"p/m.py": BASE}, {"p/m.py": edited(10)}),
        ({"p/m.py": BASE}, {"p/m.py": edited(2).replace(b"line 18\n", b"")}),
        ({"p/m.py": BASE}, {"p/m.py": b"first\n" + BASE + b"last\n"}),
        ({"p/m.py": BASE}, {"p/m.py": BASE[:-1]}),  # the line end of the last line goes
        ({"p/m.py": BASE[:-1]}, {"p/m.py": BASE}),
        ({"p/m.py": BASE[:-1]}, {"p/m.py": BASE + b"more"}),
        ({"p/m.py": BASE.replace(b"\n", b"\r\n")}, {"p/m.py": edited(10).replace(b"\n", b"\r\n")}),
        ({"p/m.py": b"\xff\n"}, {"p/m.py": b"\xfe\n"}),
        ({"p/m.py": BASE}, {"p/m.py": BASE, "p/sub/new.py": b"x = 1\n"}),
        ({"p/m.py": BASE}, {"p/m.py": BASE, "p/__init__.py": b""}),  # empty
        ({"p/m.py": BASE, "p/old.py": b"x\n"}, {"p/m.py": BASE}),
        ({"p/m.py": BASE}, {"p/other.py": BASE}),
        ({"p/m.py": BASE}, {"p/other.py": edited(3)}),
        ({"p/m.py": b"-- a\n"}, {"p/m.py": b"++ a\n"}),  # looks like markers
    ],
)
@pytest.mark.parametrize("options", [(), ("-U1",), ("--no-renames",)])
def test_what_git_writes_is_applied_and_taken_back(
    tmp_path: Path, before: dict[str, bytes], after: dict[str, bytes], options: tuple[str, ...]
) -> None:
    patch = parse(diff(tmp_path, before, after, *options))
    made = {path: data for path, data in (before | apply_all(patch, before.get)).items() if data is not None}
    assert made == after
    assert is_applied(patch, after.get)
    assert not is_applied(patch, before.get)
    back = {path: data for path, data in (after | apply_all(patch, after.get, back=True)).items() if data is not None}
    assert back == before
    with pytest.raises(PatchError):
        apply_all(patch, after.get)


def test_a_hunk_without_context_could_be_applied_twice(tmp_path: Path) -> None:
    after = {"p/m.py": BASE.replace(b"line 3\n", b"line 3\nmore\n")}
    patch = parse(diff(tmp_path, {"p/m.py": BASE}, after, "-U0"))
    for content in (BASE, after["p/m.py"]):
        with pytest.raises(PatchError, match="without context"):
            apply_all(patch, {"p/m.py": content}.get)


def one(body: str, paths: str = "a/p/m.py b/p/m.py") -> bytes:
    return f"{HEAD}diff --git {paths}\n{body}".encode()


MARKS = "--- a/p/m.py\n+++ b/p/m.py\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"new\n" + BASE, "p/m.py:7 is 'line 6"),  # an offset
        (BASE.replace(b"line 8\n", b"line 8 \n"), "p/m.py:8 is"),  # fuzz: a blank in the context
        (BASE.replace(b"\n", b"\r\n"), "p/m.py:7 is"),
        (BASE[:30], "the patch wants line 6"),
        (None, "is not there"),
    ],
)
def test_nothing_but_the_exact_place_will_do(tmp_path: Path, content: bytes | None, says: str) -> None:
    patch = parse(diff(tmp_path, {"p/m.py": BASE}, {"p/m.py": edited(10)}))
    with pytest.raises(PatchError, match=says):
        apply_all(patch, {"p/m.py": content}.get)


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"", 1, "empty"),
        (one(f"{MARKS}@@ -1 +1 @@\n-a\n+b\n")[:-1], 9, "ends within a line"),
        (HEAD.encode(), 1, "no `diff --git` line"),
        (one("x\n").replace(b"Origin: upstream, https://example.com/x.git\n", b""), 1, "no `Origin:`"),
        (one(f"{MARKS}@@ -1 +1 @@\n-a\n+b\n").replace(b"\n", b"\r\n"), 1, "CRLF"),
        (one(f"{MARKS}@@ -1 +1 @@\n-a\n+b\n", "a/../m.py b/../m.py"), 4, "no plain path"),
        (one(f"{MARKS}@@ -1 +1 @@\n-a\n+b\n", "a//etc/m.py b//etc/m.py"), 4, "no plain path"),
        (one("", "a/p/c.cpp b/p/c.cpp"), 4, "no Python file"),
        (one("", '"a/p/\\303.py" "b/p/\\303.py"'), 4, "blanks or quotes"),
        (one("index 1..2\nGIT binary patch\nliteral 1\n"), 6, "binary"),
        (one("index 1..2\nBinary files a/p/m.py and b/p/m.py differ\n"), 6, "binary"),
        (one("old mode 100644\nnew mode 100755\n"), 5, "mode"),
        (one("new file mode 120000\n--- /dev/null\n+++ b/p/m.py\n@@ -0,0 +1 @@\n+x\n"), 5, "symbolic link"),
        (one("index 1..2 100644\n"), 4, "nothing is changed"),
        (one(f"{MARKS}@@ -1 +1 @@\n-a\n+b\n", "a/p/m.py b/p/n.py"), 6, "this should be"),
        (one(f"{MARKS}@@ -1,2 +1 @@\n-a\n+b\n"), 7, "ends early"),
        (one(f"{MARKS}@@ -1 +1 @@\n-a\n+b\n+c\n"), 10, "counts of the hunk before it are wrong"),
        (one(f"{MARKS}@@ -1,3 +1,3 @@\n x\n\n-a\n+b\n"), 9, "starts with none"),
        (one(f"{MARKS}@@ -1 +2 @@\n-a\n+b\n"), 7, "do not follow"),
        (one(f"{MARKS}@@ -5 +5 @@\n-a\n+b\n@@ -3 +3 @@\n-a\n+b\n"), 10, "overlaps"),
        (one(f"{MARKS}@@ 1 @@\n-a\n+b\n"), 7, "bad hunk line"),
        (one(f"{MARKS}@@ -1 +1 @@\n a\n"), 7, "changes nothing"),
        (one("@@ -1 +1 @@\n-a\n+b\n"), 5, "without `---`"),
        (one("similarity index 100%\ncopy from p/m.py\ncopy to p/n.py\n", "a/p/m.py b/p/n.py"), 6, "not understood"),
        (one(f"{MARKS}@@ -1 +1 @@\n-a\n+b\n") + one(f"{MARKS}@@ -1 +1 @@\n-b\n+c\n")[len(HEAD) :], 10, "twice"),
    ],
)
def test_what_is_malformed_has_its_line(data: bytes, line: int, says: str) -> None:
    with pytest.raises(PatchError, match=says) as caught:
        parse(data)
    assert caught.value.line == line


def test_the_signature_of_format_patch_is_no_hunk() -> None:
    assert parse(one(f"{MARKS}@@ -1 +1 @@\n-a\n+b\n-- \n2.39.5\n\n")).files == ("p/m.py",)


GOOD = one(f"{MARKS}@@ -1 +1 @@\n-a\n+b\n")


def test_the_order_of_a_folder_and_what_does_not_belong_there() -> None:
    files = {
        "README.md": b"x",
        "p-1.0/0002-b.patch": GOOD,
        "p-1.0/0001-a.patch": GOOD,
        "p-1.0/0001-a.py": b"x",
        "scikit-learn-1.6.1/0001-a.patch": GOOD,
    }
    entries, problems = read_series(files)
    assert problems == []
    assert [(entry.name, entry.package, entry.version) for entry in entries] == [
        ("p-1.0/0001-a.patch", "p", "1.0"),
        ("p-1.0/0002-b.patch", "p", "1.0"),
        ("scikit-learn-1.6.1/0001-a.patch", "scikit-learn", "1.6.1"),
    ]
    assert entries[0].concerns("1.0+cu118")
    assert not entries[0].concerns("1.0.1")
    bad = {"loose.patch": GOOD, "p-1.0/1-a.patch": GOOD, "p/0001-a.patch": GOOD, "p-1.0/x/0001-a.patch": GOOD}
    assert [path for path, _, _ in read_series(bad)[1]] == sorted(bad)
    assert "number of" in read_series({"p-1.0/0001-a.patch": GOOD, "p-1.0/0001-b.patch": GOOD})[1][0][2]


# ------------------------------------------------------------------ what the image's build runs


def test_the_image_applies_with_the_same_file() -> None:
    """Repair with: cp orchestrator/image/patchfile.py images/pytorch-cuda/build/"""
    assert (BUILD / "patchfile.py").read_bytes() == (ROOT / "orchestrator/image/patchfile.py").read_bytes()


class Site:
    """A package `p` 1.0 that is installed, with byte code that does not look at its source."""

    def __init__(self, root: Path) -> None:
        self.site, self.patches, self.record = root / "site", root / "patches", root / "patches.json"
        for path, text in {
            "p/m.py": "a\n".replace("a", "A = 1"),
            "p-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: p\nVersion: 1.0\n",
            "p-1.0.dist-info/RECORD": "p/m.py,,\np-1.0.dist-info/METADATA,,\np-1.0.dist-info/RECORD,,\n",
        }.items():
            (self.site / path).parent.mkdir(parents=True, exist_ok=True)
            (self.site / path).write_text(text)
        mode = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(self.site)]
        subprocess.run([sys.executable, *mode], check=True)

    def patch(self, name: str, body: str, paths: str = "a/p/m.py b/p/m.py") -> None:
        (self.patches / name).parent.mkdir(parents=True, exist_ok=True)
        (self.patches / name).write_bytes(one(body, paths))

    def apply(self) -> tuple[int, str]:
        self.patches.mkdir(exist_ok=True)
        argv = [sys.executable, "-B", str(BUILD / "apply_patches.py"), str(self.patches), str(self.record)]
        env = {"PYTHONPATH": str(self.site), "SOURCE_DATE_EPOCH": "1745366400"}
        done = subprocess.run(argv, env=env, text=True, capture_output=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def value(self) -> str:
        code = "import p.m; print(p.m.A)"
        env = {"PYTHONPATH": str(self.site)}
        return subprocess.run([sys.executable, "-c", code], env=env, text=True, capture_output=True, check=True).stdout


FIX = f"{MARKS}@@ -1 +1 @@\n-A = 1\n+A = 2\n"


def test_source_and_byte_code_are_changed_and_recorded(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.patch("p-1.0/0001-a.patch", FIX)
    site.patch("gone-3.0/0001-a.patch", FIX)
    assert site.value() == "1\n"
    code, said = site.apply()
    assert code == 0, said
    assert site.value() == "2\n"
    rows = json.loads(site.record.read_text())["patches"]
    assert [(row["name"], row["applied"], row["reason"]) for row in rows] == [
        ("gone-3.0/0001-a.patch", False, "gone is not installed"),
        ("p-1.0/0001-a.patch", True, ""),
    ]
    assert rows[1]["files"] == ["p/m.py"]
    code_file = Path(importlib.util.cache_from_source(str(site.site / "p/m.py")))
    for written in (site.record, site.site / "p/m.py", code_file, code_file.parent):
        assert written.stat().st_mtime == 1745366400, written
    code, said = site.apply()  # the same image twice is refused, not patched twice
    assert (code, "p/m.py has it already" in said) == (1, True), said


@pytest.mark.parametrize(
    ("name", "body", "paths", "says"),
    [
        ("p-1.1/0001-a.patch", FIX, "", "p 1.0 is installed, not 1.1"),
        ("p-1.0/0001-a.patch", FIX.replace("A = 1", "A = 0"), "", "0001-a.patch:7: p/m.py:1 is 'A = 1"),
        ("p-1.0/0001-a.patch", FIX.replace("A = 2", "A = ="), "", "no valid Python afterwards"),
        ("p-1.0/0001-a.patch", FIX.replace("p/m", "q/m"), "a/q/m.py b/q/m.py", "q/m.py does not belong to p"),
        ("p-1.0/0001-a.patch", FIX, "a/../m.py b/../m.py", "no plain path"),
        ("0001-a.patch", FIX, "", "not named"),
    ],
)
def test_what_does_not_fit_ends_the_build_in_one_line(
    tmp_path: Path, name: str, body: str, paths: str, says: str
) -> None:
    site = Site(tmp_path)
    site.patch(name, body, paths or "a/p/m.py b/p/m.py")
    code, said = site.apply()
    assert code == 1
    assert says in said
    assert name in said
    assert said.count("\n") == 1, said
    assert site.value() == "1\n"
    assert not site.record.exists()

"""release.yaml: what is read, and what is refused with which place."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import config
from orchestrator.config_rules import branch_fault
from orchestrator.errors import ConfigError, Exit
from orchestrator.model import Config, Fix, Place, ReleaseEntry, SmokeCommand, VersionFile

DOCS = Path(__file__).parents[2] / "docs" / "release-yaml.md"

FULL = """\
version: 1
branch: release/v2.7
source: [main, fix/dataloader-leak]
remote: upstream
releases:
  v2.7.1:
    summary: one line
    fixes:
      - commit: 00123456       # stays text
        reason: why it must ship
        approved-by: https://example.com/pull/7
        backport: 1e5
        mainline: 1
        allow: [duplicate, empty]
      - range: e4f5a6b^..c7d8e9f
  v2.7.2-rc.1: {fixes: [{commit: "main^{/leak}"}]}
image:
  repository: registry.example.com:5000/team/pytorch-cuda
  dockerfile: ./images/pytorch-cuda/Dockerfile
  context: images/
  build-args: {BASE_IMAGE: "debian:12", TORCH: 2.10, EMPTY: "", TOKENIZERS_PARALLELISM: 1}
  floating: [v2.7, latest]
  smoke:
    - true
    - [python, -c, "import torch"]
    - {name: jupyter, run: jupyter --version, timeout: 90s, network: bridge}
  platform: linux/amd64
  network: host
verify:
  - make test
  - |
    set -e
    make lint
changelog: docs/CHANGES.md
version-files:
  - VERSION
  - path: setup.py
    pattern: 'version="(.*)"'
"""

MINIMAL = "version: 1\nbranch: release/v2.7\nsource: main\n"


def read(text: str) -> Config:
    return config.parse(text.encode(), "release.yaml")


def faults(text: str | bytes) -> list[tuple[str, str]]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigError) as caught:
        config.parse(data, "release.yaml")
    return [(problem.where, problem.code) for problem in caught.value.problems]


# ------------------------------------------------------------------ what is read


def test_every_key_is_read() -> None:
    got = read(FULL)
    assert (got.branch, got.source, got.remote) == (
        "release/v2.7",
        ("main", "fix/dataloader-leak"),
        "upstream",
    )
    assert got.releases[0] == ReleaseEntry(
        version="v2.7.1",
        place=Place(file="release.yaml", line=6, column=3),
        summary="one line",
        fixes=(
            Fix(
                place=Place(file="release.yaml", line=9, column=9),
                commit="00123456",
                reason="why it must ship",
                approved_by="https://example.com/pull/7",
                backport="1e5",
                mainline=1,
                allow=("duplicate", "empty"),
            ),
            Fix(place=Place(file="release.yaml", line=15, column=9), range="e4f5a6b^..c7d8e9f"),
        ),
    )
    assert got.releases[1].fixes[0].commit == "main^{/leak}"
    assert got.verify == ("make test", "set -e\nmake lint")
    assert got.changelog == "docs/CHANGES.md"
    place = Place(file="release.yaml", line=36, column=5)
    assert got.version_files[0] == VersionFile(place=place, path="VERSION")
    assert got.version_files[1].pattern == 'version="(.*)"'
    assert got.text == FULL.encode()


def test_the_image_is_read() -> None:
    image = read(FULL).image
    assert image is not None
    assert image.repository == "registry.example.com:5000/team/pytorch-cuda"
    assert (image.dockerfile, image.context) == ("images/pytorch-cuda/Dockerfile", "images")
    assert dict(image.build_args)["TORCH"] == "2.10"
    assert dict(image.build_args)["EMPTY"] == ""
    assert image.floating == ("v2.7", "latest")
    assert (image.platform, image.network) == ("linux/amd64", "host")
    assert image.smoke == (
        SmokeCommand(name="true", command=("/bin/sh", "-c", "true")),
        SmokeCommand(name="python -c import torch", command=("python", "-c", "import torch")),
        SmokeCommand(
            name="jupyter", command=("/bin/sh", "-c", "jupyter --version"), timeout=90.0, network="bridge"
        ),
    )


def test_defaults() -> None:
    got = read(MINIMAL)
    assert (got.remote, got.releases, got.image, got.changelog) == ("origin", (), None, "CHANGELOG.md")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5", 1.5), ("90s", 90), ("5m", 300), ("1h", 3600), ("24h", 86400)]
)
def test_timeouts(text: str, seconds: float) -> None:
    image = f"image:\n  repository: r.io/x\n  smoke: [{{run: ls, timeout: {text}}}]\n"
    got = read(MINIMAL + image).image
    assert got is not None
    assert got.smoke[0].timeout == seconds


def test_equal_commands_get_names_of_their_own() -> None:
    got = read(MINIMAL + "image:\n  repository: r.io/x\n  smoke: [ls, ls, {name: ls (2), run: pwd}]\n").image
    assert got is not None
    assert len({command.name for command in got.smoke}) == 3


@pytest.mark.parametrize("extra", ["releases: {}\n", "releases:\n", "verify: []\n"])
def test_empty_sections_are_fine(extra: str) -> None:
    assert read(MINIMAL + extra).releases == ()


def test_windows_line_ends_are_read_and_kept() -> None:
    data = FULL.replace("\n", "\r\n").encode()
    got = config.parse(data, "release.yaml")
    assert got.text == data
    assert got.releases == read(FULL).releases


def test_aliases_are_read() -> None:
    got = read(
        MINIMAL + 'releases:\n  v2.7.1:\n    fixes: [{commit: a, reason: &r "x"}, {commit: b, reason: *r}]\n'
    )
    assert got.releases[0].fixes[1].reason == "x"


# ------------------------------------------------------------------ what is refused, and where


def fix(lines: str) -> str:
    """A file whose release v2.7.1 has these lines (from line 7, column 9) as its only fix."""
    first, *rest = lines.split("\n")
    body = "\n".join([f"      - {first}", *(f"        {line}" for line in rest)])
    return f"{MINIMAL}releases:\n  v2.7.1:\n    fixes:\n{body}\n"


def image(line: str) -> str:
    """A file whose image has this line (line 6, column 3)."""
    return f"{MINIMAL}image:\n  repository: r.example.com/x\n  {line}\n"


def top(line: str) -> str:
    """A file that ends with this line (line 4)."""
    return f"{MINIMAL}{line}\n"


BAD: list[tuple[str, str | bytes, str, str]] = [
    # the bytes
    ("empty", b"", "1:1", "config-empty"),
    ("only a comment", "# nothing\n", "1:1", "config-empty"),
    ("only a marker", "---\n", "1:1", "config-empty"),
    ("not UTF-8", b"version: 1\nbranch: caf\xe9\n", "2:12", "config-not-utf8"),
    ("UTF-16", "version: 1\n".encode("utf-16"), "1:1", "config-byte-order-mark"),
    ("byte order mark", b"\xef\xbb\xbfversion: 1\n", "1:1", "config-byte-order-mark"),
    ("NUL", b"version: 1\nbra\x00nch: x\n", "2:4", "config-bad-character"),
    ("escape sequence", "version: 1\n# \x1b[31m\n", "2:3", "config-bad-character"),
    ("text direction mark", "version: 1\n# a\u202eb\n", "2:4", "config-bad-character"),
    ("lone carriage return", "version: 1\rbranch: x\n", "1:11", "config-bad-character"),
    # YAML
    ("tab", "version: 1\nimage:\n\trepository: x\n", "3:1", "config-tab"),
    ("open bracket", "version: 1\nsource: [main\nbranch: x\n", "3:7", "config-syntax"),
    ("no colon", "version: 1\nbranch\nsource: x\n", "3:1", "config-syntax"),
    ("no anchor", top("remote: *nothing"), "4:9", "config-syntax"),
    ("code point", top('remote: "\\UFFFFFFFF"'), "4:12", "config-syntax"),
    ("surrogate", top('remote: "\\ud800"'), "4:9", "config-bad-character"),
    ("contains itself", top("verify: &a [*a]"), "4:13", "config-recursion"),
    ("nested", top("verify: " + "[" * 40 + "]" * 40), "4:41", "config-too-deep"),
    ("two documents", MINIMAL + "---\nversion: 1\n", "4:1", "config-two-documents"),
    ("a list", "- version: 1\n", "1:1", "config-wrong-kind"),
    ("a text", "release\n", "1:1", "config-wrong-kind"),
    ("key twice", MINIMAL + "branch: other\n", "4:1", "config-duplicate-key"),
    ("merge key", MINIMAL + "image: &i {repository: r.io/x, <<: *i}\n", "4:36", "config-recursion"),
    ("merge key of text", image("<<: x"), "6:3", "config-merge-key"),
    ("python tag", top("remote: !!python/name:os.system x"), "4:9", "config-yaml-tag"),
    ("own tag", top("remote: !env HOME"), "4:9", "config-yaml-tag"),
    # keys and kinds
    ("unknown key", MINIMAL + "platfroms: x\n", "4:1", "config-unknown-key"),
    ("underscore", image("build_args: {}"), "6:3", "config-unknown-key"),
    ("no version", "branch: a\nsource: b\n", "1:1", "config-missing-key"),
    ("no branch", "version: 1\nsource: b\n", "1:1", "config-missing-key"),
    ("no source", "version: 1\nbranch: b\n", "1:1", "config-missing-key"),
    ("another format", "version: 2\nbrunch: x\n", "1:10", "config-format"),
    ("1.0", "version: 1.0\nbranch: a\nsource: b\n", "1:10", "config-format"),
    ("no value", top("remote:"), "4:8", "config-no-value"),
    ("null", top("remote: ~"), "4:9", "config-no-value"),
    ("blank", top('remote: " "'), "4:9", "config-no-value"),
    ("text for list", top("verify: make test"), "4:9", "config-wrong-kind"),
    ("list for text", top("remote: [a]"), "4:9", "config-wrong-kind"),
    ("mapping for source", "version: 1\nbranch: x\nsource: {a: b}\n", "3:9", "config-wrong-kind"),
    ("list for releases", top("releases: [v2.7.1]"), "4:11", "config-wrong-kind"),
    ("no sources", "version: 1\nbranch: x\nsource: []\n", "3:9", "config-no-source"),
    ("source twice", "version: 1\nbranch: x\nsource: [main, main]\n", "3:16", "config-duplicate-item"),
    # names
    ("option as branch", "version: 1\nbranch: --force\nsource: b\n", "2:9", "config-option-like"),
    (
        "option as source",
        "version: 1\nbranch: b\nsource: [a, --upload-pack=x]\n",
        "3:13",
        "config-option-like",
    ),
    ("option as remote", top("remote: --upload-pack=x"), "4:9", "config-option-like"),
    ("branch with dots", "version: 1\nbranch: a..b\nsource: b\n", "2:9", "config-bad-branch"),
    ("branch in full", "version: 1\nbranch: refs/heads/b\nsource: b\n", "2:9", "config-bad-branch"),
    ("branch with space", "version: 1\nbranch: a b\nsource: b\n", "2:9", "config-bad-branch"),
    ("source with caret", "version: 1\nbranch: b\nsource: main^\n", "3:9", "config-bad-ref"),
    ("URL as remote", top("remote: https://example.com/x.git"), "4:9", "config-bad-remote"),
    ("newline in a name", top('remote: "a\\nb"'), "4:9", "config-many-lines"),
    # releases and fixes
    ("half a version", top("releases: {v2.7: {fixes: [{commit: a}]}}"), "4:12", "config-bad-version"),
    ("no version at all", top("releases: {next: {fixes: [{commit: a}]}}"), "4:12", "config-bad-version"),
    ("metadata", top("releases: {v2.7.1+cu126: {fixes: [{commit: a}]}}"), "4:12", "config-bad-version"),
    ("leading zero", top("releases: {v2.07.1: {fixes: [{commit: a}]}}"), "4:12", "config-bad-version"),
    ("Arabic digit", top("releases: {v2.7.\u0661: {fixes: [{commit: a}]}}"), "4:12", "config-bad-version"),
    (
        "version twice",
        top("releases: {v2.7.1: {fixes: [{commit: a}]}, 2.7.1: {fixes: [{commit: b}]}}"),
        "4:44",
        "config-same-version",
    ),
    ("empty release", top("releases: {v2.7.1: }"), "4:19", "config-no-value"),
    ("no fixes", top("releases: {v2.7.1: {summary: x}}"), "4:20", "config-missing-key"),
    ("empty fixes", top("releases: {v2.7.1: {fixes: []}}"), "4:28", "config-no-fixes"),
    ("null fixes", top("releases: {v2.7.1: {fixes: }}"), "4:27", "config-no-fixes"),
    ("text as fix", top("releases: {v2.7.1: {fixes: [4f1c2d9a]}}"), "4:29", "config-wrong-kind"),
    (
        "summary of two lines",
        top('releases: {v2.7.1: {fixes: [{commit: a}], summary: "a\\nb"}}'),
        "4:52",
        "config-many-lines",
    ),
    ("commit and range", fix("commit: a\nrange: b..c"), "8:9", "config-both-keys"),
    ("neither", fix("reason: x"), "7:9", "config-missing-key"),
    ("same twice", fix("commit: abc12\n") + "      - commit: ABC12\n", "9:9", "config-same-fix"),
    ("option as commit", fix("commit: --exec=x"), "7:17", "config-option-like"),
    ("option as backport", fix("commit: a\nbackport: -x"), "8:19", "config-option-like"),
    ("range as commit", fix("commit: a..b"), "7:17", "config-bad-revision"),
    ("negated commit", fix("commit: ^a"), "7:17", "config-bad-revision"),
    ("space in commit", fix("commit: a b"), "7:17", "config-bad-revision"),
    ("three dots", fix("range: a...b"), "7:16", "config-bad-range"),
    ("no dots", fix("range: abc"), "7:16", "config-bad-range"),
    ("open start", fix("range: ..b"), "7:16", "config-bad-range"),
    ("open end", fix("range: a.."), "7:16", "config-bad-range"),
    ("option as end", fix("range: a..-x"), "7:16", "config-option-like"),
    ("mainline 0", fix("commit: a\nmainline: 0"), "8:19", "config-bad-mainline"),
    ("mainline yes", fix("commit: a\nmainline: yes"), "8:19", "config-bad-mainline"),
    ("mainline of a range", fix("range: a..b\nmainline: 1"), "8:9", "config-misplaced-key"),
    ("backport of a range", fix("range: a..b\nbackport: c"), "8:9", "config-misplaced-key"),
    ("unknown allow", fix("commit: a\nallow: [conflict]"), "8:17", "config-bad-word"),
    # image
    ("no repository", top("image: {context: .}"), "4:8", "config-missing-key"),
    ("scheme", top("image: {repository: https://r.io/x}"), "4:21", "config-bad-repository"),
    ("tag", top("image: {repository: r.io/x:v1}"), "4:21", "config-bad-repository"),
    ("login", top("image: {repository: bob:hunter2@r.io/x}"), "4:21", "config-secret"),
    ("absolute", image("dockerfile: /etc/passwd"), "6:15", "config-bad-path"),
    ("outside", image("context: a/../../b"), "6:12", "config-bad-path"),
    ("outside and back", image("context: a/../b"), "6:12", "config-bad-path"),
    ("folder as file", image("dockerfile: images/"), "6:15", "config-bad-path"),
    ("inside .git", image("dockerfile: .git/config"), "6:15", "config-bad-path"),
    ("a home", image("context: ~/x"), "6:12", "config-bad-path"),
    ("floating version", image("floating: [v2.7.1]"), "6:14", "config-bad-tag"),
    ("floating tag", image("floating: [.x]"), "6:14", "config-bad-tag"),
    ("argument's name", image("build-args: {A-B: x}"), "6:16", "config-bad-build-arg"),
    ("reserved argument", image("build-args: {SOURCE_DATE_EPOCH: 0}"), "6:16", "config-reserved-build-arg"),
    ("secret argument", image("build-args: {HF_TOKEN: x}"), "6:16", "config-secret"),
    ("secret in a value", image('build-args: {INDEX: "https://u:hunter2@h/"}'), "6:23", "config-secret"),
    ("argument without value", image("build-args: {A: }"), "6:18", "config-no-value"),
    ("unknown network", image("smoke: [{run: ls, network: all}]"), "6:30", "config-bad-word"),
    ("timeout 0", image("smoke: [{run: ls, timeout: 0}]"), "6:30", "config-bad-timeout"),
    ("timeout inf", image("smoke: [{run: ls, timeout: .inf}]"), "6:30", "config-bad-timeout"),
    ("timeout of days", image("smoke: [{run: ls, timeout: 25h}]"), "6:30", "config-bad-timeout"),
    ("no command", image("smoke: [[]]"), "6:11", "config-no-command"),
    ("empty program", image('smoke: [["", x]]'), "6:10", "config-no-command"),
    ("smoke without run", image("smoke: [{name: x}]"), "6:11", "config-missing-key"),
    ("name twice", image("smoke: [{name: x, run: a}, {name: x, run: b}]"), "6:10", "config-same-name"),
    ("platform", image("platform: amd64"), "6:13", "config-bad-text"),
    # files
    ("two groups", top("version-files: [{path: a, pattern: (a)(b)}]"), "4:36", "config-bad-pattern"),
    ("no group", top("version-files: [{path: a, pattern: ab}]"), "4:36", "config-bad-pattern"),
    ("no pattern", top("version-files: [{path: a, pattern: (a}]"), "4:36", "config-bad-pattern"),
    ("odd set", top("version-files: [{path: a, pattern: '([[a])'}]"), "4:36", "config-bad-pattern"),
    ("file twice", top("version-files: [VERSION, ./VERSION]"), "4:26", "config-same-file"),
    ("changelog as version", top("version-files: [CHANGELOG.md]"), "4:17", "config-same-file"),
    ("changelog outside", top("changelog: ../x"), "4:12", "config-bad-path"),
]


@pytest.mark.parametrize(("text", "place", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_names_its_place(text: str | bytes, place: str, code: str) -> None:
    assert faults(text) == [(f"release.yaml:{place}", code)]


def test_a_template_is_told_apart() -> None:
    assert ("release.yaml:4:10", "config-bad-key") in faults(top("remote: {{ x }}"))


def test_all_faults_at_once_in_the_order_of_the_file() -> None:
    text = "version: 1\nbrnach: release/v2.7\nsource: -x\nimage:\n  repository: R\n  dockerfile: /x\n"
    assert faults(text) == [
        ("release.yaml:1:1", "config-missing-key"),
        ("release.yaml:2:1", "config-unknown-key"),
        ("release.yaml:3:9", "config-option-like"),
        ("release.yaml:5:15", "config-bad-repository"),
        ("release.yaml:6:15", "config-bad-path"),
    ]


def test_the_error_is_a_usage_error_with_the_first_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        read(MINIMAL + "platfroms: x\nremotee: y\n")
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.where == "release.yaml:4:1"
    assert caught.value.problems[1].remedy == "did you mean 'remote'?"


def test_another_format_says_which_is_read() -> None:
    with pytest.raises(ConfigError, match="this tool reads format 1"):
        read("version: 2\n")


@pytest.mark.parametrize(
    "text",
    [
        top("image: {repository: bob:hunter2@r.io/x}"),
        top("image: {repository: https://bob:hunter2@r.io/x}"),
        top("image: {repository: bob:hunter2@r.io/x@sha256:0}"),
        top("remote: https://bob:hunter2@example.com/x.git"),
        top("remote: bob:hunter2@example.com/x.git"),
        image("build-args: {INDEX: https://u:hunter2@h/}"),
        image("build-args: {PASSWORD: hunter2}"),
        top("verify: ['curl https://u:hunter2@h/']"),
        fix("commit: https://u:hunter2@h/"),
        top("https://u:hunter2@h/: x"),
        top("releases: {'https://u:hunter2@h/': {fixes: []}}"),
    ],
)
def test_a_secret_is_refused_and_never_shown(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    for problem in caught.value.problems:
        assert "hunter2" not in f"{problem.message} {problem.remedy} {problem.where}"


def test_a_variable_in_a_url_is_no_secret() -> None:
    assert read(top("verify: ['curl https://$USER:$TOKEN@h/']")).verify


def test_a_billion_laughs_cost_nothing() -> None:
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    text = MINIMAL + "verify:\n" + "\n".join(lines) + "\n"
    start = time.monotonic()
    assert faults(text)[0][1] == "config-too-big"
    assert time.monotonic() - start < 2


def test_a_huge_file_is_refused_unread() -> None:
    assert faults(b"#" * (config.MAX_BYTES + 1)) == [("release.yaml", "config-too-big")]


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
@settings(deadline=None)
def test_no_bytes_give_anything_but_a_config_error(data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(b"version: 1\n" + data, "release.yaml")
    assert all(problem.where.startswith("release.yaml") and problem.code for problem in caught.value.problems)


@given(st.text(alphabet="a{}[]:,-&*!|>'\"\\#% \n<", max_size=40))
@settings(deadline=None)
def test_no_yaml_gives_anything_but_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        read(MINIMAL + text)


# ------------------------------------------------------------------ files


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_text(FULL)
    assert config.load(path, shown_as="release.yaml") == read(FULL)


def test_load_names_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, code in (
        ("nothing", "config-missing"),
        (".", "config-not-a-file"),
        ("pipe", "config-not-a-file"),
    ):
        with pytest.raises(ConfigError) as caught:
            config.load(tmp_path / name, shown_as="release.yaml")
        assert (caught.value.where, caught.value.code) == ("release.yaml", code)


# ------------------------------------------------------------------ git's own opinion

NAMES = [
    *(
        "main",
        "a/b",
        "release/v2.7",
        "a.b",
        "a@b",
        "ü",
        "a{b",
        "a}",
        "a@",
        "-a/b",
        "x/-a",
        "a.lock.b",
        "#1",
        "a!$&'b",
    ),
    *("a..b", "a b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a\tb", "a\x7fb", "a@{b", "a//b"),
    *("/a", "a/", "a.", ".a", "a/.b", "a.lock", "a.lock/b", "a/b.lock", "", "a./b"),
]


def git_takes(name: str) -> bool:
    done = subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], check=False)
    return done.returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_branch_names_are_judged_as_git_judges(name: str) -> None:
    assert (branch_fault(name) == "") == git_takes(name)


@given(st.text(alphabet="ab.@{/-~\\*l", max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_branch_name_is_judged_as_git_judges(name: str) -> None:
    if name != "@":  # git itself takes this one for HEAD
        assert (branch_fault(name) == "") == git_takes(name)


# ------------------------------------------------------------------ schema and reference

GOOD = [FULL, MINIMAL, top("releases: {}"), top("releases:"), fix("commit: 12345678"), image("smoke: [true]")]
STRUCTURALLY_BAD = [
    *("unknown key", "underscore", "no version", "no branch", "no source", "another format", "no value"),
    *(
        "text for list",
        "list for text",
        "mapping for source",
        "list for releases",
        "no sources",
        "source twice",
    ),
    *("half a version", "metadata", "no fixes", "empty fixes", "text as fix", "commit and range", "neither"),
    *("mainline 0", "mainline of a range", "backport of a range", "unknown allow", "no repository", "login"),
    *("absolute", "argument's name", "unknown network", "timeout 0", "no command", "smoke without run"),
    *(
        "option as branch",
        "option as source",
        "option as commit",
        "no dots",
        "open start",
        "open end",
        "platform",
    ),
]


def editor_says(text: str) -> list[str]:
    """What an editor with the schema would underline."""
    document: Any = yaml.safe_load(text)
    validator = jsonschema.Draft202012Validator(config.schema())
    return [error.message for error in validator.iter_errors(document)]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(config.schema())


@pytest.mark.parametrize("text", GOOD)
def test_good_files_pass_the_schema_too(text: str) -> None:
    read(text)
    assert editor_says(text) == []


@pytest.mark.parametrize("name", STRUCTURALLY_BAD)
def test_bad_structure_fails_the_schema_too(name: str) -> None:
    text = next(row[1] for row in BAD if row[0] == name)
    assert isinstance(text, str)
    assert editor_says(text)


def test_every_key_has_a_description() -> None:
    def keys(part: object) -> list[dict[str, object]]:
        if isinstance(part, list):
            return [found for item in part for found in keys(item)]
        if not isinstance(part, dict):
            return []
        own = part.get("properties", {})
        assert isinstance(own, dict)
        return [*own.values(), *(found for value in part.values() for found in keys(value))]

    found = keys(config.schema())
    assert len(found) > 20
    assert all(key["description"] for key in found)


def test_the_reference_in_the_docs_is_the_one_of_the_tables() -> None:
    page = DOCS.read_text(encoding="utf-8")
    _, _, rest = page.partition("<!-- keys: ")
    table = rest.partition("-->\n")[2].partition("<!-- /keys -->")[0]
    assert table.strip() == config.config_reference_markdown().strip()


def test_the_example_in_the_docs_is_valid() -> None:
    page = DOCS.read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    assert read(example).releases[0].fixes[1].backport == "9ab8c7d"
    assert editor_says(example) == []

"""release.yaml: what is refused, with which place, and what an editor with the schema says of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config import reader
from orchestrator.core.errors import ConfigError, Exit
from tests.support.waiting import within

MINIMAL = "version: 1\nbranch: release/v2.7\nsource: main\n"
PINNED = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="


def read(text: str) -> None:
    reader.parse(text.encode(), "release.yaml")


def faults(text: str | bytes) -> list[tuple[str, str]]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigError) as caught:
        reader.parse(data, "release.yaml")
    return [(problem.where, problem.code) for problem in caught.value.problems]


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


def policy(line: str) -> str:
    """A file whose policy has this line (line 5, column 3), or is this mapping (line 4, column 9)."""
    return f"{MINIMAL}policy: {line}\n" if line.startswith("{") else f"{MINIMAL}policy:\n  {line}\n"


def freeze(start: str, end: str, reason: str = ", reason: x") -> str:
    """A freeze; `start` is on line 5, column 19."""
    return policy(f"freeze: [{{from: {start}, until: {end}{reason}}}]")


BAD: list[tuple[str, str | bytes, str, str]] = [
    ("atomic for who pushes nothing", top("land: {by: pull-request, atomic: false}"), "4:34", "config-land-atomic"),
    ("atomic, perhaps", top("land: {by: push, atomic: maybe}"), "4:26", "config-bad-word"),
    ("records in a file", top("records: folder x"), "4:10", "config-bad-records"),
    ("records on no branch", top("records: branch -x"), "4:10", "config-option-like"),
    ("records on the release branch", top("records: branch release/v2.7"), "4:10", "config-records-branch"),
    ("records beside no image", top("records: registry"), "4:10", "config-records-image"),
    ("a proposal that nobody keeps", top("records: none\nland: pull-request"), "4:10", "config-records-none"),
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
    ("verify command without run", top("verify: [{timeout: 5}]"), "4:10", "config-missing-key"),
    ("verify path outside", top("verify: [{run: a, paths: [../b]}]"), "4:27", "config-bad-path"),
    ("verify without paths", top("verify: [{run: a, paths: []}]"), "4:26", "config-no-paths"),
    ("nothing excluded", top("exclude: []"), "4:10", "config-no-paths"),
    ("excluded but for some", fix("{commit: abc, exclude: ['!a']}"), "7:33", "config-bad-owned-path"),
    ("an unknown option", fix("{commit: abc, strategy-option: subtree}"), "7:40", "config-bad-word"),
    ("half of a percentage", fix("{commit: abc, strategy-option: find-renames=0}"), "7:40", "config-bad-word"),
    ("both sides", fix("{commit: abc, strategy-option: [ours, theirs]}"), "7:40", "config-contradiction"),
    ("no option", fix("{commit: abc, strategy-option: []}"), "7:40", "config-no-option"),
    ("excluded twice", top("exclude: [a, a]"), "4:14", "config-duplicate-item"),
    ("neither true nor false", fix("{commit: abc, confirm: yes}"), "7:32", "config-bad-word"),
    ("again without a reason", fix("commit: a\nagain: true"), "8:16", "config-no-reason"),
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
    ("nothing from nowhere", top("releases: {v2.7.1: {from-branch: false}}"), "4:34", "config-no-fixes"),
    ("half of a branch", top("releases: {v2.7.1: {from-branch: some}}"), "4:34", "config-bad-word"),
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
    ("mainline of a range", fix("range: a..b\nmainline: 2"), "8:19", "config-bad-mainline"),
    ("mainline of a request", fix("pr: 412\nmainline: 1"), "8:19", "config-misplaced-key"),
    ("request of words", fix("pr: the-big-one"), "7:13", "config-bad-request"),
    ("request as a commit", fix("commit: '#412'"), "7:17", "config-bad-revision"),
    ("backport of a range", fix("range: a..b\nbackport: c"), "8:9", "config-misplaced-key"),
    ("unknown allow", fix("commit: a\nallow: [conflict]"), "8:17", "config-bad-word"),
    ("reverted without a reason", fix("commit: a\nallow: [empty, reverted]"), "8:16", "config-no-reason"),
    ("feature without a reason", fix("commit: a\nallow: [feature]"), "8:16", "config-no-reason"),
    ("breaking without a reason", fix("commit: a\nallow: [breaking]"), "8:16", "config-no-reason"),
    ("no approval", fix("commit: a\napproved-by: []"), "8:22", "config-no-approval"),
    ("approval twice", fix("commit: a\napproved-by: [mia, mia]"), "8:28", "config-duplicate-item"),
    ("approval of two lines", fix('commit: a\napproved-by: ["a\\nb"]'), "8:23", "config-many-lines"),
    # policy
    ("policy without a value", top("policy:"), "4:8", "config-no-value"),
    ("list as policy", top("policy: [x]"), "4:9", "config-wrong-kind"),
    ("unknown rule", policy("signed-tag: true"), "5:3", "config-unknown-key"),
    ("no approvals", policy("required-approvals: 0"), "5:23", "config-bad-number"),
    ("too many approvals", policy("required-approvals: 10"), "5:23", "config-bad-number"),
    ("fewer for adapted", policy("{required-approvals: 2, adapted-approvals: 1}"), "4:52", "config-fewer-approvals"),
    ("no owners at all", policy("code-owners: []"), "5:16", "config-no-owners"),
    ("owners without a path", policy("code-owners: [{owners: [a]}]"), "5:17", "config-missing-key"),
    ("path without owners", policy('code-owners: [{path: "*"}]'), "5:17", "config-missing-key"),
    ("owner twice", policy('code-owners: [{path: "*", owners: [a, a]}]'), "5:41", "config-duplicate-item"),
    ("negated pattern", policy('code-owners: [{path: "!a", owners: [a]}]'), "5:24", "config-bad-owned-path"),
    ("set as pattern", policy('code-owners: [{path: "[ab]", owners: [a]}]'), "5:24", "config-bad-owned-path"),
    ("pattern of nothing", policy("code-owners: [{path: /, owners: [a]}]"), "5:24", "config-bad-owned-path"),
    ("pattern outside", policy("code-owners: [{path: ../a, owners: [a]}]"), "5:24", "config-bad-owned-path"),
    ("no types", policy("types: []"), "5:10", "config-no-types"),
    ("type in capitals", policy("types: [Fix]"), "5:11", "config-bad-text"),
    ("no key to sign with", top(f"sign: {{public-keys: [{PINNED}]}}"), "4:7", "config-missing-key"),
    (
        "two keys to sign with",
        top(f"sign: {{key-file: a, key-env: B, public-keys: [{PINNED}]}}"),
        "4:21",
        "config-both-keys",
    ),
    ("no form of SBOM", top(f"sign: {{key-file: a, public-keys: [{PINNED}], sbom: []}}"), "4:104", "config-no-form"),
    (
        "an unknown form",
        top(f"sign: {{key-file: a, public-keys: [{PINNED}], sbom: [syft]}}"),
        "4:105",
        "config-bad-word",
    ),
    ("no key is pinned", top("sign: {key-file: a, public-keys: []}"), "4:34", "config-no-key"),
    ("a pinned key that is none", top("sign: {key-file: a, public-keys: [MCow]}"), "4:35", "config-bad-key"),
    ("nothing is pinned", top("sign: {key-file: a}"), "4:8", "config-misplaced-key"),
    ("a key in a variable as URI", top(f"sign: {{key: 'env://K', public-keys: [{PINNED}]}}"), "4:13", "config-bad-key"),
    ("a key of SSH as URI", top(f"sign: {{key: 'ssh://k', public-keys: [{PINNED}]}}"), "4:13", "config-bad-key"),
    (
        "nobody's identity",
        top("sign: {keyless: {identity: mia, issuer: 'https://a.b'}}"),
        "4:28",
        "config-bad-identity",
    ),
    ("an issuer that is none", top("sign: {keyless: {identity: 'a:b', issuer: github}}"), "4:43", "config-bad-url"),
    ("no issuer", top("sign: {keyless: {identity: 'a:b'}}"), "4:17", "config-missing-key"),
    (
        "services without a root",
        top("sign: {keyless: {identity: 'a:b', issuer: 'https://a.b', signing-config: s.json}}"),
        "4:58",
        "config-misplaced-key",
    ),
    ("a variable that is none", top(f"sign: {{key-env: 7x, public-keys: [{PINNED}]}}"), "4:17", "config-bad-text"),
    ("a subject of two lines", top('release-commit: {subject: "a\\nb"}'), "4:27", "config-many-lines"),
    ("a placeholder that is none", top('release-commit: {subject: "{Tag}"}'), "4:27", "config-bad-template"),
    ("picks in a subject", top('release-commit: {subject: "{picks}"}'), "4:27", "config-bad-template"),
    ("a brace alone", top('release-commit: {body: "{tag"}'), "4:24", "config-bad-template"),
    ("a subject that is a comment", top('release-commit: {subject: "#1 {tag}"}'), "4:27", "config-bad-template"),
    (
        "a body that claims a source",
        top(f'release-commit: {{body: "(cherry picked from commit {"1" * 40})"}}'),
        "4:24",
        "config-bad-template",
    ),
    ("a template without quotes", top("release-commit: {subject: {tag}}"), "4:27", "config-wrong-kind"),
    ("a key that ends the block", top('release-commit: {trailers: {"Ticket no": x}}'), "4:29", "config-bad-text"),
    ("a trailer of two lines", top('release-commit: {trailers: {T: "a\\nb"}}'), "4:32", "config-many-lines"),
    ("a sign-off as a trailer", top("release-commit: {trailers: {Signed-Off-By: x}}"), "4:29", "config-bad-trailer"),
    ("a Change-Id that is none", top("release-commit: {trailers: {Change-Id: I12}}"), "4:29", "config-bad-trailer"),
    (
        "a ticket for nobody",
        top("releases: {v2.7.1: {ticket: X-1, fixes: [{commit: a}]}}"),
        "4:12",
        "config-unused-ticket",
    ),
    ("a hook before what is public", top("hooks: [{before: record, run: x}]"), "4:18", "config-bad-word"),
    ("a hook of two steps", top("hooks: [{before: land, after: land, run: x}]"), "4:24", "config-both-keys"),
    ("a hook of no step", top("hooks: [{run: x}]"), "4:9", "config-missing-key"),
    ("reused perhaps", top("reuse-resolutions: 1"), "4:20", "config-bad-word"),
    ("told by pigeon", top("notify: [{kind: pigeon, url-env: X}]"), "4:17", "config-bad-word"),
    ("an address in the file", top("notify: [{kind: slack, url-env: 'https://x/y'}]"), "4:33", "config-bad-text"),
    ("told nowhere", top("notify: [{kind: slack}]"), "4:10", "config-missing-key"),
    ("told of nothing known", top("notify: [{kind: slack, url-env: X, text: '{who}'}]"), "4:42", "config-bad-template"),
    ("an asset that is none", top("forge-release: {assets: [wheel]}"), "4:26", "config-bad-word"),
    ("a forge release perhaps", top("forge-release: yes"), "4:16", "config-bad-word"),
    ("signed commits perhaps", top("sign-commits: auto"), "4:15", "config-bad-word"),
    ("signed off perhaps", top("signoff: yes"), "4:10", "config-bad-word"),
    ("signed perhaps", policy("signed-tags: yes"), "5:16", "config-bad-word"),
    ("protected by full ref", policy("protected-sources: [refs/heads/main]"), "5:23", "config-bad-branch"),
    ("nothing protected", policy("protected-sources: []"), "5:22", "config-no-source"),
    ("freeze without end", policy("freeze: [{from: 2026-12-20T18:00Z, reason: x}]"), "5:12", "config-missing-key"),
    ("freeze without reason", freeze("2026-12-20T18:00Z", "2026-12-21T18:00Z", ""), "5:12", "config-missing-key"),
    ("freeze without zone", freeze("2026-12-20T18:00", "2026-12-21T18:00Z"), "5:19", "config-bad-time"),
    ("freeze by days", freeze("2026-12-20", "2026-12-21T18:00Z"), "5:19", "config-bad-time"),
    ("freeze on no day", freeze("2026-02-30T00:00Z", "2026-12-21T18:00Z"), "5:19", "config-bad-time"),
    ("freeze backwards", freeze("2026-12-21T00:00+01:00", "2026-12-20T23:00Z"), "5:50", "config-bad-freeze"),
    ("page with a login", top("repository-url: https://bob:hunter2@h/x"), "4:17", "config-secret"),
    ("page of another scheme", top("repository-url: ssh://h/x"), "4:17", "config-bad-url"),
    ("page with a query", top("repository-url: https://h/x?y"), "4:17", "config-bad-url"),
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
    ("unknown builder", image("builder: kaniko"), "6:12", "config-bad-word"),
    ("bad stage", image("target: a b"), "6:11", "config-bad-text"),
    ("secret's id", image("secrets: {a/b: {env: A}}"), "6:13", "config-bad-text"),
    ("secret of two places", image("secrets: {a: {env: A, file: b}}"), "6:25", "config-both-keys"),
    ("secret of none", image("secrets: {a: {required: false}}"), "6:16", "config-missing-key"),
    ("secret as text", image("secrets: {a: hunter2}"), "6:16", "config-wrong-kind"),
    ("ssh key without id", image("ssh: [~/.ssh/key]"), "6:9", "config-bad-text"),
    ("ssh twice", image("ssh: [default, default]"), "6:18", "config-duplicate-item"),
    ("bare shm-size", image("shm-size: 64"), "6:13", "config-bad-size"),
    ("gpus without a device", image("gpus: all"), "6:9", "config-bad-text"),
    ("pull at night", image("pull: nightly"), "6:9", "config-bad-word"),
    ("label of ours", image("labels: {org.opencontainers.image.version: x}"), "6:12", "config-reserved-label"),
    ("label's name", image("labels: {a b: x}"), "6:12", "config-bad-text"),
    ("no variants", image("variants: []"), "6:13", "config-no-variants"),
    ("variant twice", image("variants: [{name: a}, {name: a}]"), "6:25", "config-same-name"),
    ("suffix twice", image("variants: [{name: a}, {name: b, tag-suffix: -a}]"), "6:25", "config-same-suffix"),
    ("no suffix", image("variants: [{name: a, tag-suffix: a}]"), "6:36", "config-bad-suffix"),
    ("variant's name", image("variants: [{name: A/b}]"), "6:21", "config-bad-text"),
    ("smoke of both", image("smoke: [x]\n  variants: [{name: a, smoke: [x]}]"), "7:14", "config-same-name"),
    ("size without unit", image("delta-budget: 64"), "6:17", "config-bad-size"),
    ("image without size", image("size-budget: big"), "6:16", "config-bad-size"),
    ("too many layers", image("max-layers: 128"), "6:15", "config-bad-number"),
    ("size of nothing", image("delta-budget: 0KiB"), "6:17", "config-bad-size"),
    ("too parallel", image("parallel: 17"), "6:13", "config-bad-number"),
    ("stage", image("heavy: 1st"), "6:10", "config-bad-text"),
    ("heavy without stage", image("heavy: {epoch: 1}"), "6:10", "config-missing-key"),
    ("no moment", image("heavy: {stage: heavy, epoch: 2025-04-23}"), "6:32", "config-bad-text"),
    ("platform", image("platform: amd64"), "6:13", "config-bad-text"),
    ("no platforms", image("platforms: []"), "6:14", "config-no-platforms"),
    ("platform twice", image("platforms: [linux/amd64, linux/amd64]"), "6:28", "config-duplicate-item"),
    (
        "platform and platforms",
        image("platforms: [linux/arm64]\n  platform: linux/amd64"),
        "5:3",
        "config-two-platforms",
    ),
    ("a command without its lock", image("lock-command: make lock"), "6:17", "config-bad-text"),
    ("no lock", image("platforms: [linux/amd64]\n  lock: {linux/arm64: a}"), "5:3", "config-no-lock"),
    ("lock of no platform", image("lock: 'a-{platform}'"), "5:3", "config-no-platforms"),
    ("allow what", image("allow: [smaller]"), "6:11", "config-bad-word"),
    ("estargz", image("compression: estargz"), "6:16", "config-bad-word"),
    ("cache without a digest", image("cache: {from: [registry.io/x:1]}"), "6:18", "config-bad-text"),
    ("cache of nothing", image("cache: {from: []}"), "6:17", "config-no-caches"),
    ("cache with a login", image("cache: {to: a@b/c}"), "6:15", "config-secret"),
    ("level", image("compression: zstd:23"), "6:16", "config-bad-word"),
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
    read(top("verify: ['curl https://$USER:$TOKEN@h/']"))


def test_a_billion_laughs_cost_nothing() -> None:
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    text = MINIMAL + "verify:\n" + "\n".join(lines) + "\n"
    with within():
        assert faults(text)[0][1] == "config-too-big"


def test_a_huge_file_is_refused_unread() -> None:
    assert faults(b"#" * (reader.MAX_BYTES + 1)) == [("release.yaml", "config-too-big")]


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
@settings(deadline=None)
def test_no_bytes_give_anything_but_a_config_error(data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        reader.parse(b"version: 1\n" + data, "release.yaml")
    assert all(problem.where.startswith("release.yaml") and problem.code for problem in caught.value.problems)


@given(st.text(alphabet="a{}[]:,-&*!|>'\"\\#% \n<", max_size=40))
@settings(deadline=None)
def test_no_yaml_gives_anything_but_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        read(MINIMAL + text)


# ------------------------------------------------------------------ the schema agrees

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
    *("mainline 0", "request of words", "backport of a range", "unknown allow", "no repository", "login"),
    *("no approval", "approval twice", "list as policy", "unknown rule", "no owners at all", "negated pattern"),
    *("owners without a path", "path without owners", "no types", "type in capitals", "nothing protected"),
    *("freeze without end", "freeze without zone", "freeze by days", "page of another scheme", "page with a login"),
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
    validator = jsonschema.Draft202012Validator(reader.schema())
    return [error.message for error in validator.iter_errors(document)]


@pytest.mark.parametrize("name", STRUCTURALLY_BAD)
def test_bad_structure_fails_the_schema_too(name: str) -> None:
    text = next(row[1] for row in BAD if row[0] == name)
    assert isinstance(text, str)
    assert editor_says(text)

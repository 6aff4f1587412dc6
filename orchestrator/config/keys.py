"""The format of release.yaml: every key it knows, declared once.

config.py reads with these tables, the JSON Schema and the reference in docs/release-yaml.md are made from
them.  To add a key: declare it here, list it in its table, use it in the table's `build`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.config import validators as rules
from orchestrator.config.announce_keys import FORGE_RELEASE, HOOKS, NOTIFY
from orchestrator.config.commit_keys import RELEASE_COMMIT, SIGN_COMMITS, SIGNOFF, TICKET, check_tickets
from orchestrator.config.fix_keys import EXCLUDE, FIX, REUSE_RESOLUTIONS
from orchestrator.config.image_keys import IMAGE
from orchestrator.config.land_keys import LAND, RECORDS, check_records
from orchestrator.config.policy_keys import POLICY
from orchestrator.config.schema import Either, Faults, Got, Key, ListOf, MapOf, Mapped, Scalar, Table, Text
from orchestrator.config.sign_keys import SIGN
from orchestrator.config.smoke_keys import COMMAND_TEXT, FILE, LINE, TIMEOUT
from orchestrator.core.declaration import Config, Fix, ReleaseEntry, VerifyCommand, VersionFile
from orchestrator.core.results import Place
from orchestrator.core.versions import KINDS, Kind, TagVersion

if TYPE_CHECKING:
    from collections.abc import Sequence

_REF = Text(convert=rules.ref, what="a ref", json={"pattern": r"^[^-\s][^\s]*$"})

# ------------------------------------------------------------------ releases

SUMMARY = Key(name="summary", shape=LINE, help="One line for the tag and the changelog.")
FIXES = Key(
    name="fixes",
    shape=ListOf(
        item=FIX,
        what="a list of fixes",
        empty_code="config-no-fixes",
        empty_remedy="declare at least one, such as `- commit: 4f1c2d9a`, or remove the release",
    ),
    help="What the release takes over, in this order. At least one; may be left out with `from-branch`.",
    default="**required**",
)
FROM_BRANCH = Key(
    name="from-branch",
    shape=Text(convert=rules.true_or_false, what="true or false", json={"type": "boolean"}),
    help="Whether the release has what came to the branch since the version before, by requests say; `fixes` are"
    " picked on top of that. The release names each commit beside it (docs/from-branch.md).",
    default="false",
)


def _release(got: Got) -> ReleaseEntry:
    fixes = got(FIXES, ())
    seen: dict[str, Fix] = {}
    for fix in fixes:
        first = seen.setdefault(fix.declared.lower(), fix)
        if first is not fix and fix.declared:
            got.faults.add_at(
                "config-same-fix",
                f"{rules.quoted(fix.declared)} is declared twice in this release",
                fix.place,
                f"the first is on line {first.place.line}: keep one",
            )
    from_branch = got(FROM_BRANCH, False)
    if got(FROM_BRANCH, True) is False and FIXES.name not in got.nodes:
        remedy = "declare `fixes:`, or write true"
        got.faults.add("config-no-fixes", "a release of nothing", got.nodes[FROM_BRANCH.name], remedy)
    return ReleaseEntry(
        version="",
        place=got.place,
        summary=got(SUMMARY, ""),
        ticket=got(TICKET, ""),
        fixes=fixes,
        from_branch=from_branch,
    )


RELEASE = Table(
    title="a release",
    keys=(SUMMARY, TICKET, FIXES, FROM_BRANCH),
    build=_release,
    exactly_one=("fixes",),
    or_else="from-branch",
)


def _releases(entries: Sequence[tuple[Scalar, str, ReleaseEntry]], faults: Faults) -> tuple[ReleaseEntry, ...]:
    seen: dict[str, str] = {}
    for node, version, _ in entries:
        first = seen.setdefault(TagVersion.from_text(version).bare, version)
        if first != version:
            remedy = "keep the spelling that the tags have"
            faults.add("config-same-version", f"{version} and {first} are the same version", node, remedy)
    return tuple(replace(entry, version=version, place=faults.place(node)) for node, version, entry in entries)


# ------------------------------------------------------------------ verify commands

VERIFY_RUN = Key(name="run", shape=COMMAND_TEXT, help="The command, run by `/bin/sh -c`.", required=True)
VERIFY_PATHS = Key(
    name="paths",
    shape=ListOf(
        item=Text(convert=rules.folder, what="a path", json={"pattern": r"^[^/~-]"}),
        what="a list of paths",
        empty_code="config-no-paths",
        empty_remedy="name files or folders that the command reads, or remove the key",
        unique=True,
    ),
    help="Files and folders that the command reads: only they are checked out, and a pick that touches none of them "
    "costs nothing.",
    default="the whole tree",
)
VERIFY_TIMEOUT = replace(TIMEOUT, default="3600")


def _verify_command(got: Got) -> VerifyCommand:
    paths = got(VERIFY_PATHS, ())
    return VerifyCommand(
        run=got(VERIFY_RUN, ""),
        paths=() if "." in paths else paths,
        timeout=got(VERIFY_TIMEOUT, VerifyCommand.timeout),
        line=got.place.line,
    )


VERIFY_COMMAND = Table(title="a verify command", keys=(VERIFY_RUN, VERIFY_PATHS, VERIFY_TIMEOUT), build=_verify_command)

# ------------------------------------------------------------------ version files

PATH = Key(name="path", shape=FILE, help="The file, from the repository's top.", required=True)
PATTERN = Key(
    name="pattern",
    shape=Text(convert=rules.version_pattern, what="a regular expression", exact=True),
    help="A regular expression, searched line by line, with exactly one group: the place of the version.",
    default="the whole file is the version",
)

VERSION_FILE = Table(
    title="a version file",
    keys=(PATH, PATTERN),
    build=lambda got: VersionFile(place=got.place, path=got(PATH, ""), pattern=got(PATTERN, "")),
)

# ------------------------------------------------------------------ the file

FORMAT = Key(
    name="version",
    shape=Text(convert=rules.format_one, what="the number 1", json={"enum": [1, "1"]}),
    help="The format of this file: 1.",
    required=True,
)
BRANCH = Key(
    name="branch",
    shape=Text(convert=rules.branch, what="a branch", json={"pattern": r"^[^-/\s][^\s]*$"}),
    help="The release branch, by its short name.",
    required=True,
)
SOURCE = Key(
    name="source",
    shape=Either(
        what="a ref or a list of refs",
        text=Mapped(shape=_REF, into=lambda ref, _: (ref,)),
        items=ListOf(item=_REF, empty_code="config-no-source", empty_remedy="name one, such as main", unique=True),
    ),
    help="Where fixes come from: one ref or a list.",
    required=True,
)
REMOTE = Key(
    name="remote",
    shape=Text(convert=rules.remote, what="a remote's name", json={"pattern": r"^[^-/:@\s][^:@\s]*$"}),
    help="The git remote that is pushed to, by its name.",
    default="origin",
)
RELEASES = Key(
    name="releases",
    shape=MapOf(
        key=Text(convert=rules.version_tag, json={"pattern": f"^{rules.VERSION_GRAMMAR}$"}),
        value=RELEASE,
        join=_releases,
        what="a mapping of versions to releases",
        may_be_null=True,
    ),
    help="What each version takes over, by version (the tag's name).",
)
IMAGE_KEY = Key(name="image", shape=IMAGE, help="The image to build and push. Without it a release ends with the tag.")
VERIFY = Key(
    name="verify",
    shape=ListOf(
        item=Either(
            what="a command (text or mapping)",
            text=Mapped(shape=COMMAND_TEXT, into=lambda run, place: VerifyCommand(run=run, line=place.line)),
            pairs=VERIFY_COMMAND,
        ),
        what="a list of commands",
    ),
    help="Commands run on the tree after each pick; a failure stops the release.",
)
CHANGELOG = Key(
    name="changelog",
    shape=Text(convert=rules.changelog_file, what="a path, or false", json={"pattern": FILE.json["pattern"]}),
    help="The Markdown file that the release commit adds a section to, headed as the newest there; `false`: none.",
    default="CHANGELOG.md",
)
EXCLUDE_ALL = replace(EXCLUDE, help="Files that are never picked, of no fix, by patterns as in CODEOWNERS.")
VERSION_FILES = Key(
    name="version-files",
    shape=ListOf(
        item=Either(
            what="a path or a mapping",
            text=Mapped(shape=FILE, into=lambda path, place: VersionFile(place=place, path=path)),
            pairs=VERSION_FILE,
        ),
        what="a list of files",
    ),
    help="Files in which the release commit writes the version, without `v`.",
)
POLICY_KEY = Key(
    name="policy",
    shape=POLICY,
    help="Who may release what. The one that counts is that of the first `source` branch on the remote.",
)
TAG_PREFIX = Key(
    name="tag-prefix",
    shape=Text(convert=rules.tag_prefix, what="a prefix", json={"pattern": "^[^-/\\s][^\\s]*$"}),
    help="What stands before the version in each tag of this project, such as `image-` or `tinyserve/`, where several"
    " products share a repository. Here and on the command line versions may do without it; image tags have none.",
)
SCHEME: Key[Kind] = Key(
    name="scheme",
    shape=Text(convert=rules.version_kind, what="a scheme", json={"enum": list(KINDS)}),
    help="How versions are written: `semver`; `calver` for calendar versions, zeros and all (`2026.04.1`, `26.04`);"
    " `pep440` for Python's (`2.7.1rc1`, `2.7.1.post1`).",
    default="semver",
)
REPOSITORY_URL = Key(
    name="repository-url",
    shape=Text(convert=rules.web_page, what="a URL", json={"pattern": "^https?://[^@\\s]+$"}),
    help="The repository's page on its forge, such as `https://github.com/org/project`: the changelog links to commits"
    " there.",
)


def _excluding(entry: ReleaseEntry, exclude: tuple[str, ...]) -> ReleaseEntry:
    """The release with what no fix brings, in each of its fixes."""
    fixes = (replace(fix, exclude=tuple(dict.fromkeys((*exclude, *fix.exclude)))) for fix in entry.fixes)
    return replace(entry, fixes=tuple(fixes)) if exclude else entry


def _config(got: Got) -> Config:
    changelog = got(CHANGELOG, Config.changelog)
    files = got(VERSION_FILES, ())
    written = {changelog}
    for file in files:
        if file.path and file.path in written and not file.pattern:
            message = f"{rules.quoted(file.path)} is written already, and has no pattern here"
            got.faults.add_at("config-same-file", message, file.place, "remove it, or give a pattern")
        written.add(file.path)
    releases, commit = got(RELEASES, ()), got(RELEASE_COMMIT, Config.release_commit)
    check_tickets(got, releases, commit)
    check_records(got, got(BRANCH, ""), got(SOURCE, ()), got(LAND, None), image=IMAGE_KEY.name in got.nodes)
    return Config(
        place=Place(file=got.faults.file),
        text=b"",
        branch=got(BRANCH, ""),
        source=got(SOURCE, ()),
        remote=got(REMOTE, Config.remote),
        releases=tuple(_excluding(entry, got(EXCLUDE_ALL, ())) for entry in releases),
        exclude=got(EXCLUDE_ALL, ()),
        reuse_resolutions=got(REUSE_RESOLUTIONS, Config.reuse_resolutions),
        image=got(IMAGE_KEY, None),
        verify=got(VERIFY, ()),
        changelog=changelog,
        version_files=files,
        policy=got(POLICY_KEY, None),
        land=got(LAND, None),
        records=got(RECORDS, ""),
        sign=got(SIGN, None),
        signoff=got(SIGNOFF, Config.signoff),
        release_commit=commit,
        hooks=got(HOOKS, ()),
        notify=got(NOTIFY, ()),
        forge_release=got(FORGE_RELEASE, None),
        sign_commits=got(SIGN_COMMITS, None),
        repository_url=got(REPOSITORY_URL, ""),
        tag_prefix=got(TAG_PREFIX, ""),
        scheme=got(SCHEME, Config.scheme),
    )


ROOT = Table(
    title="release.yaml",
    keys=(
        FORMAT,
        BRANCH,
        SOURCE,
        REMOTE,
        RELEASES,
        IMAGE_KEY,
        VERIFY,
        EXCLUDE_ALL,
        REUSE_RESOLUTIONS,
        CHANGELOG,
        VERSION_FILES,
        POLICY_KEY,
        LAND,
        RECORDS,
        SIGN,
        SIGNOFF,
        SIGN_COMMITS,
        RELEASE_COMMIT,
        HOOKS,
        NOTIFY,
        FORGE_RELEASE,
        REPOSITORY_URL,
        TAG_PREFIX,
        SCHEME,
    ),
    build=_config,
)

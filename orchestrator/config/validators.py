"""What a text in release.yaml may hold.  A rule returns the value or raises BadTextError.

Pure: nothing here looks at a repository.  A message completes a sentence that begins with key and value,
such as "branch 'a..b' holds '..'".
"""

from __future__ import annotations

import posixpath
import re
import warnings
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.core.reference import parse_repository
from orchestrator.core.versions import KINDS, Kind, Scheme, completed, in_use, parse_tag

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TIMEOUT = 24 * 3600.0
TAG_GRAMMAR = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"  # OCI distribution spec
TIMEOUT_GRAMMAR = r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(s|m|h)?"
SIZE_GRAMMAR = r"([0-9]{1,12}) ?(B|kB|MB|GB|KiB|MiB|GiB)"
SUFFIX_GRAMMAR = r"[-._][A-Za-z0-9][A-Za-z0-9._-]{0,39}"
VARIANT_GRAMMAR = r"[a-z0-9][a-z0-9._-]{0,38}"
ARG_GRAMMAR = r"[A-Za-z_][A-Za-z0-9_]*"
STAGE_GRAMMAR = r"[A-Za-z][A-Za-z0-9_.-]{0,62}"
NETWORK_GRAMMAR = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
# Three or four numbers, or a year and a month; what counts of them depends on `scheme` and `tag-prefix`.
VERSION_GRAMMAR = r"(?:[^\s+]*[^0-9.\s+])?(?:[0-9]+(?:\.[0-9]+){2,3}|[0-9]{2,4}\.[0-9]{2})(?:[-.abr][^\s+]*)?"

# Control characters, what a YAML reader refuses, and marks that make a line look other than it is.
_LONGEST_PATTERN = 500
_INVISIBLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)(?![$<{*])[^/\s@]+@")
_KNOWN_SECRET = re.compile(
    r"\bgh[opsur]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}|\bhf_[A-Za-z0-9]{30,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bxox[abprs]-[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_SECRET_NAME = re.compile(
    r"(?:PASSWORDS?|PASSWD|PASSPHRASE|TOKEN|SECRETS?|CREDENTIALS?|API_?KEY|(?:ACCESS|PRIVATE|SIGNING|SSH|ENCRYPTION)_?KEY)"
    r"(?:_|[0-9]|$)|(?:^|_)(?:PASS|PWD|AUTH)$",
    re.IGNORECASE,
)
_SET_BY_TOOL = ("RELEASE_VERSION", "RELEASE_REVISION", "SOURCE_DATE_EPOCH")

EXAMPLE = "docs/release-yaml.md has an example"  # what a remedy ends with where there is no better one


class BadTextError(ValueError):
    """A text breaks a rule.  `hide` keeps it out of the message: it may be a secret."""

    def __init__(self, code: str, says: str, remedy: str = "", *, hide: bool = False) -> None:
        super().__init__(says)
        self.code = code
        self.remedy = remedy
        self.hide = hide


def quoted(text: str) -> str:
    """`text` for a message: escaped, shortened, passwords masked."""
    masked = _KNOWN_SECRET.sub("***", _URL_PASSWORD.sub(r"\1***@", text))
    return repr(masked if len(masked) <= 60 else f"{masked[:57]}…")


def invisible(text: str) -> int:
    """Position of the first character that no file should hold, -1 when there is none."""
    found = _INVISIBLE.search(text)
    return found.start() if found else -1


def check_text(text: str, *, one_line: bool, exact: bool) -> str:
    """What holds for every text.  Returns it without white space around it, unless that counts (`exact`)."""
    if _URL_PASSWORD.search(text) or _KNOWN_SECRET.search(text):
        remedy = "take it out, and change it where it is used: the file's history keeps it"
        raise BadTextError("config-secret", "holds a password or token", remedy, hide=True)
    if (at := invisible(text)) >= 0:
        raise BadTextError("config-bad-character", f"holds the character U+{ord(text[at]):04X}", "remove it")
    if exact:
        return text
    text = text.strip()
    if not text:
        raise BadTextError("config-no-value", "is empty", "give it a value, or remove the key")
    if one_line and "\n" in text:
        raise BadTextError("config-many-lines", "has more than one line", "write it as one line (`>-` folds)")
    return text


def plain(text: str) -> str:
    return text


def format_one(text: str) -> str:
    if text != "1":
        remedy = "write `version: 1`, or use the version of the tool that the file was written for"
        raise BadTextError("config-format", "is another format: this tool reads format 1", remedy)
    return text


# ------------------------------------------------------------------ git's names


def not_an_option(text: str) -> None:
    if text.startswith("-"):
        says = "starts with '-': git would take it for an option"
        raise BadTextError("config-option-like", says, "write the full ref or the commit's id")


def branch_fault(name: str) -> str:
    """What git-check-ref-format(1) has against a branch name; "" when it is legal."""
    if bad := re.search(r"[\0-\x20\x7f~^:?*\[\\]|\.\.|@\{|//", name):
        held = "white space" if bad[0].isspace() else f"{bad[0]!r}"
        return f"holds {held}"
    if name.startswith("/") or name.endswith(("/", ".")):
        return "must not start with '/' or end with '/' or '.'"
    if name in ("", "@", "HEAD"):
        return "is no branch name"
    parts = name.split("/")
    if any(part.startswith(".") or part.endswith(".lock") for part in parts):
        return "has a part that starts with '.' or ends with '.lock'"
    return ""


def branch(text: str) -> str:
    """A branch by its short name, under git's rules."""
    not_an_option(text)
    if text.startswith("refs/"):
        short = text.removeprefix("refs/heads/")
        raise BadTextError("config-bad-branch", "is a full ref", f"write the short name: {short}")
    if fault := branch_fault(text):
        raise BadTextError("config-bad-branch", fault, "see `git help check-ref-format` for what is legal")
    return text


def ref(text: str) -> str:
    """A branch, tag or other ref."""
    not_an_option(text)
    if text != "HEAD" and (fault := branch_fault(text)):
        raise BadTextError("config-bad-ref", fault, "name a branch or a tag, such as main or origin/main")
    return text


def remote(text: str) -> str:
    """The name of a git remote."""
    not_an_option(text)
    if "://" in text or "@" in text:
        remedy = "run `git remote add NAME URL` and write NAME"
        raise BadTextError("config-bad-remote", "is not the name of a remote but a URL", remedy, hide=True)
    if fault := branch_fault(text):
        raise BadTextError("config-bad-remote", fault, "`git remote` lists the names")
    return text


# ------------------------------------------------------------------ versions


def version_tag(text: str) -> str:
    """The name of a version's tag, given with or without `tag-prefix`; what follows that is also a legal image tag."""
    if "+" in text:
        remedy = "image tags cannot hold '+': leave the build metadata out"
        raise BadTextError("config-bad-version", "has build metadata", remedy)
    name = completed(text)
    parsed = parse_tag(name)
    if parsed is None or not re.fullmatch(TAG_GRAMMAR, parsed.name):
        remedy = f"write it as {in_use().examples}"
        if re.fullmatch(r"v?[0-9]+\.[0-9]+", text):
            remedy = f"write all three numbers: {text}.0"
        raise BadTextError("config-bad-version", "is not a version", remedy)
    return name


def tag_prefix(text: str) -> str:
    """What stands before every version tag; with a version behind it a legal name of a tag."""
    scheme = Scheme.of(text, "semver")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}", text) or branch_fault(f"{text}1.0.0"):
        remedy = "letters, digits, '.', '_', '/' and '-', such as image- or tinyserve/"
        raise BadTextError("config-bad-prefix", "is no prefix of a tag", remedy)
    if re.search(r"[0-9.]$", scheme.product):
        raise BadTextError("config-bad-prefix", "ends like a number", f"end it with '-' or '/': {text}-")
    return text


def version_kind(text: str) -> Kind:
    """A word of KINDS."""
    for kind in KINDS:
        if text == kind:
            return kind
    raise BadTextError("config-bad-value", f"is none of {', '.join(KINDS)}", "see docs/versions.md")


def floating_tag(text: str) -> str:
    """An image tag that may move, so no version."""
    if not re.fullmatch(TAG_GRAMMAR, text):
        remedy = "letters, digits, '_', '.' and '-', at most 128, not starting with '.' or '-'"
        raise BadTextError("config-bad-tag", "is not a legal image tag", remedy)
    if parse_tag(completed(text)) is not None:
        remedy = "a version's tag never moves: name a line (v2.7) or a channel (latest)"
        raise BadTextError("config-bad-tag", "is a version", remedy)
    return text


# ------------------------------------------------------------------ paths


def folder(text: str) -> str:
    """A folder inside the repository, `.` for its top; normalised."""
    path = posixpath.normpath(text)
    parts = path.lower().split("/")
    says = ""
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        says = "is not relative"
    elif ".." in text.split("/"):
        says = "leaves the repository, or might ('..')"
    elif ".git" in parts:
        says = "is inside .git"
    elif "\\" in text or text.startswith("-"):
        says = "holds a backslash or starts with '-'"
    if says:
        raise BadTextError("config-bad-path", says, "write it relative to the repository's top, with '/'")
    return path


def file_path(text: str) -> str:
    """A file inside the repository."""
    path = folder(text)
    if path == "." or text.endswith(("/", "/.")):
        raise BadTextError("config-bad-path", "is a folder", "name the file in it")
    return path


_NO = ("false", "no", "off", "none")


def changelog_file(text: str) -> str:
    """A file inside the repository; "" for a word that says no."""
    return "" if text.lower() in _NO else file_path(text)


def version_pattern(text: str) -> str:
    """A regular expression with one group: the place of the version."""
    if not text:
        raise BadTextError("config-no-value", "is empty", "give it a value, or remove the key")
    if len(text) > _LONGEST_PATTERN:
        raise BadTextError("config-bad-pattern", f"has more than {_LONGEST_PATTERN} characters", "name the line only")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            groups = re.compile(text).groups
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise BadTextError("config-bad-pattern", f"is no regular expression: {error}") from error
    if groups != 1:
        remedy = "one group, around the version; (?:…) groups without counting"
        raise BadTextError("config-bad-pattern", f"has {groups} groups, not one", remedy)
    return text


# ------------------------------------------------------------------ the image


def image_repository(text: str) -> str:
    """`registry/path`, kept as written."""
    if "@" in text.partition("@sha256:")[0]:
        remedy = "run `docker login`, or set RELEASE_REGISTRY_USERNAME and RELEASE_REGISTRY_PASSWORD"
        raise BadTextError("config-secret", "holds a login ('@')", remedy, hide=True)
    try:
        parse_repository(text)
    except UsageError as error:
        raise BadTextError(
            "config-bad-repository", f"cannot be used: {error.message}", error.remedy, hide=True
        ) from error
    return text


def build_arg(text: str) -> str:
    """The name of a build argument; the value ends up in the image's history."""
    if not re.fullmatch(ARG_GRAMMAR, text):
        raise BadTextError("config-bad-build-arg", "is not a name", "letters, digits and '_', no digit first")
    if text in _SET_BY_TOOL:
        remedy = "remove it: declare `ARG` in the Dockerfile and use it"
        raise BadTextError("config-reserved-build-arg", "is set by this tool", remedy)
    if _SECRET_NAME.search(text):
        remedy = "build arguments stay in the image's history: use `secrets`, or hand it over when the container starts"
        raise BadTextError("config-secret", "looks like a secret", remedy)
    return text


def timeout(text: str) -> float:
    """Seconds of `90`, `90s`, `5m` or `1h`."""
    found = re.fullmatch(TIMEOUT_GRAMMAR, text)
    seconds = float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"] if found else 0.0
    if not 0 < seconds <= MAX_TIMEOUT:
        remedy = "write 90, 90s, 5m or 1h; more than nothing and at most 24h"
        raise BadTextError("config-bad-timeout", "is not a time", remedy)
    return seconds


def at_most(limit: int) -> Callable[[str], int]:
    """A whole number from 1 to `limit`."""

    def check(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= limit:
            raise BadTextError("config-bad-number", f"is not a whole number from 1 to {limit}")
        return int(text)

    return check


_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def byte_size(text: str) -> int:
    """Bytes of `64KiB`, `2 MB`; the unit must be there, since nobody knows what a bare number means."""
    found = re.fullmatch(SIZE_GRAMMAR, text)
    if not found or not int(found[1]):
        raise BadTextError("config-bad-size", "is not a size", f"write 64KiB, 2MB or 5GiB; units: {', '.join(_UNITS)}")
    return int(found[1]) * _UNITS[found[2]]


def tag_suffix(text: str) -> str:
    """What is put behind a version to make a variant's tag; a suffix without a mark would make another version."""
    if not re.fullmatch(SUFFIX_GRAMMAR, text):
        raise BadTextError("config-bad-suffix", "is not the end of an image tag", "write it like -cu126")
    return text


def web_page(text: str) -> str:
    """An http(s) URL without login, query and fragment, and without a slash at the end."""
    if "@" in text:
        remedy = "write the page's address as a browser shows it"
        raise BadTextError("config-secret", "holds a login ('@')", remedy, hide=True)
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?", text):
        remedy = "write it like https://github.com/org/project"
        raise BadTextError("config-bad-url", "is not the address of a page", remedy)
    return text.rstrip("/").removesuffix(".git")


def true_or_false(text: str) -> bool:
    """YAML 1.2's two words; `yes` and `on` are texts there."""
    if text.lower() not in ("true", "false"):
        raise BadTextError("config-bad-word", "is neither true nor false", "write true or false")
    return text.lower() == "true"


def one_of(*words: str) -> Callable[[str], str]:
    """A rule that lets these words through."""

    def check(text: str) -> str:
        if text not in words:
            raise BadTextError("config-bad-word", "is not known here", f"one of: {', '.join(words)}")
        return text

    return check


def containing(part: str) -> Callable[[str], str]:
    """A rule that lets through what has `part` in it."""

    def check(text: str) -> str:
        if part not in text:
            raise BadTextError("config-bad-text", f"has no {part}", f"write {part} where that is to stand")
        return text

    return check


def matching(grammar: str, example: str) -> Callable[[str], str]:
    """A rule that lets through what matches `grammar`."""

    def check(text: str) -> str:
        if not re.fullmatch(grammar, text):
            raise BadTextError("config-bad-text", "is malformed", f"write it as {example}")
        return text

    return check

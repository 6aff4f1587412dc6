"""Which tags start a publication: those that are versions here, as each CI writes patterns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.versions import in_use, version_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.versions import Kind

_NUMBER: Final = "[0-9]+"
_REGEX: Final[Mapping[Kind, str]] = {
    "semver": rf"{_NUMBER}[.]{_NUMBER}[.]{_NUMBER}([-+][0-9A-Za-z.+-]+)?",
    "calver": rf"[0-9]{{2,4}}([.]{_NUMBER}){{1,3}}(-[0-9A-Za-z.-]+)?",
    "pep440": rf"{_NUMBER}([.]{_NUMBER}){{2,3}}((a|b|rc){_NUMBER})?([.]post{_NUMBER})?([.]dev{_NUMBER})?",
}
# GitHub's patterns: `+` is one or more of what stands before it, `*` anything without a slash.
_GLOB: Final[Mapping[Kind, str]] = {
    "semver": f"{_NUMBER}.{_NUMBER}.[0-9]*",
    "calver": f"{_NUMBER}.[0-9]*",
    "pep440": f"{_NUMBER}.{_NUMBER}.[0-9]*",
}
_OF_GLOBS: Final = re.compile(r"[*?+\[\]!]")


@dataclass(frozen=True, kw_only=True)
class VersionTags:
    """The tags of a project that are versions: GitHub's patterns, and one regular expression of the whole name."""

    globs: tuple[str, ...]
    regex: str


def version_tags_of(tags: Sequence[str]) -> VersionTags:
    """What starts a publication, by how versions are written here and by the prefixes that `tags` have."""
    scheme = in_use()
    prefixes = {version.prefix for version in version_tags(tags)} or {_usual(scheme.kind, scheme.product)}
    marks = sorted(prefix.removeprefix(scheme.product) for prefix in prefixes)
    mark = "" if marks == [""] else "v?" if "" in marks else "v"
    product = _OF_GLOBS.sub(lambda found: f"\\{found[0]}", scheme.product)
    return VersionTags(
        globs=tuple(f"{product}{each}{_GLOB[scheme.kind]}" for each in marks),
        regex=f"{_escaped(scheme.product)}{mark}{_REGEX[scheme.kind]}",
    )


def _usual(kind: Kind, product: str) -> str:
    return f"{product}v" if kind == "semver" else product


def _escaped(text: str) -> str:
    """As a regular expression without a backslash, which shell, YAML and Groovy read each in its own way."""
    return "".join(each if re.fullmatch(r"[A-Za-z0-9_/-]", each) else f"[{each}]" for each in text)

"""Commits, signed as git is set to sign them; whether a signature fits its commit, whoever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.git.objects import object_id, parse_commit, signature, without_signature
from orchestrator.git.process import Git
from orchestrator.git.signing import LIMIT, Signing, sign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.git.scratch import Scratch

_UTF8 = "i18n.commitEncoding=UTF-8"
# What git starts to sign, with the text in a file (ssh) or on stdin (gpg): it signs another one.
_SHIM = """#!/bin/sh
for last; do :; done
case " $* " in
  *" -Y sign "*) cat "$RELEASE_SIGN_TEXT" > "$last" && exec "$RELEASE_SIGN_BY" "$@" ;;
  *) cat > /dev/null && exec "$RELEASE_SIGN_BY" "$@" < "$RELEASE_SIGN_TEXT" ;;
esac
"""
_KIND = "signature"  # of rows in the cache
_ANYBODY = ("gpg.ssh.allowedSignersFile", "/dev/null")  # without such a file git looks at no ssh signature at all


def sign_commit(
    signing: Signing, scratch: Scratch, unsigned: str, *, parent: str, what: str, off: str, limit: float = LIMIT
) -> str:
    """A commit of a scratch store as it is, signed, on another parent; its id.

    `what` names it in messages, `off` is what to type to sign nothing.  Raises UsageError where it cannot be signed.
    """
    data = scratch.read(unsigned)[1]
    wanted = without_signature(data, parent)
    args = ("commit-tree", "--gpg-sign", "-p", parent, "-F", "-", parse_commit(unsigned, data).tree)
    people, text = _people(data), wanted.partition(b"\n\n")[2]
    if not _writes(signing.git(scratch, people), args, text, wanted):
        more, env = _swapping(signing, scratch, wanted, people)
        output, said = sign(signing.git(scratch, env), *more, *args, stdin=b"x\n", limit=limit)
    else:
        output, said = sign(signing.git(scratch, people), "-c", _UTF8, *args, stdin=text, limit=limit)
    made = output.text.strip() if output and output.status == 0 else ""
    block = signature(scratch.read(made)[1]) if made else b""
    if not block:
        raise UsageError(
            f"{what} could not be signed: {said}",
            remedy=f"{signing.unlock}{off}",
            code="cannot-sign",
            detail=output.stderr if output else "",
            state="nothing was pushed",
        )
    head, separator, message = wanted.partition(b"\n\n")
    return scratch.write_raw("commit", head + b"\n" + block + separator + message)


def _writes(git: Git, args: Sequence[str], text: bytes, wanted: bytes) -> bool:
    """Whether git would write that very commit: it mends names that begin or end oddly, and what is no UTF-8."""
    plain = (arg for arg in args if arg != "--gpg-sign")
    output = git.attempt("-c", _UTF8, *plain, stdin=text)
    return output.text.strip() == object_id("commit", wanted)


def _swapping(
    signing: Signing, scratch: Scratch, payload: bytes, people: Mapping[str, str]
) -> tuple[tuple[str, str], dict[str, str]]:
    """Options and environment with which git signs this in place of the commit that it makes, which is its committer's
    own: the program that it starts gets another text.
    """
    place = scratch.path / "signing"
    place.mkdir(exist_ok=True)
    (place / "payload").write_bytes(payload)
    (place / "program").write_text(_SHIM)
    (place / "program").chmod(0o700)
    roles, parts = ("GIT_AUTHOR", "GIT_COMMITTER"), ("NAME", "EMAIL", "DATE")
    env = {f"{role}_{part}": people[f"GIT_COMMITTER_{part}"] for role in roles for part in parts}
    env |= {"RELEASE_SIGN_BY": signing.program, "RELEASE_SIGN_TEXT": str(place / "payload")}
    return ("-c", f"{signing.program_key}={place / 'program'}"), env


def _people(data: bytes) -> dict[str, str]:
    """Author and committer of a commit as git's environment variables."""
    env: dict[str, str] = {}
    for line in data.partition(b"\n\n")[0].split(b"\n"):
        role, _, rest = line.partition(b" ")
        if role in (b"author", b"committer"):
            who, _, when = rest.rpartition(b"> ")
            name, _, mail = who.rpartition(b"<")
            values = {"NAME": name.strip(), "EMAIL": mail, "DATE": b"@" + when}
            prefix = f"GIT_{role.decode().upper()}"
            env |= {f"{prefix}_{key}": value.decode("utf-8", "surrogateescape") for key, value in values.items()}
    return env


def broken(scratch: Scratch, settings: Sequence[tuple[str, str]], commits: Sequence[str]) -> dict[str, bool]:
    """Signed commit -> whether its signature is of something else; those that nothing here can check are left out.

    `settings` are git's own, and say with which programs.  What was found out is kept.
    """
    known = {sha: value == b"broken" for sha, value in scratch.cache.get(_KIND, list(commits)).items()}
    rest = [sha for sha in commits if sha not in known]
    found = {sha: state == "B" for sha, state in _states(scratch, settings, rest).items() if state in "GUXYRB"}
    scratch.cache.put(_KIND, {sha: b"broken" if bad else b"fits" for sha, bad in found.items()})
    return known | found


def _states(scratch: Scratch, settings: Sequence[tuple[str, str]], commits: Sequence[str]) -> Mapping[str, str]:
    """git's letter for the signature of each (git help log, `%G?`)."""
    if not commits:
        return {}
    own = {key: value for key, value in scratch.git.env.items() if key != "GIT_CONFIG_GLOBAL"}
    git = Git(scratch.git.cwd, env=own, config=(_ANYBODY, *settings))
    output = git.attempt("log", "--no-walk=unsorted", "--format=%H %G?", *commits, "--")
    return dict(line.split(" ", 1) for line in output.lines() if line[40:41] == " ")

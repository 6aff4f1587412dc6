"""Annotated tag objects: made without a ref, signed where git is set so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.git.objects import person
from orchestrator.git.process import failure
from orchestrator.git.push import said_by
from orchestrator.git.signing import Signing, sign

if TYPE_CHECKING:
    from orchestrator.git.objects import Signature
    from orchestrator.git.process import Git
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

_LOOKED_AT = 16  # tags


def make_tag(
    repository: Repository, scratch: Scratch, *, name: str, commit: str, message: str, tagger: str, rule: str
) -> str:
    """Make an annotated tag object in a scratch store and return its id; no ref of the repository changes.

    `tagger` is `Name <mail> seconds zone`.  `tag.gpgSign` and the signing settings of the user are obeyed; `rule`
    is the place of a rule that wants a signature, or "".  Raises RefusedError as `must_sign`, UsageError where signing
    fails.
    """
    if rule:
        must_sign(repository, rule)
    identity, _, when = tagger.rpartition("> ")
    person, _, mail = identity.partition(" <")
    signing = Signing(repository=repository)
    git = signing.git(
        scratch, {"GIT_COMMITTER_NAME": person, "GIT_COMMITTER_EMAIL": mail, "GIT_COMMITTER_DATE": f"@{when}"}
    )
    args = ("tag", "--annotate", "--force", "--cleanup=verbatim", "--file=-", name, commit)
    output, said = sign(git, *args, stdin=message.encode())
    if output and output.status and not signing.settings:
        raise failure(args, output)
    if not output or output.status or (signs(repository) and not is_signed(git, f"refs/tags/{name}")):
        raise UsageError(
            f"the tag could not be signed: {said}",
            remedy=signing.unlock + ("" if rule else "   | git config tag.gpgSign false   (signs no tags)"),
            code="cannot-sign",
            detail=output.stderr if output else "",
            state="nothing was pushed",
        )
    return (scratch.gitdir / "refs/tags" / name).read_text().strip()


def made_by(data: bytes) -> Signature | None:
    """Who made a tag object, by its content; None where it does not say."""
    head = data.partition(b"\n\n")[0].split(b"\n")
    found = person(next((line.removeprefix(b"tagger ") for line in head if line.startswith(b"tagger ")), b""))
    return found[0] if found else None


def must_sign(repository: Repository, rule: str) -> None:
    """Raises RefusedError where git is not set to sign tags, as the rule at this place wants."""
    if not signs(repository):
        raise RefusedError(
            "the tag must be signed (policy.signed-tags), and git is not set to sign tags",
            where=rule,
            remedy="git config tag.gpgSign true; and set user.signingKey (and gpg.format ssh for an ssh key)",
            code="tag-not-signed",
            state="nothing was pushed",
        )


def newest_tagged(repository: Repository, path: str) -> bytes | None:
    """A file as the newest of the tags has it that has one, of the last few; None where there is none, or not here."""
    form = ("--sort=-creatordate", f"--count={_LOOKED_AT}", "--format=%(refname)")
    tags = repository.git.run("for-each-ref", *form, "refs/tags").lines()
    asked = "".join(f"{ref}:{path}\n" for ref in tags).encode()
    rows = repository.git.run("cat-file", "--batch-check", stdin=asked).lines() if tags else []
    blob = next((row.split()[0] for row in rows if row.split()[1:2] == ["blob"]), "")
    return repository.blob(blob) if blob else None


def signs(repository: Repository) -> bool:
    """Whether git is set to sign tags."""
    return repository.is_on("tag.gpgSign")


def is_signed(git: Git, tag: str) -> bool:
    """Whether a tag object carries a signature, of whomever.

    git 2.39 makes an unsigned tag and exits 0 when ssh-keygen fails: only the object tells.
    """
    return b"\n-----BEGIN " in git.run("cat-file", "tag", tag).stdout


def signature_fault(repository: Repository, tag_object: str) -> str:
    """What `git verify-tag` has against a tag, on one line; "" when its signature is good and by somebody known."""
    if not is_signed(repository.git, tag_object):
        return "it has no signature"
    output = repository.git.attempt("verify-tag", "--", tag_object)
    lines = [line.strip() for line in output.stderr.splitlines() if line.strip()]
    return "" if output.status == 0 else next((line for line in lines if "error" in line.lower()), said_by(output))

"""Writing: objects into the user's repository, private refs, and the one atomic push."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from orchestrator.core.errors import InterruptedRunError, MismatchError, RefusedError, ReleaseError, RemoteError
from orchestrator.core.remote_url import without_login
from orchestrator.core.text import word
from orchestrator.git.batch import here_below, made_in
from orchestrator.git.process import FETCH, PUSH, is_disk_full

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.git.conversation import Output
    from orchestrator.git.repository import RemoteRefs, Repository
    from orchestrator.git.scratch import Scratch

ZERO = "0" * 40
_PORCELAIN = re.compile(r"To |Done$|[ !+*=-]\t")  # what `git push --porcelain` says itself; the rest is a hook's


def adopt(repository: Repository, scratch: Scratch, refs: Mapping[str, str]) -> None:
    """Copy objects of a scratch store (ref here -> object), with all they need, into the repository, and name them.

    What a person's settings say of fetches (protocols, other URLs, checks of foreign objects) is of no concern here.
    """
    if pack := made_in(scratch, refs.values()):
        repository.git.run("unpack-objects", "-q", stdin=pack.encoded())
        update_refs(repository, {ref: (sha, "") for ref, sha in refs.items()})
        return
    out = scratch.gitdir / "refs" / "out"
    out.mkdir(exist_ok=True)
    for number, sha in enumerate(refs.values()):
        (out / str(number)).write_text(f"{sha}\n")
    wanted = [f"+refs/out/{number}:{ref}" for number, ref in enumerate(refs)]
    settings = [("fetch.fsckObjects", "false"), (f"url.{scratch.gitdir}.insteadOf", str(scratch.gitdir))]
    env = {"GIT_ALLOW_PROTOCOL": "file", "GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    partial = any(repository.promisors.values())  # what it lacks, the store of the picks cannot give either
    below = here_below(scratch, repository.common_dir / "objects", list(refs.values())) if partial else ()
    has = [f"--negotiation-tip={sha}" for sha in below]
    repository.git.run(*FETCH, *has, "--", str(scratch.gitdir), *wanted, env=env)


def push_to(remote: str) -> tuple[str, ...]:
    """How a push to a remote begins; one that is set to be a mirror takes no single refs."""
    return ("-c", f"remote.{remote}.mirror=false", *PUSH)


def update_refs(repository: Repository, changes: Mapping[str, tuple[str, str]]) -> None:
    """Change refs in one transaction: ref -> (new, expected old); "" as new deletes, "" as old means `anything`."""
    lines = []
    for ref, (new, old) in changes.items():
        if new:
            lines.append(f"update {ref}\0{new}\0{old}\0")
        else:
            lines.append(f"delete {ref}\0{old}\0")
    if lines:
        repository.git.run("update-ref", "-z", "--stdin", stdin="".join(lines).encode())


def delete_refs(repository: Repository, prefix: str) -> int:
    """Delete every ref below `prefix` (ending in `/`); returns how many there were."""
    found = repository.refs(prefix.rstrip("/"))
    update_refs(repository, {ref: ("", sha) for ref, sha in found.items()})
    directory = repository.common_dir / prefix.rstrip("/")
    for path in (directory, *directory.parents):
        if path == repository.common_dir / "refs":
            break
        with contextlib.suppress(OSError):  # not empty, or never there
            path.rmdir()
    return len(found)


def write_blob(repository: Repository, data: bytes) -> str:
    """Store a blob in the repository."""
    return repository.git.run("hash-object", "-w", "--stdin", stdin=data).text.strip()


def publish_tag_locally(
    repository: Repository, *, remote: str, tag: str, tag_object: str, branch: str, old: str, new: str
) -> str:
    """After landing: the local tag, and the local branch where it is where it was and checked out nowhere.

    Returns a line for the user about a branch that had to be left, or "".
    """
    branch_ref = f"refs/heads/{branch}"
    local = repository.ref(branch_ref)
    changes: dict[str, tuple[str, str]] = {}
    if not repository.ref(f"refs/tags/{tag}"):
        changes[f"refs/tags/{tag}"] = (tag_object, ZERO)
    note = ""
    here = repository.checked_out().get(branch_ref, "") if local == old else ""
    if local == old and not here:
        changes[branch_ref] = (new, old)
    elif here and old != new:
        note = f"{branch} is checked out in {here} and was left alone: "
        note += f"git -C {word(here)} pull --ff-only {word(remote)} {word(branch)}"
    try:
        update_refs(repository, changes)
    except ReleaseError as error:  # the release is public: a clone's own refs must not hold it up
        note = f"the local {tag} could not be made ({error.message}); repair the clone, then: "
        note += f"git fetch {word(remote)} tag {tag}"
    return note


def land(
    repository: Repository,
    *,
    remote: str,
    branch: str,
    old: str,
    new: str,
    tag: str,
    tag_object: str,
    lent: int,
    tell: Callable[[str], object],
    one_by_one: bool = False,
    also: Sequence[str] = (),
) -> RemoteRefs:
    """Move the branch and make the tag on the remote: both or neither, and only from the expected state.

    `one_by_one`: the branch, then the tag; broken off between them, the same again pushes the tag.
    `lent` is a descriptor that the push holds as long as it lives; `tell` hears what hooks and server say of a push
    that went well.  Returns what the remote shows afterwards, refs `also` to be asked for among it.  Raises
    RefusedError when the remote moved, MismatchError when the tag exists with another object, RemoteError when the push
    was rejected or the remote does not answer, InterruptedRunError while nobody knows whether it will arrive.
    """
    branch_ref, tag_ref = f"refs/heads/{branch}", f"refs/tags/{tag}"
    leases = (f"--force-with-lease={branch_ref}:{old}", f"--force-with-lease={tag_ref}:")
    moves = {branch_ref: new, tag_ref: tag_object}
    try:
        output = _push(repository, remote, leases, moves, lent=lent, one_by_one=one_by_one)
        if old == new and "support --atomic" in output.stderr:  # one ref alone needs no atomic push
            alone = (*push_to(remote), leases[1], "--", remote, f"{tag_object}:{tag_ref}")
            output = repository.git.talk(remote, *alone, lent=lent)
        refs = repository.ls_remote(remote, branch_ref, tag_ref, f"{tag_ref}^{{}}", *also)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted while the push was under way",
            state="it may be public, or may still arrive",
            remedy="run the same command again, or: release status",
        ) from None
    except RemoteError as error:
        error.state = error.state or "the push was sent and nobody answers now: it may be public"
        raise
    if refs.refs.get(tag_ref) == tag_object:  # also when an earlier, killed push got through meanwhile
        if words := heard(output):
            tell(f"{without_login(remote)} says: {words}")
        reach_all(repository, remote=remote, leases=leases, moves=moves, one_by_one=one_by_one)
        return refs
    if refs.refs.get(tag_ref):
        raise MismatchError(
            f"tag {tag} on {remote} is {refs.refs[tag_ref]}, not {tag_object}",
            remedy=f"somebody else released {tag}; see: git ls-remote {word(remote)} {tag_ref}",
            code="tag-differs",
        )
    if refs.branch(branch) != old:
        there = refs.branch(branch)
        if holds(
            repository, remote, branch, there, new
        ):  # somebody moved it to the very commit: only the tag is missing
            return land(
                repository,
                remote=remote,
                branch=branch,
                old=there,
                new=there,
                tag=tag,
                tag_object=tag_object,
                lent=lent,
                tell=tell,
                one_by_one=one_by_one,
                also=also,
            )
        raise RefusedError(
            f"{branch} on {remote} moved from {old[:12]} to {refs.branch(branch)[:12] or 'nothing'} meanwhile",
            remedy="run the same command again: it makes a new plan on the new tip",
            code="remote-moved",
            state="nothing was pushed",
        )
    if output.status == 0:
        raise RemoteError(
            f"the push to {remote} succeeded, but {remote} does not show {tag}",
            remedy=f"does {remote} push elsewhere than it fetches from? see: "
            f"git remote get-url --push --all {word(remote)}",
            code="push-not-visible",
            state=f"branch and tag are public where {remote} pushes to",
        )
    lacking = next(ref for ref, sha in moves.items() if refs.refs.get(ref) != sha)
    refused = _rejected(remote, output, _STATES[lacking == tag_ref and one_by_one], f"{moves[lacking]}:{lacking}")
    raise _with_way(refused, branch, tag, is_branch=old != new and lacking == branch_ref)


_STATES = ("branch and tag on the remote are unchanged", "the branch is public, the tag is not")


def holds(repository: Repository, remote: str, branch: str, tip: str, commit: str) -> bool:
    """Whether the remote's branch, at `tip`, has this commit in its history."""
    if tip in ("", commit):
        return bool(tip)
    if not repository.resolve(tip):
        repository.git.attempt(*FETCH, "--", remote, f"refs/heads/{branch}")
    return repository.git.attempt("merge-base", "--is-ancestor", commit, tip).status == 0


def _push(
    repository: Repository,
    remote: str,
    options: Sequence[str],
    moves: Mapping[str, str],
    *,
    lent: int | None = None,
    one_by_one: bool = False,
) -> Output:
    """Push `moves` (ref -> object), all or none of them; or one after the other, as long as the server takes them."""
    for part in [{ref: sha} for ref, sha in moves.items()] if one_by_one else [moves]:
        others = tuple(f"--force-with-lease={ref}:" for ref in moves if ref not in part)
        own = [each for each in options if not each.startswith(others)]
        words = (*push_to(remote), *([] if one_by_one else ["--atomic"]), *own, "--", remote)
        output = repository.git.talk(remote, *words, *(f"{sha}:{ref}" for ref, sha in part.items()), lent=lent)
        if output.status:
            break
    return output


def reach_all(
    repository: Repository, *, remote: str, leases: Sequence[str], moves: Mapping[str, str], one_by_one: bool = False
) -> None:
    """What a remote of several push URLs shows at the one it is read from must stand at each of them.

    git pushes to one after the other, and says the same 1 for a second that refused and for all.  A branch is no proof,
    it may have moved on; the tag that was pushed with it is.  Raises RemoteError.
    """
    urls = repository.push_urls(remote)
    if len(urls) < 2:
        return
    proof = {ref: sha for ref, sha in moves.items() if not ref.startswith("refs/heads/")}
    for url in urls:
        if proof.items() <= repository.ls_remote(url, *proof).refs.items():
            continue
        output = _push(repository, url, ("--no-verify", *leases), moves, one_by_one=one_by_one)
        if not proof.items() <= repository.ls_remote(url, *proof).refs.items():
            shown = without_login(url)
            raise RemoteError(
                f"{shown}, where {remote} is pushed to as well, did not take it: {said_by(output)}",
                remedy="let it take the push, then run the same command again; "
                f"or give it up: {_given_up(repository, remote, url)}",
                code="push-incomplete",
                state=f"{' and '.join(moves)} are public at {remote}",
            )


def _given_up(repository: Repository, remote: str, url: str) -> str:
    """The command after which a remote is not pushed to `url` any more; it takes a pattern, and no login is shown."""
    own = repository.config_items(rf"^remote\.{re.escape(remote)}\.pushurl$")
    pattern = re.escape(without_login(url).rpartition("@")[2].rpartition("://")[2])
    return f"git remote set-url {'--push ' if own else ''}--delete {word(remote)} {word(f'{pattern}$')}"


# What git says when the connection broke: the server may go on with what it has.
_BROKEN = re.compile(
    r"hung up|unexpected disconnect|RPC failed|early EOF|[Bb]roken pipe|reset by peer|timed out|Connection .*closed"
)


def _with_way(error: RemoteError, branch: str, tag: str, *, is_branch: bool) -> RemoteError:
    """The error for a branch that was refused, with the way that pushes none."""
    if is_branch and error.code == "push-rejected":
        error.remedy += f"   | where {branch} takes pull requests only: release cut {tag} --pull-request"
    return error


def _rejected(remote: str, output: Output, state: str, refspec: str) -> RemoteError:
    text, shown = said_by(output), without_login(remote)
    if output.status == 0:
        message, code = f"{shown} took {refspec.partition(':')[2]}, and does not show it", "push-not-visible"
        remedy = f"does it hide such refs, or is it pushed elsewhere? git remote get-url --push --all {word(shown)}"
    elif any(line.startswith("!") for line in output.lines()):
        message, code, remedy = f"{shown} rejected the push: {text}", "push-rejected", _why_rejected(text)
    elif "support --atomic" in text:
        message, code = (
            f"nothing could be pushed to {shown}: it takes no atomic push (`land.atomic: false` is for that)",
            "push-failed",
        )
        remedy = f"git push {word(shown)} {word(refspec)}, then run the same command again: it adds the tag"
    elif _BROKEN.search(output.stderr):
        message, code = f"the connection to {shown} broke while the push was under way: {text}", "push-broken-off"
        state, remedy = "it may still arrive", "run the same command again: it sees whether it did"
    else:
        message, code = f"nothing could be pushed to {shown}: {text}", "push-failed"
        remedy = f"see what stands in the way: git push --dry-run {word(shown)} {word(refspec)}"
    if is_disk_full(output.stderr) and code == "push-failed":
        code, remedy = "disk-full", "free some disk, then run the same command again"
    return RemoteError(message, remedy=remedy, code=code, state=state)


def said_by(output: Output) -> str:
    """What server, hook or git said, on one line, without a login."""
    lines = [line.strip() for line in output.stderr.splitlines() if line.strip()]
    hook = [line.strip() for line in output.lines() if line.strip() and not _PORCELAIN.match(line)]
    server = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    reasons = [line.split("\t")[-1] for line in output.lines() if line.startswith("!")]
    own = [line for line in lines if not (hook and line.startswith("error: failed to push some refs"))]
    text = "; ".join(part for part in dict.fromkeys([*server, *reasons] if reasons else [*hook, *own]) if part)
    return without_login(text)[:500] or "no message"


def heard(output: Output) -> str:
    """What hooks said of a push, here and on the server: one line, without a login; "" where they were silent."""
    lines = [line.strip().removeprefix("remote:").strip() for line in output.stderr.splitlines()]
    lines += [line.strip() for line in output.lines() if not _PORCELAIN.match(line)]
    return without_login("; ".join(line for line in dict.fromkeys(lines) if line))[:500]


def _why_rejected(text: str) -> str:
    if is_disk_full(text):
        return "the disk of the remote is full: free some there, then run the same command again"
    if ".lock': File exists" in text:
        return "a git that was killed left that lock on the remote: remove it there, then run the same command again"
    if "cannot lock ref" in text:
        return "a ref on the remote is in the way: delete or rename it there, then run the same command again"
    if "hook declined" in text:
        return "do what the remote says; a protected ref needs the right to push it; then run the same command again"
    return "the ref may be protected: give this user (or the CI job) the right to push it, then run the same again"


class RefTakenError(MismatchError):
    """Somebody else has made the ref, perhaps at this moment."""

    default_code = "record-differs"


def push_new_refs(repository: Repository, *, remote: str, refs: Mapping[str, str]) -> None:
    """Create refs on the remote in one push, or find each there with the same object.

    Raises MismatchError, RemoteError.
    """
    if not refs:
        return
    leases = [f"--force-with-lease={ref}:" for ref in refs]
    output = repository.git.talk(
        remote, *push_to(remote), "--no-verify", *leases, "--", remote, *(f"{sha}:{ref}" for ref, sha in refs.items())
    )  # fmt: skip
    there = repository.ls_remote(remote, *refs).refs
    for ref, sha in refs.items():
        if there.get(ref, sha) != sha:
            raise RefTakenError(
                f"{ref} on {remote} is {there[ref]}, not {sha}",
                remedy=f"read both and find out who made the other: git fetch {word(remote)} {ref} && "
                "git cat-file -p FETCH_HEAD",
            )
    if lacking := [ref for ref in refs if ref not in there]:
        state = f"branch and tag are public; {' and '.join(lacking)} is not"
        raise _rejected(remote, output, state, f"{refs[lacking[0]]}:{lacking[0]}")
    reach_all(repository, remote=remote, leases=leases, moves=refs)


def move_refs(
    repository: Repository, *, remote: str, moves: Mapping[str, tuple[str, str]], state: str, hooks: bool = True
) -> None:
    """Set refs of the remote that no release needs to stay, each from where it was: ref -> (new, old).

    "" is none, as new one: it is deleted.  What is so already is left.  Raises RefusedError where somebody else moved
    one, RemoteError where the push is rejected.
    """
    there = repository.ls_remote(remote, *moves).refs
    todo = {ref: pair for ref, pair in moves.items() if there.get(ref, "") != pair[0]}
    if not todo:
        return
    for ref, (_, old) in todo.items():
        if there.get(ref, "") != old:
            raise RefusedError(
                f"{ref} on {remote} is {there.get(ref, 'not there')[:12]}, and was {old[:12] or 'not there'}",
                where=ref,
                remedy=f"somebody else moved it; see what it is: git fetch {remote} {ref} && git log FETCH_HEAD",
                code="ref-moved",
                state=state,
            )
    leases = [f"--force-with-lease={ref}:{old}" for ref, (_, old) in todo.items()]
    output = repository.git.talk(
        remote, *push_to(remote), *([] if hooks else ["--no-verify"]), *leases, "--", remote,
        *(f"{new}:{ref}" for ref, (new, _) in todo.items()),
    )  # fmt: skip
    now = repository.ls_remote(remote, *todo).refs
    if left := [ref for ref, (new, _) in todo.items() if now.get(ref, "") != new]:
        raise _rejected(remote, output, state, f"{todo[left[0]][0]}:{left[0]}")

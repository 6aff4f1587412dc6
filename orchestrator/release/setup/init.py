"""What `release init` finds in a repository and on its remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config.template import StarterFacts, dockerfile_of, release_branch
from orchestrator.core.errors import RemoteError
from orchestrator.core.remote_url import page_of
from orchestrator.core.text import word
from orchestrator.core.versions import not_understood, suggested, use, version_tags
from orchestrator.git.repository import RemoteRefs
from orchestrator.release.setup import project_facts
from orchestrator.release.setup.project_facts import registry_of

if TYPE_CHECKING:
    from orchestrator.core.results import Problem
    from orchestrator.git.repository import Repository
    from orchestrator.session.session import Session

_USUAL = ("main", "master", "develop", "trunk")


def starter_facts(repository: Repository, *, offline: bool = False) -> StarterFacts:
    """Branches, remote, newest tag and Dockerfiles.  A remote that does not answer is known by its last fetch."""
    remote = repository.usual_remote()
    is_there = bool(repository.remote_url(remote))
    public = _asked(repository, remote) if is_there and not offline else _fetched(repository, remote)
    theirs = {ref.removeprefix("refs/heads/") for ref in public.refs if ref.startswith("refs/heads/")}
    ours = {ref.removeprefix("refs/heads/") for ref in repository.refs("refs/heads")}
    tags = {**repository.local_tags(), **public.tags()}
    scheme = suggested(tags)
    use(scheme)
    latest = max(version_tags(tags), key=lambda each: (each.order, str(each)), default=None)
    files = repository.git.run("ls-files", "-z").fields()
    dockerfiles = tuple(path for path in files if path.rpartition("/")[2].startswith("Dockerfile"))
    url = repository.remote_url(remote)
    found = StarterFacts(
        branches=tuple(sorted(theirs or ours)),
        default_branch=public.head or next((name for name in _USUAL if name in theirs | ours), "main"),
        remote=remote,
        latest_tag=str(latest or ""),
        dockerfiles=dockerfiles,
        project=repository.top.name,
        page=page_of(url),
        versions=scheme,
        unread=tuple(not_understood(tags)),
        image=registry_of(url),
    )
    return project_facts.with_files(repository, found)


def _asked(repository: Repository, remote: str) -> RemoteRefs:
    try:
        return repository.ls_remote(remote, "HEAD", "refs/heads/*", "refs/tags/*")
    except RemoteError:
        return _fetched(repository, remote)


def _fetched(repository: Repository, remote: str) -> RemoteRefs:
    """What the last fetch left, in the remote's own names."""
    prefix = f"refs/remotes/{remote}/"
    refs = {f"refs/heads/{ref.removeprefix(prefix)}": sha for ref, sha in repository.refs(prefix.rstrip("/")).items()}
    refs.pop("refs/heads/HEAD", None)
    head = repository.git.attempt("symbolic-ref", "--quiet", f"{prefix}HEAD").text.strip()
    return RemoteRefs(refs=refs, head=head.removeprefix(prefix))


def branch_to_make(facts: StarterFacts) -> str:
    """The command that makes the release branch that release.yaml names, "" where it is there."""
    branch = release_branch(facts)
    if branch in facts.branches:
        return ""
    start = f"refs/tags/{facts.latest_tag}^{{}}" if facts.latest_tag else "HEAD"
    return f"git push {word(facts.remote)} {word(f'{start}:refs/heads/{branch}')}"


def untold(facts: StarterFacts) -> list[str]:
    """What neither the project nor a person told of an image."""
    if not facts.dockerfiles and not facts.chosen_dockerfile:
        return []
    if not facts.image:
        return [f"{dockerfile_of(facts)}: where its image is pushed is not known; fill in and uncomment `image:`"]
    if not facts.smoke:
        return [f"{dockerfile_of(facts)}: what shows that its image works is not known; `smoke:` has an example"]
    return []


def dockerfile_problems(session: Session, facts: StarterFacts) -> tuple[Problem, ...]:
    """What `check` will say of the Dockerfile that the example names; nothing where there is none."""
    from orchestrator.core.declaration import ImageSpec
    from orchestrator.core.results import Place
    from orchestrator.image.builders import AUTO, likely
    from orchestrator.image.inputs import judge_dockerfile_here

    path = dockerfile_of(facts)
    if path not in facts.dockerfiles:
        return ()
    spec = ImageSpec(place=Place(file=session.config_name), repository="", dockerfile=path)
    engine = likely(AUTO, session.connections)
    top, name = session.repository.top, session.config_name
    return judge_dockerfile_here(spec, top, name, engine, session.connections).problems

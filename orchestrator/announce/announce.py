"""What is told of a released version, part by part: each that fails says so, and the next is told all the same."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from orchestrator.announce.fixes import Announced, fix_comments
from orchestrator.announce.fixes import tried as _tried
from orchestrator.core.commit_message.release import filled
from orchestrator.core.declaration import LandSpec
from orchestrator.core.errors import RefusedError, ReleaseError, UsageError
from orchestrator.core.results import Place
from orchestrator.core.versions import version_tags
from orchestrator.forges import ReleaseText, webhook
from orchestrator.git.push import push_new_refs, write_blob
from orchestrator.landing.request import connect
from orchestrator.release.notes import release_notes
from orchestrator.report import notes
from orchestrator.session.published import PublishedReleases, config_at, read_stored_record, remote_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.core.declaration import Config
    from orchestrator.core.declaration.announcement import Webhook
    from orchestrator.forges import Forge
    from orchestrator.session.session import Session

TOLD: Final = "refs/release-announced/"  # on the remote: <version>/<what>, so that nobody is told twice

_FORGE: Final = "forge-release"  # its name there
_FIXES: Final = "fixes"


def announce(session: Session, version: str) -> list[Announced]:
    """Tell of a released version what its release.yaml asks for.

    Raises UsageError for one that is not released, MismatchError where its record is not what its tag says.
    """
    release = _Release(session, version)
    if release.is_yanked:
        raise RefusedError(
            f"{version} was yanked: nobody is told of it", remedy=f"see why: release show {version}", code="yanked",
            state="nothing was changed",
        )  # fmt: skip
    done = []
    if spec := release.config.forge_release:
        done.append(_tried("forge release", partial(_forge_release, release)))
        done += [_tried(f"asset {name}", partial(_asset, release, name)) for name in spec.assets]
        is_out = not any(each.failed for each in done)
        done += _marked(release, _FORGE) if is_out else []
        if spec.comment_on_fixes:
            told = fix_comments(release) if release.url else [_no_page()]
            done += told
            done += _marked(release, _FIXES) if not any(each.failed for each in told) else []
    done += [_tried(f"{each.kind} {each.url_env}", partial(_webhook, release, each)) for each in release.config.notify]
    return done


def _no_page() -> Announced:
    return Announced(what="comments on fixes", message="the release has no page to point to yet", failed=True)


def _marked(release: _Release, key: str) -> list[Announced]:
    try:
        _mark(release, key)
    except ReleaseError as error:
        return [Announced(what="forge release", message=f"could not be marked on {release.remote}: {error.message}")]
    return []


def untold(session: Session, version: str) -> list[str]:
    """Who was not told of a released version, of those whom its release.yaml names; nothing is sent."""
    release = _Release(session, version)
    spec = release.config.forge_release
    wanted = {_FORGE: "forge release"} if spec else {}
    wanted |= {_FIXES: "comments on fixes"} if spec and spec.comment_on_fixes else {}
    wanted |= {_key(each): f"{each.kind} {each.url_env}" for each in release.config.notify}
    if not wanted or release.is_yanked:
        return []
    marks = session.repository.ls_remote(release.remote, f"{TOLD}{version}/*").refs
    return [what for key, what in wanted.items() if f"{TOLD}{version}/{key}" not in marks]


class _Release:
    """A released version, with what is asked for once."""

    def __init__(self, session: Session, version: str) -> None:
        self.session, self.version, self.remote = session, version, remote_name(session)
        self.public = PublishedReleases(session, self.remote)
        self.record = self.public.proved(version)
        _, self.stored = read_stored_record(session, version, self.remote)
        self.url = ""  # of its page on the forge

    @cached_property
    def config(self) -> Config:
        """Its own release.yaml."""
        return config_at(self.session, self.version, self.record.commit, self.record.config.path)

    @cached_property
    def forge(self) -> Forge:
        """The one that the released release.yaml names, whatever is checked out.

        Raises UsageError where it cannot be asked.
        """
        spec = self.config.land or LandSpec(place=Place(file=self.record.config.path))
        found, why = connect(self.session, self.remote, spec)
        if found is None:
            raise UsageError(f"the forge cannot be asked: {why}", code="no-forge")
        return found

    @property
    def is_yanked(self) -> bool:
        return self.version in self.public.yanks

    @property
    def is_latest(self) -> bool:
        """Whether no final version is newer, of those that nobody took back."""
        good = [each for each in self.public.versions if each not in self.public.yanks]
        finals = [each for each in version_tags(good) if not each.is_candidate]
        return bool(finals) and str(max(finals, key=lambda each: each.order)) == self.version

    @property
    def facts(self) -> dict[str, str]:
        """What `{name}` stands for in a message."""
        record = self.record
        image = record.images[0] if record.images else None
        return {
            "tag": self.version, "version": record.version.bare, "previous": str(record.previous or ""),
            "branch": record.branch, "summary": record.summary, "image": str(image.reference) if image else "",
            "digest": str(image.digest) if image else "", "url": self.url or self.config.repository_url,
        }  # fmt: skip


def _forge_release(release: _Release) -> str:
    """The release on the forge, with the notes as its text: made, or made so."""
    found, _ = release_notes(release.session, release.version)
    text = ReleaseText(
        tag=release.version, body=notes.render(found, "md"), is_candidate=release.record.version.is_candidate,
        is_latest=release.is_latest,
    )  # fmt: skip
    there = release.forge.release(release.version)
    made = release.forge.describe_release(text, there)
    release.url = made.url
    return f"{'described anew' if there else 'made'}: {made.url}"


def _asset(release: _Release, name: str) -> str:
    there = release.forge.release(release.version)
    if there is None:
        raise UsageError(
            f"there is no release of {release.version} on the forge to attach it to", code="no-forge-release"
        )
    made = []
    for file, content, kind in _files(release, name):
        if there.assets.get(file) == len(content):
            made.append(f"{file} is there")
            continue
        release.forge.attach(there, file, content, kind)
        made.append(f"{file} attached")
    return ", ".join(made) or "nothing to attach"


def _files(release: _Release, name: str) -> Iterator[tuple[str, bytes, str]]:
    """Name, content and media type."""
    tag = release.version.replace("/", "-")
    if name == "record":
        text = json.dumps(release.stored, indent=2, ensure_ascii=False) + "\n"
        yield f"release-{tag}.json", text.encode(), "application/json"
    elif name == "report":
        from orchestrator.report.page import release_page
        from orchestrator.report.page.told import tell

        yield f"release-{tag}.html", release_page(tell(release.session, release.version)).encode(), "text/html"
    elif release.record.images:
        from orchestrator.attest.cyclonedx import cyclonedx
        from orchestrator.attest.released.bills import bills

        for number, bill in enumerate(bills(release.session, release.version)):
            text = json.dumps(cyclonedx(bill), indent=2) + "\n"
            yield f"sbom-{tag}{f'-{number}' if number else ''}.cdx.json", text.encode(), "application/json"


def _webhook(release: _Release, hook: Webhook) -> str:
    """Once for each version: what was taken is marked on the remote."""
    ref = f"{TOLD}{release.version}/{_key(hook)}"
    session = release.session
    if ref in session.repository.ls_remote(release.remote, ref).refs:
        return "was told before"
    url = webhook.checked_url(hook.url_env, session.env.get(hook.url_env, ""))
    text = re.sub(r" {2,}", " ", filled(hook.text, release.facts)).strip(" :")
    facts = {"schema_version": 1, "event": "released", **release.facts, "record": release.stored}
    webhook.post(hook.kind, hook.url_env, url, webhook.payload(hook.kind, text, facts))
    try:
        _mark(release, _key(hook))
    except ReleaseError as error:
        return f"told; that it was could not be marked on {release.remote}: {error.message}"
    return "told"


def _mark(release: _Release, key: str) -> None:
    repository = release.session.repository
    ref = f"{TOLD}{release.version}/{key}"
    push_new_refs(repository, remote=release.remote, refs={ref: write_blob(repository, b"told\n")})


def _key(hook: Webhook) -> str:
    return hashlib.sha256(f"{hook.kind} {hook.url_env}".encode()).hexdigest()[:12]

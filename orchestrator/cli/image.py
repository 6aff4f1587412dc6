"""Commands about an image: smoke, prune, rebuild, and the patches to what is installed in it."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.app import app, command
from orchestrator.cli.help import SETTINGS
from orchestrator.cli.options import REGISTRY
from orchestrator.core.errors import Exit, UsageError
from orchestrator.report.console import Console
from orchestrator.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.attest.bill import Bill


class SbomFormat(StrEnum):
    """How a bill of materials is written."""

    TEXT = "text"
    MARKDOWN = "md"
    CYCLONEDX = "cyclonedx"
    SPDX = "spdx"


@command("smoke")
def smoke(
    session: Session,
    console: Console,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image of the engine: name, or id.")],
    gpus: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            help="GPUs for the checks: `all`, ids such as `0,1`, or CDI names such as `nvidia.com/gpu=all`.",
        ),
    ] = "",
    lock: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The lock it must hold: a file, or a folder of *.txt."),
    ] = None,
    patches: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of patches that it must have."),
    ] = None,
    check: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this check; may be repeated.")] = None,
) -> int:
    """Run the built-in checks on what an image contains: packages, CUDA, services, GPUs."""
    from orchestrator.image.smoke import smoke_image
    from orchestrator.report import text as report

    results = smoke_image(session, image, gpus=gpus, lock=lock, patches=patches, names=tuple(check or ()))
    console.lines(report.check_lines(results))
    console.document({"schema_version": 1, "image": image, "checks": [asdict(result) for result in results]})
    return Exit.UNPROVED if any(result.state == "failed" for result in results) else Exit.DONE


@command("prune", REGISTRY)
def prune(
    session: Session,
    console: Console,
    older_than: Annotated[
        int,
        typer.Option("--older-than", metavar="DAYS", min=0, help="Only what was made before."),
    ] = 14,
    write: Annotated[bool, typer.Option("--write", help="Remove them; without it, they are shown.")] = False,
) -> None:
    """List the private `candidate-*` names of the registry, and with --write remove those that nobody needs."""
    from orchestrator.release.prune import prune
    from orchestrator.report.registry import prune_lines

    found = prune(session, days=older_than, write=write)
    console.lines(prune_lines(found))
    console.document({"schema_version": 1, **asdict(found)})


@command("rebuild", REGISTRY)
def rebuild(
    session: Session,
    console: Console,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A released version, such as v2.7.1.")],
    variant: Annotated[str, typer.Option(metavar="NAME", help="Only this variant of its images.")] = "",
    cache: Annotated[
        bool,
        typer.Option("--cache/--no-cache", help="Let the engine use layers that it has."),
    ] = False,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Download and read also the layers that claim to be identical."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 9 also where only times differ.")] = False,
) -> int:
    """Build a released tag again and compare with the registry, layer by layer and file by file; publishes nothing."""
    from orchestrator.audit.layer_compare import Agreement
    from orchestrator.audit.rebuild import RebuildRequest
    from orchestrator.audit.rebuild import rebuild as build_again
    from orchestrator.report.rebuild import rebuild_document, rebuild_lines

    found = build_again(session, version, RebuildRequest(variant=variant, use_cache=cache, deep=deep))
    console.lines(rebuild_lines(version, found))
    console.document(rebuild_document(version, found))
    bad = {Agreement.CONTENT, Agreement.TIMES} if strict else {Agreement.CONTENT}
    return Exit.MISMATCH if any(each.verdict in bad for each in found) else Exit.DONE


@command("sbom", REGISTRY)
def sbom(
    session: Session,
    console: Console,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A released version, such as v2.7.1.")],
    diff: Annotated[
        str,
        typer.Option("--diff", metavar="VERSION", help="What changed since that version."),
    ] = "",
    variant: Annotated[str, typer.Option(metavar="NAME", help="Only this variant of its images.")] = "",
    platform: Annotated[str, typer.Option(metavar="OS/ARCH", help="Only the image of this platform.")] = "",
    form: Annotated[
        SbomFormat,
        typer.Option("--format", help="Of one image a standard document; else text."),
    ] = SbomFormat.TEXT,
) -> None:
    """List what is inside the images of a version: packages, licences, hashes, CUDA libraries, patches."""
    from orchestrator.attest.released.bills import bills
    from orchestrator.report import sbom as report

    standard = form in (SbomFormat.CYCLONEDX, SbomFormat.SPDX)
    if standard and (diff or console.as_json):
        raise UsageError(
            f"--format {form.value} is a document of its own",
            remedy="leave --diff and --json out",
            code="two-documents",
        )
    found = bills(session, version, variant, platform)
    if standard:
        console.written(_standard(form, version, found))
    elif diff:
        from orchestrator.attest.differences import compared

        names, pairs = (diff, version), compared(bills(session, diff, variant, platform), found)
        shown = report.change_markdown if form is SbomFormat.MARKDOWN else report.change_lines
        console.lines([line for bill, changes in pairs for line in shown(names, bill, changes)])
        console.document(report.change_document(names, pairs))
    else:
        shown_bill = report.bill_markdown if form is SbomFormat.MARKDOWN else report.bill_lines
        console.lines([line for each in found for line in shown_bill(each)])
        console.document(report.bill_document(version, found))


def _standard(form: SbomFormat, version: str, found: Sequence[Bill]) -> Mapping[str, Any]:
    """The one bill that is wanted, in a standard's format."""
    from orchestrator.attest.cyclonedx import cyclonedx
    from orchestrator.attest.spdx import spdx

    if len(found) != 1:
        raise UsageError(
            f"{version} has {len(found)} images, and a document is of one",
            remedy="choose by --variant and --platform: " + ", ".join(f"{each.tag} {each.platform}" for each in found),
            code="which-image",
        )
    return (cyclonedx if form is SbomFormat.CYCLONEDX else spdx)(found[0])


group = typer.Typer(
    name="patch",
    no_args_is_help=True,
    context_settings=SETTINGS,
    rich_markup_mode=None,
    help="Upstream fixes as patches to what is installed in the image.",
)


app.add_typer(group)


@command("import", group=group)
def import_(
    session: Session,
    console: Console,
    sha: Annotated[str, typer.Argument(metavar="SHA", help="The commit of the fix, in that repository.")],
    repo: Annotated[Path, typer.Option("--repo", metavar="DIR", help="A clone of PyTorch with the tag.")],
    mainline: Annotated[
        int,
        typer.Option("--mainline", "-m", metavar="N", min=0, help="For a merge: against parent N."),
    ] = 0,
) -> None:
    """Pick an upstream commit onto the locked version of torch, and write it as a patch of the image."""
    from orchestrator.image.patch_import import import_fix

    made = import_fix(session, session.directory / repo, sha, mainline)
    console.lines([made.path, *(f"  changes   {path}" for path in made.files)])
    console.lines([f"  left out  {path} (not in the wheel)" for path in made.left_out])
    console.note(f"next: a test beside it, {made.path.removesuffix('.patch')}.py, as a smoke command; then commit")
    console.document({"schema_version": 1, **asdict(made)})


@command("list", group=group)
def list_(session: Session, console: Console) -> None:
    """List the patches of the image in the order they are applied, after checking them."""
    from orchestrator.image.patch_import import listed

    found = listed(session)
    if not found:
        console.note("there are no patches in the folder of `image.patches`")
    for each in found:
        console.lines([f"{each.name}: {each.subject}", f"  from {each.origin} {each.commit}".rstrip()])
        console.lines([f"  changes {path}" for path in each.files])
        console.lines([] if each.tested else ["  has no test beside it"])
    console.document({"schema_version": 1, "patches": [asdict(each) for each in found]})

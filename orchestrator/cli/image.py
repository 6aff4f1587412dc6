"""Commands about an image: smoke, rebuild, and the patches to what is installed in it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.app import app, command
from orchestrator.cli.help import SETTINGS
from orchestrator.cli.options import REGISTRY
from orchestrator.core.errors import Exit
from orchestrator.report.console import Console
from orchestrator.session.session import Session


@command("smoke")
def smoke(
    session: Session,
    console: Console,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image of the engine: name, or id.")],
    gpus: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            envvar="RELEASE_GPUS",
            help="GPUs for the checks: `all`, ids such as `0,1`, or CDI names such as `nvidia.com/gpu=all`.",
        ),
    ] = "",
    lock: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", envvar="RELEASE_LOCK", help="The lock it must hold: a file, or a folder of *.txt."
        ),
    ] = None,
    patches: Annotated[
        Path | None,
        typer.Option(metavar="DIR", envvar="RELEASE_PATCHES", help="The folder of patches that it must have."),
    ] = None,
    check: Annotated[
        list[str] | None, typer.Option(metavar="NAME", envvar="RELEASE_CHECK", help="Only this check; may be repeated.")
    ] = None,
) -> int:
    """Run the built-in checks on what an image contains: packages, CUDA, services, GPUs."""
    from orchestrator.image.smoke import smoke_image
    from orchestrator.report import text as report

    results = smoke_image(session, image, gpus=gpus, lock=lock, patches=patches, names=tuple(check or ()))
    console.lines(report.check_lines(results))
    console.document({"schema_version": 1, "image": image, "checks": [asdict(result) for result in results]})
    return Exit.UNPROVED if any(result.state == "failed" for result in results) else Exit.DONE


@command("rebuild", REGISTRY)
def rebuild(
    session: Session,
    console: Console,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A released version, such as v2.7.1.")],
    variant: Annotated[
        str, typer.Option(metavar="NAME", envvar="RELEASE_VARIANT", help="Only this variant of its images.")
    ] = "",
    cache: Annotated[
        bool,
        typer.Option("--cache/--no-cache", envvar="RELEASE_CACHE", help="Let the engine use layers that it has."),
    ] = False,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", envvar="RELEASE_DEEP", help="Download and read also the layers that claim to be identical."
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", envvar="RELEASE_STRICT", help="Exit 9 also where only times differ.")
    ] = False,
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
    repo: Annotated[
        Path, typer.Option("--repo", metavar="DIR", envvar="RELEASE_REPO", help="A clone of PyTorch with the tag.")
    ],
    mainline: Annotated[
        int,
        typer.Option(
            "--mainline", "-m", metavar="N", min=0, envvar="RELEASE_MAINLINE", help="For a merge: against parent N."
        ),
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

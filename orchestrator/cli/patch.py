"""`release patch ...`: fixes of upstream packages as patches of the image."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003  # typer reads annotations at run time
from typing import Annotated

import typer

from orchestrator.cli.app import Invocation, app, command

group = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Upstream fixes as patches to what is installed in the image."
)
app.add_typer(group, name="patch")


@command("import", group=group)
def import_(
    call: Invocation,
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

    with call.desk() as desk:
        made = import_fix(desk, call.directory / repo, sha, mainline)
    call.console.lines([made.path, *(f"  changes   {path}" for path in made.files)])
    call.console.lines([f"  left out  {path} (not in the wheel)" for path in made.left_out])
    call.console.note(f"next: a test beside it, {made.path.removesuffix('.patch')}.py, as a smoke command; then commit")
    call.console.document({"schema_version": 1, **asdict(made)})


@command("list", group=group)
def list_(call: Invocation) -> None:
    """List the patches of the image in the order they are applied, after checking them."""
    from orchestrator.image.patch_import import listed

    with call.desk() as desk:
        found = listed(desk)
    if not found:
        call.console.note("there are no patches in the folder of `image.patches`")
    for each in found:
        call.console.lines([f"{each.name}: {each.subject}", f"  from {each.origin} {each.commit}".rstrip()])
        call.console.lines([f"  changes {path}" for path in each.files])
        call.console.lines([] if each.tested else ["  has no test beside it"])
    call.console.document({"schema_version": 1, "patches": [asdict(each) for each in found]})

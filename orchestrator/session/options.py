"""The parsed command line: what a run was asked for, and nothing that changes afterwards."""

from __future__ import annotations

from orchestrator.core.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every command takes, and what it takes to plan and to reach a registry; a command's own are its own."""

    directory: str = "."  # as given; relative to where the program was started
    config: str = ""  # path of release.yaml as given, "" for the default
    offline: bool = False
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    plain_http: bool = False  # speak HTTP to a registry that has no TLS
    remote_stall: float = 120.0  # seconds without a word after which a git remote is given up
    push_stall: float = 300.0  # seconds without progress after which a push is given up
    registry_username: str = ""
    password_stdin: bool = False
    effort: float = 10.0  # seconds to look for what a conflicting pick needs
    pull_request: bool = False  # land by a pull request, whatever release.yaml says
    image: bool | None = None  # whether the cut builds the image; None: as release.yaml says
    break_freeze: str = ""  # the reason for releasing in a freeze

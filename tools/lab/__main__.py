"""`python3 tools/lab run -- COMMAND`, `status`, `clean`; also `python3 -m tools.lab`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `python3 tools/lab` knows no package

from tools.lab import session, talk


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="tools/lab", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="run COMMAND with an engine and a registry in its environment")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    verbs.add_parser("status", help="show the slots and what runs in them")
    verbs.add_parser("clean", help="take down what killed runs left, delete every cache that is not in use")
    return top


def main() -> int:
    top = parser()
    arguments = top.parse_args()
    try:
        if arguments.verb == "status":
            return session.status()
        if arguments.verb == "clean":
            return session.clean()
        command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
        return session.run(command) if command else top.error("no command: python3 tools/lab run -- COMMAND")
    except talk.LabError as error:
        talk.say(f"error: {error}")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())

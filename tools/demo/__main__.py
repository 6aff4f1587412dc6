"""Run inside the lab: `python3 tools/lab run -- .venv/bin/python tools/demo`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run by its path, it knows no package

from tools.demo import story
from tools.demo.shell import DemoError


def main() -> int:
    if not os.environ.get("RELEASE_LAB_REGISTRY"):
        print("the demo needs an engine and a registry: run `make demo`", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="release-demo-") as folder:
            story.tell(Path(folder))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

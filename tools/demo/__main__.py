"""Run inside the lab: `python3 tools/lab run -- .venv/bin/python tools/demo [VARIANT]`.

VARIANT names the lock that the images are made from: `demo` (light) when left out, `cu126` for the real thing.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run by its path, it knows no package

from tools.demo import sandbox, story
from tools.demo.shell import DemoError


def main() -> int:
    variant = sys.argv[1] if len(sys.argv) > 1 else sandbox.LIGHT
    if variant not in sandbox.VARIANTS:
        print(f"the demo has no variant {variant!r}; known: {', '.join(sandbox.VARIANTS)}", file=sys.stderr)
        return 2
    if not os.environ.get("RELEASE_LAB_REGISTRY"):
        print("the demo needs an engine and a registry: run `make demo`", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="release-demo-") as folder:
            story.tell(Path(folder), variant)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

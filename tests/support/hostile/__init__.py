"""Hostile pushes: what is no declared pick, and refs that nobody may push."""

from tests.support.hostile import commits, decided, refs
from tests.support.hostile.table import CASES

__all__ = ["CASES", "commits", "decided", "refs"]

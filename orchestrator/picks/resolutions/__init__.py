"""Conflicts that a person resolved before, in a version that is released: found by the conflict, and put on it again.

What a resolution may hold is told by `picks/resolution.py`; who may be asked about it is for others to know.
"""

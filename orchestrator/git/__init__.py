"""The only room that starts git: objects, scratch picks, worktrees, pushes, tags, notes.

Bytes in and out, errors as values.  It must not know what a release is, and neither engines nor registries.
"""

"""Prove later what was released: replay every commit of a release branch and compare.

It reads a snapshot of the repository, calls each commit by its kind, and never changes anything.  It must not know how
its findings are shown.
"""

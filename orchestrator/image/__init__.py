"""What goes into an image and what is checked of it: context, Dockerfile, locks, patches, smoke checks.

It must not know a release or its steps: it is given an engine, a tree and what to expect.
"""

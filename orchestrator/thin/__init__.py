"""The room of thin releases: an image as a heavy base, made once, and a few small layers that are nothing but files.

It reads a Dockerfile's stages, names the heavy base by what goes into it, and writes the thin rest itself: layers,
configuration, manifest.  It must not know a release's steps or its journal: it is given a tree, a registry, a moment.
"""

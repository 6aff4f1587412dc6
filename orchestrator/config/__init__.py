"""release.yaml: bytes in, values or every fault with its place out.

One table of keys gives reading, schema and documentation.  It must not know git, registries or engines: whether a
commit or an image exists is asked by others.
"""

"""The room of what is attested of a release: bills of materials, provenance, picks, and the signatures on them.

Statements are values made from a tag, a record and an image; standard tools read and verify them.  It must not know a
release's steps or its journal, and makes no cryptography of its own: keys are `cryptography`'s.
"""

"""What came to a release branch since its last version, taken as it is: `from-branch: true`.

Its sources, the entries that name it, and the proof that a release says of it what it is.  Nothing here asks a remote.
"""

"""The door to git: the only package that imports GitPython and the only one that starts git.

process.py     one command, bytes in and out, errors as values
repository.py  a person's repository: names, refs, configuration, remote
scratch.py     a throw-away object store in which picks are made
worktree.py    the worktree in which a person resolves a conflict
transfer.py    bringing objects in, landing, notes, records
"""

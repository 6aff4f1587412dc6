"""What is kept of releases where a server takes no refs but heads and tags: on a branch, read and written as refs are.

`records:` in release.yaml names the branch.  Everybody else asks for refs, and learns nothing of where they are kept.
"""

"""What must not happen: policies, freezes, and pushes that a server refuses.

It decides and says why.  It must not know how a release is made, only what a right one looks like.
"""

"""Telling people that a version is released: a release on the forge, and messages to webhooks.

It begins when a release is at its end, fails none, and does nothing twice.  It knows reports and forges, and changes
nothing of a release.
"""

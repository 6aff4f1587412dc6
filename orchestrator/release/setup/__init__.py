"""What helps to begin: a first release.yaml, and what a machine and a forge lack for a release.

It looks and says; nothing here makes a release or changes a setting.
"""

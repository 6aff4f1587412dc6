"""Walks through the life of release branches, for tests/scenarios/test_one_account.py.

`world` is the history: main, two release lines, and every way in which a fix comes to one.  `releases` cuts, promotes
and yanks with disturbances.  `judges` asks everybody who judges releases.  `tampering` changes one byte of what is
public.  `machine` is what hypothesis walks.
"""

"""From a declaration to a plan: every pick made in a scratch store, every problem found, every name computed.

A plan is a value, built once.  Nothing here moves a ref or starts an engine.
"""

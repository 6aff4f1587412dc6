"""The values and public grammars that every other room speaks in.

Versions, references, records, tag messages, labels, errors.  No input or output happens here, and it imports nothing of
the project but itself.
"""

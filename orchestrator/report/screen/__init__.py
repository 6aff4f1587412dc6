"""A terminal, or a runner's log, in front of a person: colour by meaning, lines that fit, what is at work.

It is given text and progress; the console alone writes.
"""

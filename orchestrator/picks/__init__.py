"""One fix, asked of history: what it names, whether it is there already, what it needs, what came after it.

It only reads.  It must not know plans or steps; they are made of its answers.
"""

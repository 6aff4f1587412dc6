"""One release from the first check to the last note: prepare, execute, pause, resume, abort, promote, yank.

It is where plan, steps, guard and session meet.  It must not print: it reports, and the console shows.
"""

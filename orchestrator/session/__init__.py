"""One run of the program: its repository, its connections, and the files in which a release keeps its state.

It must not know what a release is made of; it opens connections once and closes them.
"""

"""A Docker Engine and a registry with authentication, for as long as one command runs.

`python3 tools/lab run -- COMMAND` borrows an engine that answers, or starts a private one (Debian, root).
Only the standard library is used: the lab runs with the system's python3, before any venv exists.

Everything that lives on the machine belongs to a slot (slots.py), and a slot's take-down is the same code
after a normal end, after ctrl-C and after a SIGKILL found by the next run.
"""

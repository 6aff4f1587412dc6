"""How a release is made where there are several ways: landed by people's request, built by another, and
where it waits for a person.

Each module says which way a plan goes and what follows from it.  It knows plans and steps, not the commands that run
them.
"""

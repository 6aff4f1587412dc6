"""A release that lands by a pull request: proposed under a name of its own, found again on its branch, proved there.

What was proposed is a value here (`forms.Proposed`); how it was planned, and what is made of it, others know.
"""

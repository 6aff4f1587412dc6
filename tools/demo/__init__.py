"""`make demo`: the story of one fix, from a topic branch to an image that a colleague pulls."""

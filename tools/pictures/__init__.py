"""What `release` looks like in a terminal, as pictures for the docs."""

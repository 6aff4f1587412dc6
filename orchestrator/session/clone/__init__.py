"""What a clone lacks (`--depth`, `--filter`), and how it is brought: everything at once, and its size is said."""

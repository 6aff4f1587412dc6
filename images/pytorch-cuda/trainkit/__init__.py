"""The team's own helpers for training runs, in every image."""

"""The room that lands by pull requests."""

"""Scripts that serve the project: the lab (engine and registry for tests) and the demo."""

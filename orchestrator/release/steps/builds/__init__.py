"""What the step `build` is made of: the base, and a build that goes straight into the registry."""

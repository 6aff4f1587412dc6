"""What commits of a branch may have come from: what they say of themselves, and what looks like them.

Nothing is proved here, and nothing is known of release.yaml.
"""

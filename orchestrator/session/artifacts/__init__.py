"""What is kept of releases beside their images, in the registry: `records: registry` in release.yaml.

It answers for refs as a branch of records does, and knows nothing of what they say.
"""

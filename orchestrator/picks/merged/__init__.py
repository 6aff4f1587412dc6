"""Merges that were picked or taken back as a whole: what they brought, and to which of their parents."""

"""What is attested of versions that are released: their bills of materials, and whether their signatures hold.

It reads tags, records and registries of releases that are public.  It must not change any of them.
"""

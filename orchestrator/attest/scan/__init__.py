"""Which known vulnerabilities concern what is inside an image: advisories, the versions they name, and VEX statements.

It reads bills of materials and what databases say.  It decides nothing about a release, and reads no session.
"""

"""A client of the OCI distribution specification: manifests, blobs, tags, logins, retries.

It must not know git, engines or releases.  Only a 404 means "not there".
"""

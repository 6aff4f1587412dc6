"""The room of Dockerfiles: what one says and asks of its builder, and what its .dockerignore leaves out.

Nothing is built here, and no engine is asked: what a builder can do comes as a value, `engines.Dialect`.
"""

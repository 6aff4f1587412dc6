"""The pipelines of `release ci init`: one module of texts for each CI, made from a `Pipeline`.

Pure: no module here reads a file, an environment or a forge.  What the pipelines share: the whole history, least
rights, no secret in an argument, one publication at a time; and nothing is started in the checkout of a pull request
but git and this tool, both from outside of it: what is installed is installed in another directory, because Python
would load a folder `pip` that the branch brings.  The check of a pull request runs always and says quickly when
release.yaml is as it was: a required check that is not started for some pull requests would block them.
"""

"""Jupyter in this image; the token comes from JUPYTER_TOKEN, which the server reads itself."""

import os

c = get_config()  # noqa: F821  # given by Jupyter
c.ServerApp.ip = "0.0.0.0"  # noqa: S104  # of the container; `docker run -p` decides who gets there
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0  # another port would not be the one that was published
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/workspace"
c.ServerApp.allow_root = os.geteuid() == 0  # only when RUN_AS asks for it
c.PasswordIdentityProvider.hashed_password = os.environ.get("JUPYTER_PASSWORD_HASH", "")

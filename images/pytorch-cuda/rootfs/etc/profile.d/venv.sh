# A login shell starts with Debian's PATH.
PATH=/opt/venv/bin:$PATH

"""Patch releases of a CUDA image: declared cherry-picks, a tag, a proved image, a push."""

__version__ = "0.2.0.dev0"

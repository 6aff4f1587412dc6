"""The page of a release: one HTML file that asks nothing of anybody and works without scripts."""

from orchestrator.report.page.render import is_ours, line_page, release_page

__all__ = ["is_ours", "line_page", "release_page"]

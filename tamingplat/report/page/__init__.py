"""The page: what some manifests came to, as one HTML file that opens from disk and asks for nothing else."""

from tamingplat.report.page.collect import collect_page
from tamingplat.report.page.model import Page
from tamingplat.report.page.render import render_page

__all__ = ["Page", "collect_page", "render_page"]

"""A run as one self-contained HTML file: no requests, readable without scripts, in light, dark and on a phone."""

from lossproof.report.html.page import page, write

__all__ = ["page", "write"]

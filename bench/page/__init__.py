"""The page: what a run of the bench found in, docs/performance.md with its figures and plots out."""

from bench.page.page import write_page

__all__ = ["write_page"]

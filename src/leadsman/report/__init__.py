"""The decision as a page a person can look at."""

from leadsman.report.page import write_report

__all__ = ["write_report"]

"""The report: one page that shows what a scoring found, with nothing but itself needed to read it."""

from postergenre.evaluation.report.report import write_report

__all__ = ["write_report"]

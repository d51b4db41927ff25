"""Explanation: where in a poster its genres are seen, as a picture."""

from postergenre.explanation.run import ExplainConfig, explain

__all__ = ["ExplainConfig", "explain"]

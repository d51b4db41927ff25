"""Inputs as strangers send them, thousands of them, the same for a seed. Each knows what must become of it."""

from typing import Literal

Fate = Literal["works", "refused", "either"]
"""What must become of an input. Where ``either`` may, it was damaged at random: an answer, or a sentence."""

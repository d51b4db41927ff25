"""Tell the genres of a film or series from its poster.

>>> from postergenre import load
>>> load("best.ckpt").predict("poster.jpg").genres                # doctest: +SKIP
['Drama', 'Romance']
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from postergenre.inference import Prediction, Predictor, load

__all__ = ["Prediction", "Predictor", "__version__", "load"]

__version__ = version("postergenre")


def __getattr__(name: str) -> Any:
    """Import what answers when it is asked for: a script that trains, or prints help, needs none of it."""
    if name in ("Prediction", "Predictor", "load"):
        from postergenre import inference

        return getattr(inference, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

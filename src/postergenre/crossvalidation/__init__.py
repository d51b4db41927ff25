"""Five folds: every poster is answered once by a network that never saw it."""

from postergenre.crossvalidation.config import CrossvalidateConfig
from postergenre.crossvalidation.run import Crossvalidated, crossvalidate

__all__ = ["CrossvalidateConfig", "Crossvalidated", "crossvalidate"]

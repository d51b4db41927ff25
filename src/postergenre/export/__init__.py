"""A checkpoint as a file that other programs run."""

from postergenre.export.config import ExportConfig
from postergenre.export.run import Exported, export

__all__ = ["ExportConfig", "Exported", "export"]

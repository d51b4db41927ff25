"""Tell the genres of a film or series from its poster."""

from importlib.metadata import version

__version__ = version("postergenre")

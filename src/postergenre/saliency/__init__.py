"""Where in a poster a network sees a genre: heat maps, and their colours. Needs no Lightning."""

from postergenre.saliency.heat import heat_maps
from postergenre.saliency.overlay import coloured, heated

__all__ = ["coloured", "heat_maps", "heated"]

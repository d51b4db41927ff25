"""Where in a poster a network sees a genre: heat maps. Needs no Lightning."""

from postergenre.saliency.heat import heat_maps

__all__ = ["heat_maps"]

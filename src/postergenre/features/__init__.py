"""What the frozen prefix of a network makes of the posters: computed once, kept, and fed to the rest."""

from postergenre.features.cache import keep_features

__all__ = ["keep_features"]

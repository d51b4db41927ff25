"""Genres: the vocabulary that a network answers in, and how the names of a CSV become it."""

from postergenre.genres.mapping import GenreMapping
from postergenre.genres.vocabulary import Genres

__all__ = ["GenreMapping", "Genres"]

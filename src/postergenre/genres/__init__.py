"""Genres: the vocabulary that a network answers in, and how the names of a CSV become it."""

from postergenre.genres.mapping import GenreMapping
from postergenre.genres.vocabulary import NAMES, Genres, is_name

__all__ = ["NAMES", "GenreMapping", "Genres", "is_name"]

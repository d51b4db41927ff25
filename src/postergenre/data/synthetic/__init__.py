"""Film posters drawn by code, for trying the project out with no download: ten genres that the eye can tell apart."""

from postergenre.data.synthetic.mixture import GENRES
from postergenre.data.synthetic.poster import DemoPoster, draw_poster
from postergenre.data.synthetic.writing import write_demo_set

__all__ = ["GENRES", "DemoPoster", "draw_poster", "write_demo_set"]

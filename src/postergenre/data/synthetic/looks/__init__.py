"""The looks of the ten genres, one file each."""

from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.looks import (
    action,
    animation,
    comedy,
    crime,
    drama,
    horror,
    romance,
    science_fiction,
    war,
    western,
)

LOOKS: dict[str, Look] = {
    "Action": action.LOOK,
    "Animation": animation.LOOK,
    "Comedy": comedy.LOOK,
    "Crime": crime.LOOK,
    "Drama": drama.LOOK,
    "Horror": horror.LOOK,
    "Romance": romance.LOOK,
    "Sci-Fi": science_fiction.LOOK,
    "War": war.LOOK,
    "Western": western.LOOK,
}

"""A checkpoint as a file that other programs run."""

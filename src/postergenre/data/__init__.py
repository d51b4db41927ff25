"""Posters: the CSV, who is in which split, their pixels, and batches of them."""

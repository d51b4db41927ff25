"""Where in a poster a genre is seen."""

"""What is wrong with a poster set: repeats, leaks, labels that look wrong, genres that are missing."""

"""Posters written into shards, for sets that no folder and no memory holds."""

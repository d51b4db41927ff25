"""Poster sets from elsewhere: an API, an archive, a CSV of addresses, folders; merged into what training takes."""

from postergenre.collecting.config import CollectConfig, ColumnsConfig, TmdbConfig, WebConfig
from postergenre.collecting.run import collect

__all__ = ["CollectConfig", "ColumnsConfig", "TmdbConfig", "WebConfig", "collect"]

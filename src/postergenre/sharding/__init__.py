"""Shards of a poster set: a few large files instead of many small ones, for ``data.source=shards``."""

from postergenre.sharding.config import ShardConfig
from postergenre.sharding.run import Sharded, shard

__all__ = ["ShardConfig", "Sharded", "shard"]

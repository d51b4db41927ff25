"""Make shards of a poster set: ``python scripts/shard.py data.root=FOLDER output=FOLDER_OR_ADDRESS``."""

import hydra
from omegaconf import DictConfig

from postergenre.config import parse, register, reported
from postergenre.sharding import ShardConfig, shard

register("shard", ShardConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="shard")
def main(config: DictConfig) -> None:
    with reported():
        shard(parse(config, ShardConfig))


if __name__ == "__main__":
    main()

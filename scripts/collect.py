"""Make a poster set: ``python scripts/collect.py collect=kdrama``, or ``source=tmdb|archive|csv|folder …``."""

import hydra
from omegaconf import DictConfig

from postergenre.collecting import CollectConfig, collect
from postergenre.config import parse, register, reported

register("collect", CollectConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="collect")
def main(config: DictConfig) -> None:
    with reported():
        collect(parse(config, CollectConfig))


if __name__ == "__main__":
    main()

"""Train and score five folds: python scripts/crossvalidate.py experiment=probe data.root=FOLDER."""

import hydra
from omegaconf import DictConfig

from postergenre.config import parse, register, reported
from postergenre.crossvalidation import CrossvalidateConfig, crossvalidate

register("crossvalidate", CrossvalidateConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="crossvalidate")
def main(config: DictConfig) -> float | None:
    with reported():
        return crossvalidate(parse(config, CrossvalidateConfig)).mean("map")
    return None


if __name__ == "__main__":
    main()

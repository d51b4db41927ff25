"""Search for the best settings: ``python scripts/sweep.py sweep=probe data.root=FOLDER trials=100``."""

import hydra
from omegaconf import DictConfig

from postergenre.config import parse, register, reported, training_overrides
from postergenre.sweeping import SweepConfig, sweep
from postergenre.training import TrainConfig

register("sweep", SweepConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="sweep")
def main(config: DictConfig) -> float | None:
    with reported():
        return sweep(parse(config, SweepConfig), overrides=training_overrides(SweepConfig, TrainConfig)).score
    return None


if __name__ == "__main__":
    main()

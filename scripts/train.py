"""Train a classifier: ``python scripts/train.py data=demo model=tiny``; sweep with ``-m``."""

import hydra
from omegaconf import DictConfig

from postergenre.config import one_of_many, parse, register, reported
from postergenre.training import TrainConfig, train

register("train", TrainConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(config: DictConfig) -> float | None:
    with reported():  # a user's mistake -> one line; a bug -> its traceback
        return train(parse(config, TrainConfig)).score  # the validation score, for sweeps; never the test score


if __name__ == "__main__":
    one_of_many()
    main()

"""Tell the genres of posters: ``python scripts/predict.py checkpoint=… posters=FILE_OR_FOLDER``."""

import hydra
from omegaconf import DictConfig

from postergenre.config import parse, register, reported
from postergenre.inference import PredictConfig, predict

register("predict", PredictConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="predict")
def main(config: DictConfig) -> None:
    with reported():
        predict(parse(config, PredictConfig))


if __name__ == "__main__":
    main()

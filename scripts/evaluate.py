"""Score a checkpoint: ``python scripts/evaluate.py checkpoint=outputs/train/…/checkpoints/best.ckpt``."""

import hydra
from omegaconf import DictConfig

from postergenre.config import parse, register, reported
from postergenre.evaluation import EvaluateConfig, evaluate

register("evaluate", EvaluateConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="evaluate")
def main(config: DictConfig) -> None:
    with reported():
        evaluate(parse(config, EvaluateConfig))


if __name__ == "__main__":
    main()

"""Show where in posters genres are seen: ``python scripts/explain.py checkpoint=… poster=FILE [genre=NAME]``."""

import hydra
from omegaconf import DictConfig

from postergenre.config import parse, register, reported
from postergenre.explanation import ExplainConfig, explain

register("explain", ExplainConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="explain")
def main(config: DictConfig) -> None:
    with reported():
        explain(parse(config, ExplainConfig))


if __name__ == "__main__":
    main()

"""Answer over HTTP, with a page to try it: ``python scripts/serve.py checkpoint=… port=8000``."""

import hydra
from omegaconf import DictConfig

from postergenre.config import parse, register, reported
from postergenre.serving import ServeConfig, serve

register("serve", ServeConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="serve")
def main(config: DictConfig) -> None:
    with reported():
        serve(parse(config, ServeConfig))


if __name__ == "__main__":
    main()

"""Write a checkpoint as a file other programs run: ``python scripts/export.py checkpoint=… [format=onnx]``."""

import hydra
from omegaconf import DictConfig

from postergenre.config import parse, register, reported
from postergenre.export import ExportConfig, export

register("export", ExportConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="export")
def main(config: DictConfig) -> None:
    with reported():
        export(parse(config, ExportConfig))


if __name__ == "__main__":
    main()

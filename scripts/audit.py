"""Tell what is wrong with a poster set: ``python scripts/audit.py data.root=FOLDER [predictions=FILE]``."""

import hydra
from omegaconf import DictConfig

from postergenre.auditing import AuditConfig, audit
from postergenre.config import parse, register, reported

register("audit", AuditConfig)


@hydra.main(version_base="1.3", config_path="../conf", config_name="audit")
def main(config: DictConfig) -> None:
    with reported():
        audit(parse(config, AuditConfig))


if __name__ == "__main__":
    main()

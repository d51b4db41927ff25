"""HTTP and a page around inference and explanation."""

from postergenre.errors import ConfigError
from postergenre.serving.config import ServeConfig

__all__ = ["ServeConfig", "serve"]


def serve(config: ServeConfig) -> None:
    """Answer over HTTP until told to stop; see ``serving.run``.

    Raises:
        CheckpointError: A file is missing, broken, unsafe, or was not made by postergenre.
        ConfigError: The extra ``serve`` is not installed, or this machine has no such device, arithmetic or address.
    """
    try:
        from postergenre.serving import run
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}; serving needs more: pip install -e '.[serve]'") from None
    run.serve(config)

"""How checkpoints reach the disk."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from typing_extensions import override

from postergenre.errors import CheckpointError


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there when it is whole: a run that dies keeps the one before.

    Lightning's own builds it in memory, copies it, and writes it to the system's temporary folder, from where it has to
    be copied once more if that is another disk.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write ``checkpoint`` to ``path``.

        Raises:
            CheckpointError: The disk is full or read-only.
        """
        place = Path(path)
        draft = place.with_name(f"{place.name}.draft")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                torch.save(checkpoint, file)
            draft.replace(place)
        except (OSError, RuntimeError) as error:
            reason = error if isinstance(error, OSError) else error.__context__  # torch cannot close a cut archive
            if not isinstance(reason, OSError):
                raise
            raise CheckpointError(f"cannot write {place}: {reason.strerror}") from None
        finally:
            draft.unlink(missing_ok=True)

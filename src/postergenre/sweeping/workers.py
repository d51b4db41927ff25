"""Who is alive: each worker holds a lock that the system takes from it when it dies, however it dies."""

import fcntl
import os
import platform
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any


class Worker:
    """This process, as the others that share ``folder`` see it. To be entered once.

    The lock is one of ``fcntl``: unlike that of ``flock`` it is not inherited by the processes that load posters, which
    may outlive a killed worker by seconds, and it works on network folders.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"{platform.node().split('.')[0] or 'here'}-{os.getpid()}-{secrets.token_hex(3)}"
        self._file: Any = None

    def __enter__(self) -> "Worker":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = self._path(self.name).open("w")
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._path(self.name).unlink(missing_ok=True)
        self._file.close()

    def lives(self, name: str) -> bool | None:
        """Return whether a worker is alive; None where it is none of this folder's, or said goodbye."""
        if name == self.name:
            return True  # to try our own lock would be to lose it
        try:
            with self._path(name).open("r+") as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except OSError:
            return True
        return False

    def dead(self) -> list[str]:
        """Return the names of the workers that died without a goodbye."""
        return [name for name in sorted(path.stem for path in self.folder.glob("*.lock")) if self.lives(name) is False]

    def bury(self, name: str) -> None:
        """Forget a dead worker, and what it had only begun to write beside the folder of workers."""
        for draft in self.folder.parent.glob(f"*.{name}"):
            draft.unlink(missing_ok=True)
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.lock"

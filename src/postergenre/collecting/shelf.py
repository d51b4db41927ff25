"""The folder of a set that is being collected: what is there stays, and each file is whole or not there at all."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from postergenre.errors import DataError

TABLE = "train.csv"
IMAGES = "Images"
PRIVATE = ".collect"
"""Folder of what is needed to go on; it can be deleted when the set is complete."""


class Shelf:
    """Pictures by name, answers by question, and what was refused for good."""

    def __init__(self, folder: Path, *, began: str) -> None:
        self.folder = folder
        self.began = began
        """When the set was begun, in UTC."""
        self.private = folder / PRIVATE
        self._images = folder / IMAGES
        self._journal = self.private / "refused.jsonl"
        self._lock = threading.Lock()
        for place in (self._images, self.private / "drafts", self.private / "answers"):
            place.mkdir(parents=True, exist_ok=True)
        for draft in (self.private / "drafts").iterdir():  # of a run that was killed
            draft.unlink()
        self._names = {os.path.splitext(name)[0]: name for name in os.listdir(self._images)}
        self.refused = dict(self._refusals())
        """Why, by address."""

    def picture(self, name: str) -> str | None:
        """Return the picture of that name, from the set's folder, if it is there."""
        found = self._names.get(name)
        return f"{IMAGES}/{found}" if found else None

    def put(self, name: str, suffix: str, content: bytes) -> str:
        """Keep a picture, and return where, from the set's folder."""
        self.write(self._images / f"{name}{suffix}", content)
        self._names[name] = f"{name}{suffix}"
        return f"{IMAGES}/{name}{suffix}"

    def refuse(self, address: str, reason: str) -> None:
        """Remember that there is nothing to be had at an address."""
        line = json.dumps({"address": address, "reason": reason}, ensure_ascii=False) + "\n"
        with self._lock, self._journal.open("a", encoding="utf-8") as file:
            file.write(line)
        self.refused[address] = reason

    def answer(self, question: str, ask: Callable[[], Any]) -> Any:
        """Return the answer to a question, asked only where it is not known yet. Both become JSON."""
        place = self.private / "answers" / f"{sha256(question.encode()).hexdigest()[:24]}.json"
        try:
            known = json.loads(place.read_text(encoding="utf-8"))
            if known["question"] == question:
                return known["answer"]
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            pass
        answer = ask()
        told = {"question": question, "when": now(), "answer": answer}
        self.write(place, json.dumps(told, ensure_ascii=False).encode())
        return answer

    def write(self, place: Path, content: bytes) -> None:
        """Let a file be there at once, whole."""
        draft = self.private / "drafts" / f"{threading.get_ident()}-{place.name}"
        draft.write_bytes(content)
        draft.replace(place)

    def _refusals(self) -> Iterator[tuple[str, str]]:
        if self._journal.is_file():
            for line in self._journal.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    refusal = json.loads(line)
                    yield refusal["address"], refusal["reason"]
                except (ValueError, KeyError, TypeError):  # the last line of a run that was killed
                    continue


@contextmanager
def claimed(folder: Path, asked: dict[str, Any]) -> Iterator[Shelf]:
    """Keep other runs from the folder, and note in it what it is collected for.

    Raises:
        DataError: Another run is at it, it was begun for something else, or it holds something else.
    """
    private = folder / PRIVATE
    note = private / "asked.json"
    asked = json.loads(json.dumps(asked))
    if not note.is_file() and folder.is_dir() and any(entry.name != PRIVATE for entry in folder.iterdir()):
        raise DataError(f"{folder} holds something else; give another output=FOLDER")
    private.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(private / "lock", timeout=0):
            if note.is_file():
                before = _read(note)
                if others := [name for name in asked if before["asked"].get(name) != asked[name]]:
                    told = ", ".join(f"{name}={before['asked'].get(name)}, not {asked[name]}" for name in others)
                    raise DataError(f"{folder} was begun with {told}; give another output=FOLDER")
            else:
                before = {"asked": asked, "began": now()}
                draft = private / "asked.draft"
                draft.write_text(json.dumps(before, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
                draft.replace(note)
            yield Shelf(folder, began=before["began"])
    except Timeout:
        raise DataError(f"another run is collecting into {folder}") from None


def now() -> str:
    """Return the time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(note: Path) -> dict[str, Any]:
    try:
        before = json.loads(note.read_text(encoding="utf-8"))
        if isinstance(before["asked"], dict) and isinstance(before["began"], str):
            return {"asked": before["asked"], "began": before["began"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise DataError(f"{note} does not say what {note.parent.parent} was begun with; give another output=FOLDER")

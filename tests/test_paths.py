from pathlib import Path

import pytest

from postergenre.errors import ConfigError
from postergenre.paths import expanded


def test_a_home_folder_is_found_and_nobodys_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/posters") == tmp_path / "posters"
    assert expanded("~nobody-at-all/x") == Path("~nobody-at-all/x")
    assert expanded(tmp_path / "not" / "there") == tmp_path / "not" / "there"


def test_what_no_file_can_be_called_is_told_in_one_sentence(tmp_path: Path) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    for path, told in (
        ("x" * 300, f"'{'x' * 100} … {'x' * 100}' cannot be used as a path: File name too long"),
        ("a\0b", r"'a\\x00b' cannot be used as a path: embedded null byte"),
        (str(circle), r"'.*' cannot be used as a path: Too many levels of symbolic links"),
    ):
        with pytest.raises(ConfigError, match=f"^{told}$"):
            expanded(path)

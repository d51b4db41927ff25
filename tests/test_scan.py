import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from postergenre.data.scan import SIDE, Look, perceptual_hash, scan


def art(seed: int, size: tuple[int, int] = (48, 72)) -> Image.Image:
    """Return a picture of random tiles, unlike that of any other seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def draw(folder: Path, number: int) -> list[Path]:
    paths = [folder / f"{seed}.png" for seed in range(number)]
    for seed, path in enumerate(paths):
        art(seed).save(path)
    return paths


def distance(one: Image.Image, other: Image.Image) -> int:
    return int((perceptual_hash(one) != perceptual_hash(other)).sum())


def replace_content(path: Path, content: bytes) -> None:
    """Change a file behind the scan's back: same size, same modification time."""
    stat = path.stat()
    path.write_bytes(content.ljust(stat.st_size)[: stat.st_size])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_look_tells_size_time_and_hash_in_the_order_asked_for(tmp_path: Path) -> None:
    paths = draw(tmp_path, 4)[::-1]
    looks = scan(paths, cache=tmp_path / "cache")
    assert [look.path for look in looks] == [str(path) for path in paths]
    assert [(look.size, look.mtime_ns) for look in looks] == [(p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
    assert {len(look.hash) for look in looks} == {SIDE * SIDE // 4}
    assert len({look.hash for look in looks}) == 4
    assert looks[0].hash == np.packbits(perceptual_hash(art(3))).tobytes().hex()
    assert {look.error for look in looks} == {""}


def test_a_second_scan_decodes_nothing(tmp_path: Path) -> None:
    paths = draw(tmp_path, 3)
    looks = scan(paths, cache=tmp_path / "cache")
    replace_content(paths[1], b"garbage")
    assert scan(paths, cache=tmp_path / "cache") == looks
    assert "not a picture" in scan(paths, cache=tmp_path / "another")[1].error


def test_a_changed_file_is_looked_at_again_and_the_others_are_not(tmp_path: Path) -> None:
    paths = draw(tmp_path, 3)
    looks = scan(paths, cache=tmp_path / "cache")
    replace_content(paths[0], b"garbage")
    art(99).save(paths[2])
    os.utime(paths[2], ns=(1, 1))
    again = scan(paths, cache=tmp_path / "cache")
    assert again[:2] == looks[:2]
    assert again[2].hash == np.packbits(perceptual_hash(art(99))).tobytes().hex()
    assert again[2].mtime_ns == 1


def test_a_mended_picture_is_no_longer_bad(tmp_path: Path) -> None:
    [path] = draw(tmp_path, 1)
    good = path.read_bytes()
    path.write_bytes(good[:200])
    [look] = scan([path], cache=tmp_path / "cache")
    assert look.hash == ""
    assert str(path) in look.error
    path.write_bytes(good)
    assert scan([path], cache=tmp_path / "cache")[0].error == ""


def test_a_second_poster_set_in_the_same_folder_forgets_nothing_of_the_first(tmp_path: Path) -> None:
    paths = draw(tmp_path, 4)
    first = scan(paths[:2], cache=tmp_path / "cache")
    scan(paths[2:], cache=tmp_path / "cache")
    replace_content(paths[0], b"garbage")
    assert scan(paths[:2], cache=tmp_path / "cache") == first


def test_relative_paths_are_the_same_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = draw(tmp_path, 2)
    looks = scan(paths, cache=tmp_path / "cache")
    replace_content(paths[0], b"garbage")
    monkeypatch.chdir(tmp_path)
    assert scan([Path("0.png"), Path("1.png")], cache=Path("cache")) == looks


@pytest.mark.parametrize("content", ["not json\n", '{"path": "x"}\n', "[1, 2]\n", '{"path": "cut'])
def test_a_damaged_cache_is_learnt_again(content: str, tmp_path: Path) -> None:
    paths = draw(tmp_path, 2)
    looks = scan(paths, cache=tmp_path / "cache")
    [store] = (tmp_path / "cache" / "scans").iterdir()
    store.write_text(content)
    assert scan(paths, cache=tmp_path / "cache") == looks
    assert [p.name for p in store.parent.iterdir()] == [store.name]  # no drafts are left


def test_one_bad_picture_stops_no_other(tmp_path: Path) -> None:
    paths = draw(tmp_path, 3)
    paths[1].write_bytes(b"")
    looks = scan(paths, cache=tmp_path / "cache")
    assert [bool(look.error) for look in looks] == [False, True, False]
    assert looks[1] == replace(looks[1], path=str(paths[1]), size=0, hash="")
    assert isinstance(looks[1], Look)


def test_looking_leaves_the_warnings_of_the_process_as_they_were(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for path in paths:
        art(0, (200, 300)).save(path)
    before = list(warnings.filters)
    with warnings.catch_warnings():
        for turn in range(6):  # threads meet by chance
            scan(paths, cache=tmp_path / f"cache{turn}")
            assert list(warnings.filters) == before


@pytest.mark.parametrize("seed", range(5))
def test_a_hash_survives_resizing_recompression_and_a_change_of_brightness(seed: int, tmp_path: Path) -> None:
    original = art(seed, (200, 300))
    original.resize((134, 200), Image.Resampling.LANCZOS).save(tmp_path / "copy.jpg", quality=60)
    with Image.open(tmp_path / "copy.jpg") as copy:
        assert distance(original, copy) <= 10
    assert distance(original, ImageEnhance.Brightness(original).enhance(0.8)) <= 15
    assert distance(original, original.convert("L")) <= 2


def test_hashes_of_different_art_lie_far_apart() -> None:
    assert min(distance(art(i), art(j)) for i in range(8) for j in range(i)) > 60

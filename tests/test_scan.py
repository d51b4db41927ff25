import json
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
    [store] = (tmp_path / "cache" / "scans").glob("*.jsonl")
    store.write_text(content)
    assert scan(paths, cache=tmp_path / "cache") == looks
    assert {path.suffix for path in store.parent.iterdir()} == {".jsonl", ".lock"}  # no drafts are left


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


def test_a_look_tells_size_format_mode_and_how_blank_a_picture_is(tmp_path: Path) -> None:
    art(0, (48, 72)).convert("L").save(tmp_path / "grey.png")
    Image.new("RGB", (30, 20), "navy").save(tmp_path / "even.jpg", exif=sideways())
    frames = {"save_all": True, "append_images": [art(2)]}
    art(1, (20, 30)).save(tmp_path / "moving.gif", **frames)
    grey, even, moving = scan([tmp_path / name for name in ("grey.png", "even.jpg", "moving.gif")], cache=tmp_path)
    assert (grey.width, grey.height, grey.format, grey.mode) == (48, 72, "PNG", "L")
    assert (even.width, even.height, even.format, even.mode) == (20, 30, "JPEG", "RGB")  # upright
    assert (moving.width, moving.height, moving.format) == (20, 30, "GIF")
    assert even.spread < 1 < 20 < grey.spread


def sideways() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_a_file_that_is_not_there_is_a_look_with_an_error(tmp_path: Path) -> None:
    [path] = draw(tmp_path, 1)
    there, gone = scan([path, tmp_path / "gone.png"], cache=tmp_path / "cache")
    assert there.error == ""
    assert gone.error == f"no picture at {tmp_path / 'gone.png'}"
    assert scan([], cache=tmp_path / "cache") == []


def test_looks_of_an_older_version_are_taken_again(tmp_path: Path) -> None:
    [path] = draw(tmp_path, 1)
    [look] = scan([path], cache=tmp_path / "cache")
    [store] = (tmp_path / "cache" / "scans").glob("*.jsonl")
    known = json.loads(store.read_text())
    del known["spread"]
    store.write_text(json.dumps(known) + "\n")
    assert scan([path], cache=tmp_path / "cache") == [look]

import math
import re
import struct
import subprocess
import sys
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg
import torch
from PIL import EpsImagePlugin, Image, features
from torch import Tensor

from postergenre.errors import ConfigError, PictureError
from postergenre.preprocess import Preprocess, open_picture, upright_rgb

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def halves(left: tuple[int, int, int], right: tuple[int, int, int], size: tuple[int, int]) -> Image.Image:
    picture = Image.new("RGB", size, left)
    picture.paste(right, (size[0] // 2, 0, *size))
    return picture


def colour(image: Tensor, row: int, column: int) -> tuple[int, ...]:
    return tuple(image[:, row, column].tolist())


def save(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


def png_with_chunk(path: Path, kind: bytes, content: bytes) -> Path:
    """Write a small plain PNG with one more chunk right after its header."""
    raw = save(Image.new("RGB", (8, 8), (9, 8, 7)), path).read_bytes()
    header = 8 + 25  # signature and IHDR
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(raw[:header] + chunk + raw[header:])
    return path


def test_the_result_is_contiguous_bytes_channels_first() -> None:
    image = Preprocess(height=40, width=24)(Image.new("RGB", (50, 70), (10, 20, 30)))
    assert image.dtype == torch.uint8
    assert image.shape == (3, 40, 24)
    assert image.is_contiguous()
    assert image.flatten(1).unique(dim=1).tolist() == [[10], [20], [30]]


def test_the_caller_may_write_into_the_result() -> None:
    picture = Image.new("RGB", (8, 8), RED)
    Preprocess(height=8, width=8)(picture).zero_()
    assert picture.getpixel((0, 0)) == RED


def test_a_picture_of_the_right_size_keeps_every_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 12, 3), dtype=np.uint8)
    for resize in ("stretch", "letterbox", "crop"):
        image = Preprocess(height=16, width=12, resize=resize)(Image.fromarray(pixels))
        assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels)


def test_stretch_shows_the_whole_picture_and_ignores_its_shape() -> None:
    image = Preprocess(height=16, width=32, resize="stretch")(halves(RED, BLUE, (200, 40)))
    assert colour(image, 0, 0) == colour(image, 15, 13) == RED
    assert colour(image, 0, 31) == colour(image, 15, 18) == BLUE


def test_letterbox_keeps_the_shape_and_pads_both_sides_with_black() -> None:
    image = Preprocess(height=64, width=64, resize="letterbox")(Image.new("RGB", (100, 50), WHITE))
    inside = (image == 255).all(dim=0)
    assert inside.any(dim=1).nonzero().flatten().tolist() == list(range(16, 48))
    assert inside[16:48].all()
    assert image.sum() == 255 * 3 * 32 * 64  # all else is black


def test_crop_fills_the_frame_and_cuts_the_long_side_evenly() -> None:
    picture = Image.new("RGB", (100, 40), GREEN)
    picture.paste(RED, (0, 0, 20, 40))
    picture.paste(BLUE, (80, 0, 100, 40))
    image = Preprocess(height=40, width=40, resize="crop")(picture)
    assert image.permute(1, 2, 0).reshape(-1, 3).unique(dim=0).tolist() == [list(GREEN)]


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(2000, 1), (1, 2000), (1, 1)])
def test_a_picture_of_extreme_shape_still_gives_the_size(resize: str, size: tuple[int, int]) -> None:
    assert Preprocess(height=24, width=16, resize=resize)(Image.new("RGB", size)).shape == (3, 24, 16)


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    stripes = np.zeros((160, 160, 3), dtype=np.uint8)
    stripes[:, ::10] = 255  # which lie between the pixels that picking would take
    image = Preprocess(height=16, width=16)(Image.fromarray(stripes))
    assert image[:, :, 1:-1].float().sub(25.5).abs().max() < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    # What a viewer shows for a 2x3 sensor image with rows AB, CD, EF (EXIF 2.32, tag 0x0112).
    shown = {
        1: "AB CD EF", 2: "BA DC FE", 3: "FE DC BA", 4: "EF CD AB",
        5: "ACE BDF", 6: "ECA FDB", 7: "FDB ECA", 8: "BDF ACE",
    }[orientation]  # fmt: skip
    grey = {letter: 40 * number for number, letter in enumerate("ABCDEF")}
    stored = np.array([[grey[letter] for letter in row] for row in ("AB", "CD", "EF")], dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(Image.fromarray(stored), tmp_path / "turned.png", exif=exif)
    upright = np.asarray(upright_rgb(open_picture(path)))[:, :, 0]
    assert upright.tolist() == [[grey[letter] for letter in row] for row in shown.split()]


def test_a_transparent_poster_lies_on_white_paper(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (16, 8), (0, 0, 0, 0))
    picture.paste((200, 0, 0, 255), (8, 0, 16, 8))
    picture.putpixel((15, 0), (0, 0, 0, 128))
    image = Preprocess(height=8, width=16)(open_picture(save(picture, tmp_path / "glass.png")))
    assert colour(image, 4, 0) == WHITE
    assert colour(image, 4, 12) == (200, 0, 0)
    assert colour(image, 0, 15) == (127, 127, 127)


def test_grey_with_transparency_lies_on_white_paper(tmp_path: Path) -> None:
    picture = Image.new("LA", (8, 8), (0, 0))
    picture.putpixel((0, 0), (90, 255))
    image = Preprocess(height=8, width=8)(open_picture(save(picture, tmp_path / "la.png")))
    assert colour(image, 0, 0) == (90, 90, 90)
    assert colour(image, 7, 7) == WHITE


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_colour_named_transparent_lies_on_white_paper(mode: str, tmp_path: Path) -> None:
    picture = Image.new(mode, (8, 8), 0)
    if mode == "P":
        picture.putpalette([*BLACK, *RED])
    picture.putpixel((0, 0), {"P": 1, "RGB": RED, "L": 50}[mode])
    clear = {"P": 0, "RGB": BLACK, "L": 0}[mode]
    image = Preprocess(height=8, width=8)(open_picture(save(picture, tmp_path / "t.png", transparency=clear)))
    assert colour(image, 0, 0) == ((50, 50, 50) if mode == "L" else RED)
    assert colour(image, 7, 7) == WHITE


def test_a_palette_gives_its_colours(tmp_path: Path) -> None:
    picture = halves(RED, BLUE, (16, 8)).convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    path = save(picture, tmp_path / "p.png")
    assert open_picture(path).mode == "P"
    image = Preprocess(height=8, width=16)(open_picture(path))
    assert (colour(image, 0, 0), colour(image, 0, 15)) == (RED, BLUE)


def test_a_16_bit_poster_keeps_its_greys(tmp_path: Path) -> None:
    pixels = np.array([[0, 255, 256, 32768, 65535, 65535, 65535, 65535]] * 8, dtype=np.uint16)
    for name in ("grey.png", "grey.tiff"):
        path = save(Image.fromarray(pixels), tmp_path / name)
        image = Preprocess(height=8, width=8)(open_picture(path))
        assert image[0, 0].tolist() == [0, 0, 1, 128, 255, 255, 255, 255]
        assert torch.equal(image[0], image[2])


def test_32_bit_integers_in_the_range_of_16_keep_their_greys() -> None:
    picture = Image.fromarray(np.array([[0, 32768], [65535, 2_000_000]], dtype=np.int32))
    assert picture.mode == "I"
    assert np.asarray(upright_rgb(picture))[:, :, 0].tolist() == [[0, 128], [255, 255]]


def test_printing_inks_become_light(tmp_path: Path) -> None:
    path = save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "inks.tiff")
    assert open_picture(path).mode == "CMYK"
    assert colour(Preprocess(height=8, width=8)(open_picture(path)), 0, 0) == RED


def test_a_cmyk_jpeg_is_not_shown_as_a_negative(tmp_path: Path) -> None:
    path = save(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), tmp_path / "paper.jpg", quality=95)
    assert Preprocess(height=8, width=8)(open_picture(path)).min() > 250


@pytest.mark.parametrize(("mode", "value", "rgb"), [("L", 77, (77, 77, 77)), ("1", 1, WHITE), ("RGB", RED, RED)])
def test_plain_modes_give_their_own_colours(mode: str, value: int, rgb: tuple[int, ...], tmp_path: Path) -> None:
    path = save(Image.new(mode, (8, 8), value), tmp_path / "plain.png")
    assert colour(Preprocess(height=8, width=8)(open_picture(path)), 3, 3) == rgb


@pytest.mark.parametrize("name", ["film.gif", "film.webp", "film.png"])
def test_an_animation_shows_its_first_frame(name: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), BLUE), Image.new("RGB", (16, 16), RED)]
    options = {"lossless": True} if name.endswith("webp") else {}
    path = save(frames[0], tmp_path / name, save_all=True, append_images=frames[1:], duration=50, **options)
    with Image.open(path) as film:
        assert film.n_frames == 2
    assert colour(Preprocess(height=8, width=8)(open_picture(path)), 4, 4) == BLUE


def test_an_opened_picture_no_longer_needs_its_file(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (16, 16), RED), tmp_path / "gone.png")
    picture = open_picture(path)
    path.unlink()
    assert colour(Preprocess(height=8, width=8)(picture), 0, 0) == RED


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=f"no picture at {re.escape(str(tmp_path / 'none.jpg'))}"):
        open_picture(tmp_path / "none.jpg")


@pytest.mark.parametrize("content", [b"", b"this is a page, not a poster\n", b"<html></html>", b"\xff\xd8\xff"])
def test_a_file_that_is_no_picture_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=re.escape(str(path))):
        open_picture(path)


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "cut.gif", "cut.webp", "cut.bmp", "cut.tiff"])
def test_a_picture_cut_short_is_named(name: str, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path = save(noise, tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PictureError, match=re.escape(str(path))):
        open_picture(path)


def test_a_folder_in_place_of_a_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=re.escape(str(tmp_path))):
        open_picture(tmp_path)


@pytest.mark.parametrize("limit", [3000, 1000])  # Pillow itself would only warn of the first
def test_a_decompression_bomb_is_named_and_not_decoded(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(Image.new("RGB", (64, 64)), tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(PictureError, match=rf"{re.escape(str(path))}: Image size \(4096 pixels\) exceeds limit"):
        open_picture(path)


def test_a_picture_too_large_to_be_a_poster_is_refused_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without warnings as errors: Pillow itself would decode up to twice its limit."""
    path = save(Image.new("RGB", (80, 50), RED), tmp_path / "large.png")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3999)
        with pytest.raises(
            PictureError, match=rf"^{re.escape(str(path))} has 80 x 50 pixels: too large to be a poster$"
        ):
            open_picture(path)
        with pytest.raises(PictureError, match=r"^the picture has 80 x 50 pixels: too large to be a poster$"):
            open_picture(path.read_bytes())
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
        assert open_picture(path).size == (80, 50)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        assert open_picture(path).size == (80, 50)


@pytest.mark.parametrize("exif", [b"II*\0", b"no exif at all", b"II*\0\x08\0\0\0\x02\0\x12\x01"])
def test_damaged_metadata_does_not_hide_a_good_picture(exif: bytes, tmp_path: Path) -> None:
    path = png_with_chunk(tmp_path / "odd.png", b"eXIf", exif)
    assert colour(Preprocess(height=8, width=8)(open_picture(path)), 0, 0) == (9, 8, 7)


def test_pixels_that_break_only_when_read_are_a_picture_error(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (64, 64), RED), tmp_path / "lazy.bmp")
    path.write_bytes(path.read_bytes()[:500])
    with Image.open(path) as lazy, pytest.raises(PictureError, match="cannot decode"):
        Preprocess(height=8, width=8)(lazy)


def test_an_unknown_resize_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no resize 'squash'; known: stretch, letterbox, crop$"):
        Preprocess(resize="squash")


@pytest.mark.parametrize(("height", "width"), [(7, 224), (224, 5000), (0, 0), (-8, 64)])
def test_an_impossible_size_is_refused(height: int, width: int) -> None:
    with pytest.raises(ConfigError, match=rf"must lie in 8 … 4096, not {height} x {width}"):
        Preprocess(height=height, width=width)


@pytest.mark.parametrize(("height", "width"), [(8, 4096), (4096, 8)])
def test_the_smallest_and_largest_size_are_taken(height: int, width: int) -> None:
    assert Preprocess(height=height, width=width)(Image.new("RGB", (9, 9), RED)).shape == (3, height, width)


@pytest.mark.parametrize(("picture", "bright"), [((4000, 8), (1, 16)), ((8, 4000), (16, 1))])
def test_a_line_of_a_picture_is_one_pixel_thick(picture: tuple[int, int], bright: tuple[int, int]) -> None:
    image = Preprocess(height=16, width=16, resize="letterbox")(Image.new("RGB", picture, WHITE))
    rows, columns = (image[0] == 255).nonzero(as_tuple=True)
    assert (len(rows.unique()), len(columns.unique())) == bright


def jpeg(size: tuple[int, int], mode: str = "RGB") -> bytes:
    file = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(file, "jpeg")
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_plain_jpeg_does_without_pillow(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postergenre.preprocess.open_picture", lambda _: pytest.fail("Pillow was asked"))
    content = jpeg((60, 90), mode)
    (tmp_path / "a.jpg").write_bytes(content)
    for source in (content, tmp_path / "a.jpg", str(tmp_path / "a.jpg")):
        assert Preprocess(height=24, width=16).read(source).float().std() > 2


@pytest.mark.parametrize(("resize", "height", "width"), [
    ("stretch", 24, 16), ("stretch", 16, 64), ("letterbox", 24, 16), ("crop", 24, 16),
])  # fmt: skip
@pytest.mark.parametrize("size", [(60, 90), (90, 60), (33, 47), (160, 64), (64, 160), (128, 192)])
def test_a_jpeg_is_decoded_at_a_part_of_its_size_but_never_below_what_is_needed(
    resize: str, height: int, width: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[tuple[int, ...]] = []
    plain = simplejpeg.decode_jpeg

    def spy(data: bytes, colours: str, **options: int) -> npt.NDArray[np.uint8]:
        pixels: npt.NDArray[np.uint8] = plain(data, colours, **options)
        decoded.append(pixels.shape)
        return pixels

    monkeypatch.setattr(simplejpeg, "decode_jpeg", spy)
    Preprocess(height=height, width=width, resize=resize).read(jpeg(size))
    scale = {"letterbox": min, "crop": max}.get(resize, min)(height / size[1], width / size[0])
    needed = (height, width) if resize == "stretch" else (round(size[1] * scale), round(size[0] * scale))
    eighths = [
        8,
        *(n for n in (4, 3, 2, 1) if all(math.ceil(a * n / 8) >= b for a, b in zip(size[::-1], needed, strict=True))),
    ]
    assert decoded == [(math.ceil(size[1] * eighths[-1] / 8), math.ceil(size[0] * eighths[-1] / 8), 3)]


def test_whatever_is_special_about_a_jpeg_is_left_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        "postergenre.preprocess.open_picture", lambda source: asked.append(source) or open_picture(source)
    )
    turned, inks, png = BytesIO(), BytesIO(), BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 1
    Image.new("RGB", (8, 8)).save(turned, "jpeg", exif=exif)
    Image.new("CMYK", (8, 8)).save(inks, "jpeg")
    Image.new("RGB", (8, 8)).save(png, "png")
    contents = [file.getvalue() for file in (turned, inks, png)]
    for content in contents:
        Preprocess(height=8, width=8).read(content)
    assert asked == contents


def test_a_jpeg_with_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: pytest.fail("it was decoded"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 90 - 1)
    with pytest.raises(PictureError):
        Preprocess(height=8, width=8).read(jpeg((60, 90)))


def test_a_plain_jpeg_is_read_faster_to_the_very_same_pixels(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 34, 3), dtype=np.uint8)
    for mode in ("RGB", "L"):
        Image.fromarray(noise).convert(mode).save(tmp_path / "a.jpg", quality=80)
        for resize in ("stretch", "letterbox", "crop"):
            preprocess = Preprocess(height=40, width=30, resize=resize)
            assert torch.equal(preprocess.read(tmp_path / "a.jpg"), preprocess(open_picture(tmp_path / "a.jpg")))


def test_a_turned_jpeg_is_read_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((50, 34, 3), 99, np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    preprocess = Preprocess(height=40, width=40, resize="letterbox")
    assert torch.equal(preprocess.read(tmp_path / "a.jpg"), preprocess(open_picture(tmp_path / "a.jpg")))
    assert int(preprocess.read(tmp_path / "a.jpg")[0, 0].max()) == 0  # turned it is wide: bars above and below


def test_metadata_behind_other_segments_or_padding_turns_a_jpeg_too(tmp_path: Path) -> None:
    plain, exif = BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((50, 34, 3), 99, np.uint8)).save(plain, "jpeg", exif=exif)
    content = plain.getvalue()
    place = content.index(b"\xff\xe1")
    comment = b"\xff\xfe\x00\x08\xff\xda\xff\xd9oh"  # of eight bytes, that look as if a scan began in it
    for between in (comment, b"\xff", comment * 3 + b"\xff\xff"):
        odd = content[:place] + between + content[place:]
        preprocess = Preprocess(height=40, width=40, resize="letterbox")
        read = preprocess.read(odd)
        assert int(read[0, 0].max()) == 0  # turned it is wide: bars above and below
        assert torch.equal(read, preprocess(open_picture(odd)))


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(60, 90), (90, 60), (300, 40), (64, 64), (40, 300)])
def test_maps_of_the_pixels_lie_back_on_the_picture(resize: str, size: tuple[int, int]) -> None:
    """A picture that says where it is, through the preprocessing and back: whatever the network saw is in its place."""
    preprocess = Preprocess(height=96, width=64, resize=resize)
    across, down = (np.linspace(60, 250, length) for length in size)
    pixels = np.stack(
        [np.tile(across, (size[1], 1)), np.tile(down[:, None], (1, size[0])), np.full(size[::-1], 99)], -1
    )
    picture = Image.fromarray(pixels.round().astype(np.uint8))
    back = preprocess.laid_back(preprocess(picture).float(), size[1], size[0])
    assert back.shape == (3, size[1], size[0])
    seen = (back > 0).all(dim=0)
    if resize == "crop":
        kept = min(size[0] / size[1], 64 / 96) / max(size[0] / size[1], 64 / 96)
        assert float(seen.float().mean()) == pytest.approx(kept, abs=0.08)
    else:
        assert bool(seen.all())
    error = (back - torch.from_numpy(pixels).permute(2, 0, 1)).abs()[:, seen]
    assert float(error.mean()) < 4
    assert float(error[2].max()) < 2  # no black of the padding has come along


def test_maps_laid_back_on_a_small_picture_are_averaged() -> None:
    stripes = torch.zeros(1, 160, 160)
    stripes[..., ::10] = 255
    back = Preprocess(height=160, width=160).laid_back(stripes, 16, 16)
    assert back[..., 1:-1].sub(25.5).abs().max() < 1


def test_a_jpeg_turned_by_its_xmp_metadata_is_read_upright(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    path = save(Image.new("RGB", (50, 34), WHITE), tmp_path / "a.jpg", xmp=xmp)
    preprocess = Preprocess(height=40, width=40, resize="letterbox")
    assert torch.equal(preprocess.read(path), preprocess(open_picture(path)))
    assert int(preprocess.read(path)[0, :, 0].max()) == 0  # turned it is high: bars to the left and right


def test_a_jpeg_decoded_at_half_its_size_lies_where_the_whole_one_would(tmp_path: Path) -> None:
    # 453 of 649 pixels fit into 156.37 columns; half as many, rounded up, would have taken 157.
    path = save(Image.new("RGB", (453, 649), WHITE), tmp_path / "a.jpg")
    preprocess = Preprocess(height=224, width=224, resize="letterbox")
    inside = (preprocess.read(path) > 250).all(dim=0).any(dim=0)
    assert int(inside.sum()) == 156
    assert torch.equal(preprocess.read(path), preprocess(open_picture(path)))


def test_integers_below_0_are_black() -> None:
    picture = Image.fromarray(np.array([[-1, -70_000], [0, 65535]], dtype=np.int32))
    assert np.asarray(upright_rgb(picture))[:, :, 0].tolist() == [[0, 0], [0, 255]]


def test_a_grey_of_16_bits_named_transparent_lies_on_white_paper(tmp_path: Path) -> None:
    pixels = np.array([[300, 301, 0, 65535]] * 8, dtype=np.uint16)  # 300 and 301 are one grey of 8 bits
    path = save(Image.fromarray(pixels), tmp_path / "clear.png", transparency=300)
    assert np.asarray(upright_rgb(open_picture(path)))[0, :, 0].tolist() == [255, 1, 0, 255]


def test_a_picture_that_holds_its_colours_multiplied_lies_on_white_paper() -> None:
    clear = Image.new("LA", (8, 8), (200, 128))
    assert colour(Preprocess(height=8, width=8)(clear.convert("La")), 0, 0) == (227, 227, 227)


def test_postscript_is_refused_before_anything_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was called"))
    path = save(Image.new("RGB", (16, 16), RED), tmp_path / "poster.eps").rename(tmp_path / "poster.jpg")
    with pytest.raises(PictureError, match=rf"^{re.escape(str(path))} is a PostScript program; save the picture"):
        Preprocess(height=8, width=8).read(path)


@pytest.mark.slow
def test_what_pillow_finds_odd_about_a_whole_picture_is_not_told(tmp_path: Path) -> None:
    path = png_with_chunk(tmp_path / "no animation.png", b"acTL", bytes(8))
    warnings.simplefilter("always")
    with pytest.warns(UserWarning, match="Invalid APNG"):
        open_picture(path)
    program = f"from postergenre.preprocess import Preprocess; print(Preprocess().read({str(path)!r})[0, 0, 0].item())"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("9\n", "")


def test_a_name_of_two_lines_is_told_on_one(tmp_path: Path) -> None:
    with pytest.raises(PictureError) as caught:
        Preprocess().read(tmp_path / "two\nlines.jpg")
    assert str(caught.value) == f"no picture at {tmp_path}/two\\nlines.jpg"


@pytest.mark.parametrize("name", ["no pixels.avif", "no format.dds"])
def test_a_broken_file_is_named_whatever_its_decoder_raises(name: str, tmp_path: Path) -> None:
    """``RuntimeError`` and ``NotImplementedError`` of Pillow 13, of files that the trial made."""
    if name.endswith("dds"):
        content = bytearray(save(Image.new("RGB", (8, 8)), tmp_path / name).read_bytes())
        content[80:84] = bytes(4)  # the flags of the pixel format
    else:
        if not features.check("avif"):
            pytest.skip("Pillow without AVIF")
        content = bytearray(save(Image.new("RGB", (8, 8)), tmp_path / name).read_bytes())
        content[content.index(b"pitm") : content.index(b"pitm") + 4] = b"PITM"  # which item is the picture
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PictureError, match=rf"^(cannot decode )?{re.escape(str(tmp_path / name))}"):
        open_picture(tmp_path / name)

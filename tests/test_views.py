import pytest
import torch
from torch import Tensor

from postergenre.errors import ConfigError
from postergenre.views import VIEWS, averaged, check_views, views_of

NUM_VIEWS = {"none": 1, "flip": 2, "crops": 12}


def noise(batch: int = 2, height: int = 60, width: int = 40) -> Tensor:
    shape = (batch, 3, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def places() -> Tensor:
    """Return an image each of whose pixels tells its row and its column."""
    down = torch.arange(100).view(1, -1, 1).expand(1, 100, 50)
    across = torch.arange(50).view(1, 1, -1).expand(1, 100, 50)
    return torch.cat([down, across, down]).to(torch.uint8)[None]


@pytest.mark.parametrize("kind", VIEWS)
def test_views_are_as_many_as_told_and_of_one_size_and_type(kind: str) -> None:
    images = noise()
    views = views_of(images, kind)
    assert len(views) == NUM_VIEWS[kind]
    assert all(view.shape == images.shape and view.dtype == torch.uint8 for view in views)
    assert len({view.numpy().tobytes() for view in views}) == len(views)
    assert views[0] is images
    assert torch.equal(images, noise())


@pytest.mark.parametrize("kind", ["flip", "crops"])
def test_every_view_has_its_mirror_image(kind: str) -> None:
    views = [view.numpy().tobytes() for view in views_of(noise(), kind)]
    assert {view.flip(-1).contiguous().numpy().tobytes() for view in views_of(noise(), kind)} == set(views)


def test_crops_are_the_corners_and_the_centre_of_nine_tenths_of_each_side() -> None:
    seen = set()
    for view in views_of(places(), "crops"):
        down, across = view[0, 0], view[0, 1]
        if across[0, 0] < across[0, -1]:  # not mirrored
            seen.add((int(down.min()), int(down.max()), int(across.min()), int(across.max())))
    whole, corners = {(0, 99, 0, 49)}, {(0, 89, 0, 44), (0, 89, 5, 49), (10, 99, 0, 44), (10, 99, 5, 49)}
    centre = {(5, 94, 2, 46)}
    assert seen == whole | corners | centre


def test_crops_are_resized_smoothly() -> None:
    stripes = (torch.arange(50) % 2 * 200).to(torch.uint8).expand(1, 3, 100, 50)
    for crop in views_of(stripes, "crops")[1:6]:
        between = (crop > 20) & (crop < 180)  # repeating pixels would make none
        assert between.float().mean() > 0.5


def left(images: Tensor) -> Tensor:
    """Answer with the mean of the left half, once as it is and once squared."""
    half = images[..., : images.shape[-1] // 2].double().mean(dim=(1, 2, 3))
    return torch.stack([half, half**2], dim=1)


def test_the_answer_is_the_mean_of_the_logits_of_the_views() -> None:
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    images[0, ..., :2], images[0, ..., 2:] = 30, 10
    images[1] = 7
    torch.testing.assert_close(averaged(left, images, "flip"), torch.tensor([[20.0, 500], [7, 49]]))
    torch.testing.assert_close(averaged(left, images, "none"), torch.tensor([[30.0, 900], [7, 49]]))


def test_crops_answer_with_the_mean_of_twelve() -> None:
    single = torch.stack([left(view) for view in views_of(noise(), "crops")])
    assert single.shape == (12, 2, 2)
    torch.testing.assert_close(averaged(left, noise(), "crops"), (single.sum(dim=0) / 12).float())


@pytest.mark.parametrize("kind", VIEWS)
def test_half_precision_answers_are_averaged_in_full(kind: str) -> None:
    answers = iter([1.0, *[0.0] * 11])
    logits = averaged(lambda images: torch.full((2, 4), next(answers)).bfloat16(), noise(), kind)
    assert logits.dtype == torch.float32
    assert logits.flatten().tolist() == pytest.approx([1 / NUM_VIEWS[kind]] * 8, rel=1e-6)


def test_an_unknown_kind_is_refused_by_name() -> None:
    for refuse in (check_views, lambda kind: views_of(noise(), kind), lambda kind: averaged(left, noise(), kind)):
        with pytest.raises(ConfigError, match=r"^no tta 'ten'; known: none, flip, crops$"):
            refuse("ten")
    for kind in VIEWS:
        check_views(kind)

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from postergenre.errors import ConfigError
from postergenre.mixing import blend, draw_box, mix, paste

ALPHAS = {"mixup": (0.4, 0.0), "cutmix": (0.0, 1.0), "both": (0.4, 1.0)}


def noise(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def rows(number: int, *, height: int, width: int) -> Tensor:
    """Return images of which each has its own number in every pixel."""
    return torch.arange(number, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, height, width).contiguous()


def shares(*, mixup: float = 0.0, cutmix: float = 0.0, number: int = 1000, size: tuple[int, int] = (90, 60)) -> Tensor:
    """Return what share of itself a poster kept in each of many batches, as its target tells."""
    images, targets = rows(2, height=size[0], width=size[1])[:, :1], torch.eye(2)
    mixed = [mix(images, targets, mixup=mixup, cutmix=cutmix, seed=[0, 0, batch])[1] for batch in range(number)]
    return torch.stack([soft[0, 0] for soft in mixed])


def about(values: Tensor, *, sd: float) -> object:
    return pytest.approx(float(values.mean()), abs=3 * sd / math.sqrt(len(values)))


def test_blending_takes_lam_of_a_row_and_the_rest_of_the_one_before() -> None:
    images = torch.tensor([10, 20, 41], dtype=torch.uint8).view(3, 1, 1, 1)
    targets = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 1]])
    mixed, soft = blend(images, targets, lam=0.75)
    assert mixed.dtype == torch.uint8
    assert mixed.flatten().tolist() == [18, 18, 36]  # 17.75, 17.5 (to even) and 35.75
    torch.testing.assert_close(soft, torch.tensor([[0.75, 0, 0.25], [1, 0.75, 0], [0.25, 0.25, 0.75]]))


@pytest.mark.parametrize("shape", [(3, 40), (3, 4, 5, 2)])
@pytest.mark.parametrize(("dtype", "roundings"), [(torch.float32, 3), (torch.float16, 1), (torch.bfloat16, 1)])
def test_features_keep_their_type_and_are_rounded_once(
    shape: Sequence[int], dtype: torch.dtype, roundings: int
) -> None:
    features = noise(*shape, dtype=dtype) / 3
    mixed, _ = blend(features, torch.eye(3), lam=0.3)
    assert mixed.dtype == dtype
    exact = 0.3 * features.double() + 0.7 * features.double()[[2, 0, 1]]
    torch.testing.assert_close(mixed.double(), exact, rtol=roundings * 0.51 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16])
def test_pasting_fills_the_box_from_the_row_before_and_targets_follow_its_area(dtype: torch.dtype) -> None:
    images = rows(3, height=4, width=5).to(dtype)
    mixed, soft = paste(images, torch.eye(3), box=(1, 3, 2, 5))  # 2 × 3 of 20 pixels
    assert mixed.dtype == dtype
    assert mixed[1, 2].tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]
    assert set(mixed[0].flatten().tolist()) == {0, 2}  # before the first comes the last
    torch.testing.assert_close(soft, torch.tensor([[0.7, 0, 0.3], [0.3, 0.7, 0], [0, 0.3, 0.7]]))


@pytest.mark.parametrize("size", [(24, 16), (7, 7), (1, 1)])
def test_the_share_of_a_pasted_target_is_that_of_the_pixels_that_stayed(size: tuple[int, int]) -> None:
    images, targets = rows(4, height=size[0], width=size[1]), torch.eye(4)
    for batch in range(50):
        mixed, soft = mix(images, targets, mixup=0, cutmix=1, seed=[3, 0, batch])
        for row in range(4):
            for number in range(4):
                share = (mixed[row] == number).float().mean()
                assert float(soft[row, number]) == pytest.approx(float(share), abs=1e-6)


def test_a_box_has_the_area_that_lam_leaves_unless_it_falls_over_the_edge() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        lam = random.random()
        top, bottom, left, right = draw_box(1000, 500, lam=lam, random=random)
        assert 0 <= top <= bottom <= 1000
        assert 0 <= left <= right <= 500
        area = (bottom - top) * (right - left) / 500_000
        if top > 0 and left > 0 and bottom < 1000 and right < 500:
            assert area == pytest.approx(1 - lam, abs=0.005)
        else:
            assert area <= 1 - lam + 0.005


def test_boxes_lie_anywhere() -> None:
    random = np.random.default_rng(0)
    hits = torch.zeros(6, 4)
    for _ in range(20_000):
        top, bottom, left, right = draw_box(6, 4, lam=0.9, random=random)
        hits[top:bottom, left:right] += 1
    torch.testing.assert_close(hits, hits.flip(0), rtol=0.12, atol=0)
    torch.testing.assert_close(hits, hits.flip(1), rtol=0.12, atol=0)
    assert hits.min() > hits.max() / 3


@pytest.mark.parametrize(("mixup", "cutmix"), ALPHAS.values(), ids=ALPHAS)
def test_the_same_seed_mixes_the_same_way_and_others_in_others(mixup: float, cutmix: float) -> None:
    images, targets = noise(4, 3, 24, 16), torch.eye(4)
    before = torch.get_rng_state()
    results = [mix(images, targets, mixup=mixup, cutmix=cutmix, seed=[0, *where]) for where in ((0, 0), (0, 1), (1, 0))]
    assert torch.equal(torch.get_rng_state(), before)
    for where, (mixed, soft) in zip(((0, 0), (0, 1), (1, 0)), results, strict=True):
        again, soft_again = mix(images, targets, mixup=mixup, cutmix=cutmix, seed=[0, *where])
        assert torch.equal(again, mixed)
        assert torch.equal(soft_again, soft)
        assert mixed.dtype == torch.uint8
        assert mixed.shape == images.shape
    assert len({soft.numpy().tobytes() for _, soft in results}) == 3
    assert torch.equal(images, noise(4, 3, 24, 16))
    assert torch.equal(targets, torch.eye(4))


def test_the_first_batch_does_not_draw_what_shuffled_its_epoch() -> None:
    blended = shares(mixup=1.0, number=1)
    assert float(blended) != pytest.approx(np.random.default_rng([0, 0]).beta(1.0, 1.0))


@pytest.mark.parametrize(("mixup", "cutmix"), ALPHAS.values(), ids=ALPHAS)
def test_soft_targets_keep_the_number_of_genres_of_a_batch(mixup: float, cutmix: float) -> None:
    targets = (noise(8, 5) > 128).float()
    for batch in range(20):
        _, soft = mix(noise(8, 3, 24, 16), targets, mixup=mixup, cutmix=cutmix, seed=[0, 0, batch])
        torch.testing.assert_close(soft.sum(dim=0), targets.sum(dim=0))
        assert 0 <= float(soft.min()) <= float(soft.max()) <= 1 + 1e-6
        assert torch.equal(soft.bool(), (targets + targets.roll(1, 0)).bool())


def test_lam_has_the_mean_and_the_spread_of_the_beta_distribution() -> None:
    even, peaked = shares(mixup=1.0), shares(mixup=0.2)
    assert about(even, sd=math.sqrt(1 / 12)) == 0.5
    assert float(even.var()) == pytest.approx(1 / 12, rel=0.1)
    assert about(peaked, sd=0.42) == 0.5
    assert float(peaked.var()) == pytest.approx(1 / (4 * 1.4), rel=0.1)  # of Beta(a, a): 1 / 4(2a + 1)


def test_a_pasted_poster_keeps_on_average_what_boxes_that_fall_over_the_edge_leave() -> None:
    # A box of side s covers s - s²/4 of each side on average. With lam uniform, s has the density 2s, so that the
    # mean area is 2 ∫ s (s - s²/4)² ds = 2 (1/4 - 1/10 + 1/96) = 0.3208.
    assert about(shares(cutmix=1.0), sd=0.24) == 1 - 2 * (1 / 4 - 1 / 10 + 1 / 96)


def test_small_maps_are_pasted_as_much_as_large_ones() -> None:
    assert about(shares(cutmix=1.0, size=(7, 7)), sd=0.25) == 1 - 2 * (1 / 4 - 1 / 10 + 1 / 96)


def test_with_both_a_batch_gets_one_or_the_other_with_even_chances() -> None:
    images = rows(2, height=9, width=6) * 200
    pasted = 0
    for batch in range(400):
        mixed, _ = mix(images, torch.eye(2), mixup=1.0, cutmix=1.0, seed=[0, 0, batch])
        pasted += set(mixed.flatten().tolist()) <= {0, 200}
    assert pasted / 400 == pytest.approx(0.5, abs=0.075 + 0.01)  # three standard deviations, and lam near 0 or 1


def test_without_mixing_the_very_batch_comes_back() -> None:
    images, targets = noise(2, 3, 4, 4), torch.eye(2)
    assert mix(images, targets, mixup=0, cutmix=0, seed=[0])[0] is images
    assert mix(images, targets, mixup=0, cutmix=0, seed=[0])[1] is targets


@pytest.mark.parametrize(("mixup", "cutmix"), ALPHAS.values(), ids=ALPHAS)
def test_a_poster_alone_stays_as_it_is(mixup: float, cutmix: float) -> None:
    images, targets = noise(1, 3, 6, 4), torch.ones(1, 2)
    for batch in range(5):
        mixed, soft = mix(images, targets, mixup=mixup, cutmix=cutmix, seed=[0, 0, batch])
        assert torch.equal(mixed, images)
        torch.testing.assert_close(soft, targets)


@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_pooled_features_cannot_be_pasted(mixup: float) -> None:
    for batch in range(4):  # whichever of the two the batch would get
        with pytest.raises(ConfigError, match=r"augment\.cutmix needs maps to cut from.*model\.freeze.*augment\.mixup"):
            mix(torch.rand(4, 8), torch.eye(4), mixup=mixup, cutmix=1.0, seed=[0, 0, batch])

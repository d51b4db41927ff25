import pytest
import torch
from torch import Tensor

from postergenre.augment import Augment
from postergenre.errors import ConfigError

KINDS = {
    "flip": Augment(flip=0.5),
    "crop": Augment(crop=0.4),
    "colour": Augment(colour=0.4),
    "erase": Augment(erase=0.5),
    "randaugment": Augment(policy="randaugment"),
    "trivial": Augment(policy="trivial"),
    "all": Augment(flip=0.5, crop=0.4, colour=0.4, erase=0.5, policy="trivial"),
}


def noise(height: int = 36, width: int = 24) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("augment", KINDS.values(), ids=KINDS)
def test_the_same_seed_gives_the_same_change_and_others_give_others(augment: Augment) -> None:
    image = noise()
    results = [augment(image, seed=seed) for seed in range(12)]
    assert all(torch.equal(result, augment(image, seed=seed)) for seed, result in enumerate(results))
    assert len({result.numpy().tobytes() for result in results}) > 1


@pytest.mark.parametrize("augment", KINDS.values(), ids=KINDS)
def test_size_type_and_the_original_are_kept(augment: Augment) -> None:
    image, before = noise(), noise()
    for seed in range(6):
        result = augment(image, seed=seed)
        assert result.shape == (3, 36, 24)
        assert result.dtype == torch.uint8
    assert torch.equal(image, before)


def test_the_random_state_of_the_caller_is_left_alone() -> None:
    state = torch.random.get_rng_state()
    KINDS["all"](noise(), seed=7)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.gpu
def test_the_random_state_of_the_gpu_is_left_alone() -> None:
    torch.cuda.manual_seed(3)
    torch.rand(1, device="cuda")
    state = torch.cuda.get_rng_state()
    KINDS["all"](noise(), seed=7)
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_the_random_state_of_the_caller_changes_nothing() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        one = KINDS["all"](noise(), seed=7)
        torch.manual_seed(2)
        assert torch.equal(KINDS["all"](noise(), seed=7), one)


def test_without_any_change_asked_for_the_very_image_comes_back() -> None:
    image = noise()
    assert not Augment().active
    assert Augment()(image, seed=0) is image


def test_a_certain_flip_is_the_mirror_image() -> None:
    assert Augment(flip=1.0).active
    assert torch.equal(Augment(flip=1.0)(noise(), seed=0), noise().flip(-1))


def test_flips_happen_as_often_as_asked() -> None:
    image = noise(4, 4)
    flipped = sum(not torch.equal(Augment(flip=0.25)(image, seed=seed), image) for seed in range(400))
    assert flipped / 400 == pytest.approx(0.25, abs=0.07)  # three standard deviations


def test_erasing_blackens_two_to_twenty_percent() -> None:
    image = torch.full((3, 60, 40), 200, dtype=torch.uint8)
    for seed in range(20):
        erased = (Augment(erase=1.0)(image, seed=seed) == 0).all(dim=0).float().mean()
        assert 0.01 < erased < 0.21


def test_colour_changes_stay_within_the_asked_range() -> None:
    image = torch.full((3, 8, 8), 100, dtype=torch.uint8)  # grey: contrast and saturation leave it as it is
    values = torch.stack([Augment(colour=0.2)(image, seed=seed) for seed in range(40)])
    assert values.min() >= 79
    assert values.max() <= 121
    assert values.float().std() > 3


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 48), (64, 32), (32, 64)])
def test_a_crop_never_cuts_away_more_than_its_share(height: int, width: int) -> None:
    # Every pixel tells its row and its column, so the corners of the result tell what was cut.
    rows = torch.linspace(0, 255, height).round()[:, None].expand(height, width)
    columns = torch.linspace(0, 255, width).round()[None, :].expand(height, width)
    image = torch.stack([rows, columns, rows]).to(torch.uint8)
    for seed in range(10):
        result = Augment(crop=0.1)(image, seed=seed).float()
        kept = [(result[c].max() - result[c].min()) / 255 for c in (0, 1)]
        assert kept[0] * kept[1] > 0.9 - 0.07  # the outermost half pixels are lost to rounding and smoothing


@pytest.mark.parametrize("policy", ["randaugment", "trivial"])
def test_a_policy_counts_as_a_change_and_mixing_of_batches_does_not(policy: str) -> None:
    assert Augment(policy=policy).active
    mixing = Augment(mixup=0.2, cutmix=1.0)
    assert not mixing.active
    image = noise()
    assert mixing(image, seed=0) is image


def test_the_magnitude_and_the_number_of_operations_are_those_asked_for() -> None:
    def change(**settings: int) -> float:
        image = noise(48, 48).float()
        augment = Augment(policy="randaugment", **settings)
        return sum(float((augment(noise(48, 48), seed=seed) - image).abs().mean()) for seed in range(60)) / 60

    mild, usual, strong, many = change(magnitude=1), change(), change(magnitude=30), change(operations=5)
    assert 0 < mild < 0.8 * usual
    assert usual < 0.8 * strong
    assert usual < 0.9 * many


def test_a_trivial_policy_does_one_thing_at_a_time() -> None:
    image = noise()
    results = [Augment(policy="trivial")(image, seed=seed) for seed in range(140)]
    untouched = sum(torch.equal(result, image) for result in results)
    assert 4 <= untouched < 50  # one in fourteen is nothing, and a strength may be zero


@pytest.mark.parametrize("name", ["flip", "crop", "colour", "erase"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"augment.{name} must lie in 0 … 1, not {value}"):
        Augment(**{name: value})


def test_cutting_everything_away_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"augment\.crop=1 would cut everything away"):
        Augment(crop=1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "auto"}, r"no augment\.policy 'auto'; known: none, randaugment, trivial"),
        ({"operations": 0}, r"augment\.operations must be at least 1, not 0"),
        ({"magnitude": 31}, r"augment\.magnitude must lie in 0 … 30, not 31"),
        ({"magnitude": -1}, r"augment\.magnitude must lie in 0 … 30, not -1"),
        ({"mixup": -0.1}, r"augment\.mixup must be 0 \(off\) or a positive number, not -0\.1"),
        ({"cutmix": float("nan")}, r"augment\.cutmix must be 0 \(off\) or a positive number, not nan"),
        ({"cutmix": float("inf")}, r"augment\.cutmix must be 0 \(off\) or a positive number, not inf"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Augment(**settings)

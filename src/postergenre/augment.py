"""Random changes of training posters: ``uint8 (3,H,W)`` in and out, each drawn from its own seed."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from postergenre.errors import ConfigError

POLICIES = ("none", "randaugment", "trivial")
STRONGEST = 30
"""Magnitude of RandAugment."""


@dataclass(kw_only=True, slots=True)
class Augment:
    """What may happen to a training poster. All defaults leave it as it is."""

    flip: float = 0.0
    """Probability of a left-right mirror image."""
    crop: float = 0.0
    """Largest share of the area that a random crop (resized back) may cut away; 0 never crops."""
    colour: float = 0.0
    """Largest relative change of brightness, contrast and saturation."""
    erase: float = 0.0
    """Probability of erasing a random rectangle (2 … 20 % of the area)."""
    policy: str = "none"
    """``randaugment``: some operations, drawn from fourteen, of one strength (Cubuk et al., 2020). ``trivial``: one of
    them, of any strength (TrivialAugment Wide, Müller and Hutter, 2021)."""
    operations: int = 2
    """Operations that ``policy=randaugment`` draws."""
    magnitude: int = 9
    """Strength of the operations of ``policy=randaugment``, 0 … 30."""
    mixup: float = 0.0
    """Alpha of the Beta distribution by which posters of a batch are blended (see ``mixing``); 0 never blends."""
    cutmix: float = 0.0
    """Alpha of the Beta distribution by which rectangles are pasted from one poster of a batch into another; 0 never
    pastes. With ``mixup`` too, each batch gets one or the other."""
    views: int = 0
    """Versions of each poster, drawn once and seen in turn; 0 draws a new one each epoch. With a frozen prefix, a fixed
    number of views can be computed once and kept."""

    def __post_init__(self) -> None:
        for name in ("flip", "crop", "colour", "erase"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"augment.{name} must lie in 0 … 1, not {getattr(self, name)}")
        if self.policy not in POLICIES:
            raise ConfigError(f"no augment.policy {self.policy!r}; known: {', '.join(POLICIES)}")
        if self.operations < 1:
            raise ConfigError(f"augment.operations must be at least 1, not {self.operations}")
        if not 0 <= self.magnitude <= STRONGEST:
            raise ConfigError(f"augment.magnitude must lie in 0 … {STRONGEST}, not {self.magnitude}")
        for name in ("mixup", "cutmix"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"augment.{name} must be 0 (off) or a positive number, not {getattr(self, name)}")
        if self.views < 0:
            raise ConfigError(f"augment.views must be 0 (new ones each epoch) or more, not {self.views}")
        if self.crop == 1.0:
            raise ConfigError("augment.crop=1 would cut everything away; use less than 1")

    @property
    def active(self) -> bool:
        """Whether a poster can change. Mixing does not count: it happens to batches, behind a frozen prefix."""
        return any((self.flip, self.crop, self.colour, self.erase, self.policy != "none"))

    def version(self, epoch: int) -> int:
        """Return which version of a poster is seen in an epoch."""
        return epoch % self.views if self.views else epoch

    def __call__(self, image: Tensor, *, seed: int) -> Tensor:
        """Return a changed copy of ``image``, ``uint8 (3,H,W)``; the same seed gives the same change."""
        if not self.active:
            return image
        # Imported here: a process that only reads posters never pays for torchvision.
        from torchvision.transforms import v2

        height, width = image.shape[-2:]
        steps: list[torch.nn.Module] = []
        if self.crop:
            # Of about the poster's own shape: where the crop does not fit, torchvision would fall back to a square.
            ratio = (0.9 * width / height, width / height / 0.9)
            steps.append(v2.RandomResizedCrop((height, width), scale=(1 - self.crop, 1.0), ratio=ratio))
        if self.flip:
            steps.append(v2.RandomHorizontalFlip(self.flip))
        smooth = v2.InterpolationMode.BILINEAR  # torchvision's default would leave jagged letters
        if self.policy == "randaugment":
            strength = {"magnitude": self.magnitude, "num_magnitude_bins": STRONGEST + 1}
            steps.append(v2.RandAugment(self.operations, **strength, interpolation=smooth))
        if self.policy == "trivial":
            steps.append(v2.TrivialAugmentWide(interpolation=smooth))
        if self.colour:
            steps.append(v2.ColorJitter(self.colour, self.colour, self.colour))
        if self.erase:
            steps.append(v2.RandomErasing(self.erase, scale=(0.02, 0.2)))
        before = torch.get_rng_state()  # the caller's random state is none of our business
        try:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU, too
            changed: Tensor = v2.Compose(steps)(image)
        finally:
            torch.set_rng_state(before)
        return changed

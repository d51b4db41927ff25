"""The LightningModule around a network."""

from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from postergenre.augment import Augment
from postergenre.calibration import fit_calibration, fit_thresholds
from postergenre.classifier.contract import KEY, Contract, load_network
from postergenre.classifier.optim import OptimConfig, build_optimizer, build_schedule
from postergenre.errors import ConfigError
from postergenre.metrics import GenreScores, rankings, score
from postergenre.mixing import mix
from postergenre.networks import PosterNetwork
from postergenre.networks.weights import finite

Batch = tuple[Tensor, Tensor, Tensor]
"""images ``uint8 (B,3,H,W)``, targets ``(B,G)``, rows ``(B,)``."""


LOOK_EVERY = 20
"""Steps between two looks at the loss on a GPU."""


class PosterClassifier(LightningModule):
    """A network with its loss, its scores and its optimiser; what it saves is a checkpoint with a contract."""

    def __init__(
        self,
        network: PosterNetwork,
        contract: Contract,
        *,
        optim: OptimConfig | None = None,
        loss: nn.Module | None = None,
        augment: Augment | None = None,
        seed: int = 0,
        order: dict[str, Any] | None = None,
    ) -> None:
        """Put together what trains.

        Args:
            network: What answers.
            contract: What its checkpoints will say.
            optim: How the weights change.
            loss: ``(logits (B,G), targets (B,G))`` to a scalar; binary cross-entropy where nothing is said.
            augment: Its ``mixup`` and ``cutmix`` happen here, to whole batches.
            seed: Of the mixing.
            order: What the order of batches depends on, as plain data, for who goes on in the middle of an epoch.
        """
        super().__init__()
        self.network = network
        self.contract = contract
        self.optim = optim or OptimConfig()
        self.loss = loss or nn.BCEWithLogitsLoss()
        self.augment = augment or Augment()
        self.seed = seed
        self.order = order or {}
        self.val_scores = GenreScores(priors=torch.tensor(contract.priors), headline=contract.headline_mask())
        self.answered: tuple[Tensor, Tensor] | None = None
        """``logits (N,G)`` and ``targets (N,G)`` of the last validation, of all processes, in the order of the rows."""
        self.begun = False
        """Whether training has, with everything that a checkpoint said restored."""
        self._rng: dict[str, Any] | None = None
        self._first_batch = 0
        self._losses = torch.zeros(2, dtype=torch.float64)
        """Sum over the posters that this process had in this epoch, and their number."""

    @classmethod
    def from_checkpoint(cls, path: str) -> "PosterClassifier":
        """Return the classifier of a checkpoint, ready to be scored.

        Raises:
            CheckpointError: The file is missing, broken, unsafe, or was not made by postergenre.
        """
        network, contract = load_network(path)
        return cls(network, contract)

    def start_from_priors(self) -> None:
        """Let the untrained network answer about the share of each genre: the loss then starts near the prior's.

        As Lin et al., "Focal loss for dense object detection", 2017, section 4.1, do for one class.
        """
        with torch.no_grad():
            self.network.output.bias.copy_(torch.logit(torch.tensor(self.contract.priors), eps=1e-4))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, targets = self._mixed(batch, batch_idx)
        loss: Tensor = self.loss(self(images).float(), targets)
        self._log_loss(loss.detach(), len(targets), batch_idx)
        if self.optim.output_l2:
            loss = loss + self.optim.output_l2 * self.network.output.weight.square().sum()
        # Looking at the loss lets a GPU run dry, so there it is looked at now and then, and before anything is saved.
        look = self.device.type == "cpu" or batch_idx % LOOK_EVERY == 0 or self.trainer.is_last_batch
        if look and not torch.isfinite(loss):
            raise self._diverged(f"the loss became {loss.item()}")
        return loss

    def _log_loss(self, loss: Tensor, count: int, batch_idx: int) -> None:
        """Log what Lightning would too, but would log after a checkpoint that follows this batch, and so not in it."""
        trainer = self.trainer
        self._losses = self._losses.to(loss.device)
        self._losses += torch.stack([loss.double() * count, torch.full_like(loss, count, dtype=torch.float64)])
        ends = trainer.is_last_batch
        steps = ends or (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        told = {}
        if steps and (self.global_step + 1) % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            told["train/loss"] = loss.item()
        if ends:
            total, number = self._sum_of_losses().tolist()
            told["train/loss_epoch"] = mean = total / number
            self.log("train/loss_epoch", mean, on_step=False, on_epoch=True, logger=False, batch_size=1)
            self._losses.zero_()
        if told:
            for logger in self.loggers:
                logger.log_metrics({"epoch": self.current_epoch, **told}, self.global_step)

    def _sum_of_losses(self) -> Tensor:
        """Return the sum of the losses and the number of posters in all processes."""
        summed = self.trainer.strategy.reduce(self._losses.clone(), reduce_op="sum")
        assert isinstance(summed, Tensor)
        return summed

    def _mixed(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Return inputs and soft targets of a batch after MixUp or CutMix, where they are asked for.

        What a frozen prefix makes of the images is mixed, not the images: so its kept features give the same training.
        """
        images, targets, _ = batch
        if not (self.augment.mixup or self.augment.cutmix):
            return images, targets
        if self.network.num_frozen and not images.is_floating_point():
            with torch.no_grad():
                images = self.network.prefix(images)
        return mix(
            images,
            targets,
            mixup=self.augment.mixup,
            cutmix=self.augment.cutmix,
            seed=[self.seed, self.current_epoch, batch_idx, self.global_rank],  # to numpy, a last 0 says nothing
        )

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, targets, rows = batch
        self.val_scores.update(self(images), targets, rows)

    def on_validation_epoch_start(self) -> None:
        self.val_scores.reset()

    def on_validation_epoch_end(self) -> None:
        logits, targets = self.answered = self.val_scores.gathered()
        if not bool(logits.isfinite().all()):  # before a checkpoint is saved
            raise self._diverged("the network answers with numbers that are none")
        if self.trainer.state.fn == "fit":  # scoring a checkpoint must not change what it says
            temperatures, offsets = fit_calibration(logits.cpu(), targets.cpu())
            self.contract.temperatures, self.contract.offsets = temperatures.tolist(), offsets.tolist()
            probabilities = self.contract.calibrate(logits).sigmoid()
            self.contract.thresholds = fit_thresholds(probabilities.cpu(), targets.cpu()).tolist()
        ranked = rankings(logits, targets)  # which calibration leaves as it is
        scores = self.scores(logits, targets, ranked=ranked)
        self.log_dict({f"val/{name}": value for name, value in scores.items()})
        self.log("map", scores["map"], prog_bar=True, logger=False)
        if self.trainer.state.fn == "fit":
            self.contract.provenance |= {
                "epoch": self.current_epoch,
                "step": self.global_step,
                "val": {name: float(value) for name, value in scores.items()},
                "val_genres": self._by_genre(targets, *ranked),
            }

    def _by_genre(self, targets: Tensor, ap: Tensor, auroc: Tensor) -> dict[str, dict[str, float]]:
        """Return what scores elsewhere are compared with: of each genre of the validation posters, how it is ranked."""
        support = targets.sum(dim=0).tolist()
        return {
            genre: {"support": int(count), "chance": count / len(targets), "ap": float(ap[i]), "auroc": float(auroc[i])}
            for i, (genre, count) in enumerate(zip(self.contract.genres, support, strict=True))
            if 0 < count < len(targets)
        }

    def scores(
        self, logits: Tensor, targets: Tensor, *, ranked: tuple[Tensor, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return the protocol's scores of the network's ``logits (N,G)``, calibrated, and their calibration before."""
        thresholds = torch.tensor(self.contract.thresholds, device=logits.device)
        priors, headline = self.val_scores.priors, self.val_scores.headline
        calibrated = self.contract.calibrate(logits)
        return score(
            calibrated, targets, priors=priors, headline=headline, thresholds=thresholds, raw=logits, ranked=ranked
        )

    def _diverged(self, what: str) -> ConfigError:
        return ConfigError(
            f"{what} at step {self.global_step}: lower optim.lr, or train with trainer.precision=32; "
            "the checkpoints of earlier epochs are unharmed"
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        mixed, clipped = "mixed" in str(self.trainer.precision), bool(self.trainer.gradient_clip_val)
        fused = self.trainer.precision != "16-mixed" and not (mixed and clipped)
        optimizer = build_optimizer(self.network, self.optim, fused=fused)
        schedule = build_schedule(optimizer, self.optim, num_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = self.contract.to_plain()
        # Sample order and augmentation follow from the seed and the epoch; only dropout draws from these.
        checkpoint["rng"] = {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }
        # How many batches each process had of an epoch that goes on; 0 where it has ended.
        checkpoint["batches"] = 0
        if self._trainer is not None:  # a classifier that nobody trains has begun no epoch
            done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
            checkpoint["batches"] = done if done < self.trainer.num_training_batches else 0
        checkpoint["order"] = self.order
        if checkpoint["batches"]:
            checkpoint["losses"] = self._sum_of_losses().cpu()
            self._seed_others(checkpoint["batches"])
        for name, value in checkpoint["state_dict"].items():  # of a step whose loss was still a number
            if not finite(value):
                raise self._diverged(f"{name} became a number that is none")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._rng = checkpoint.get("rng")
        self._first_batch = checkpoint.get("batches", 0)
        if "losses" in checkpoint and not self.global_rank:
            self._losses = checkpoint["losses"]

    def on_train_start(self) -> None:
        if self._rng is not None:  # as late as can be: building loaders draws numbers too
            torch.set_rng_state(self._rng["cpu"])
            if self._rng["cuda"] is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(self._rng["cuda"], self.device)
            self._rng = None
        if self._first_batch:  # the epoch has begun before
            self._seed_others(self._first_batch)
        self.begun = True

    def on_train_epoch_start(self) -> None:
        self._seed_others(0)

    def _seed_others(self, batches: int) -> None:
        """Let what the other processes draw follow from seed, epoch and the batches of it that they had.

        The state of the first process is in the checkpoint. So a run resumes as it was with as many processes, and
        from the end of an epoch goes on with any other number.
        """
        if self.global_rank:
            seeds = np.random.SeedSequence([self.seed, self.current_epoch, self.global_rank, batches])
            torch.manual_seed(int(seeds.generate_state(1)[0]))

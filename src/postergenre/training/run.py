"""Train a classifier."""

import json
import logging
import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import EMAWeightAveraging, LearningRateMonitor, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy, Strategy
from rich.console import Console

from postergenre.augment import Augment
from postergenre.classifier.contract import Contract, load_network, read_checkpoint
from postergenre.classifier.module import PosterClassifier
from postergenre.data.datamodule import PosterData
from postergenre.data.posters import Posters
from postergenre.data.sharded import build_data
from postergenre.errors import CheckpointError, ConfigError, PosterGenreError
from postergenre.features import keep_features
from postergenre.hardware import Hardware, choose_hardware, memory_for
from postergenre.losses import build_loss
from postergenre.networks import PosterNetwork, build_network
from postergenre.networks.weights import load_state, named_tensors
from postergenre.stopping import stops_told
from postergenre.training.callbacks import Best, CommonStatistics, EachEpoch, EpochLine, Last, Patience, Pictures
from postergenre.training.checkpoints import WholeFiles
from postergenre.training.config import TrainConfig, TrainerConfig
from postergenre.training.fsdp import Sharded, ShardedClassifier
from postergenre.training.insight import HeatMaps, Projector
from postergenre.training.launch import together
from postergenre.training.logs import Metrics, rows_before
from postergenre.training.ranks import ALONE, Ranks, joined, launched, num_processes
from postergenre.training.resuming import check_run
from postergenre.training.stops import Stops
from postergenre.web import command_line, without_secrets

LIGHTNING_PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass(kw_only=True, slots=True)
class Trained:
    """What a training run leaves."""

    score: float
    """Best ``val/map``."""
    scores: dict[str, float]
    """All validation scores of the best checkpoint."""
    best: Path
    """The checkpoint of the best score."""
    last: Path
    """The checkpoint of the last epoch."""


def train(
    config: TrainConfig,
    *,
    posters: Posters | None = None,
    console: Console | None = None,
    on_epoch: Callable[[int, float], bool] | None = None,
    pictures: bool = True,
) -> Trained:
    """Train as ``config`` says and return the best validation score and its checkpoint.

    Args:
        config: What to do.
        posters: The posters of ``config.data``, where they were read before.
        console: Where to say what happens; the terminal where nothing is said.
        on_epoch: Is told each epoch, from 0, and its ``val/map``, and returns whether to stop there. Epochs of the head
            alone (``head_epochs``) are not told.
        pictures: Draw for TensorBoard: posters, curves, heat maps, the embedding projector.

    Raises:
        PosterGenreError: A setting, the posters or the checkpoint to resume cannot be used.
        StoppedError: Ctrl-C or SIGTERM while the network trains; ``last.ckpt`` goes on after the step before.
    """
    hardware, ranks = _hardware(config), launched()
    number = num_processes(config.trainer, hardware, ranks)
    alone = ranks is None or ranks.num_ranks == 1
    if on_epoch and not (alone and number == 1):
        raise ConfigError("a sweep trains each trial in one process: start its command several times instead")
    if ranks is None or alone:
        if number > 1:
            return together(partial(_train_one_of, pictures=pictures), config, num_ranks=number)
        return _train(config, hardware, ALONE, posters=posters, console=console, on_epoch=on_epoch, pictures=pictures)
    with joined(ranks, hardware) as (ranks, hardware):
        return _train(config, hardware, ranks, pictures=pictures)


def _train_one_of(config: TrainConfig, ranks: Ranks, *, pictures: bool) -> Trained:
    """Train as one of the processes that ``together`` started."""
    with joined(ranks, _hardware(config)) as (ranks, hardware):
        return _train(config, hardware, ranks, pictures=pictures)


def _hardware(config: TrainConfig) -> Hardware:
    return choose_hardware(config.trainer.gpus, config.trainer.precision, prefix="trainer.", several=True)


def _train(
    config: TrainConfig,
    hardware: Hardware,
    ranks: Ranks,
    *,
    posters: Posters | None = None,
    console: Console | None = None,
    on_epoch: Callable[[int, float], bool] | None = None,
    pictures: bool,
) -> Trained:
    """Train, alone or with others; only the first process speaks and writes."""
    console = console or Console(quiet=not ranks.first)
    config = replace(config, output_dir=ranks.agreed(str(Path(config.output_dir).absolute())))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    seed_everything(config.seed, verbose=False)
    data = build_data(
        config.data,
        config.preprocess,
        augment=config.augment,
        seed=config.seed,
        mapping=config.genres,
        posters=posters,
    )
    data.pin_memory = hardware.device.type == "cuda"
    data.rank, data.num_ranks, data.num_local = ranks.rank, ranks.num_ranks, ranks.num_local
    with ranks.one_goes_ahead():
        data.prepare_data()
        data.setup()
    if ranks.first:
        data.write_tables(output)
    classifier = _classifier(config, data, hardware, ranks)
    if config.head_epochs and not config.resume:
        head = _head_first(config, hardware, ranks, data.posters, console)
        classifier.network.load_state_dict(load_network(head)[0].state_dict())
    kept: list[dict[str, str]] = []
    if config.resume:
        checkpoint, _ = read_checkpoint(config.resume)
        check_run(config.resume, checkpoint, classifier)
        data.first_batch = int(checkpoint.get("batches", 0))
        data.first_epoch = int(checkpoint["epoch"]) + (not data.first_batch)
        if data.first_batch:
            _check_order(config.resume, checkpoint["order"], data.order)
        try:
            # Lightning does so too, but features come first.
            classifier.load_state_dict(named_tensors(checkpoint.get("state_dict")))
        except (ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"cannot resume {config.resume}: {str(error).strip().splitlines()[-1].strip()}"
            ) from None
        kept = rows_before(Path(config.resume).absolute().parents[1] / "metrics.csv", checkpoint["global_step"])
    with ranks.one_goes_ahead():
        if not keep_features(classifier.network, data, hardware) and not data.streamed:
            data.images(write=True)
    if config.trainer.compile:
        classifier.network.compile()  # in place: the names of the weights stay
    classifier.network.train()  # Lightning keeps the modes it finds: frozen layers in evaluation mode, the rest not
    for note in data.notes:
        console.print(f"note: {note}", highlight=False)
    console.print(_summary(config, data, classifier, hardware, ranks), highlight=False, soft_wrap=True)
    stops = Stops(ranks)
    best, last = (
        Best(output / "checkpoints", resume=config.resume),
        Last(output / "checkpoints", stops, save_steps=config.trainer.save_steps),
    )
    if ranks.first:
        for draft in (output / "checkpoints").glob("*.draft"):  # of a run that was killed here
            draft.unlink()
    with quiet_lightning():
        callbacks: list[Callback] = [stops, best, last]
        if pictures:
            callbacks.append(Pictures(data))
            if ranks.num_ranks == 1:  # they run posters through the network, which here is shared
                callbacks += [HeatMaps(data, console), Projector(data)]
        if config.optim.ema:
            callbacks.append(EMAWeightAveraging(decay=config.optim.ema))
        if on_epoch:
            callbacks.append(EachEpoch(on_epoch))
        if ranks.num_ranks > 1:
            callbacks.append(CommonStatistics(stops, save_steps=config.trainer.save_steps))
        trainer = build_trainer(config.trainer, hardware, output, callbacks, console, ranks, rows=kept)
        accumulated = f"trainer.accumulate_grad_batches={2 * config.trainer.accumulate_grad_batches}"
        otherwise = f", with {accumulated} for the same steps, or smaller pictures"
        with stops.listening(), memory_for("data.batch_size", config.data.batch_size, otherwise=otherwise):
            try:
                trainer.fit(classifier, data, ckpt_path=config.resume, weights_only=True)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                if not config.resume or classifier.begun or isinstance(error, PosterGenreError):
                    raise
                raise CheckpointError(
                    f"cannot resume {config.resume}: what it says about its run is broken ({error!r})"
                ) from error
    if not best.best_model_path:
        raise CheckpointError(f"nothing was left to train after {config.resume}; raise trainer.max_epochs")
    provenance = ranks.agreed(read_checkpoint(best.best_model_path)[1].provenance if ranks.first else {})
    scores: dict[str, float] = provenance["val"]
    if ranks.first:
        draft = output / "scores.json.draft"
        draft.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
        draft.replace(output / "scores.json")  # a sweep takes it for the sign that all is done
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(_flat(asdict(config)), {f"best/{name}": value for name, value in scores.items()})
        logger.finalize("success")
    console.print(
        f"best val map {scores['map']:.4f} (prior {scores['map_prior']:.4f}) in epoch "
        f"{provenance['epoch'] + 1}: {best.best_model_path}",
        highlight=False,
        soft_wrap=True,
    )
    return Trained(
        score=scores["map"],
        scores=scores,
        best=Path(best.best_model_path),
        last=Path(last.best_model_path),
    )


def build_trainer(
    config: TrainerConfig,
    hardware: Hardware,
    output: Path,
    callbacks: list[Callback],
    console: Console,
    ranks: Ranks = ALONE,
    *,
    rows: Sequence[dict[str, str]] = (),
) -> Trainer:
    """Return Lightning's Trainer: ``gpus`` becomes its accelerator and devices, ``precision`` its mixed precision."""
    callbacks = [*callbacks, LearningRateMonitor(logging_interval="step")]
    if config.patience:
        callbacks.append(Patience(config.patience))
    callbacks.append(RichProgressBar() if console.is_terminal else EpochLine(console))
    return Trainer(
        accelerator=hardware.device.type if hardware.device.type == "cpu" else "gpu",
        devices=ranks.num_local,
        num_nodes=ranks.num_nodes,
        strategy=_strategy(config, ranks),
        plugins=_plugins(config, ranks),
        use_distributed_sampler=False,  # our own knows the ranks
        precision=LIGHTNING_PRECISION[hardware.precision],  # type: ignore[arg-type]
        max_epochs=config.max_epochs,
        gradient_clip_val=config.gradient_clip_val or None,
        accumulate_grad_batches=config.accumulate_grad_batches,
        limit_train_batches=config.limit_train_batches or None,
        limit_val_batches=config.limit_val_batches or None,
        deterministic=config.deterministic,
        benchmark=hardware.device.type == "cuda" and not config.deterministic,  # every batch has one size
        callbacks=callbacks,
        logger=[
            TensorBoardLogger(output, name="", version="tensorboard", default_hp_metric=False),
            Metrics(output, rows=rows),
        ],
        num_sanity_val_steps=0,  # two batches would log scores of next to nothing
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=console.is_terminal,
    )


def _plugins(config: TrainerConfig, ranks: Ranks) -> list[Any]:
    plugins: list[Any] = [] if ranks.environment is None else [ranks.environment]
    if config.strategy != "fsdp":  # which gathers and writes its checkpoints itself
        plugins.append(WholeFiles())
    return plugins


def _strategy(config: TrainerConfig, ranks: Ranks) -> Strategy | str:
    if ranks.num_ranks == 1:
        return "auto"
    if config.strategy == "fsdp":
        return Sharded(ranks.num_ranks)
    return DDPStrategy(broadcast_buffers=False)  # ``CommonStatistics`` does better


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning without its adverts, and without advice that does not apply here."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # The number of workers is our own setting, with its own default.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        # Small sets have fewer batches than log_every_n_steps.
        warnings.filterwarnings("ignore", ".*The number of training batches.*")
        # Frozen layers are meant to be.
        warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*")
        # Lightning 2.6 with torch 2.14; no call of ours.
        warnings.filterwarnings("ignore", ".*LeafSpec.*")
        # Our loaders begin where the checkpoint ended.
        warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")
        # Every process has scored the answers of all.
        warnings.filterwarnings("ignore", ".*when logging on epoch level in distributed setting.*")
        # The name of its successor is not known to torch 2.11.
        warnings.filterwarnings("ignore", ".*`broadcast_buffers` is deprecated.*")
        # The output folder already holds what Hydra wrote.
        warnings.filterwarnings("ignore", ".*exists and is not empty.*")
        yield


def _classifier(config: TrainConfig, data: PosterData, hardware: Hardware, ranks: Ranks) -> PosterClassifier:
    contract = Contract(
        model=config.model,
        preprocess=config.preprocess,
        genres=data.genres,
        headline=data.headline,
        priors=data.priors,
        thresholds=[0.5] * len(data.genres),
        data=asdict(config.data)
        | {"root": without_secrets(data.root), "fingerprint": data.fingerprint}
        | {"genres": asdict(config.genres)}
        | ({"corrections": corrections.to_plain()} if (corrections := data.corrected) else {}),
        provenance={
            "postergenre": version("postergenre"),
            "torch": version("torch"),
            "torchvision": version("torchvision"),
            "pytorch_lightning": version("pytorch-lightning"),
            "python": platform.python_version(),
            "hardware": str(hardware),
            "precision": hardware.precision,
            "processes": ranks.num_ranks,
            "command": command_line(),
            "seed": config.seed,
            "deterministic": config.trainer.deterministic,
            "threads": torch.get_num_threads(),
        },
    )
    network = _network(config, contract)
    kind = ShardedClassifier if config.trainer.strategy == "fsdp" else PosterClassifier
    classifier = kind(
        network,
        contract,
        optim=config.optim,
        loss=build_loss(config.loss, counts=data.counts["train"], num_posters=data.sizes["train"]),
        augment=config.augment,
        seed=config.seed,
        order=data.order,
    )
    if config.prior_bias and not (config.resume or config.start):
        classifier.start_from_priors()
    return classifier


def _network(config: TrainConfig, contract: Contract) -> PosterNetwork:
    """Return the network with the weights that training begins or goes on with.

    Where a checkpoint brings them, no others are read or downloaded: their file may be gone by then.
    """
    preprocess, source = config.preprocess, config.resume or config.start
    network = build_network(
        config.model,
        num_outputs=len(contract.genres),
        input_size=(preprocess.height, preprocess.width),
        empty=source is not None,
    )
    if source is None:
        return network
    theirs, before = load_network(source)
    (_check_resumable if config.resume else _check_start)(source, before, contract)
    try:
        load_state(network, theirs.state_dict())
    except ValueError as error:
        told = "resume" if config.resume else "start from"
        raise CheckpointError(f"cannot {told} {source}: {error}; give the same model.* settings") from None
    return network.to(memory_format=torch.channels_last)


def _head_first(
    config: TrainConfig, hardware: Hardware, ranks: Ranks, posters: Posters | None, console: Console
) -> Path:
    """Train the head alone and return its best checkpoint."""
    console.print(f"the head first, {config.head_epochs} epochs", highlight=False)
    alone = replace(
        config,
        head_epochs=0,
        model=replace(config.model, freeze="backbone"),
        augment=Augment(),  # so that the backbone runs once a poster
        optim=replace(config.optim, schedule="cosine", warmup=0.0, ema=0.0),
        trainer=replace(config.trainer, max_epochs=config.head_epochs, patience=0, compile=False),
        output_dir=str(Path(config.output_dir) / "head"),
    )
    with stops_told("stopped while the head learnt; the same command begins again"):
        trained = _train(alone, hardware, ranks, posters=posters, console=console, pictures=False)
    console.print("now the rest", highlight=False)
    return trained.best


def _check_start(path: str, before: Contract, contract: Contract) -> None:
    for what, theirs, wanted in (
        ("network", before.model.name, contract.model.name),
        ("genres", ", ".join(before.genres), ", ".join(contract.genres)),
    ):
        if theirs != wanted:
            raise CheckpointError(f"cannot start from {path}: its {what} ({theirs}) is not that of this run ({wanted})")
    ours = contract.data
    if before.data.get("root") == ours["root"] and before.data.get("fingerprint") != ours["fingerprint"]:
        raise CheckpointError(
            f"cannot start from {path}: it knows these posters with other splits, so that it may have been trained on "
            "what this run validates and tests on"
        )


def _check_resumable(path: str, before: Contract, contract: Contract) -> None:
    for what, old, new in (
        # What it started from no longer matters.
        *(
            (f"model.{name}", old, asdict(contract.model)[name])
            for name, old in asdict(before.model).items()
            if name != "weights"
        ),
        ("genres", ", ".join(before.genres), ", ".join(contract.genres)),
        ("preprocess", str(before.preprocess), str(contract.preprocess)),
        ("posters or splits", before.data.get("fingerprint"), contract.data["fingerprint"]),
    ):
        if old != new:
            raise CheckpointError(f"cannot resume {path}: its {what} ({old}) is not that of this run ({new})")


def _check_order(path: str, before: dict[str, Any], order: dict[str, Any]) -> None:
    for what in before | order:
        if before.get(what) != order.get(what):
            raise CheckpointError(
                f"cannot resume {path} in the middle of an epoch: its {what} ({before.get(what)}) is not that of this "
                f"run ({order.get(what)}), so that other posters would follow; the end of an epoch leaves you free"
            )


def _summary(
    config: TrainConfig, data: PosterData, classifier: PosterClassifier, hardware: Hardware, ranks: Ranks
) -> str:
    sizes = ", ".join(f"{size} {split}" for split, size in data.sizes.items() if size)
    parameters = list(classifier.network.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad) / 1e6
    return (
        f"{len(data.genres)} genres ({len(data.headline)} in map); posters: {sizes}\n"
        f"{config.model.name} {config.preprocess.height} x {config.preprocess.width}, "
        f"{trained:.2f} of {sum(p.numel() for p in parameters) / 1e6:.2f} million parameters train; {hardware}"
        f"{f', {ranks}' if ranks.num_ranks > 1 else ''}"
    )


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as ``{"optim.lr": 0.001, ...}``."""

    def walk(branch: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for name, value in branch.items():
            if isinstance(value, dict):
                yield from walk(value, f"{path}{name}.")
            else:
                yield f"{path}{name}", without_secrets(value) if isinstance(value, str) else value

    return dict(walk(settings, prefix))

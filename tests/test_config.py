"""Every YAML composes, every experiment takes a step, and what Hydra leaves behind is plain."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conftest import ROOT, small_config
from postergenre.auditing import AuditConfig
from postergenre.config import parse, register, write_sweep
from postergenre.errors import ConfigError
from postergenre.evaluation import EvaluateConfig
from postergenre.explanation import ExplainConfig
from postergenre.export import ExportConfig
from postergenre.inference import PredictConfig
from postergenre.sharding import ShardConfig
from postergenre.sweeping import SweepConfig
from postergenre.sweeping.space import read_space
from postergenre.training import TrainConfig, train

CONF = ROOT / "conf"
GROUPS = ("data", "genres", "model", "augment", "loss", "optim", "trainer")
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def composed(*overrides: str) -> TrainConfig:
    register("train", TrainConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=["output_dir=outputs/train", *overrides])
        return parse(config, TrainConfig)


def test_every_group_has_a_choice() -> None:
    assert {group for group, _ in CHOICES} == set(GROUPS)
    assert EXPERIMENTS == ["demo", "finetune", "original", "probe", "recommended"]


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_yaml_composes(group: str, choice: str) -> None:
    config = composed(f"{group}={choice}", *(["model.name=resnet18"] if choice == "timm" else []))
    assert isinstance(config, TrainConfig)
    if group == "model" and choice != "timm":
        assert config.model.name == choice


def test_the_defaults_are_the_real_thing() -> None:
    config = composed()
    assert (config.data.source, config.data.root, config.data.split) == ("posters", "data/posters", "fixed")
    assert (config.model.name, config.model.weights) == ("vgg19", "imagenet")


def test_the_original_recipe_stands_as_it_was() -> None:
    config = composed("experiment=original")
    assert (config.preprocess.height, config.preprocess.width, config.preprocess.resize) == (128, 128, "stretch")
    assert (config.data.split, config.data.batch_size, config.data.ignore_genres) == ("original", 32, [])
    assert (config.optim.name, config.optim.lr, config.optim.output_l2) == ("adam", 1e-3, 0.005)
    assert (config.trainer.max_epochs, config.model.freeze, config.model.normalize) == (20, "none", "unit")
    assert not config.augment.active


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_takes_a_step(experiment: str, colour_posters: Path, tmp_path: Path) -> None:
    small = small_config(colour_posters, tmp_path)
    config = composed(
        f"experiment={experiment}", f"data.root={colour_posters}", f"data.cache={small.data.cache}", "data.workers=0",
        "data.min_positives=5", "data.batch_size=4", "model=tiny", "preprocess.height=32", "preprocess.width=32",
        "trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=2", "trainer.gpus=0",
        f"output_dir={tmp_path}",
    )  # fmt: skip
    trained = train(config)
    assert 0 < trained.score <= 1
    assert trained.scores["num_posters"] == 8


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_takes_a_step_with_its_own_network(
    experiment: str, colour_posters: Path, tmp_path: Path
) -> None:
    config = composed(
        f"experiment={experiment}", f"data.root={colour_posters}", "data.workers=0", "data.min_positives=5",
        "data.batch_size=2", "model.weights=none", "preprocess.height=32", "preprocess.width=32",
        f"data.cache={colour_posters / 'cache'}", "trainer.max_epochs=1", "trainer.limit_train_batches=1",
        "trainer.limit_val_batches=1", "trainer.gpus=0", f"output_dir={tmp_path}",
    )  # fmt: skip
    assert 0 < train(config).score <= 1


def test_an_experiment_wins_over_the_file_and_the_command_line_over_both() -> None:
    assert composed().preprocess.height == 224
    assert composed("experiment=probe").preprocess.height == 128
    assert composed("experiment=probe", "preprocess.height=96").preprocess.height == 96


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.gpu=1", "Could not override 'trainer.gpu'"),
        ("optim.lr=fast", "Error merging override optim.lr=fast"),
        ("model=vgg99", "Could not find 'model/vgg99'"),
    ],
)
def test_typos_and_wrong_types_are_named_by_hydra(override: str, message: str) -> None:
    with pytest.raises(Exception, match=message) as caught:
        composed(override)
    assert isinstance(caught.value, OmegaConfBaseException) or type(caught.value).__module__.startswith("hydra")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("genres.unknown=keep", "no genres.unknown 'keep'; known: error, drop"),
        ("data.split=random", "no data.split 'random'; known: fixed, original, column"),
        ("data.fold=5", "data.fold must lie in 0 … 4, not 5"),
        ("preprocess.resize=zoom", "no resize 'zoom'; known: stretch, letterbox, crop"),
        ("augment.flip=2", "augment.flip must lie in 0 … 1, not 2.0"),
        ("trainer.max_epochs=0", "trainer.max_epochs must be at least 1, not 0"),
        ("data.batch_size=0", "data.batch_size must be at least 1, not 0"),
        ("model=timm", "model.name is not given; with model=timm it is any name timm knows"),
    ],
)
def test_values_that_cannot_work_name_what_can(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        composed(override)


@pytest.mark.parametrize(
    ("name", "schema", "needed"),
    [
        ("evaluate", EvaluateConfig, ["checkpoint"]),
        ("predict", PredictConfig, ["checkpoint", "posters"]),
        ("export", ExportConfig, ["checkpoint"]),
        ("explain", ExplainConfig, ["checkpoint", "poster"]),
        ("audit", AuditConfig, []),
        ("shard", ShardConfig, ["output"]),
    ],
)
def test_the_other_verbs_need_little_and_say_what(name: str, schema: type, needed: list[str]) -> None:
    register(name, schema)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        place = ["output_dir=x"] if "output_dir" in schema.__dataclass_fields__ else []
        if needed:
            with pytest.raises(ConfigError, match=", ".join(f"{key}=…" for key in needed)):
                parse(compose(name, overrides=place), schema)
        config = compose(name, overrides=[*place, *(f"{key}=y" for key in needed)])
        assert isinstance(parse(config, schema), schema)


def test_another_set_brings_its_genres_to_evaluation() -> None:
    register("evaluate", EvaluateConfig)
    asked = ["output_dir=x", "checkpoint=y", "split=all", "data.root=z"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert parse(compose("evaluate", overrides=asked), EvaluateConfig).genres is None
        overrides = [*asked, "genres=tmdb_to_original", "genres.unknown=drop", "groups=[country,decade]"]
        config = parse(compose("evaluate", overrides=overrides), EvaluateConfig)
    assert config.genres is not None
    assert config.genres.became("Sci-Fi & Fantasy") == ["Sci-Fi", "Fantasy"]
    assert (config.genres.unknown, config.groups) == ("drop", ["country", "decade"])


def test_a_map_of_ones_own_is_told_on_the_command_line() -> None:
    config = composed(
        "+genres.derive={Dark Comedy:[Comedy,Crime]}", "+genres.rename={Sci Fi:Sci-Fi}", "genres.drop=[Short]"
    )
    assert config.genres.derive == {"Dark Comedy": ["Comedy", "Crime"]}
    assert (config.genres.rename, config.genres.drop) == ({"Sci Fi": "Sci-Fi"}, ["Short"])


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "sweep").glob("*.yaml")))
def test_every_shipped_space_can_be_searched(name: str) -> None:
    register("sweep", SweepConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = parse(compose("sweep", overrides=["output_dir=x", f"study={name}", f"sweep={name}"]), SweepConfig)
    assert (config.model.freeze, config.trials, config.storage, config.keep) == ("backbone", 100, None, 1)
    assert {"optim.lr", "model.dropout"} < {dimension.key for dimension in read_space(config.space, config.training())}


def test_a_sweeps_table_ranks_what_finished_and_keeps_what_failed(tmp_path: Path) -> None:
    for run, lr, score in ((0, "0.1", '{"map": 0.2}'), (1, "0.01", '{"map": 0.3}'), (2, "9", None), (3, "8", None)):
        (tmp_path / f"{run}" / ".hydra").mkdir(parents=True)
        OmegaConf.save(OmegaConf.create([f"optim.lr={lr}", "+x=1"]), tmp_path / f"{run}" / ".hydra" / "overrides.yaml")
        if score:
            (tmp_path / f"{run}" / "scores.json").write_text(score)
    (tmp_path / "2" / "failure.txt").write_text("too fast\n")
    assert [row["status"] for row in write_sweep(tmp_path)] == ["finished", "finished", "failed", "running"]
    rows = write_sweep(tmp_path, ended=True)
    assert [(row["run"], row["status"], row["optim.lr"]) for row in rows] == [
        ("1", "finished", "0.01"), ("0", "finished", "0.1"), ("2", "failed", "9"), ("3", "killed", "8"),
    ]  # fmt: skip
    lines = (tmp_path / "sweep.csv").read_text().splitlines()
    assert lines == [
        "run,status,optim.lr,x,error,val/map", "1,finished,0.01,1,,0.3", "0,finished,0.1,1,,0.2",
        "2,failed,9,1,too fast,", "3,killed,8,1,,",
    ]  # fmt: skip

"""Which settings a sweep varies, within which bounds, and how a trial's values become a training config."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args

from postergenre.errors import ConfigError
from postergenre.training import TrainConfig

if TYPE_CHECKING:
    from optuna.trial import Trial

Value = bool | int | float | str
WORDS = ("low", "high", "log", "step", "choices")
"""What the range of a setting is written with; no setting has such a name."""
COMPARED = ("output_dir", "resume", "data.")
"""What trials must have in common to be compared; of the data only ``TUNABLE`` may differ."""
TUNABLE = ("data.batch_size", "data.balance")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dimension:
    """One setting that is searched: ``choices``, or whole or real numbers from ``low`` to ``high``."""

    key: str
    """Dotted, as on the command line: ``optim.lr``."""
    kind: type
    """``bool``, ``int``, ``float`` or ``str``."""
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    """Search orders of magnitude instead of sizes."""
    step: int = 1
    """Between two whole numbers."""

    def suggest(self, trial: "Trial") -> Value:
        """Return what the trial is to try."""
        if self.choices:
            return self.kind(trial.suggest_categorical(self.key, self.choices))  # type: ignore[no-any-return]
        if self.kind is int:
            return trial.suggest_int(self.key, int(self.low), int(self.high), step=self.step, log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)


def read_space(space: Mapping[str, Any], config: TrainConfig) -> list[Dimension]:
    """Return the dimensions of ``space``, in order of their names, each checked at its ends against ``config``.

    Raises:
        ConfigError: There is no such setting, its range cannot work, or a value in it cannot.
    """
    found = [_dimension(key, dict(written), config) for key, written in sorted(_leaves(space, ""))]
    if not found:
        raise ConfigError("nothing to search: sweep=NAME takes a space from conf/sweep/, space.optim.lr=… writes one")
    for dimension in found:
        for value in dimension.choices or (dimension.kind(dimension.low), dimension.kind(dimension.high)):
            try:
                with_settings(config, {dimension.key: value})
            except ConfigError as error:
                raise ConfigError(f"space.{dimension.key}={value}: {error}") from None
    return found


def with_settings(config: TrainConfig, settings: Mapping[str, Any]) -> TrainConfig:
    """Return ``config`` with other values of some dotted settings.

    Raises:
        ConfigError: They cannot work together.
    """
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        *path, name = key.split(".")
        branch = changes
        for part in path:
            branch = branch.setdefault(part, {})
        branch[name] = value
    changed: TrainConfig = _changed(config, changes)
    return changed


def _changed(part: Any, changes: dict[str, Any]) -> Any:
    if isinstance(part, dict):
        return part | changes
    new = {name: _changed(getattr(part, name), to) if isinstance(to, dict) else to for name, to in changes.items()}
    return replace(part, **new)  # runs __post_init__


def _leaves(branch: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in branch.items():
        if value is None:
            continue  # space.optim.lr=null takes it out
        if not isinstance(value, Mapping):
            raise ConfigError(f"space.{path}{name} takes {{low: …, high: …}} or {{choices: […]}}, not {value!r}")
        if set(value) & set(WORDS):
            yield f"{path}{name}", value
        else:
            yield from _leaves(value, f"{path}{name}.")


def _dimension(key: str, written: dict[str, Any], config: TrainConfig) -> Dimension:
    kind = _kind(key, config)
    name = f"space.{key}"
    if unknown := set(written) - set(WORDS):
        raise ConfigError(f"{name} has no {', '.join(sorted(unknown))}; known: {', '.join(WORDS)}")
    if "choices" in written:
        choices = written["choices"]
        if len(written) > 1 or not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
            raise ConfigError(f"{name}.choices takes a list of values, and nothing beside it")
        if len(set(map(repr, choices))) < len(choices):
            raise ConfigError(f"{name}.choices names a value twice")
        return Dimension(key=key, kind=kind, choices=tuple(_value(name, kind, choice) for choice in choices))
    if kind not in (int, float):
        raise ConfigError(f"{name} is no number: give it choices")
    if not {"low", "high"} <= set(written):
        raise ConfigError(f"{name} takes low and high, or choices")
    low, high = (_value(name, kind, written[end]) for end in ("low", "high"))
    log, step = written.get("log", False), written.get("step", 1)
    assert not isinstance(low, str)
    assert not isinstance(high, str)
    if not low < high:
        raise ConfigError(f"{name}.low must be below high, not {low} and {high}")
    if log and low <= 0:
        raise ConfigError(f"{name}.low must be above 0 with log, not {low}")
    if "step" in written and (kind is float or log or not isinstance(step, int) or step < 1 or (high - low) % step):
        raise ConfigError(f"{name}.step is for whole numbers without log, and divides high - low")
    return Dimension(key=key, kind=kind, low=low, high=high, log=bool(log), step=step)


def _kind(key: str, config: TrainConfig) -> type:
    """Return the type of a setting."""
    if key.startswith(COMPARED) and key not in TUNABLE:
        raise ConfigError(f"space.{key}: trials that differ in it cannot be compared")
    part: Any = config
    *path, name = key.split(".")
    for step in path:
        part = getattr(part, step, None) if is_dataclass(part) else None
    if isinstance(part, dict):
        return float  # loss.settings, which knows its own names
    types = {field.name: field.type for field in fields(part)} if is_dataclass(part) else {}
    if name not in types:
        known = f"; known: {', '.join('.'.join((*path, other)) for other in types)}" if types else ""
        raise ConfigError(f"space.{key}: there is no such setting{known}")
    possible = get_args(types[name]) if isinstance(types[name], UnionType) else (types[name],)
    kind = next((known for known in (bool, int, float, str) if known in possible), None)
    if kind is None:
        raise ConfigError(f"space.{key}: not a number, a name or yes and no, and so not to be searched")
    return kind


def _value(name: str, kind: type, value: Any) -> Value:
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{name} takes values of type {kind.__name__}, not {value!r}")
    converted: Value = kind(value)
    return converted

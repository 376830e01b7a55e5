"""Space: a search space read from YAML, which maps sampled values to training settings."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from proxy_keras.settings import TrainConfig
from tuner.scaled_schedule import has_steps, rescale
from tuner.searching.parameter import Parameter
from tuner.searching.searchable import PROXY, changed, check_name, check_values, current_value

DEFAULT_FILE = Path(__file__).with_name("default_space.yaml")


@dataclass(frozen=True)
class Space:
    """Search space.

    Attributes:
        parameters: Parameters by name; each comes after those it depends on.
        epochs: Epochs that the schedules are meant for; None: those of the trials.
    """

    parameters: Mapping[str, Parameter]
    epochs: int | None = None

    @classmethod
    def load(cls, path: Path) -> Space:
        """Return the space of a file.

        Raises:
            ValueError: The file is not valid YAML, or an entry is invalid.
            OSError: The file cannot be read.
        """
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not valid YAML: {error}") from error
        try:
            return cls.from_dict(content)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, content: object) -> Space:
        """Return the space of the content of a space file.

        Raises:
            ValueError: An entry is invalid.
        """
        if not isinstance(content, Mapping) or set(content) - {"epochs", "parameters"}:
            raise ValueError(
                "A space has `parameters:`, and may have `epochs:`, which schedules are meant "
                f"for. Received: {content if not isinstance(content, Mapping) else list(content)}"
            )
        entries, epochs = content.get("parameters"), content.get("epochs")
        if not isinstance(entries, Mapping) or not entries:
            raise ValueError(
                f"`parameters:` of a space must name at least one setting. Received: {entries!r}"
            )
        if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, int)):
            raise ValueError(f"`epochs:` of a space is a whole number. Received: {epochs!r}")
        for name in entries:
            check_name(name)
        read = {str(name): Parameter.read(name, entry) for name, entry in entries.items()}
        for name, parameter in read.items():
            check_values(name, parameter)
        return cls(_sorted_by_dependency(read), epochs)

    def to_dict(self) -> dict[str, Any]:
        """Return the space as JSON values in canonical form."""
        return {
            "epochs": self.epochs,
            "parameters": {name: p.to_dict() for name, p in self.parameters.items()},
        }

    def without(self, fixed: Collection[str], base: TrainConfig) -> Space:
        """Return the space without fixed settings and those that become inactive.

        Args:
            fixed: Names of settings to take from `base`.
            base: Settings that all trials share. Without proxies, proxy settings are fixed too.

        Raises:
            ValueError: Nothing is left to search.
        """
        gone = {*fixed, *(PROXY if base.proxy is None else ())}
        kept: dict[str, Parameter] = {}
        for name, parameter in self.parameters.items():
            when = dict(parameter.when or {})
            # A parent that is not searched has a single value.
            settled = {parent: when.pop(parent) for parent in list(when) if parent not in kept}
            if name not in gone and all(current_value(base, p) in v for p, v in settled.items()):
                kept[name] = dataclasses.replace(parameter, when=when or None)
        if not kept:
            raise ValueError(
                "Every setting of the space is fixed by an option, so nothing is left to search. "
                f"Remove some of these options: {', '.join(sorted(self.parameters))}"
            )
        return Space(kept, self.epochs)

    def check(self, base: TrainConfig, epochs: Collection[int]) -> None:
        """Validate every choice and both ends of every range before training.

        Args:
            base: Settings that all trials share.
            epochs: All numbers of epochs that a trial may have.

        Raises:
            ValueError: A value is invalid.
        """
        for name, parameter in self.parameters.items():
            for value in parameter.samples():
                try:
                    changed(base, {name: value})
                except ValueError as error:
                    raise ValueError(f"The space offers `{name}` {value!r}: {error}") from error
        for schedule in self._schedules(base):
            for n in epochs:
                text = self._schedule(schedule, base, n)
                if not has_steps(text, n):
                    raise ValueError(
                        f"The schedule {schedule!r} makes no proxies in {n} epochs"
                        + (f" (rescaled to {text!r})." if text != schedule else ".")
                        + " Pass more --epochs, another schedule, or --no-proxy."
                    )

    def min_epochs(self, base: TrainConfig) -> int:
        """Return the smallest number of epochs in which every schedule makes proxies."""
        for n in range(1, base.epochs):
            texts = [self._schedule(schedule, base, n) for schedule in self._schedules(base)]
            if all(has_steps(text, n) for text in texts):
                return n
        return base.epochs

    def hyperparameters(self) -> Any:
        """Return the space as `HyperParameters` of KerasTuner."""
        # Imports TensorFlow, which reading a space must not wait for.
        import keras_tuner

        space = keras_tuner.HyperParameters()
        for parameter in self.parameters.values():
            with contextlib.ExitStack() as scopes:
                for name, values in self._conditions(parameter).items():
                    parent = self.parameters[name]
                    labels = [parent.label(value) for value in values]
                    scopes.enter_context(space.conditional_scope(name, labels))
                _add(space, parameter)
        return space

    def active(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return sampled values as values of settings, without inactive ones."""
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            when = parameter.when or {}
            if all(parent in values and values[parent] in v for parent, v in when.items()):
                values[name] = parameter.value(drawn[name])
        return values

    def config(self, base: TrainConfig, drawn: Mapping[str, Any], epochs: int) -> TrainConfig:
        """Return the training settings of a trial.

        Args:
            base: Settings that all trials share.
            drawn: KerasTuner's values of the active parameters.
            epochs: Epochs of the trial.

        Raises:
            ValueError: The values are incompatible.
        """
        config = changed(base, self.active(drawn))
        if config.proxy is not None:
            schedule = self._schedule(config.proxy.schedule, base, epochs)
            config = changed(config, {"schedule": schedule})
        return dataclasses.replace(config, epochs=epochs)

    def _schedules(self, base: TrainConfig) -> list[str]:
        """Return all schedules that a trial may have; empty without proxies."""
        if base.proxy is None:
            return []
        searched = self.parameters.get("schedule")
        return searched.samples() if searched else [base.proxy.schedule]

    def _schedule(self, schedule: str, base: TrainConfig, epochs: int) -> str:
        # A schedule from the command line is meant for the epochs given there.
        searched = "schedule" in self.parameters and self.epochs is not None
        made_for = self.epochs if searched and self.epochs else base.epochs
        return rescale(schedule, made_for=made_for, epochs=epochs)

    def _conditions(self, parameter: Parameter) -> dict[str, tuple[Any, ...]]:
        """Return all conditions of a parameter, those of its parents first."""
        met: dict[str, tuple[Any, ...]] = {}
        for name, values in (parameter.when or {}).items():
            met |= self._conditions(self.parameters[name]) | {name: values}
        return met


def _sorted_by_dependency(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Sort parameters so that each comes after those it depends on."""
    done: dict[str, Parameter] = {}

    def place(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"`when:` is circular: {' -> '.join((*above, name))}")
        if name in done:
            return
        for parent, values in (parameters[name].when or {}).items():
            check_name(parent)
            if parent in parameters:
                _check_condition(name, parameters[parent], values)
                place(parent, (*above, name))
        done[name] = parameters[name]

    for name in parameters:
        place(name, ())
    return done


def _check_condition(name: str, parent: Parameter, values: tuple[Any, ...]) -> None:
    if parent.kind != "choice" or any(value not in parent.values for value in values):
        raise ValueError(
            f"`when:` of `{name}` must name values that `{parent.name}` offers: "
            f"{list(parent.values) or 'none, as it is a range of numbers'}. Received: "
            f"{list(values)}"
        )


def _add(space: Any, parameter: Parameter) -> None:
    """Add a parameter to KerasTuner's space."""
    if parameter.is_bool:
        # KerasTuner starts a grid with the default, and offers a Boolean both values.
        if len(parameter.values) == 2:
            space.Boolean(parameter.name, default=parameter.values[0])
        else:
            space.Fixed(parameter.name, parameter.values[0])
    elif parameter.kind == "choice":
        space.Choice(parameter.name, list(parameter.labels))
    else:
        make = space.Int if parameter.kind == "int" else space.Float
        make(
            parameter.name,
            parameter.low,
            parameter.high,
            step=parameter.step,
            sampling="log" if parameter.is_log else "linear",
        )

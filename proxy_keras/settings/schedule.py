"""Schedules of proxy steps, as a list such as "5,p,9,p,4" or by rule, such as "every:3"."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol


@dataclass(frozen=True)
class Plan:
    """Epochs (counted from 0) of a training run with a proxy step or a clear.

    Attributes:
        steps: Epochs that end with a proxy step; -1: a step before the first epoch.
        clears: Epochs that start by clearing all proxies.
    """

    steps: frozenset[int]
    clears: frozenset[int]


class Schedule(Protocol):
    """Protocol of a schedule of proxy steps. `parse(str(schedule))` restores it."""

    @property
    def waits_for(self) -> str | None:
        """The key of the logs that a step depends on and that was never logged; None: none."""

    def plan(self, epochs: int) -> Plan:
        """Return the steps and clears of `epochs` epochs; ValueError if they do not fit."""

    def is_due(self, epoch: int, plan: Plan, logs: dict[str, Any]) -> bool:
        """Return whether a step runs at the end of `epoch`. Called once per epoch, in order."""

    def may_be_due(self, epoch: int, plan: Plan) -> bool:
        """Return, before `epoch` begins, whether a step may run at its end."""

    def get_state(self) -> dict[str, float]:
        """Return the state that a resumed run needs to decide like an uninterrupted one."""

    def set_state(self, state: dict[str, float]) -> None:
        """Restore the state from `get_state`."""

    def reset(self) -> None:
        """Reset the state for a new training run."""


class _Fixed:
    """A schedule without state, known before training starts."""

    waits_for: ClassVar[None] = None

    def is_due(self, epoch: int, plan: Plan, logs: dict[str, Any]) -> bool:
        return epoch in plan.steps

    def may_be_due(self, epoch: int, plan: Plan) -> bool:
        return epoch in plan.steps

    def get_state(self) -> dict[str, float]:
        return {}

    def set_state(self, state: dict[str, float]) -> None:
        if state:
            raise ValueError(f"{self} keeps no state. Received: {state}")

    def reset(self) -> None:
        pass


@dataclass(frozen=True)
class Segments(_Fixed):
    """The thesis's schedule: numbers are plain epochs, `p` is an epoch with a step at its end.

    Attributes:
        parts: Integers >= 1, "p", and "c" (clears all proxies; takes no epoch).
    """

    parts: tuple[int | str, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("A schedule needs at least one part, such as '5,p,4'.")
        for part in self.parts:
            is_count = isinstance(part, int) and not isinstance(part, bool) and part >= 1
            if not is_count and part not in ("p", "c"):
                raise ValueError(
                    "A schedule is made of whole numbers >= 1 (plain epochs), 'p' (an epoch with "
                    f"a proxy step at its end) and 'c' (clear). Received: {part!r} in "
                    f"{','.join(map(str, self.parts))!r}"
                )

    def plan(self, epochs: int) -> Plan:
        epoch, steps, clears = 0, set(), set()
        for part in self.parts:
            if part == "c":
                clears.add(epoch)
            else:
                epoch += part if isinstance(part, int) else 1
                if part == "p":
                    steps.add(epoch - 1)
        if epoch != epochs:
            raise ValueError(
                f"The schedule {str(self)!r} has {epoch} epochs ('p' counts as one), but training "
                f"has {epochs}. Make them equal: epochs={epoch}, or change the schedule."
            )
        for step in steps:
            if step + 1 == epochs or step + 1 in clears:
                _warn(
                    f"The proxies that {str(self)!r} makes after epoch {step + 1} are never used."
                )
        return Plan(frozenset(steps), frozenset(clears))

    def __str__(self) -> str:
        return ",".join(str(part) for part in self.parts)


@dataclass(frozen=True)
class Every(_Fixed):
    """A step at the end of every n-th epoch, except in a final share of training.

    Attributes:
        n: Epochs between steps, >= 1.
        finish: Final share of the epochs that trains on originals only, in [0, 1). All proxies
            are cleared before it.
    """

    n: int
    finish: float = 0.0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`every` needs n >= 1 epochs. Received: {self.n}")
        _check_finish(self.finish)

    def plan(self, epochs: int) -> Plan:
        last = _plain_from(self.finish, epochs)
        # Proxies made after the last epoch would never be used.
        steps = {epoch for epoch in range(self.n - 1, last, self.n) if epoch < last - 1}
        if not steps:
            _warn(f"The schedule {str(self)!r} makes no proxies in {epochs} epochs.")
        return Plan(frozenset(steps), _clears(self.finish, epochs))

    def __str__(self) -> str:
        return f"every:{self.n}" + (f",finish:{self.finish!r}" if self.finish else "")


@dataclass(frozen=True)
class Start(_Fixed):
    """One step before the first epoch, for masks that do not come from the model being trained.

    Attributes:
        finish: See `Every`.
    """

    finish: float = 0.0

    def __post_init__(self) -> None:
        _check_finish(self.finish)

    def plan(self, epochs: int) -> Plan:
        return Plan(frozenset({-1}), _clears(self.finish, epochs))

    def __str__(self) -> str:
        return "start" + (f",finish:{self.finish!r}" if self.finish else "")


@dataclass
class Plateau:
    """A step whenever a monitored loss has stopped improving.

    Attributes:
        patience: Epochs without improvement before a step, >= 1. Each step restarts the count.
            Epochs without validation, as with `validation_freq=2`, do not count.
        min_delta: Smallest decrease that counts as an improvement, >= 0.
        monitor: A key of the epoch's logs that should decrease, such as "val_loss".
    """

    patience: int = 3
    min_delta: float = 0.0
    monitor: str = "val_loss"
    _best: float = field(default=math.inf, init=False, repr=False, compare=False)
    _waited: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ValueError(f"`patience` must be >= 1. Received: {self.patience}")
        if self.min_delta < 0:
            raise ValueError(f"`min_delta` must be >= 0. Received: {self.min_delta}")

    @property
    def waits_for(self) -> str | None:
        return self.monitor if self._best == math.inf else None

    def plan(self, epochs: int) -> Plan:
        return Plan(frozenset(), frozenset())

    def is_due(self, epoch: int, plan: Plan, logs: dict[str, Any]) -> bool:
        if self.monitor not in logs and self._is_without_validation(logs):
            return False
        if self.monitor not in logs:
            raise ValueError(
                f"The schedule {str(self)!r} monitors {self.monitor!r}, which is not logged. "
                f"Logged: {', '.join(sorted(logs))}. Pass validation_data, or another monitor."
            )
        value = float(logs[self.monitor])
        if value < self._best - self.min_delta:
            self._best, self._waited = value, 0
            return False
        self._waited += 1
        if self._waited < self.patience:
            return False
        self._waited = 0
        return True

    def _is_without_validation(self, logs: dict[str, Any]) -> bool:
        """Return whether the monitor is missing because this epoch is not validated."""
        is_of_validation = self.monitor.startswith("val_")
        return is_of_validation and not any(name.startswith("val_") for name in logs)

    def may_be_due(self, epoch: int, plan: Plan) -> bool:
        return self._waited + 1 >= self.patience

    def get_state(self) -> dict[str, float]:
        return {"best": self._best, "waited": self._waited}

    def set_state(self, state: dict[str, float]) -> None:
        self._best, self._waited = float(state["best"]), int(state["waited"])

    def reset(self) -> None:
        self._best, self._waited = math.inf, 0

    def __str__(self) -> str:
        text = f"plateau:{self.patience},min_delta:{self.min_delta!r}"
        return text + (f",monitor:{self.monitor}" if self.monitor != "val_loss" else "")


def every(n: int, *, finish: float = 0.0) -> Every:
    """Return a schedule with a step at the end of every n-th epoch; see `Every`."""
    return Every(n, finish)


def start(*, finish: float = 0.0) -> Start:
    """Return a schedule with one step before the first epoch; see `Start`."""
    return Start(finish)


def plateau(patience: int = 3, min_delta: float = 0.0, *, monitor: str = "val_loss") -> Plateau:
    """Return a schedule with a step whenever `monitor` stops improving; see `Plateau`."""
    return Plateau(patience, min_delta, monitor)


def parse(schedule: str | int | Sequence[int | str] | Schedule) -> Schedule:
    """Return the schedule described by a string, a list or a schedule object.

    Args:
        schedule: "5,p,9,p,4", [5, "p", 9, "p", 4], "every:3", "every:3,finish:0.2",
            "start,finish:0.2", "plateau:3,min_delta:0.01", a number of plain epochs, or a
            schedule object.

    Raises:
        ValueError: `schedule` is none of these.
    """
    if isinstance(schedule, int):
        return Segments((schedule,))
    if isinstance(schedule, str):
        return _parse_text(schedule)
    if isinstance(schedule, Sequence):
        return Segments(tuple(schedule))
    if isinstance(schedule, (Segments, Every, Start, Plateau)):
        # A copy, because a shared schedule would share its state.
        return replace(schedule)
    raise ValueError(
        f"A schedule must be a string, a list or a schedule object. Received: {schedule!r}"
    )


def _parse_text(text: str) -> Schedule:
    words = [word.strip() for word in text.split(",")]
    if ":" not in words[0] and words[0] != "start":
        return Segments(tuple(int(w) if re.fullmatch(r"\d+", w) else w for w in words))
    options = {}
    for word in words:
        name, _, value = word.partition(":")
        options[name.strip()] = value.strip()
    kind = words[0].partition(":")[0]
    known = {"every": {"finish"}, "start": {"finish"}, "plateau": {"min_delta", "monitor"}}
    if kind not in known or set(options) - {kind} - known[kind]:
        raise ValueError(
            "A schedule must be a list such as '5,p,9,p,4', 'every:N[,finish:SHARE]', "
            "'start[,finish:SHARE]' or "
            f"'plateau:PATIENCE[,min_delta:X][,monitor:NAME]'. Received: {text!r}"
        )
    try:
        if kind == "every":
            return Every(int(options["every"]), float(options.get("finish", 0.0)))
        if kind == "start":
            if options["start"]:
                raise ValueError("`start` takes no number.")
            return Start(float(options.get("finish", 0.0)))
        return Plateau(
            int(options["plateau"]),
            float(options.get("min_delta", 0.0)),
            options.get("monitor", "val_loss"),
        )
    except ValueError as error:
        raise ValueError(f"Invalid schedule {text!r}: {error}") from error


def _check_finish(finish: float) -> None:
    if not 0.0 <= finish < 1.0:
        raise ValueError(f"`finish` must be in [0, 1). Received: {finish}")


def _plain_from(finish: float, epochs: int) -> int:
    """Return the first epoch of the final share that trains on originals only."""
    return epochs - math.ceil(finish * epochs - 1e-9)


def _clears(finish: float, epochs: int) -> frozenset[int]:
    last = _plain_from(finish, epochs)
    return frozenset({last} if last < epochs else ())


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)

"""ProxyAttention: the callback that replaces training images with proxies during `fit`."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from proxy_keras.attribution.target import ScoreFunction
from proxy_keras.augment.dataset_statistics import mean_colour
from proxy_keras.augment.inpainting import check_inpainting
from proxy_keras.cues.cues import Cues
from proxy_keras.data.proxy_maker import NEED_COLOUR, Attenuation
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.distribution import Team
from proxy_keras.objects.object_masks import ObjectMasks
from proxy_keras.proxy import selection
from proxy_keras.proxy.cue_masks import NOT_SAVED, CueMasks, make_masks, source_text
from proxy_keras.proxy.cue_step import CueStep
from proxy_keras.proxy.epoch_record import EpochRecord
from proxy_keras.proxy.freshness import FeedWatch
from proxy_keras.proxy.heatmap_filter import HeatmapFilter
from proxy_keras.proxy.model_check import check_model
from proxy_keras.proxy.proxy_step import ProxyStep, make_explainer
from proxy_keras.proxy.step_log import StepLog, StepSummary
from proxy_keras.settings import ProxyConfig, arguments_text, declared
from proxy_keras.settings.proxy_config import OUTSIDE
from proxy_keras.settings.schedule import Plan, Schedule, parse

SETTINGS = declared(ProxyConfig)


class ProxyAttention(keras.callbacks.Callback):
    """Callback that replaces training images with copies attenuated where the model looked.

    At the end of each scheduled epoch the model classifies the original training images. The
    selected ones (by default a fifth of the misclassified) are explained by a heatmap, and from
    the next epoch on the data pipeline serves them with the hot pixels attenuated. Originals never
    change, a proxy replaces its original 1:1, and validation and test images are not touched. A
    proxy step runs on a float32 copy of the model and leaves the model unchanged.

    ```python
    data = proxy_keras.ImageData.from_folder("photos", image_size=224, seed=0)
    proxy = proxy_keras.ProxyAttention(data.train, schedule="5,p,9,p,4")
    model.fit(data.train.batches(64), validation_data=data.val.batches(64), epochs=20,
              callbacks=[proxy])
    ```

    Args:
        data: The training split whose `batches` are passed to `fit`.
        <settings>
        objects: With `cues="outside"` or "background": where the object is in some training images;
            None: as the data say.
        batch_size: Images per batch in the proxy step.
        log_dir: TensorBoard directory for scalars and a picture of proxies; None: not written.
        sheet_dir: Directory for the same picture as one PNG per step; None: not written.
        verbose: 1: a progress bar and a line per step; 0: silent.
        team: The processes that share the work of a step; None: this process does it all.

    Raises:
        MissingExtra: `log_dir` or `sheet_dir` is given without the packages of the extra `train`,
            or inpainting or cues are asked for without those of the extra `cues`.
        ValueError: A setting is invalid (at once), the schedule does not fit `epochs` or the model
            has no layer to explain (when training begins), or the dataset passed to `fit` would
            serve stale proxies (at the first batch of that epoch).

    Source: S. Mukherjee, Proxy Attention (thesis, Groningen, 2023).
    """

    # The settings are documented where they are declared.
    __doc__ = str(__doc__).replace("<settings>", arguments_text(ProxyConfig, indent=8))

    def __init__(
        self,
        data: TrainSplit,
        schedule: str | Sequence[int | str] | Schedule | None = None,
        method: str = ProxyConfig.method,
        *,
        threshold: float = ProxyConfig.threshold,
        weight: float = ProxyConfig.weight,
        subset: selection.Share = ProxyConfig.subset,
        replacement: str | None = None,
        select: str = ProxyConfig.select,
        explain: str | ScoreFunction = ProxyConfig.explain,
        wrong_from: str = ProxyConfig.wrong_from,
        region: str = ProxyConfig.region,
        max_area: float | None = ProxyConfig.max_area,
        smooth: float = ProxyConfig.smooth,
        clear_every_step: bool = ProxyConfig.clear_every_step,
        keep_epochs: int | None = ProxyConfig.keep_epochs,
        show: float | None = None,
        show_from: float | None = ProxyConfig.show_from,
        agree: bool = ProxyConfig.agree,
        spare: float | None = ProxyConfig.spare,
        engine: str = ProxyConfig.engine,
        target_layer: str | None = ProxyConfig.target_layer,
        control: str | None = ProxyConfig.control,
        method_options: Mapping[str, Any] | None = None,
        cues: Cues | str | Path | None = None,
        cue_action: str = ProxyConfig.cue_action,
        cue_rate: float | None = ProxyConfig.cue_rate,
        keep_donors: bool = ProxyConfig.keep_donors,
        cue_evidence: float = ProxyConfig.cue_evidence,
        cue_outside: float = ProxyConfig.cue_outside,
        object_share: float = ProxyConfig.object_share,
        original_weight: float = ProxyConfig.original_weight,
        objects: ObjectMasks | None = None,
        batch_size: int = 64,
        log_dir: str | Path | None = None,
        sheet_dir: str | Path | None = None,
        verbose: int = 1,
        team: Team | None = None,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in SETTINGS}
        super().__init__()
        if not isinstance(data, TrainSplit):
            raise ValueError(
                "ProxyAttention needs the training split of an ImageData. Received: "
                f"{type(data).__name__}. Pass `data.train`, and `data.train.batches(...)` to fit."
            )
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be >= 1. Received: {batch_size}")
        # `config` can be saved as JSON, so callables and cues are kept outside it.
        settings["method_options"] = dict(method_options or {})
        settings["cues"] = source_text(cues)
        for name in ("schedule", "replacement", "show"):
            if settings[name] is None:
                del settings[name]
        if schedule is not None:
            settings["schedule"] = str(parse(schedule))
        for name in ("subset", "explain"):
            if callable(settings[name]):
                del settings[name]
        self.config = ProxyConfig(**settings)
        if self.config.replacement == "inpaint":
            check_inpainting()
        self._schedule = parse(self.config.schedule)
        self.data = data
        self.data.original_weight = self.config.original_weight
        self.steps: list[StepSummary] = []
        self._heatmap_filter = HeatmapFilter(self.config, data)
        self._subset = subset
        self._explain = explain
        self._batch_size = batch_size
        self._log = StepLog(
            None if log_dir is None else Path(log_dir),
            None if sheet_dir is None else Path(sheet_dir),
            shows_cues=self.config.cues is not None,
        )
        self._verbose = verbose
        self._team = Team() if team is None else team
        self._masks: CueMasks | None = None
        if cues is not None:
            self._masks = make_masks(
                cues,
                data,
                self.config,
                objects,
                batch_size=batch_size,
                verbose=verbose,
                team=self._team,
            )
        if objects is not None and not self.config.needs_objects:
            raise ValueError("`objects` needs `cues='outside'` or 'background'; leave it out.")
        self._plan = Plan(frozenset(), frozenset())
        self._step: ProxyStep | CueStep | None = None
        self._record: EpochRecord | None = None
        self._explained: keras.Model | None = None
        self._watch = FeedWatch(data)
        self._is_restored = False
        self._is_first = True
        self._first_step: StepSummary | None = None

    @classmethod
    def from_settings(cls, data: TrainSplit, config: ProxyConfig, **options: Any) -> Self:
        """Create the callback from a config; `options` are the remaining arguments."""
        return cls(data, **config.to_dict(), **options)

    def get_config(self) -> dict[str, Any]:
        """Return every argument except the data, the team and the objects as plain values.

        Raises:
            ValueError: The cues are not saved in a folder.
        """
        if self.config.cues == NOT_SAVED:
            raise ValueError("Save the cues first, with `cues.save(folder)`.")
        functions = {"subset": self._subset, "explain": self._explain}
        return {
            **self.config.to_dict(),
            **{
                name: keras.saving.serialize_keras_object(value)
                for name, value in functions.items()
                if callable(value)
            },
            "batch_size": self._batch_size,
            "log_dir": None if self._log.log_dir is None else str(self._log.log_dir),
            "sheet_dir": None if self._log.sheet_dir is None else str(self._log.sheet_dir),
            "verbose": self._verbose,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, data: TrainSplit) -> Self:
        """Create the callback for a training split from the result of `get_config`."""
        values = dict(config)
        for name in ("subset", "explain"):
            if isinstance(values[name], Mapping):
                values[name] = keras.saving.deserialize_keras_object(values[name])
        return cls(data, **values)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy for another `fit` on the same data, as tuners make it for each trial.

        It shares the data, the cues and the functions, and starts without steps.
        """
        other = copy.copy(self)
        memo[id(self)] = other
        other._schedule = parse(str(self._schedule))
        other._heatmap_filter = HeatmapFilter(self.config, self.data)
        other._watch = FeedWatch(self.data)
        other._step = other._record = other._explained = other._first_step = None
        other.steps, other._is_restored = [], False
        return other

    def get_state(self) -> tuple[dict[str, NDArray[np.generic]], dict[str, Any]]:
        """Return the proxies as arrays and the rest as JSON values, for a checkpoint."""
        rest = {
            "schedule": self._schedule.get_state(),
            "steps": [asdict(step) for step in self.steps],
        }
        return self.data.store.get_state() | self._heatmap_filter.get_state(), rest

    def set_state(
        self, proxies: Mapping[str, NDArray[np.generic]], rest: Mapping[str, Any]
    ) -> None:
        """Restore the state from `get_state`."""
        self.data.store.set_state(proxies)
        self._heatmap_filter.set_state(proxies)
        self._schedule.set_state(rest["schedule"])
        self._is_restored = True
        self.steps = [StepSummary(**step) for step in rest["steps"]]

    def prepare(self, model: keras.Model, epochs: int) -> None:
        """Check that the schedule fits `epochs` and that the model can be explained.

        `fit` calls this when it begins; call it earlier to find mistakes before training.

        Raises:
            ValueError: The schedule does not fit, or the model has no layer to explain.
        """
        self._plan = self._schedule.plan(epochs)
        if -1 in self._plan.steps and self.config.wrong_from == "train":
            raise ValueError(
                "`wrong_from='train'` records training steps, but the schedule "
                f"{str(self._schedule)!r} has a step before the first. Use "
                "wrong_from='evaluation'."
            )
        self._prepare_for(model)

    def set_model(self, model: keras.Model) -> None:
        """Set the model, and record its training steps if `wrong_from` is "train"."""
        super().set_model(model)
        self._prepare_for(model)
        if self._record is not None:
            self._record.attach()

    def _prepare_for(self, model: keras.Model) -> None:
        if self._explained is model:
            return
        self._explained = model
        config = self.config
        records = config.wrong_from == "train"
        reads_images = config.cues == OUTSIDE if self._masks is not None else not records
        check_model(model, self.data, reads_images=reads_images)
        if self._masks is not None:
            self._step = CueStep(
                self.data, config, self._masks, model, batch_size=self._batch_size, log=self._log
            )
            return
        explainer = make_explainer(model, config, self._explain)
        self._record = None
        if config.wrong_from == "train":
            self._record = EpochRecord(self.data, explainer)
        else:
            # Fail now rather than hours into training.
            explainer.prepare()
        self._step = ProxyStep(
            self.data,
            config,
            self._subset,
            explainer,
            batch_size=self._batch_size,
            log=self._log,
            verbose=self._verbose,
            team=self._team,
            heatmap_filter=self._heatmap_filter,
            recorded=None if self._record is None else self._record.predictions,
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Prepare for the model and the number of epochs passed to `fit`."""
        self.prepare(self.model, self.params["epochs"])
        config = self.config
        self.data.attenuation = Attenuation(
            config.weight,
            config.replacement,
            colour=self._colour(),
            is_spread=config.spreads,
            any_donor=config.control == "any_donor",
            keeps_donors=config.keep_donors,
        )
        self._is_first = True
        self._watch.begin_training()

    def _colour(self) -> tuple[float, float, float]:
        """Return the mean colour of the training images where it is needed."""
        if self.config.replacement not in NEED_COLOUR:
            return Attenuation.colour
        red, green, blue = mean_colour(self.data).tolist()
        return red, green, blue

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Clear and expire proxies that are due, and draw which ones are shown."""
        store = self.data.store
        if epoch == 0:
            self.steps = []
            self._schedule.reset()
            self._heatmap_filter.clear()
        if epoch == 0 or epoch in self._plan.clears:
            store.clear()
        missed = [step for step in self._plan.steps if step < epoch and epoch > 0]
        if self._is_first and missed and not self.steps and not self._is_restored:
            warnings.warn(
                f"Training resumes at epoch {epoch + 1} without the proxies of earlier steps "
                f"({len(missed)}). Save `get_state()` with your checkpoint and pass it to "
                "`set_state()` before `fit`.",
                UserWarning,
                stacklevel=2,
            )
        self._is_first = False
        if epoch == 0 and -1 in self._plan.steps:
            self._first_step = self._run_and_report(-1)
        if self.config.keep_epochs is not None:
            store.expire(born_before=epoch - self.config.keep_epochs)
        self.data.update_donors()
        store.draw_shown(epoch, show=self._show_probability(epoch))
        self._watch.begin_epoch(epoch)
        if self._record is not None:
            self._record.begin(self._schedule.may_be_due(epoch, self._plan))

    def _show_probability(self, epoch: int) -> float:
        config = self.config
        if config.control == "proxies_off":
            return 0.0
        if config.show_from is None:
            return config.show
        share = epoch / max(self.params["epochs"] - 1, 1)
        return config.show_from + (config.show - config.show_from) * share

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Expect the dataset of this epoch at its first batch."""
        replicas = self.model.distribute_strategy.num_replicas_in_sync
        self._watch.begin_batch(is_distributed=replicas > 1)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop training if the dataset would not show the proxies of this epoch."""
        self._watch.end_batch(self.params["steps"])
        if self._record is not None and self._watch.feed is not None:
            self._record.add(self._watch.feed)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the model's own training step if its steps were recorded."""
        if self._record is not None:
            self._record.detach()
        # Epochs without validation are no error, but training without any is a mistake.
        if name := self._schedule.waits_for:
            warnings.warn(
                f"No proxies were made: the schedule {str(self._schedule)!r} waits for {name}, "
                "which was never logged. Pass validation_data to `fit`, or another monitor.",
                UserWarning,
                stacklevel=2,
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Run a proxy step if one is due, and log it."""
        self._watch.check(self.params["steps"])
        logs = {} if logs is None else logs
        # That of the first epoch may have run before it.
        step, self._first_step = self._first_step, None
        if self._schedule.is_due(epoch, self._plan, logs):
            step = self._run_and_report(epoch)
        if self._verbose and (name := self._schedule.waits_for):
            tqdm.write(f"no {name} yet, for which the schedule waits")
        # The same keys every epoch: CSVLogger and others fix their columns after the first.
        logs["proxies"] = len(self.data.store)
        for name in StepSummary.numbers():
            logs[f"proxy_{name}"] = 0 if step is None else getattr(step, name)

    def _run_and_report(self, epoch: int) -> StepSummary:
        step = self.run_step(epoch)
        self.steps.append(step)
        if self._verbose:
            tqdm.write(str(step))
        return step

    def run_step(self, epoch: int) -> StepSummary:
        """Run a proxy step now: classify, select, explain, store. `fit` calls it when it is due.

        Args:
            epoch: The epoch that has just ended, counted from 0; -1: before the first. Seeds the
                draw.

        Returns:
            A summary of the step.
        """
        if self._step is None:
            raise RuntimeError("Call `run_step` inside `fit`, or after `prepare(model, epochs)`.")
        return self._step.run(epoch)

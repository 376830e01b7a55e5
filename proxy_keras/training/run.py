"""One training run, from its settings to a run folder."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras

from proxy_keras.data import ImageData
from proxy_keras.distribution import Team, make_team
from proxy_keras.io.atomic_files import write_atomically, write_text_atomically
from proxy_keras.io.extras import extra
from proxy_keras.io.saved_model import open_saved
from proxy_keras.models import freeze_backbone
from proxy_keras.proxy.callback import ProxyAttention
from proxy_keras.settings import TrainConfig
from proxy_keras.training.checkpoint import CheckpointFolder, RunCheckpoint
from proxy_keras.training.count_epochs import CountEpochs
from proxy_keras.training.determinism import (
    is_deterministic,
    resume_note,
    set_determinism,
    summary,
)
from proxy_keras.training.fit_phase import train_head
from proxy_keras.training.fitting import (
    augmentation,
    compile_model,
    latent_mixing,
    map_provider,
)
from proxy_keras.training.heatmap_providers import FrozenTeacher, RefreshMaps
from proxy_keras.training.known_objects import known_objects
from proxy_keras.training.measured_settings import with_measured
from proxy_keras.training.portable_model import save_portable
from proxy_keras.training.robust.method import RobustTraining
from proxy_keras.training.robust.registry import check_source, robust_training
from proxy_keras.training.run_folder import has_begun
from proxy_keras.training.run_report import about, log_settings, write_results
from proxy_keras.training.selected_epochs import SelectedEpochs
from proxy_keras.training.starting_network import StartingNetwork
from proxy_keras.training.validation_counts import ValidationCounts


@dataclass
class Run:
    """A prepared training run: everything checked, nothing trained.

    Attributes:
        folder: The run folder.
        config: The settings, with every "auto" resolved.
        data: The images and their split.
        model: The network, with its initial weights.
        proxy: The callback; None: plain training.
        team: The devices that train.
        maps: The callback that makes heatmaps for augmentations; None: they need none.
        robust: What the method against spurious correlations adds.
    """

    folder: Path
    config: TrainConfig
    data: ImageData
    model: keras.Model
    proxy: ProxyAttention | None
    robust: RobustTraining[Any]
    team: Team = field(default_factory=Team)
    maps: RefreshMaps | FrozenTeacher | None = None


def load_data(config: TrainConfig, folder: Path | None, *, progress: bool = True) -> ImageData:
    """Load the images of a run and their split.

    Args:
        config: The settings.
        folder: The run folder whose saved split is used; None: draw the split.
        progress: Show progress bars.

    Raises:
        ValueError, OSError: The data cannot be used, or no longer match the saved split.
    """
    data = ImageData.from_source(
        config.data.source,
        **{k: v for k, v in config.data.to_dict().items() if k != "source"},
        split_dir=folder,
        progress=progress,
    )
    data.train.reseed(config.seed)
    return data


def prepare(config: TrainConfig, folder: Path, *, verbose: int = 1) -> Run:
    """Check settings, data and model, and start the run folder.

    Sets the global seeds and the global dtype policy. If the folder holds a run, its saved split is
    used. Several workers wait for each other here; only the chief writes.

    Args:
        config: The settings.
        folder: The run folder. It gets `config.json`, `run.json`, `split.csv` and its hash,
            `labels.json` and `skipped.csv`.
        verbose: 0: silent.

    Returns:
        The run, ready to train.

    Raises:
        MissingExtra: A package of the extra `train` is not installed.
        ValueError, OSError: Settings, data or weights cannot be used; the message says what to do.
    """
    # Checked now rather than at the end of training.
    with extra("train"):
        import matplotlib  # noqa: F401
        import sklearn  # noqa: F401
        import tensorboard  # noqa: F401
    # Read before the workers meet, while the chief has written nothing.
    begun = has_begun(folder)
    team = make_team(config.strategy, config.replicas)
    verbose = verbose if team.is_chief else 0
    config.check_schedule()
    augmentation(config)
    check_source(config)
    start = StartingNetwork(config, team)
    config = start.config
    # After the checks, which could otherwise use random numbers meant for the initial weights.
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_dtype_policy(config.precision)
    data = load_data(config, folder if begun else None, progress=bool(verbose))
    if verbose:
        print(data.describe())
    epochs_done = CheckpointFolder.of(folder).epochs_done()
    config = dataclasses.replace(
        config,
        replicas=None if team.parts is None else team.replicas,
        data=dataclasses.replace(config.data, image_size=data.image_size),
    )
    team.check_agreement(
        {
            **config.compared(),
            "split": data.split_sha256,
            "epochs done": epochs_done,
        }
    )
    robust = robust_training(config, data, folder, verbose=verbose)
    # A checkpoint brings its own weights.
    model = start.model(data, weights="none" if epochs_done else config.weights, verbose=verbose)
    if config.freeze:
        freeze_backbone(model, before=config.first_trained)
    robust.check_model(model)
    folder.mkdir(parents=True, exist_ok=True)
    config = with_measured(config, model, data, folder, verbose=verbose)
    team.check_batch_size(int(config.batch_size))
    proxy = None
    if config.proxy is not None:
        proxy = ProxyAttention.from_settings(
            data.train,
            config.proxy,
            batch_size=int(config.batch_size),
            log_dir=folder / "tensorboard" / "proxies" if team.is_chief else None,
            sheet_dir=folder / "sheets" if team.is_chief else None,
            verbose=verbose,
            team=team,
            objects=(
                known_objects(config, data, verbose=verbose) if config.proxy.needs_objects else None
            ),
        )
        proxy.prepare(model, config.epochs)
    maps = map_provider(config, data.train, model, verbose=verbose, team=team)
    if not begun and team.is_chief:
        data.save(folder)
        facts = json.dumps(about(model, data, config), indent=2)
        write_text_atomically(folder / "run.json", facts + "\n")
        log_settings(config, folder)
        # Last, because its presence marks a folder that holds a run.
        write_atomically(folder / "config.json", config.save)
    return Run(folder, config, data, model, proxy, robust, team, maps)


def train(run: Run, *, verbose: int = 1) -> dict[str, Any]:
    """Train a prepared run to its end, resuming from its last checkpoint.

    Makes TensorFlow's operations deterministic in the whole process, unless `determinism` is off:
    the same settings give the same weights, bit for bit, interrupted or not (on one kind of
    processor).

    Args:
        run: What `prepare` returned.
        verbose: 1: progress bars where there is a terminal; 0: silent.

    Returns:
        The content of `metrics.json`.

    Raises:
        FloatingPointError: Training has diverged, so that a proxy step cannot explain the network.
        WorkerLost: Another worker has stopped.
    """
    config, data, model, team = run.config, run.data, run.model, run.team
    set_determinism(config)
    verbose = verbose if team.is_chief else 0
    keras_verbose = 0 if not verbose else 1 if sys.stdout.isatty() else 2
    groups = data.val.groups
    counts = ValidationCounts(data.classes, groups.names if groups.is_known else ())
    checkpoint = RunCheckpoint(run.folder, run.proxy, run.maps, robust=run.robust, counts=counts)
    fit_input = None
    if not checkpoint.exists:
        fit_input = run.robust.make_input(model, config, team)
        train_head(
            model,
            config,
            data,
            fit_input,
            team,
            callbacks=[
                *([run.maps] if isinstance(run.maps, FrozenTeacher) else []),
                *latent_mixing(config),
            ],
            verbose=keras_verbose,
        )
        run.robust.begin(model, config, fit_input, verbose=keras_verbose)
    with team.scope():
        compile_model(model, config, config.epochs, len(data.train))
    done = checkpoint.resume(model)
    if done and verbose:
        print(f"Resuming after epoch {done}/{config.epochs}")
        note = resume_note(checkpoint.determinism, now=is_deterministic())
        if note is not None and done < config.epochs:
            print(note)
    # Features are those of the frozen weights, which come from the checkpoint.
    fit_input = fit_input or run.robust.make_input(model, config, team)
    run.robust.attach(fit_input)
    if done < config.epochs:
        writers = [keras.callbacks.TensorBoard(run.folder / "tensorboard"), checkpoint]
        with team.training(model) as first, fit_input.accepted_by(model):
            model.fit(
                fit_input.training(),
                validation_data=fit_input.validation(with_groups=groups.is_known),
                epochs=config.epochs,
                initial_epoch=done,
                verbose=keras_verbose,
                shuffle=False,
                callbacks=[
                    *first,
                    CountEpochs(data.train) if run.proxy is None else run.proxy,
                    *fit_input.callbacks(),
                    *latent_mixing(config),
                    *([] if run.maps is None else [run.maps]),
                    counts,
                    *(writers if team.is_chief else []),
                ],
            )
    run.robust.finish(model, config, fit_input, verbose=keras_verbose)
    metrics = None
    if team.is_chief:
        save_portable(model, run.folder / "model.keras")
        # A model under a strategy would predict once per device.
        whole = model if team.strategy is None else open_saved(run.folder).model
        metrics = write_results(
            run.folder,
            config,
            data,
            whole,
            partial(fit_input.logits, whole),
            [] if run.proxy is None else run.proxy.steps,
            run.robust.report(),
            SelectedEpochs(run.folder) if run.robust.changes_last_epoch else checkpoint.selected,
            seconds=sum(checkpoint.seconds) + fit_input.seconds + run.robust.seconds,
            cpu_seconds=sum(checkpoint.cpu_seconds)
            + fit_input.cpu_seconds
            + run.robust.cpu_seconds,
            fit_seconds=checkpoint.fit_seconds,
            determinism=summary(checkpoint.determinism),
        )
    return team.from_chief(metrics)

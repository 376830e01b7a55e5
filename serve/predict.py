"""`python -m serve.predict`: predictions of an exported model for image files, with scores."""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from serve.command import needs_packages

with needs_packages(__name__):
    from tqdm import tqdm

    from serve import benchmark
    from serve.atomic_file import atomic_file
    from serve.files import ImageFile
    from serve.model import Model
    from serve.output_target import descriptor_of
    from serve.overlay_files import OverlayFolder
    from serve.predict_options import check_outputs, output_files, parse
    from serve.prediction import is_marked
    from serve.scores import ScoreAccumulator, Scores
    from serve.selection import Selection, select, select_split
    from serve.split_file import SUBSETS
    from serve.stream import Result, predict_files
    from serve.writers import (
        CsvFile,
        JsonFile,
        Table,
        Writer,
        shown,
        write_confusion,
    )

DONE, SOME_BAD, ERROR, INTERRUPTED = 0, 1, 2, 130
STDOUT = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code; see the end of `--help`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A class name that the terminal cannot encode must not stop the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    given = parse(arguments)
    # Tables and notes must not end up in the middle of the answers.
    is_output = STDOUT in map(descriptor_of, output_files(given).values())
    text = redirect_stdout(sys.stderr) if is_output else nullcontext()
    try:
        with text:
            code = _run(given)
        # At the interpreter's exit, an error could not be handled any more.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader closed the pipe; the interpreter's last flush would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("interrupted: only finished overlays were written", file=sys.stderr)
        return INTERRUPTED


def _run(given: argparse.Namespace) -> int:
    model = Model(given.model, device=given.device, threads=given.threads)
    if given.overlay is not None and not model.card.has_heatmap:
        raise ValueError(
            f"{given.model!r} has no heatmaps to overlay. Export the model with --explain "
            "grad_cam, or omit --overlay."
        )
    if given.max_ticked is not None and not model.card.cues:
        raise ValueError(
            f"--max-ticked needs a model with cues. {given.model!r} has none. Export the model "
            "with --cues DIR, or omit --max-ticked."
        )
    if given.split is None:
        selection = select(given.paths, model.card, labelled=given.labelled)
    else:
        subset = given.subset or SUBSETS[0]
        selection = select_split(given.paths, model.card, split=given.split, subset=subset)
    if not selection.files and not selection.bad:
        raise ValueError(
            f"No images in {', '.join(given.paths)}. {' '.join(selection.notes)}".strip()
        )
    check_outputs(output_files(given), [file.path for file in selection.files])
    if given.confusion is not None and not selection.is_labelled:
        raise ValueError(
            "--confusion needs the true classes: one folder ROOT/CLASS/*, or --split. "
            + " ".join(selection.notes)
        )
    if not given.quiet:
        print(f"{model.card.name}: {model.device_note}", file=sys.stderr)
    for note in selection.notes:
        print(note)
    if given.benchmark:
        throughput = benchmark.measure(
            model, selection.files, batch_size=given.batch_size, workers=given.workers
        )
        print(
            benchmark.to_text(throughput, model, batch_size=given.batch_size, workers=given.workers)
        )
        return DONE
    return _predict(model, selection, given)


def _predict(model: Model, selection: Selection, given: argparse.Namespace) -> int:
    """Predict all files, write the requested output, and return the exit code."""
    labels = model.card.labels
    overlays = OverlayFolder(given.overlay, selection.files) if given.overlay is not None else None
    accumulator = ScoreAccumulator(labels)
    answered = bad = marked = 0
    cues = [cue.name for cue in model.card.cues]
    limit = given.max_ticked
    began = time.perf_counter()
    with _open(given.json) as json_target, _open(given.csv) as csv_target:
        writers: list[Writer] = []
        if not given.quiet:
            paths = [file.path for file in selection.files]
            writers.append(
                Table(paths, labels, selection.is_labelled, has_cues=bool(cues), max_ticked=limit)
            )
        if csv_target is not None:
            writers.append(CsvFile(csv_target, given.top_k, labels, cues=cues, max_ticked=limit))
        json_file = None
        if json_target is not None:
            json_file = JsonFile(json_target, _head(model), labels, max_ticked=limit)
            writers.append(json_file)
        for result in tqdm(
            _results(model, selection, overlays, given),
            total=len(selection.bad) + len(selection.files),
            unit="image",
            file=sys.stderr,
            # None disables it only outside a terminal.
            disable=True if given.quiet else None,
        ):
            if result.error is not None:
                bad += 1
                _report_bad(result, given)
            if result.logits is not None:
                answered += 1
                marked += bool(is_marked(result.ticked_share, limit))
                if result.file.label_id is not None:
                    accumulator.add(result.logits, result.file.label_id)
            for writer in writers:
                writer.add(result)
        scores = accumulator.scores() if len(accumulator) else None
        if json_file is not None:
            scored = None if scores is None else scores.to_dict()
            counts = {"answered": answered, "bad": bad}
            counts |= {"marked": marked} if limit is not None else {}
            json_file.close({**counts, "scores": scored})
    if scores is not None and given.confusion is not None:
        write_confusion(given.confusion, scores.confusion, labels)
    _print_summary(model, scores, answered, bad, time.perf_counter() - began, given)
    if limit is not None:
        print(
            f"marked: {marked:,} of {answered:,} answers; more than {limit:.0%} of their evidence "
            "is on cues ticked as not the object"
        )
    return SOME_BAD if bad else DONE


def _open(path: Path | None) -> AbstractContextManager[BinaryIO | None]:
    return nullcontext() if path is None else atomic_file(path)


def _results(
    model: Model,
    selection: Selection,
    overlays: OverlayFolder | None,
    given: argparse.Namespace,
) -> Iterator[Result]:
    unopened = (Result(ImageFile(bad.path, bad.path), error=bad.reason) for bad in selection.bad)
    answers = predict_files(
        model,
        selection.files,
        k=given.top_k,
        batch_size=given.batch_size,
        workers=given.workers,
        finish=None if overlays is None else overlays.write,
    )
    return chain(unopened, answers)


def _report_bad(result: Result, given: argparse.Namespace) -> None:
    """Print a bad file on stderr.

    Raises:
        ValueError: `--strict` was given.
    """
    path = shown(result.file.path)
    if given.strict:
        raise ValueError(f"{path} cannot be used: {result.error}. Remove it, or omit --strict.")
    tqdm.write(f"bad file {path}: {result.error}", file=sys.stderr)


def _head(model: Model) -> dict[str, Any]:
    """Return the entries of the JSON file before the answers."""
    card = asdict(model.card)
    if not model.card.cues:
        del card["cues"]
    return {
        "model": {"file": str(model.path), **card},
        "device": model.device,
        "device_note": model.device_note,
    }


def _print_summary(
    model: Model,
    scores: Scores | None,
    answered: int,
    bad: int,
    seconds: float,
    given: argparse.Namespace,
) -> None:
    if scores is not None:
        print(f"\n{scores.to_text()}\n")
        if model.card.test_accuracy is not None:
            print(f"test accuracy in the model's file: {model.card.test_accuracy:.2%}")
    print(f"images answered: {answered:,} in {seconds:.1f} s; bad files: {bad:,}")
    written = {"answers": given.json, "rows": given.csv, "overlays": given.overlay}
    if scores is not None:
        written["confusion matrix"] = given.confusion
    for what, path in written.items():
        if path is not None:
            print(f"{what}: {path}")


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tuner.study`: arms under equal conditions, with seeds, controls and statistics."""

from __future__ import annotations

import argparse
import dataclasses
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import MissingExtra, command_extra, extra
from proxy_keras.io.program_name import program_name
from proxy_keras.io.quiet_start import add_verbose_option
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.options import add_config_option, add_train_options, build_config
from proxy_keras.training.selections import LAST, MEASURES, SELECTIONS
from tuner.job import TRAINING

with command_extra("tuner", __name__):
    from tuner.comparing.arm_names import PLAIN, PROXY_ARM
    from tuner.comparing.arms import Arm, make_arms, split_arms

CLEAN, ORIGINAL = "clean", "original"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; training settings that are not given are absent from its result."""
    parser = argparse.ArgumentParser(
        prog=program_name("tuner.study"),
        description="Compare recipes under equal conditions: the same split, the same initial "
        "weights per seed and the same number of steps, with controls and statistics. Run the same "
        "command again to resume.",
        argument_default=argparse.SUPPRESS,
    )
    study = parser.add_argument_group("study")
    study.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the study")
    study.add_argument(
        "--arms",
        default=PROXY_ARM,
        metavar="A,B,C",
        help="none, proxy, random_mask, erasing, proxies_off, with a preset as in proxy:shortcut, "
        "an augmentation, a robust method such as jtt, both as in proxy+class_balanced, or a YAML "
        "file of recipes (default: proxy)",
    )
    study.add_argument(
        "--controls",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="add all controls of each proxy arm; none is always included (default: on)",
    )
    study.add_argument(
        "--compare",
        nargs=2,
        action="append",
        default=[],
        metavar=("ARM", "OTHER"),
        help="a further planned comparison; can be repeated (default: each arm with none, and each "
        "proxy arm with its controls)",
    )
    study.add_argument(
        "--seeds", type=int, default=5, metavar="K", help="runs per arm (default: 5)"
    )
    study.add_argument(
        "--first-seed", type=int, default=0, metavar="I", help="the first seed (default: 0)"
    )
    study.add_argument(
        "--protocol",
        choices=(CLEAN, ORIGINAL),
        default=CLEAN,
        help="original: compare the thesis's leaking protocol with the clean one",
    )
    study.add_argument(
        "--effect",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="the effect that the study should detect (default: 1.0)",
    )
    study.add_argument(
        "--measure",
        choices=("auto", *MEASURES),
        default="auto",
        help="what arms are compared by, on the test split (default: worst_group_accuracy where "
        "groups are known, else accuracy)",
    )
    study.add_argument(
        "--selection",
        choices=(LAST, *SELECTIONS),
        default=LAST,
        help="the epoch that is compared: the last one, or that with the best worst class or worst "
        "group of the validation images (default: last)",
    )
    study.add_argument(
        "--workers", type=int, default=1, metavar="N", help="parallel runs (default: 1)"
    )
    study.add_argument("--title", metavar="TEXT", help="title of the report")
    study.add_argument("--quiet", action="store_true", default=False, help="print only the verdict")
    add_config_option(study)
    add_verbose_option(study)
    add_train_options(parser)
    return parser


def plan_arms(
    given: dict[str, Any], base: TrainConfig, options: dict[str, Any]
) -> tuple[list[Arm], dict[str, str]]:
    """Return the arms that the options describe, and the training module of each, by name."""
    if options["seeds"] < 1:
        raise ValueError(f"`--seeds` must be >= 1. Received: {options['seeds']}")
    if options["workers"] < 1:
        raise ValueError(f"`--workers` must be >= 1. Received: {options['workers']}")
    if not 0 < options["effect"] < math.inf:
        raise ValueError(f"`--effect` must be > 0 and finite. Received: {options['effect']}")
    if {"no_proxy", "control", "robust"} & set(given):
        raise ValueError(
            "A study has arms instead of `--no-proxy`, `--control` and `--robust`. Use --arms."
        )
    if "auto" in (base.batch_size, base.lr):
        raise ValueError(
            "The arms of a study share batch size and learning rate. Pass numbers instead of "
            "'auto'."
        )
    if "seed" in given:
        raise ValueError("A study runs several seeds. Use --seeds and --first-seed.")
    if options["protocol"] == ORIGINAL:
        if options["compare"]:
            raise ValueError("`--compare` is for `--protocol clean`. Leave it out.")
        from tuner.comparing import leakage

        return leakage.make_arms(base)
    arms = make_arms(split_arms(options["arms"]), base, controls=options["controls"])
    return arms, {arm.name: TRAINING for arm in arms}


def plan_comparisons(arms: Sequence[str], more: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return the planned comparisons, with those of `--compare` last.

    Raises:
        ValueError: One of them names an arm that the study lacks, or an arm twice.
    """
    for arm, other in more:
        if arm == other or {arm, other} - {*arms}:
            raise ValueError(
                f"`--compare` needs two arms of the study: {', '.join(arms)}. Received: {arm!r} "
                f"and {other!r}"
            )
    # Imports pandas: wrong settings are named before it.
    with extra("tuner"):
        from tuner.comparing.arm_comparison import planned_comparisons

    pairs = [*planned_comparisons(arms, PLAIN), *((arm, other) for arm, other in more)]
    return list(dict.fromkeys(pairs))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code.

    0: done; 1: some runs failed; 2: invalid arguments or data; 130: interrupted.
    """
    allow_any_text()
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = vars(build_parser().parse_args(words))
    names = (
        *("out", "arms", "controls", "compare", "seeds", "first_seed", "protocol", "effect"),
        *("workers", "measure", "selection"),
    )
    options = {name: given.pop(name) for name in names}
    title, quiet = given.pop("title", None), given.pop("quiet")
    command = shlex.join(["python", "-m", "tuner.study", *words])
    try:
        base = build_config(given)
        if base.freeze and base.features is None:
            base = dataclasses.replace(base, features=str(options["out"].resolve() / "features"))
        arms, modules = plan_arms(given, base, options)
        comparisons = plan_comparisons([arm.name for arm in arms], options["compare"])
        # Imports pandas and matplotlib: wrong settings are named before it.
        with extra("tuner"):
            from tuner.comparing import leakage, study_report
            from tuner.comparing.conditions import determinism_notes, selection_notes
            from tuner.comparing.cue_arms import supervision
            from tuner.comparing.measures import chosen_measure
            from tuner.comparing.study_run import Study, check_folder, run

        seeds = tuple(range(options["first_seed"], options["first_seed"] + options["seeds"]))
        study = Study(options["out"], tuple(arms), seeds, modules)
        check_folder(study)
        with study.lock():
            results, failures = run(study, workers=options["workers"], quiet=quiet)
            rows = results.of([arm.name for arm in study.arms], study.seeds)
            notes = [*determinism_notes(rows), *selection_notes(rows)]
            title = title or f"{base.model} on {Path(base.data.source).stem}"
            if options["protocol"] == ORIGINAL:
                sentence = leakage.write(
                    study.folder,
                    rows,
                    title=title,
                    command=command,
                    planned=len(study.runs()),
                    notes=notes,
                )
            else:
                measure = chosen_measure(options["measure"], options["selection"], rows)
                verdict = study_report.write(
                    study.folder,
                    rows,
                    title=title,
                    command=command,
                    reference=PLAIN,
                    comparisons=comparisons,
                    effect_points=options["effect"],
                    arms=[arm.name for arm in study.arms],
                    seeds=study.seeds,
                    supervision={arm.name: supervision(arm.config) for arm in study.arms},
                    measure=measure,
                    notes=notes,
                )
                compared = f"Compared by {measure.words} {measure.epoch}."
                sentence = "\n".join([verdict.sentence, compared, *verdict.warnings])
    except (MissingExtra, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped. Run the same command to resume.", file=sys.stderr)
        return 130
    print("\n".join([sentence, *notes]))
    print(f"report: {study.folder / 'report.md'}")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""The verdict on a study, in sentences that claim no more than the statistics show."""

from __future__ import annotations

from dataclasses import dataclass

from proxy_keras.settings import CONTROLS
from proxy_keras.training.group_gap import gap_sentence, has_gap
from tuner.comparing.analysis import Study
from tuner.comparing.arm_comparison import Comparison, is_proxy
from tuner.comparing.arm_names import base_name
from tuner.comparing.paired_tests import ALPHA
from tuner.comparing.power import MOST_SEEDS, Power

PROXIES_OFF = "proxies_off"


@dataclass(frozen=True)
class Verdict:
    """Verdict on a study in words.

    Attributes:
        sentence: Summary of the study.
        comparisons: One sentence per comparison, in the same order.
        warnings: Weaknesses of the study: missing runs, too few seeds, a `proxies_off` arm that
            differs from the reference.
    """

    sentence: str
    comparisons: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(study: Study) -> Verdict:
    """Return the verdict on a study."""
    return Verdict(
        " ".join([*_gate(study), _summary_sentence(study)]),
        tuple(comparison_sentence(item, study.effect_points) for item in study.comparisons),
        tuple(_warnings(study)),
    )


def comparison_sentence(comparison: Comparison, effect_points: float) -> str:
    """Return the result of one comparison as a sentence."""
    arm, control, n = comparison.arm, comparison.control, comparison.n
    mean = comparison.mean
    if mean is None:
        return f"{arm} and {control} have no seed in common yet."
    if n < 2:
        return (
            f"{arm} differs from {control} by {signed(mean)} points on their only common seed; "
            "one seed gives no interval and no evidence."
        )
    if comparison.outcome == "identical":
        return f"{arm} and {control} are identical on all {n} seeds."
    p = f"Holm {p_value(comparison.p_holm)}"
    if comparison.outcome in ("better", "worse"):
        return _difference_sentence(comparison, effect_points, p)
    if comparison.low is None or comparison.high is None:
        return (
            f"No difference was shown between {arm} and {control}: {signed(mean)} points on each "
            f"of {n} seeds, too few to distinguish from chance ({p})."
        )
    numbers = (
        f"{signed(mean)} points (95% interval {signed(comparison.low)} to "
        f"{signed(comparison.high)}) on {n} seeds"
    )
    if comparison.outcome == "same":
        return (
            f"{arm} and {control} are the same within {points_of(effect_points)}: {numbers} "
            f"(equivalence test, Holm {p_value(comparison.p_same)})."
        )
    start = f"No difference was shown between {arm} and {control}: {numbers} ({p})"
    return f"{start}{_caveat(comparison)}."


def power_warning(power: Power) -> str | None:
    """Return a warning if there are too few seeds for the target effect, else None."""
    if power.is_enough:
        return None
    many = power.comparisons > 1
    level = f" at the strictest of {power.comparisons} corrected tests" if many else ""
    if power.seeds_needed is None:
        needed = f"More than {MOST_SEEDS:,} seeds would be needed for 80%."
    else:
        needed = f"{power.seeds_needed} seeds would be needed for 80%."
    return (
        f"{seeds_of(power.seeds)} {'is' if power.seeds == 1 else 'are'} too few for an effect of "
        f"{points_of(power.effect_points)}: with a standard deviation of the paired differences "
        f"of {number(power.sd_points)} points, the power is {percent(power.power)}{level}. {needed}"
    )


def signed(value: float) -> str:
    """Format points with their sign, such as +0.2, with a second decimal below 0.1."""
    return f"{'+' if value >= 0.0 else '-'}{number(abs(value))}"


def number(value: float) -> str:
    """Format points, such as 1.4, with a second decimal below 0.1."""
    return f"{value:.1f}" if value == 0.0 or abs(value) >= 0.1 else f"{value:.2f}"


def points_of(value: float) -> str:
    """Format an effect with its unit, such as "1 point" or "0.5 points"."""
    return f"{value:g} {'point' if value == 1.0 else 'points'}"


def seeds_of(count: int) -> str:
    """Format a number of seeds, such as "1 seed" or "5 seeds"."""
    return f"{count} {'seed' if count == 1 else 'seeds'}"


def percent(fraction: float) -> str:
    """Format a fraction, such as "8%"; "0%" and "100%" only for exactly 0 and 1."""
    if 0.0 < fraction < 0.005:
        return "< 1%"
    return "> 99%" if 0.995 <= fraction < 1.0 else f"{100.0 * fraction:.0f}%"


def p_value(p: float | None) -> str:
    """Format a p-value with its relation, such as "p = 0.004" or "p < 0.001"."""
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _difference_sentence(comparison: Comparison, effect_points: float, p: str) -> str:
    low, high = comparison.low, comparison.high
    mean = abs(comparison.mean or 0.0)
    if low is None or high is None:
        return (
            f"{comparison.arm} is {number(mean)} points {comparison.outcome} than "
            f"{comparison.control} on each of {comparison.n} seeds ({p})."
        )
    ends = sorted((abs(low), abs(high)))
    is_small = comparison.p_same is not None and comparison.p_same <= ALPHA
    small = f", which is below the target effect of {points_of(effect_points)}" if is_small else ""
    return (
        f"{comparison.arm} is {number(mean)} points (95% interval {number(ends[0])} to "
        f"{number(ends[1])}) {comparison.outcome} than {comparison.control} on "
        f"{comparison.n} seeds ({p}){small}."
    )


def _caveat(comparison: Comparison) -> str:
    """Return why a difference that was not shown may still exist."""
    power = comparison.power
    if power is None or power.detectable_points is None:
        return ""
    missed = (
        f"; with {seeds_of(comparison.n)}, an effect below {number(power.detectable_points)} "
        "points would often be missed"
    )
    if comparison.p is not None and comparison.p <= ALPHA:
        return (
            f"; it is significant on its own ({p_value(comparison.p)}), but not after correction "
            f"for {power.comparisons} comparisons{missed}"
        )
    return missed


def _gate(study: Study) -> list[str]:
    """Return that there is nothing to gain, if the groups show no shortcut under the reference."""
    if study.groups is None or has_gap(*study.groups):
        return []
    return [gap_sentence(*study.groups, network=study.reference)]


def _summary_sentence(study: Study) -> str:
    tested = [item for item in study.comparisons if item.outcome != "untested"]
    if not study.comparisons:
        return "The study has one arm and compares nothing."
    if not tested:
        return "No result yet: no comparison has two seeds."
    by_arm: dict[str, list[Comparison]] = {}
    for item in tested:
        if is_proxy(item.arm):
            by_arm.setdefault(item.arm, []).append(item)
    proxies = [_proxy_sentence(arm, items, study.reference) for arm, items in by_arm.items()]
    shown = [item for item in tested if item.outcome in ("better", "worse")]
    others = [
        f"{item.arm} is {item.outcome} than {item.control}"
        for item in shown
        if item.arm not in by_arm
    ]
    counts = f"{len(shown)} of {len(study.comparisons)} planned comparisons show a difference"
    sentence = "; ".join([*proxies, *others, counts])
    # Names of arms keep their case.
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence.startswith("no ") else f"{sentence}."


def _proxy_sentence(arm: str, items: list[Comparison], reference: str) -> str:
    """Summarise all comparisons of an arm with proxies."""
    outcomes = {item.control: item.outcome for item in items}
    against = outcomes.pop(reference, "untested")
    controls = {name: outcome for name, outcome in outcomes.items() if base_name(name) in CONTROLS}
    if against == "better":
        gain = f"{arm} is better than {reference}"
        unbeaten = [name for name, outcome in controls.items() if outcome != "better"]
        if all(base_name(name) == PROXIES_OFF for name in controls):
            return f"{gain}, but no control explains why"
        if unbeaten:
            return (
                f"{gain}, but was not shown to be better than {_join(unbeaten)}, "
                "so the gain cannot be attributed to where the model looked"
            )
        noun = "control" if len(controls) == 1 else "controls"
        return f"{gain} and than its {noun} {_join([*controls])}"
    better = [name for name, outcome in outcomes.items() if outcome == "better"]
    worse = [name for name, outcome in outcomes.items() if outcome == "worse"]
    result = {
        "worse": f"{arm} is worse than {reference}",
        "same": f"{arm} and {reference} are the same within the target effect",
        "identical": f"{arm} and {reference} are identical on every seed",
        "unshown": f"no difference was shown between {arm} and {reference}",
        "untested": f"{arm} cannot be compared with {reference} yet",
    }[against]
    more = [f"better than {_join(better)}"] if better else []
    more += [f"worse than {_join(worse)}"] if worse else []
    return f"{result}, while {arm} is {' and '.join(more)}" if more else result


def _join(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _warnings(study: Study) -> list[str]:
    warnings = []
    if study.missing:
        total = len(study.arms) * len(study.seeds)
        warnings.append(f"The study is not finished: {study.missing} of {total} runs are missing.")
    powers = [(item, item.power) for item in study.comparisons if item.power is not None]
    weak = [(item, power) for item, power in powers if not power.is_enough]
    if weak:
        weakest, power = min(weak, key=lambda pair: pair[1].power)
        warnings.append(
            f"{len(weak)} of {len(powers)} comparisons have too few seeds. The weakest is "
            f"{weakest.arm} against {weakest.control}: {power_warning(power)}"
        )
    untested = sum(item.outcome == "untested" for item in study.comparisons)
    if untested:
        total = len(study.comparisons)
        warnings.append(f"{untested} of {total} comparisons have fewer than 2 seeds.")
    for item in study.comparisons:
        is_off = base_name(item.arm) == PROXIES_OFF and item.control == study.reference
        if is_off and item.outcome in ("better", "worse"):
            warnings.append(
                f"{item.arm} trains on the same images as {study.reference} but differs from it: "
                "check that the arms were trained under equal conditions."
            )
    return warnings

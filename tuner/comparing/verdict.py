"""What a study shows, in sentences that claim no more than its numbers do."""

from __future__ import annotations

from dataclasses import dataclass

from proxy_keras.settings import CONTROLS
from tuner.comparing.analysis import Study
from tuner.comparing.arm_comparison import Comparison, is_proxy, kind_of
from tuner.comparing.paired_tests import ALPHA
from tuner.comparing.power import MOST_SEEDS, Power

PROXIES_OFF = "proxies_off"


@dataclass(frozen=True)
class Verdict:
    """A study in words.

    Attributes:
        sentence: The whole study.
        comparisons: One sentence per comparison, in their order.
        warnings: What weakens the study: runs that are missing, too few seeds, an unequal
            `proxies_off`.
    """

    sentence: str
    comparisons: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(study: Study) -> Verdict:
    """The verdict on a study."""
    return Verdict(
        _whole(study),
        tuple(comparison_sentence(item, study.effect_points) for item in study.comparisons),
        tuple(_warnings(study)),
    )


def comparison_sentence(comparison: Comparison, effect_points: float) -> str:
    """What one comparison shows."""
    arm, control, n = comparison.arm, comparison.control, comparison.n
    mean = comparison.mean
    if mean is None:
        return f"{arm} and {control} have no seed in common yet."
    if n < 2:
        return (
            f"{arm} is {signed(mean)} points from {control} on the one seed that both have, "
            "which has no interval and shows nothing."
        )
    if comparison.outcome == "identical":
        return f"{arm} and {control} are identical on every one of {n} seeds."
    p = f"Holm {p_value(comparison.p_holm)}"
    if comparison.outcome in ("better", "worse"):
        return _shown(comparison, effect_points, p)
    if comparison.low is None or comparison.high is None:
        return (
            f"No difference was shown between {arm} and {control}: {signed(mean)} points on each "
            f"of {n} seeds, too few to tell from chance ({p})."
        )
    numbers = (
        f"{signed(mean)} points (95 % interval {signed(comparison.low)} to "
        f"{signed(comparison.high)}) on {n} seeds"
    )
    if comparison.outcome == "same":
        return (
            f"{arm} and {control} are the same within {points_of(effect_points)}: {numbers} "
            f"(equivalence test, Holm {p_value(comparison.p_same)})."
        )
    start = f"No difference was shown between {arm} and {control}: {numbers} ({p})"
    return f"{start}{_doubt(comparison)}."


def power_warning(power: Power) -> str | None:
    """A sentence where the seeds are too few for the effect asked for; else None."""
    if power.is_enough:
        return None
    many = power.comparisons > 1
    level = f" at the strictest of {power.comparisons} corrected tests" if many else ""
    return (
        f"{seeds_of(power.seeds)} {'is' if power.seeds == 1 else 'are'} too few for an effect of "
        f"{points_of(power.effect_points)}: at a standard deviation of {number(power.sd_points)} "
        f"points of the paired differences it would be found with a chance of "
        f"{percent(power.power)}{level}. {_needed(power)}"
    )


def signed(value: float) -> str:
    """Points with their sign, such as +0.2; more decimals where one would read as zero."""
    return f"{'+' if value >= 0.0 else '-'}{number(abs(value))}"


def number(value: float) -> str:
    """Points, such as 1.4; more decimals where one would read as zero."""
    return f"{value:.1f}" if value == 0.0 or abs(value) >= 0.1 else f"{value:.2f}"


def points_of(value: float) -> str:
    """An effect with its unit, such as "1 point" or "0.5 points"."""
    return f"{value:g} {'point' if value == 1.0 else 'points'}"


def seeds_of(count: int) -> str:
    """A number of seeds, such as "1 seed" or "5 seeds"."""
    return f"{count} {'seed' if count == 1 else 'seeds'}"


def percent(share: float) -> str:
    """A share, such as "8 %"; never "0 %" or "100 %" of what is only nearly so."""
    if 0.0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= share < 1.0 else f"{100.0 * share:.0f} %"


def p_value(p: float | None) -> str:
    """A p-value with its sign, such as "p = 0.004" or "p < 0.001"."""
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _shown(comparison: Comparison, effect_points: float, p: str) -> str:
    low, high = comparison.low, comparison.high
    mean = abs(comparison.mean or 0.0)
    if low is None or high is None:
        return (
            f"{comparison.arm} is {number(mean)} points {comparison.outcome} than "
            f"{comparison.control} on each of {comparison.n} seeds ({p})."
        )
    ends = sorted((abs(low), abs(high)))
    is_small = comparison.p_same is not None and comparison.p_same <= ALPHA
    small = f", which is less than the {points_of(effect_points)} asked for" if is_small else ""
    return (
        f"{comparison.arm} is {number(mean)} points (95 % interval {number(ends[0])} to "
        f"{number(ends[1])}) {comparison.outcome} than {comparison.control} on "
        f"{comparison.n} seeds ({p}){small}."
    )


def _doubt(comparison: Comparison) -> str:
    """Why a difference that was not shown may be there all the same."""
    power = comparison.power
    if power is None or power.detectable_points is None:
        return ""
    missed = (
        f"; with {seeds_of(comparison.n)} an effect below {number(power.detectable_points)} "
        "points would often be missed"
    )
    if comparison.p is not None and comparison.p <= ALPHA:
        return (
            f"; alone it would pass ({p_value(comparison.p)}), but among {power.comparisons} "
            f"comparisons that is no proof{missed}"
        )
    return missed


def _needed(power: Power) -> str:
    if power.seeds_needed is None:
        return f"More than {MOST_SEEDS:,} seeds would be needed for 80 %."
    return f"{power.seeds_needed} seeds would be needed for 80 %."


def _whole(study: Study) -> str:
    tested = [item for item in study.comparisons if item.outcome != "untested"]
    if not study.comparisons:
        return "The study compares nothing: it has one arm."
    if not tested:
        return "Nothing can be said yet: no comparison has two seeds."
    by_arm: dict[str, list[Comparison]] = {}
    for item in tested:
        if is_proxy(item.arm):
            by_arm.setdefault(item.arm, []).append(item)
    proxies = [_on_proxy(arm, items, study.reference) for arm, items in by_arm.items()]
    shown = [item for item in tested if item.outcome in ("better", "worse")]
    others = [
        f"{item.arm} is {item.outcome} than {item.control}"
        for item in shown
        if item.arm not in by_arm
    ]
    counts = f"{len(shown)} of {len(study.comparisons)} planned comparisons show a difference"
    sentence = "; ".join([*proxies, *others, counts])
    # Names of arms keep their letters.
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence.startswith("no ") else f"{sentence}."


def _on_proxy(arm: str, items: list[Comparison], reference: str) -> str:
    """What all comparisons of an arm with proxies say together."""
    outcomes = {item.control: item.outcome for item in items}
    against = outcomes.pop(reference, "untested")
    controls = {name: said for name, said in outcomes.items() if kind_of(name) in CONTROLS}
    if against == "better":
        gain = f"{arm} is better than {reference}"
        open_ones = [name for name, outcome in controls.items() if outcome != "better"]
        if all(kind_of(name) == PROXIES_OFF for name in controls):
            return f"{gain}, but no control tells why"
        if open_ones:
            return (
                f"{gain}, but was not shown to be better than {_and(open_ones)}, "
                "so the gain cannot be put down to where the model looked"
            )
        noun = "control" if len(controls) == 1 else "controls"
        return f"{gain} and than its {noun} {_and([*controls])}"
    better = [name for name, outcome in outcomes.items() if outcome == "better"]
    worse = [name for name, outcome in outcomes.items() if outcome == "worse"]
    said = {
        "worse": f"{arm} is worse than {reference}",
        "same": f"{arm} and {reference} are the same within the effect asked for",
        "identical": f"{arm} and {reference} are identical on every seed",
        "unshown": f"no difference was shown between {arm} and {reference}",
        "untested": f"{arm} cannot be compared with {reference} yet",
    }[against]
    more = [f"better than {_and(better)}"] if better else []
    more += [f"worse than {_and(worse)}"] if worse else []
    return f"{said}, while {arm} is {' and '.join(more)}" if more else said


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _warnings(study: Study) -> list[str]:
    found = []
    if study.missing:
        total = len(study.arms) * len(study.seeds)
        found.append(f"The study is not finished: {study.missing} of {total} runs are missing.")
    powered = [item for item in study.comparisons if item.power is not None]
    weak = [item for item in powered if item.power is not None and not item.power.is_enough]
    if weak:
        weakest = min(weak, key=lambda item: item.power.power if item.power else 0.0)
        warning = power_warning(weakest.power) if weakest.power else None
        found.append(
            f"The seeds are too few in {len(weak)} of {len(powered)} comparisons. "
            f"The weakest is {weakest.arm} against {weakest.control}: {warning}"
        )
    untested = sum(item.outcome == "untested" for item in study.comparisons)
    if untested:
        found.append(f"{untested} of {len(study.comparisons)} comparisons have fewer than 2 seeds.")
    for item in study.comparisons:
        is_off = kind_of(item.arm) == PROXIES_OFF and item.control == study.reference
        if is_off and item.outcome in ("better", "worse"):
            found.append(
                f"{item.arm} serves the same images as {study.reference} and yet differs from it: "
                "check that the arms have equal conditions."
            )
    return found

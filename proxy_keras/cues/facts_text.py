"""Facts about cues as JSON values and as a table in text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from proxy_keras.cues.facts import CueFacts


def fact_dict(facts: CueFacts) -> dict[str, Any]:
    """Return the facts about a cue as JSON values; unknown shares are None."""
    values = dataclasses.asdict(facts)
    shares = (None if math.isnan(share) else share for share in facts.classes)
    return {**values, "classes": list(shares)}


def facts_table(facts: Sequence[CueFacts], verdicts: Mapping[str, str]) -> str:
    """Return the facts about cues as a table in text."""
    lines = [
        f"{'cue':>5} {'evidence':>9} {'inside':>7} {'wrong':>7} {'images':>7} {'classes':>8} "
        f"{'purity':>7}  verdict"
    ]
    for cue in facts:
        inside = "-" if cue.inside is None else f"{cue.inside:.0%}"
        wrong = "-" if cue.leads_wrong is None else f"{cue.leads_wrong:.0%}"
        classes = f"{len(cue.main_classes)}/{cue.known_classes}"
        note = verdicts.get(cue.name, "").replace("_", " ")
        if cue.is_mixture:
            note = f"{note} (mixture: split it)".strip()
        lines.append(
            f"{cue.name:>5} {cue.evidence_share:9.1%} {inside:>7} {wrong:>7} {cue.present_in:7d} "
            f"{classes:>8} {cue.purity:7.2f}  {note}".rstrip()
        )
    return "\n".join(lines)

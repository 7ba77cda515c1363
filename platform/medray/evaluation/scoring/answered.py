"""Which items of a run count, how each was read, and which are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from medray.evaluation.benchmarks.declaration import Declaration
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.metrics.bertscore import BertScorer
from medray.evaluation.metrics.counts import Counts, Statistic
from medray.evaluation.metrics.text import Mode
from medray.evaluation.scoring.measures import Measure, Places
from medray.evaluation.scoring.reading import MISSING, UNPARSED, Reading


@dataclass
class Answered:
    """The items of a run that count, how each was read, and what could not be measured.

    ``left_out``: metric -> why it is not among the measures.
    """

    declaration: Declaration
    mode: Mode
    items: Sequence[Item]
    readings: Sequence[Reading]
    places: Places
    scorer: BertScorer | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    def measure(
        self, name: str, values: Sequence[float] | Counts, statistic: Statistic | None = None
    ) -> Measure:
        return Measure(name, self.places, np.asarray(values), statistic)

    def of(self, chosen: Sequence[int]) -> Answered:
        """Return the items and readings at these positions."""
        return Answered(
            self.declaration,
            self.mode,
            [self.items[i] for i in chosen],
            [self.readings[i] for i in chosen],
            self.places[list(chosen)],
            self.scorer,
            self.left_out,
        )


def is_right(item: Item, reading: Reading) -> bool:
    """Say whether the answer is exactly a right set; any is where the examiners say so."""
    if item.void:
        return True
    if reading.right is not None:
        return reading.right
    if reading.rule in (MISSING, UNPARSED):
        return False
    given = set(reading.answers)
    return any(given == set(right) for right in (item.answers, *item.also_right))

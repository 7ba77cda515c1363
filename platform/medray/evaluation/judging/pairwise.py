"""Two orders of a pairwise judgement to win, tie and lose, and the figures that papers print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy.stats import binomtest

from medray.evaluation import statistics
from medray.evaluation.judging.verdicts import Choice
from medray.intervals import proportion

Outcome = Literal["win", "tie", "lose"]
OUTCOMES: tuple[Outcome, ...] = ("win", "tie", "lose")
SCORES: dict[Outcome, float] = {"win": 1.0, "tie": 0.5, "lose": 0.0}


@dataclass(frozen=True)
class Pair:
    """One item judged in both orders, from the model's side; None: that verdict is unparsed."""

    item_id: str
    model_first: Outcome | None
    reference_first: Outcome | None

    @property
    def outcome(self) -> Outcome | None:
        """Win and lose only where both orders say so, else tie; None where one is unparsed."""
        if self.model_first is None or self.reference_first is None:
            return None
        return self.model_first if self.model_first == self.reference_first else "tie"

    @property
    def mean_score(self) -> float | None:
        """The mean of both orders' scores, a tie a half; None where one is unparsed."""
        if self.model_first is None or self.reference_first is None:
            return None
        return (SCORES[self.model_first] + SCORES[self.reference_first]) / 2


def outcome(choice: Choice | None, *, model_first: bool) -> Outcome | None:
    """Return what a choice means for the model, which was shown first or second."""
    if choice is None or choice == "tie":
        return choice
    return "win" if (choice == "first") == model_first else "lose"


def measure(pairs: Sequence[Pair], seed: int = 0) -> dict[str, Any]:
    """Return counts and figures of a model against a reference, each with its 95 % interval.

    ``win``, ``tie``, ``lose``: items (see ``Pair.outcome``); ``unparsed``: items of which an order
    has no verdict, which no other figure counts. Figures are {value, n, low, high} in 0..1:

    - ``win_rate``: win / n;
    - ``win_rate_non_tied``: win / (win + lose);
    - ``win_rate_half_ties``: (win + tie / 2) / n;
    - ``mean_of_two_orders``: AlpaCare's score. It differs from the one before where one order is a
      tie;
    - ``consistency``: items whose two verdicts are the same;
    - ``error``: unparsed items, of all;
    - ``first_shown``: verdicts for the answer shown first, of all but ties: 0.5 where the judge
      does not mind the order.

    ``orders``: win, tie, lose and unparsed of each order. ``sign_test_p``: of win against lose,
    two-sided, exact; None without either. Wilson's interval for shares, the bootstrap's for means.
    """
    kept = [pair for pair in pairs if pair.outcome is not None]
    counts = Counter(pair.outcome for pair in kept)
    win, tie, lose = (counts[each] for each in OUTCOMES)
    n = len(kept)
    return {
        "n": len(pairs),
        "win": win,
        "tie": tie,
        "lose": lose,
        "unparsed": len(pairs) - n,
        "win_rate": proportion(win, n),
        "win_rate_non_tied": proportion(win, win + lose),
        "win_rate_half_ties": statistics.mean(
            [SCORES[each] for pair in kept if (each := pair.outcome) is not None], seed
        ),
        "mean_of_two_orders": statistics.mean(
            [score for pair in kept if (score := pair.mean_score) is not None], seed
        ),
        "consistency": proportion(sum(p.model_first == p.reference_first for p in kept), n),
        "error": proportion(len(pairs) - n, len(pairs)),
        "first_shown": _first_shown(pairs),
        "orders": {
            "model_first": _order([pair.model_first for pair in pairs]),
            "reference_first": _order([pair.reference_first for pair in pairs]),
        },
        "sign_test_p": float(binomtest(win, win + lose).pvalue) if win + lose else None,
    }


def _order(outcomes: Sequence[Outcome | None]) -> dict[str, int]:
    counts = Counter(outcomes)
    return {each: counts[each] for each in OUTCOMES} | {"unparsed": counts[None]}


def _first_shown(pairs: Sequence[Pair]) -> dict[str, Any]:
    first = sum((p.model_first == "win") + (p.reference_first == "lose") for p in pairs)
    second = sum((p.model_first == "lose") + (p.reference_first == "win") for p in pairs)
    return proportion(first, first + second)

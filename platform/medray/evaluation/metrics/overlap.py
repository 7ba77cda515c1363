"""What two texts have in common, as sacrebleu, rouge_score and SQuAD count it, compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from medray.evaluation.metrics.cutting import cut_answers, cut_words
from medray.evaluation.metrics.pairs import BLEU_ORDERS, Floats, Pairs
from medray.evaluation.metrics.ragged import Integers


def bleu(pairs: Pairs, orders: int) -> Floats:
    """Return each item's sentence BLEU of n-grams up to ``orders``, in 0..1.

    As sacrebleu's ``BLEU(max_ngram_order=orders, effective_order=True).sentence_score``: an order
    of which nothing matches gets half, then a quarter ... of a match ("exp" smoothing), and orders
    longer than the prediction are left out. Of several references, an n-gram counts as often as
    the one that has it most often, and the brevity penalty looks at the one nearest in length.
    """
    matched, _, totals, _ = pairs.common
    matched, totals = matched[:, :orders], totals[:, :orders]
    halvings = np.cumsum((matched == 0) & (totals > 0), axis=1)
    hits = np.where(matched > 0, matched, 0.5**halvings)
    logs = np.log(hits / np.maximum(totals, 1), where=totals > 0, out=np.zeros(hits.shape))
    used = np.maximum((totals > 0).sum(axis=1), 1)
    mean = np.exp(logs.sum(axis=1) / used)
    # sacrebleu gives 100.00000000000004 to equal texts.
    values: Floats = np.where(matched[:, 0] > 0, brevity(pairs) * mean, 0.0)
    return np.minimum(values, 1.0)


def brevity(pairs: Pairs) -> Floats:
    """Return exp(1 - r / h) where the prediction's h tokens are fewer than the reference's r."""
    mine = pairs.predictions.lengths
    ratio = pairs.closest_lengths() / np.maximum(mine, 1)
    return np.where(mine > 0, np.exp(np.minimum(0.0, 1 - ratio)), 0.0)


def rouge_n(pairs: Pairs, order: int) -> Floats:
    """Return each item's ROUGE-N F1 as rouge_score counts it; of several references, the best."""
    _, overlap, mine, theirs = (counts[:, order - 1] for counts in pairs.common)
    return pairs.best(_f1(overlap, mine[pairs.items], theirs))


def rouge_l(pairs: Pairs) -> Floats:
    """Return each item's F1 of the longest common subsequence over the whole token lists.

    As rouge_score's rougeL, which takes a text for one sentence; of several references, the best.
    """
    mine, theirs = pairs.predictions.lengths, pairs.references.lengths
    return pairs.best(_f1(pairs.subsequences, mine[pairs.items], theirs))


def token_f1(pairs: Pairs, empty: float = 1.0) -> Floats:
    """Return each item's F1 of answer words, the best of its references (SQuAD).

    Two answers without a word are equal: ``empty``, 1 since SQuAD 2.0's script, 0 before.
    """
    _, overlap, mine, theirs = (counts[:, 0] for counts in pairs.ngrams(1))
    mine = mine[pairs.items]
    return pairs.best(np.where((mine == 0) & (theirs == 0), empty, _f1(overlap, mine, theirs)))


def exact_match(pairs: Pairs) -> Floats:
    """Return 1 for each item whose answer has exactly the words of one of its references."""
    mine, theirs = pairs.predictions, pairs.references
    equal = [
        np.array_equal(mine.text(item), theirs.text(other))
        for other, item in enumerate(pairs.items.tolist())
    ]
    return pairs.best(np.array(equal, np.float64))


def _f1(common: Integers, mine: Integers, theirs: Integers) -> Floats:
    # 2 p r / (p + r) with p = common / mine and r = common / theirs; 0 of nothing.
    values: Floats = 2 * common / np.maximum(mine + theirs, 1)
    return values


class Texts:
    """Texts of several languages, and their words once they are asked for."""

    def __init__(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        languages: Sequence[str],
    ) -> None:
        self._rows = predictions, references, languages

    @cached_property
    def _words(self) -> Pairs:
        return cut_words(*self._rows)

    @cached_property
    def _answers(self) -> Pairs:
        return cut_answers(*self._rows)

    def columns(self) -> dict[str, Callable[[], Floats]]:
        """Return what computes each metric."""
        columns: dict[str, Callable[[], Floats]] = {
            f"bleu_{n}": lambda n=n: bleu(self._words, n)  # type: ignore[misc]
            for n in range(1, BLEU_ORDERS + 1)
        }
        return columns | {
            "rouge_1": lambda: rouge_n(self._words, 1),
            "rouge_2": lambda: rouge_n(self._words, 2),
            "rouge_l": lambda: rouge_l(self._words),
            "exact_match": lambda: exact_match(self._answers),
            "token_f1": lambda: token_f1(self._answers),
        }

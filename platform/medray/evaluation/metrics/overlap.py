"""What two texts have in common, as sacrebleu, rouge_score and SQuAD count it, compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from medray.evaluation.metrics.kernels import count_ngrams, lcs_lengths
from medray.evaluation.metrics.ragged import Integers, Ragged, Tokens, Vocabulary, offsets
from medray.evaluation.metrics.tokens import answer_tokens, metric_tokens

Floats = npt.NDArray[np.float64]
BLEU_ORDERS = 4


@dataclass(frozen=True)
class Pairs:
    """Predictions and their references as token ids, and what they have in common.

    The references of item i are ``references``' texts ``firsts[i]`` to ``firsts[i + 1]``, at least
    one. What is counted is counted once, when it is first asked for.
    """

    predictions: Ragged
    references: Ragged
    firsts: Integers
    vocabulary: int

    @classmethod
    def pack(cls, predictions: Tokens, references: Sequence[Tokens]) -> Pairs:
        words = Vocabulary()
        mine = words.pack(predictions)
        theirs = words.pack([text for texts in references for text in texts])
        return cls(mine, theirs, offsets([len(texts) for texts in references]), len(words))

    def ngrams(self, orders: int, distinct: bool = False) -> tuple[Integers, ...]:
        """Return what ``kernels.count_ngrams`` does."""
        mine, theirs = self.predictions, self.references
        return count_ngrams(  # type: ignore[no-any-return]
            mine.tokens, mine.starts, theirs.tokens, theirs.starts, self.firsts, self.vocabulary,
            orders, distinct,
        )  # fmt: skip

    @cached_property
    def common(self) -> tuple[Integers, ...]:
        return self.ngrams(BLEU_ORDERS)

    @cached_property
    def subsequences(self) -> Integers:
        """The length of each reference's longest common subsequence with its prediction."""
        mine, theirs = self.predictions, self.references
        return lcs_lengths(  # type: ignore[no-any-return]
            mine.tokens, mine.starts, theirs.tokens, theirs.starts, self.firsts, self.vocabulary
        )

    @property
    def items(self) -> Integers:
        """The item of each reference."""
        return np.repeat(np.arange(len(self.firsts) - 1), np.diff(self.firsts))

    def best(self, of_references: Floats) -> Floats:
        """Return each item's highest value, of one value a reference."""
        if len(self.firsts) == 1:
            return np.zeros(0)
        return np.maximum.reduceat(of_references, self.firsts[:-1])

    def closest_lengths(self) -> Integers:
        """Return how long the reference is whose length is the nearest to each prediction's.

        Of two as near, the shorter: so do sacrebleu and nltk.
        """
        if len(self.firsts) == 1:
            return np.zeros(0, np.int64)
        theirs = self.references.lengths
        distance = np.abs(theirs - self.predictions.lengths[self.items])
        scale = int(theirs.max()) + 1
        return np.minimum.reduceat(distance * scale + theirs, self.firsts[:-1]) % scale


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


def exact_match(predictions: Tokens, references: Sequence[Tokens]) -> Floats:
    """Return 1 for each item whose answer has exactly the words of one of its references."""
    equal = [any(a == b for b in texts) for a, texts in zip(predictions, references, strict=True)]
    return np.array(equal, np.float64)


def _f1(common: Integers, mine: Integers, theirs: Integers) -> Floats:
    # 2 p r / (p + r) with p = common / mine and r = common / theirs; 0 of nothing.
    values: Floats = 2 * common / np.maximum(mine + theirs, 1)
    return values


class Texts:
    """Texts of several languages, and their tokens once they are asked for."""

    def __init__(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        languages: Sequence[str],
    ) -> None:
        self._predictions = predictions
        self._references = references
        self._languages = languages

    def _cut(self, cut: Callable[[str, str], list[str]]) -> tuple[Tokens, Sequence[Tokens]]:
        mine = zip(self._predictions, self._languages, strict=True)
        theirs = zip(self._references, self._languages, strict=True)
        return (
            [cut(text, code) for text, code in mine],
            [[cut(text, code) for text in texts] for texts, code in theirs],
        )

    @cached_property
    def _words(self) -> Pairs:
        return Pairs.pack(*self._cut(metric_tokens))

    @cached_property
    def _answers(self) -> tuple[Tokens, Sequence[Tokens]]:
        return self._cut(answer_tokens)

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
            "exact_match": lambda: exact_match(*self._answers),
            "token_f1": lambda: token_f1(Pairs.pack(*self._answers)),
        }

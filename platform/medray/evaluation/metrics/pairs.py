"""Predictions and their references as token ids, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from medray.evaluation.metrics.kernels import count_ngrams, lcs_lengths
from medray.evaluation.metrics.ragged import Integers, Ragged, Tokens, Vocabulary, offsets

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

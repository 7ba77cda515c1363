"""The order in which sequences are seen: a function of the seed and a position alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from medray.errors import InputError
from medray.languages import LANGUAGES
from medray.training.sequences import Sequences

# A mixture's shares are exact to 1/1000: each block of so many positions has them.
BLOCK = 1000


@dataclass(frozen=True)
class Order:
    """Which sequence is seen at which position, over all epochs.

    What was seen up to a step is one integer, the next position, whatever the number of workers.
    ``members``: the sequences of each part of a mixture; ``shares``: how many of each BLOCK
    positions belong to each. A part is gone through in an order of its own, each sequence once an
    epoch of that part.
    """

    seed: int
    members: tuple[npt.NDArray[np.int64], ...]
    shares: tuple[int, ...]

    @classmethod
    def uniform(cls, count: int, seed: int) -> Order:
        """Return the order of ``count`` sequences, each once an epoch."""
        return cls(seed, (np.arange(count),), (BLOCK,))

    @classmethod
    def mixture(cls, sequences: Sequences, weights: Mapping[str, float], seed: int) -> Order:
        """Return an order in which languages or entries come up by weight, whatever their sizes.

        The weights' keys are codes of languages, or else names of entries. InputError for one that
        has no sequence.
        """
        if weights.keys() <= LANGUAGES.keys():
            numbers, known = sequences.languages, sequences.language_names
        else:
            numbers, known = sequences.entries, sequences.entry_names
        names = sorted(name for name, weight in weights.items() if weight > 0)
        members = [
            np.flatnonzero(numbers == (known.index(name) if name in known else -1))
            for name in names
        ]
        for name, mine in zip(names, members, strict=True):
            if not len(mine):
                raise InputError(f"mixture: {name} has no sequence to train on")
        return cls(seed, tuple(members), _shares([weights[name] for name in names]))

    def at(self, position: int) -> int:
        """Return the sequence at a position (0-based)."""
        if len(self.members) == 1:
            part, turn = 0, position
        else:
            block, within = divmod(position, BLOCK)
            parts, turns = _block(self.shares, self.seed, block)
            part = int(parts[within])
            turn = block * self.shares[part] + int(turns[within])
        members = self.members[part]
        epoch, place = divmod(turn, len(members))
        return int(members[_permutation(len(members), self.seed, part, epoch)[place]])

    def between(self, first: int, end: int) -> list[int]:
        return [self.at(position) for position in range(first, end)]


def _shares(weights: list[float]) -> tuple[int, ...]:
    """Return how many of BLOCK go to each weight: largest remainders, at least one each."""
    exact = np.asarray(weights) / sum(weights) * BLOCK
    shares = np.maximum(1, np.floor(exact)).astype(int)
    for part in np.argsort(shares - exact, kind="stable")[: max(0, BLOCK - int(shares.sum()))]:
        shares[part] += 1
    shares[int(np.argmax(shares))] -= int(shares.sum()) - BLOCK
    return tuple(int(share) for share in shares)


@lru_cache(maxsize=16)
def _permutation(count: int, seed: int, part: int, epoch: int) -> npt.NDArray[np.int64]:
    key = [seed, epoch] if part == 0 else [seed, epoch, part]
    return np.random.default_rng(key).permutation(count)


@lru_cache(maxsize=4)
def _block(
    shares: tuple[int, ...], seed: int, block: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return, for each position of a block, its part and which of the part's turns it is."""
    parts = np.repeat(np.arange(len(shares)), shares)
    parts = np.random.default_rng([seed, block, BLOCK]).permutation(parts)
    turns = np.empty(BLOCK, np.int64)
    for part, share in enumerate(shares):
        turns[parts == part] = np.arange(share)
    return parts, turns

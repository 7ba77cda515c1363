"""Which documents go: greedily, in the documents' order, and only against one that is retained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from medray.corpus.dedup.keys import Keys


@dataclass(frozen=True)
class Removals:
    """One entry a removed document, sorted by the removed one; ``retained`` stays in the corpus.

    ``exact`` says that both texts are equal; ``jaccard`` is then 1.
    """

    removed: Keys
    retained: Keys
    jaccard: npt.NDArray[np.float64]
    exact: npt.NDArray[np.bool_]


def select_near(
    first: Keys, second: Keys, jaccard: npt.NDArray[np.float64]
) -> tuple[Keys, Keys, npt.NDArray[np.float64]]:
    """Return (removed, retained, jaccard) of verified pairs, first < second.

    Documents are taken in order; one goes if a verified pair links it to an earlier one that was
    retained, and is told of the most similar such one (the earliest of equals). A ~ B ~ C with A
    and C far apart: B goes, C stays.
    """
    order = np.lexsort((first, -jaccard, second))
    first, second, jaccard = first[order], second[order], jaccard[order]
    documents = np.unique(np.concatenate((first, second)))
    chosen = _greedy(
        np.searchsorted(documents, first), np.searchsorted(documents, second), len(documents)
    )
    return second[chosen], first[chosen], jaccard[chosen]


@njit(cache=True, nogil=True)
def _greedy(first, second, count):  # type: ignore[no-untyped-def]
    """Return the numbers of the pairs by which documents go; pairs come sorted by ``second``.

    Whether ``first`` went is known by then: it is smaller, so all its pairs came before.
    """
    gone = np.zeros(count, np.bool_)
    chosen = np.empty(len(first), np.int64)
    found = 0
    for pair in range(len(first)):
        if not gone[second[pair]] and not gone[first[pair]]:
            gone[second[pair]] = True
            chosen[found] = pair
            found += 1
    return chosen[:found]


def join_removals(
    exact: tuple[Keys, Keys], near: tuple[Keys, Keys, npt.NDArray[np.float64]]
) -> Removals:
    """Join both kinds: (removed, retained) of equal texts and ``select_near``'s result.

    Where the text that a copy equals went itself, the copy goes with it: its text is the same, so
    the same retained document, at the same similarity, stands for both; the copy is then a near
    duplicate too.
    """
    copies, kept_text = exact
    removed, retained, jaccard = near
    place = np.searchsorted(removed, kept_text)
    place[place == len(removed)] = 0
    moved = removed[place] == kept_text if len(removed) else np.zeros(len(copies), np.bool_)
    copy_retained, copy_jaccard = kept_text.copy(), np.ones(len(copies))
    copy_retained[moved], copy_jaccard[moved] = retained[place[moved]], jaccard[place[moved]]
    all_removed = np.concatenate((copies, removed))
    order = np.argsort(all_removed)
    return Removals(
        all_removed[order],
        np.concatenate((copy_retained, retained))[order],
        np.concatenate((copy_jaccard, jaccard))[order],
        np.concatenate((~moved, np.zeros(len(removed), np.bool_)))[order],
    )


def cluster_sizes(removals: Removals) -> dict[int, int]:
    """Return how many retained documents stand for how many: {documents in all: clusters}."""
    _, copies = np.unique(removals.retained, return_counts=True)
    sizes, clusters = np.unique(copies + 1, return_counts=True)
    return {int(s): int(c) for s, c in zip(sizes, clusters, strict=True)}

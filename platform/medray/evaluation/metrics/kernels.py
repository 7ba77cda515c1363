"""The loops over token ids: n-grams in common, longest common subsequences.

Texts come as ``Ragged`` gives them: ids in one array, and where each text begins. Item i is text i
of the predictions, and the references ``firsts[i]`` to ``firsts[i + 1]``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Fibonacci hashing: 2^64 over the golden ratio, made odd (Knuth, The Art of Computer Programming,
# volume 3, 6.4).
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def count_ngrams(  # type: ignore[no-untyped-def]
    mine, my_starts, theirs, their_starts, firsts, vocabulary, orders, distinct
):
    """Count the n-grams of 1 to ``orders`` tokens that predictions and references have in common.

    Returns four arrays, (texts, orders) each: how many of an item's prediction its references
    have, each n-gram as often as the reference that has it most often (BLEU's clipped matches);
    how many of a reference its prediction has (ROUGE's overlap); how many there are in each
    prediction; and in each reference. With ``distinct`` each n-gram of a text counts once.
    """
    matched = np.zeros((len(my_starts) - 1, orders), np.int64)
    my_totals = np.zeros_like(matched)
    overlap = np.zeros((len(their_starts) - 1, orders), np.int64)
    their_totals = np.zeros_like(overlap)
    longest = _longest_item(my_starts, their_starts, firsts)
    table = np.zeros((3, _power_of_two(2 * longest)), np.int64)
    # The number of the n-gram that begins at each token of the item; of order 0 all are alike.
    grams = np.empty(longest, np.int64)
    counts = np.zeros((3, longest), np.int64)
    ours, others, most = counts[0], counts[1], counts[2]
    stamp = 0
    for item in range(len(firsts) - 1):
        text = mine[my_starts[item] : my_starts[item + 1]]
        grams[:] = 0
        for order in range(1, orders + 1):
            stamp += 1
            here = grams[: len(text)]
            found = _number_ngrams(text, order, here, vocabulary, table, stamp, 0)
            counts[:, :found] = 0
            my_totals[item, order - 1] = _tally(
                here[: max(0, len(text) - order + 1)], ours, distinct
            )
            place = len(text)
            for other in range(firsts[item], firsts[item + 1]):
                words = theirs[their_starts[other] : their_starts[other + 1]]
                here = grams[place : place + len(words)]
                known = found
                found = _number_ngrams(words, order, here, vocabulary, table, stamp, known)
                counts[:, known:found] = 0
                total, common, more = _tally_against(
                    here[: max(0, len(words) - order + 1)], ours, others, most, distinct
                )
                their_totals[other, order - 1] = total
                overlap[other, order - 1] = common
                matched[item, order - 1] += more
                place += len(words)
    return matched, overlap, my_totals, their_totals


@njit(cache=True, nogil=True)
def _longest_item(my_starts, their_starts, firsts):  # type: ignore[no-untyped-def]
    """Return how many tokens an item's texts have together, the largest item's; at least 1."""
    longest = 1
    for item in range(len(firsts) - 1):
        tokens = my_starts[item + 1] - my_starts[item]
        longest = max(longest, tokens + their_starts[firsts[item + 1]] - their_starts[firsts[item]])
    return longest


@njit(cache=True, nogil=True)
def _power_of_two(least):  # type: ignore[no-untyped-def]
    size = 2
    while size < least:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def _number_ngrams(words, order, grams, vocabulary, table, stamp, found):  # type: ignore[no-untyped-def]
    """Give every n-gram of ``words`` its number, equal ones the same; return how many are given.

    ``grams`` holds the numbers of the n-grams one shorter, and takes the new ones: the n-gram at a
    place is the shorter one there and one more word. ``table`` is an open-addressing table of a
    power of two of slots: n-gram, its number, and the stamp of the call that it belongs to.
    """
    keys, numbers, stamps = table[0], table[1], table[2]
    mask = len(keys) - 1
    for place in range(len(words) - order + 1):
        key = grams[place] * vocabulary + words[place + order - 1]
        mixed = np.uint64(key) * _MULTIPLIER
        slot = np.int64(mixed >> np.uint64(32)) & mask
        while stamps[slot] == stamp and keys[slot] != key:
            slot = (slot + 1) & mask
        if stamps[slot] != stamp:
            stamps[slot], keys[slot], numbers[slot] = stamp, key, found
            found += 1
        grams[place] = numbers[slot]
    return found


@njit(cache=True, nogil=True)
def _tally(grams, ours, distinct):  # type: ignore[no-untyped-def]
    """Count each n-gram in ``ours`` and return how many there are."""
    total = 0
    for gram in grams:
        if distinct and ours[gram] == 1:
            continue
        ours[gram] += 1
        total += 1
    return total


@njit(cache=True, nogil=True)
def _tally_against(grams, ours, others, most, distinct):  # type: ignore[no-untyped-def]
    """Return how many n-grams there are, how many of them ``ours`` has, and how many of ``ours``
    no reference before had. ``others`` is all 0 before and after; ``most`` is kept."""
    total, common, more = 0, 0, 0
    for gram in grams:
        if distinct and others[gram] == 1:
            continue
        others[gram] += 1
        total += 1
        common += others[gram] <= ours[gram]
        if others[gram] > most[gram]:
            most[gram] = others[gram]
            more += most[gram] <= ours[gram]
    for gram in grams:
        others[gram] = 0
    return total, common, more


@njit(cache=True, nogil=True)
def lcs_lengths(mine, my_starts, theirs, their_starts, firsts, vocabulary):  # type: ignore[no-untyped-def]
    """Return how long the longest common subsequence of each reference and its prediction is.

    Hyyrö (2004), "Bit-parallel LCS-length computation revisited": one addition a token moves 64
    cells of the table. The reference lies along the bits.
    """
    lengths = np.zeros(len(their_starts) - 1, np.int64)
    rows = np.full(vocabulary, -1, np.int64)
    one = np.uint64(1)
    for item in range(len(firsts) - 1):
        for text in range(firsts[item], firsts[item + 1]):
            first, end = their_starts[text], their_starts[text + 1]
            words, distinct = (end - first + 63) >> 6, 0
            for token in theirs[first:end]:
                if rows[token] < 0:
                    rows[token] = distinct
                    distinct += 1
            places = np.zeros((distinct, words), np.uint64)
            for place in range(end - first):
                bit = one << np.uint64(place & 63)
                places[rows[theirs[first + place]], place >> 6] |= bit
            state = np.full(words, ~np.uint64(0), np.uint64)
            for token in mine[my_starts[item] : my_starts[item + 1]]:
                if rows[token] >= 0:
                    _step(state, places[rows[token]])
            for value in state:  # a bit that has become 0 is one token of the subsequence
                left = ~value
                while left:
                    left &= left - one
                    lengths[text] += 1
            for token in theirs[first:end]:
                rows[token] = -1
    return lengths


@njit(cache=True, nogil=True)
def _step(state, places):  # type: ignore[no-untyped-def]
    """state = (state + (state & places)) | (state & ~places), as one long number."""
    carry = np.uint64(0)
    for word in range(len(state)):
        value, match = state[word], places[word]
        total = value + (value & match)
        carried = total + carry
        carry = np.uint64((total < value) | (carried < total))
        state[word] = carried | (value & ~match)


@njit(cache=True, nogil=True)
def union_lcs_sizes(  # type: ignore[no-untyped-def]
    mine, my_starts, my_firsts, theirs, their_starts, their_firsts, firsts, vocabulary
):
    """Return of each reference how many distinct words lie on its sentences' paths.

    For every sentence of the reference and every one of the prediction, the words on one longest
    common subsequence of the two: all pooled as a set. ``*_starts``: where sentences begin in the
    tokens; ``*_firsts``: where texts begin in the sentences.
    """
    sizes = np.zeros(len(their_firsts) - 1, np.int64)
    stamps = np.full(vocabulary, -1, np.int64)
    for item in range(len(firsts) - 1):
        for text in range(firsts[item], firsts[item + 1]):
            for other in range(their_firsts[text], their_firsts[text + 1]):
                reference = theirs[their_starts[other] : their_starts[other + 1]]
                for own in range(my_firsts[item], my_firsts[item + 1]):
                    prediction = mine[my_starts[own] : my_starts[own + 1]]
                    sizes[text] += _mark_path(reference, prediction, stamps, text)
    return sizes


@njit(cache=True, nogil=True)
def _mark_path(rows, columns, stamps, stamp):  # type: ignore[no-untyped-def]
    """Stamp the words on the path that the package `rouge` walks; return how many are new.

    From the ends of both: over equal words, else up where that is the longer way, else left.
    """
    lengths = np.zeros(len(columns) + 1, np.int32)
    up = np.empty((len(rows), len(columns)), np.bool_)
    for row in range(len(rows)):
        diagonal = 0
        for column in range(len(columns)):
            above, left = lengths[column + 1], lengths[column]
            up[row, column] = above > left
            longest = diagonal + 1 if rows[row] == columns[column] else max(above, left)
            diagonal, lengths[column + 1] = above, longest
    row, column, new = len(rows), len(columns), 0
    while row > 0 and column > 0:
        word = rows[row - 1]
        if word == columns[column - 1]:
            new += stamps[word] != stamp
            stamps[word] = stamp
            row -= 1
            column -= 1
        elif up[row - 1, column - 1]:
            row -= 1
        else:
            column -= 1
    return new

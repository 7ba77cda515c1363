"""Other ways to count keywords and to take a density, one document at a time, in plain Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

# (distinct keywords, characters in keywords) of one text.
Scorer = Callable[[str], tuple[int, int]]


def published_scorer(words: Sequence[str], spaced: bool) -> Scorer:
    """MMedLM's script (data_collection/filtering/filter.py), its early accept left out.

    Early acceptance needs the thresholds and spares the tokens of a few documents alone.
    """
    keywords = [word.lower() for word in words]
    long = [w for w in keywords if len(w) > 10 or (len(w) > 5 and len(w.split()) > 1)]
    short = [w for w in keywords if w not in set(long)]

    def score(text: str) -> tuple[int, int]:
        distinct = characters = 0
        whole = text.lower() if spaced else text
        for word in long if spaced else keywords:
            if word in whole:
                distinct += 1
                characters += whole.count(word) * len(word)
        if spaced:
            tokens = whole.split()
            for word in short:
                if word in tokens:
                    distinct += 1
                    characters += tokens.count(word) * len(word)
        return distinct, characters

    return score


def count_scorer(words: Sequence[str]) -> Scorer:
    """``str.count`` of every keyword: substrings, each keyword's own overlaps lost."""
    keywords = [word.lower() for word in words]

    def score(text: str) -> tuple[int, int]:
        lowered = text.lower()
        counts = [(lowered.count(word), len(word)) for word in keywords]
        return sum(count > 0 for count, _ in counts), sum(count * size for count, size in counts)

    return score


def alternation_scorer(words: Sequence[str]) -> Scorer:
    """``re`` with all keywords, longest first: it loses every keyword that overlaps another."""
    longest_first = sorted((word.lower() for word in words), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))

    def score(text: str) -> tuple[int, int]:
        found = pattern.findall(text.lower())
        return len(set(found)), sum(map(len, found))

    return score

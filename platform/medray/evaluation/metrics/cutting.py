"""Cutting many texts into words at once: what ``tokens`` does to one, in loops over characters."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import cache
from itertools import chain

import numpy as np
import numpy.typing as npt

from medray.evaluation.metrics.cutting_kernels import (
    IN_WORDS,
    SIGN,
    WORD_OF_ITS_OWN,
    drop_signs,
    find_words,
    number_words,
)
from medray.evaluation.metrics.pairs import Pairs
from medray.evaluation.metrics.ragged import Integers, Ragged, offsets
from medray.evaluation.metrics.tokens import CHARACTER, SIGNS
from medray.languages import language

Classes = npt.NDArray[np.uint8]


def cut_words(
    predictions: Sequence[str], references: Sequence[Sequence[str]], languages: Sequence[str]
) -> Pairs:
    """Return the texts' ``metric_tokens`` as ids; ids are of one item, and others' are others."""
    texts = [text.casefold() for text in chain(predictions, *references)]
    return _cut(*_characters(texts), references, languages, _word_classes())


def cut_answers(
    predictions: Sequence[str], references: Sequence[Sequence[str]], languages: Sequence[str]
) -> Pairs:
    """Return the texts' ``answer_tokens`` as ids in the same way."""
    texts = [text.lower() for text in chain(predictions, *references)]
    characters, starts = drop_signs(*_characters(texts), _answer_classes())
    return _cut(characters, starts, references, languages, _answer_classes())


def _characters(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint32], Integers]:
    """Return all texts' characters as numbers, one text after another, and where each begins."""
    # JSON can carry half a surrogate pair.
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(encoded, np.uint32), offsets([len(text) for text in texts])


def _cut(
    characters: npt.NDArray[np.uint32],
    starts: Integers,
    references: Sequence[Sequence[str]],
    languages: Sequence[str],
    classes: Classes,
) -> Pairs:
    items, counts = len(references), [len(texts) for texts in references]
    firsts = offsets(counts)
    spaced = np.array([language(code).spaced for code in languages], np.bool_)
    of_texts = np.concatenate([spaced, np.repeat(spaced, counts)])
    begins, ends, words = find_words(characters, starts, of_texts, classes)
    ids, vocabulary = number_words(characters, begins, ends, words, items, firsts)
    return Pairs(Ragged(ids, words[: items + 1]), Ragged(ids, words[items:]), firsts, vocabulary)


@cache
def _word_classes() -> Classes:
    return _classes((r"\w+", IN_WORDS), (f"[{CHARACTER}]+", WORD_OF_ITS_OWN))


@cache
def _answer_classes() -> Classes:
    return _classes(
        (r"\S+", IN_WORDS), (f"[{CHARACTER}]+", WORD_OF_ITS_OWN), (f"[{re.escape(SIGNS)}]+", SIGN)
    )


def _classes(*patterns: tuple[str, int]) -> Classes:
    """Return what every character is, by the very patterns that cut one text."""
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    classes = np.zeros(len(every), np.uint8)
    for pattern, bit in patterns:
        for run in re.finditer(pattern, every):
            classes[run.start() : run.end()] |= bit
    return classes

"""Entities found in a text against those that are in it: counts for each item, to be summed.

Micro-averaged precision, recall and F1 are ``counts.precision`` ... of the sums.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from medray.evaluation.metrics.counts import Counts

Span = tuple[str, int, int]


def entity_key(name: str) -> str:
    """Return what two spellings of an entity share: compatible characters, case, blanks folded."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def entity_counts(
    predicted: Sequence[Iterable[str]], gold: Sequence[Iterable[str]], repeated: bool = False
) -> Counts:
    """Return (items, 3): true positives, false positives, false negatives of each text.

    Names are compared by ``entity_key``. Each counts once a text, or with ``repeated`` as often as
    it is listed. An entity without a letter or sign is none.
    """
    rows = [
        _compared(_names(mine, repeated), _names(theirs, repeated))
        for mine, theirs in zip(predicted, gold, strict=True)
    ]
    return _array(rows)


def _names(names: Iterable[str], repeated: bool) -> Counter[str]:
    keys = [key for key in map(entity_key, names) if key]
    return Counter(keys if repeated else set(keys))


def _compared(mine: Counter[str], theirs: Counter[str]) -> tuple[int, int, int]:
    both = (mine & theirs).total()
    return both, mine.total() - both, theirs.total() - both


def published_entity_counts(outputs: Sequence[str | None], gold: Sequence[str]) -> Counts:
    """Return (items, 3) as MedS-Ins's NamedEntityRecognition.py counts whole answers.

    It deletes every full stop and then cuts off one more character, meant to be the stop: the last
    entity loses its last letter, so "aspirin, ibuprofen." shares nothing with the same two in
    the other order, and "heparins" is "heparin". An answer that is no text (None) is passed
    over, its missed entities with it.
    """
    rows = []
    for output, listed in zip(outputs, gold, strict=True):
        if output is None:
            rows.append((0, 0, 0))
            continue
        mine, theirs = _published_names(output), _published_names(listed)
        rows.append((len(mine & theirs), len(mine - theirs), len(theirs - mine)))
    return _array(rows)


def _published_names(text: str) -> set[str]:
    plain = text.replace(".", "").strip().lower()
    # The script's own spelling of the words that MedS-Ins's tasks teach.
    return set() if plain == "there is no related enetity" else set(plain[:-1].split(", "))


def spans(tags: Sequence[str]) -> set[Span]:
    """Return the entities of one text's tags as (type, first token, last token).

    Leniently, as conlleval and seqeval's default read IOB, IOE and IOBES: an I- that continues
    nothing of its type begins an entity. A tag is a letter, a hyphen and a type; "" is O.
    """
    found: set[Span] = set()
    before, before_kind, first = "O", "", 0
    for place, tag in enumerate([*tags, "O"]):
        letter, kind = tag[:1] or "O", tag[1:].split("-", maxsplit=1)[-1] or "_"
        if _ends(before, letter, before_kind != kind):
            found.add((before_kind, first, place - 1))
        if _begins(before, letter, before_kind != kind):
            first = place
        before, before_kind = letter, kind
    return found


def _ends(before: str, letter: str, other_kind: bool) -> bool:
    if before in "ES" or (before in "BI" and letter in "BSO"):
        return True
    return before not in "O." and other_kind


def _begins(before: str, letter: str, other_kind: bool) -> bool:
    if letter in "BS" or (before in "ESO" and letter in "EI"):
        return True
    return letter not in "O." and other_kind


def span_counts(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Counts:
    """Return (items, 3) of ``spans``: one is right where type, first and last token are.

    ``ValueError`` where a text has not as many predicted tags as it has tokens.
    """
    rows = []
    for mine, theirs in _tagged(predicted, gold):
        found, there = spans(mine), spans(theirs)
        rows.append((len(found & there), len(found - there), len(there - found)))
    return _array(rows)


def token_counts(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Counts:
    """Return (items, 2): the tokens with the right tag, and all; ``counts.share`` is accuracy."""
    rows = [
        (sum(a == b for a, b in zip(mine, theirs, strict=True)), len(theirs))
        for mine, theirs in _tagged(predicted, gold)
    ]
    return np.array(rows, np.int64).reshape(-1, 2)


def _tagged(
    predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]
) -> list[tuple[Sequence[str], Sequence[str]]]:
    rows = list(zip(predicted, gold, strict=True))
    for place, (mine, theirs) in enumerate(rows):
        if len(mine) != len(theirs):
            raise ValueError(f"item {place} has {len(mine)} tags for {len(theirs)} tokens")
    return rows


def _array(rows: Sequence[tuple[int, int, int]]) -> Counts:
    return np.array(rows, np.int64).reshape(-1, 3)

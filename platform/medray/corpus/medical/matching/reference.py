"""The definition of a match, in plain Python. Slow; every engine must equal it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from medray.corpus.medical.matching.characters import MARK, SPACE, WORD, flags_of, to_case
from medray.corpus.medical.matching.patterns import PatternSet, Rule, origins
from medray.corpus.medical.matching.protocol import Scan

# Number of the keyword, first character, character after the last.
Span = tuple[int, int, int]


def counts(text: str, start: int, end: int, rule: Rule) -> bool:
    """Say whether an occurrence stands where its pattern's rule wants it."""
    before = flags_of(text[start - 1]) if start else SPACE
    after = flags_of(text[end]) if end < len(text) else SPACE
    return not (
        (rule & Rule.WORD_BEGINS and before & WORD)
        or (rule & Rule.WORD_ENDS and after & WORD)
        or (rule & Rule.LETTER_ENDS and after & MARK)
        or (rule & Rule.TOKEN and not before & after & SPACE)
    )


@dataclass(frozen=True)
class ReferenceMatcher:
    """``str.find`` of each pattern from every place on."""

    patterns: PatternSet

    def spans(self, text: str) -> list[Span]:
        """Return every occurrence that counts, in the text's own characters, by start and end."""
        places = origins(text, self.patterns.case)
        return [(number, places[start], places[end]) for number, start, end in self._find(text)]

    def _find(self, text: str) -> list[Span]:
        """Return the spans in the characters of the text as it is compared."""
        compared, found = to_case(text, self.patterns.case), []
        for pattern in self.patterns.patterns:
            start = compared.find(pattern.text)
            while start >= 0:
                end = start + len(pattern.text)
                if counts(compared, start, end, pattern.rule):
                    found.append((pattern.keyword, start, end))
                start = compared.find(pattern.text, start + 1)
        found.sort(key=lambda span: (span[1], span[2], span[0]))
        return _apart(found) if self.patterns.apart else found

    def scan(self, texts: pa.Array) -> Scan:
        rows, found = [], []
        for text in texts.to_pylist():
            spans = self._find(text)
            numbers = list(dict.fromkeys(number for number, _, _ in spans))
            covered = {place for _, start, end in spans for place in range(start, end)}
            rows.append((len(numbers), len(covered), sum(end - start for _, start, end in spans)))
            found += numbers
        count, covered_characters, summed = np.array(rows, np.int64).reshape(-1, 3).T
        return Scan(count, covered_characters, summed, np.array(found, np.int32))


def _apart(spans: list[Span]) -> list[Span]:
    """Return those spans that overlap no earlier one of their own keyword that is returned."""
    free: dict[int, int] = {}
    kept = []
    for number, start, end in spans:
        if start >= free.get(number, 0):
            free[number] = end
            kept.append((number, start, end))
    return kept

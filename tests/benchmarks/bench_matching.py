"""Keyword matching: medray's matcher against its definition and the field's other ways.

All contestants fold the text, keep the occurrences that ``accepts`` allows and sort them; medray's
own lists of 200 keywords, sample documents (dense in keywords, so the cost of hits is included).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec

from measure import compare
from texts import sample_texts, utf8_megabytes

from medray.corpus.keywords import load_keywords
from medray.corpus.matching import AhoCorasickMatcher, Match, ReferenceMatcher, Span, accepts, fold
from medray.corpus.medical_filter import DEFAULT_MATCH
from medray.languages import LANGUAGES

Spans = Callable[[str], list[Span]]
SAMPLE_MB = 0.5


def alternation_spans(words: Sequence[str], match: Match) -> Spans:
    """``re`` with all keywords, longest first; it loses every occurrence that overlaps another."""
    numbers = {word: number for number, word in enumerate(words)}
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(word) for word in longest_first))

    def spans(text: str) -> list[Span]:
        folded = fold(text)
        return [
            (numbers[found[0]], *found.span())
            for found in pattern.finditer(folded)
            if accepts(folded, *found.span(), match)
        ]

    return spans


def pyahocorasick_spans(words: Sequence[str], match: Match) -> Spans:
    """The same automaton in C; its iterator gives the last character of each occurrence."""
    import ahocorasick  # type: ignore[import-not-found]

    automaton = ahocorasick.Automaton()
    for number, word in enumerate(words):
        automaton.add_word(word, (number, len(word)))
    automaton.make_automaton()

    def spans(text: str) -> list[Span]:
        folded = fold(text)
        found = [
            (number, last + 1 - length, last + 1)
            for last, (number, length) in automaton.iter(folded)
            if accepts(folded, last + 1 - length, last + 1, match)
        ]
        return sorted(found, key=lambda span: (span[1], span[2], span[0]))

    return spans


def search(spans: Spans, texts: Sequence[str]) -> int:
    """Return the number of occurrences in all texts."""
    return sum(len(spans(text)) for text in texts)


def main() -> None:
    has_pyahocorasick = find_spec("ahocorasick") is not None
    print("bench_matching: 200 keywords a language, sample documents")
    if not has_pyahocorasick:
        print("pyahocorasick is not installed: left out")
    for code in LANGUAGES:
        match, words = DEFAULT_MATCH[code], load_keywords(code).words
        texts = sample_texts(code, SAMPLE_MB)
        medray = AhoCorasickMatcher(words, match).spans
        peers: dict[str, Spans] = {
            "ReferenceMatcher, str.find x 200": ReferenceMatcher(words, match).spans
        }
        peers["re alternation (loses overlaps)"] = alternation_spans(words, match)
        if has_pyahocorasick:
            peers["pyahocorasick"] = pyahocorasick_spans(words, match)
        total = search(medray, texts)
        found = ", ".join(
            f"{name}: {search(peer, texts) / total:.1%}" for name, peer in peers.items()
        )
        contestants = {"medray AhoCorasickMatcher": medray} | peers
        compare(
            f"{code}, match by {match}: {total} occurrences; of them {found}",
            {name: partial(search, spans, texts) for name, spans in contestants.items()},
            utf8_megabytes(texts),
            "MB",
        )


if __name__ == "__main__":
    main()

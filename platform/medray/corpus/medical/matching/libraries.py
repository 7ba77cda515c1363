"""Matchers that stand on a library's search: hyperscan and ahocorasick_rs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from medray.corpus.medical.matching.characters import Case, to_case, written_as
from medray.corpus.medical.matching.occurrences import Occurrences, add_up
from medray.corpus.medical.matching.patterns import PatternSet, comparable
from medray.corpus.medical.matching.protocol import Scan, text_buffers


@dataclass(frozen=True)
class HyperscanMatcher:
    """Hyperscan over the whole buffer; it calls Python for every occurrence.

    Cases are spelled out as sets of characters, for the Unicode tables of hyperscan's own
    caseless mode are older than Python's and differ in 349 letters. Its searches take 0.3 to 0.8 s
    to compile, and a buffer holds less than 4 GiB.
    """

    patterns: PatternSet

    @cached_property
    def _database(self) -> Any:
        import hyperscan

        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        count = len(self.patterns.patterns)
        texts = [pattern.text for pattern in self.patterns.patterns]
        database.compile(
            expressions=[_expression(text, self.patterns.case) for text in texts],
            ids=list(range(count)),
            elements=count,
            flags=[hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SOM_LEFTMOST] * count,
        )
        return database

    def scan(self, texts: pa.Array) -> Scan:
        data, offsets = text_buffers(comparable(texts, self.patterns.case))
        patterns: list[int] = []
        starts: list[int] = []
        stops: list[int] = []

        def on_match(number: int, start: int, stop: int, flags: int, context: object) -> None:
            patterns.append(number)
            starts.append(start)
            stops.append(stop)

        if len(data) and self.patterns.patterns:
            self._database.scan(data.data, match_event_handler=on_match)
        return add_up(data, offsets, self.patterns, Occurrences.of(starts, stops, patterns))


def _expression(text: str, case: Case) -> bytes:
    """Return the regular expression of a text in any case."""
    sets = (written_as(case).get(character, (character,)) for character in text)
    spelled = ("".join(f"\\x{{{ord(character):x}}}" for character in one) for one in sets)
    return "".join(f"[{one}]" for one in spelled).encode()


@dataclass(frozen=True)
class AhoCorasickMatcher:
    """ahocorasick_rs's deterministic automaton over texts whose case Python has taken away."""

    patterns: PatternSet

    @cached_property
    def _automaton(self) -> Any:
        import ahocorasick_rs

        return ahocorasick_rs.BytesAhoCorasick(
            [pattern.text.encode() for pattern in self.patterns.patterns],
            matchkind=ahocorasick_rs.MatchKind.Standard,
            implementation=ahocorasick_rs.Implementation.DFA,
        )

    def scan(self, texts: pa.Array) -> Scan:
        case = self.patterns.case
        if case != "exact":
            texts = pa.array([to_case(text, case) for text in texts.to_pylist()], pa.large_string())
        data, offsets = text_buffers(texts)
        found = self._automaton.find_matches_as_indexes(data.data, overlapping=True)
        patterns, starts, stops = zip(*found, strict=True) if found else ((), (), ())
        return add_up(data, offsets, self.patterns, Occurrences.of(starts, stops, patterns))

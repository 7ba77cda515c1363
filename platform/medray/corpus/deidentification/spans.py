"""Spans of personal data in a text: merging them, putting tags in their place, finding back."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Kind = Literal[
    "EMAIL",
    "NATIONAL_ID",
    "ACCOUNT_NUMBER",
    "RECORD_NUMBER",
    "BIRTH_DATE",
    "IP_ADDRESS",
    "TELEPHONE",
    "NAME",
    "ADDRESS",
]
# In order of right: where two kinds claim a character, the earlier one has it. Numbers with a
# checksum or a label say more than a run of digits; an address, the widest claim, has the rest.
KINDS: tuple[Kind, ...] = get_args(Kind)


class Span(NamedTuple):
    """A stretch of a text, in characters (Unicode code points): [start, end)."""

    kind: Kind
    start: int
    end: int


def disjoint(spans: Iterable[Span], text: str) -> list[Span]:
    """Return spans that cover every character that ``spans`` cover, sorted and not overlapping.

    A character goes to the kind that stands first in KINDS. Of a span that gives way in part, what
    is left stays where it holds a letter or a digit. Time n log n in the number of spans.
    """
    by_kind: dict[Kind, list[Span]] = {}
    for span in sorted(set(spans), key=lambda span: span.start):
        row = by_kind.setdefault(span.kind, [])
        if row and span.start <= row[-1].end:  # what touches is one: 佐々木|健太郎
            row[-1] = row[-1]._replace(end=max(row[-1].end, span.end))
        else:
            row.append(span)
    taken: list[Span] = []
    for kind in KINDS:
        if kind in by_kind:
            taken = sorted(
                [*taken, *_remainders(by_kind[kind], taken, text)], key=lambda span: span.start
            )
    return taken


def _remainders(spans: Sequence[Span], taken: Sequence[Span], text: str) -> list[Span]:
    """Return what is left of ``spans`` outside ``taken``; both sorted and disjoint."""
    left: list[Span] = []
    first = 0
    for kind, start, end in spans:
        while first < len(taken) and taken[first].end <= start:
            first += 1
        number = first
        while number < len(taken) and taken[number].start < end:
            left.append(Span(kind, start, taken[number].start))
            start = taken[number].end
            number += 1
        left.append(Span(kind, start, end))
    return [trimmed for span in left if (trimmed := _trimmed(span, text)).start < trimmed.end]


def _trimmed(span: Span, text: str) -> Span:
    """Return the span from its first letter or digit to its last, or to a dot or bracket of its."""
    start, end = span.start, span.end
    inside = text[start:end]
    first = "+＋〒" + ("(（" if re.search("[)）]", inside) else "")
    last = ".º°ª" + (")）" if re.search("[(（]", inside) else "")
    while start < end and not (text[start].isalnum() or text[start] in first):
        start += 1
    while end > start and not (text[end - 1].isalnum() or text[end - 1] in last):
        end -= 1
    return span._replace(start=start, end=end if any(map(str.isalnum, text[start:end])) else start)


def tag_of(kind: str, tag_format: str) -> str:
    """Return what stands in place of a span: the format with the kind in it."""
    return tag_format.replace("{kind}", kind)


def replace_spans(text: str, spans: Sequence[Span], tag_format: str = "[{kind}]") -> str:
    """Return the text with a tag in place of every span; spans are sorted and do not overlap."""
    parts: list[str] = []
    last = 0
    for kind, start, end in spans:
        parts += (text[last:start], tag_of(kind, tag_format))
        last = end
    return "".join((*parts, text[last:]))


def counts(spans: Iterable[Span]) -> dict[str, int]:
    """Return how many spans there are of each kind that occurs."""
    return dict(Counter(span.kind for span in spans))


@dataclass(frozen=True)
class Alignment:
    """Positions of a text with tags against positions of the text as it was given.

    ``spans``: [start, end) in the original; ``tags``: the same spans in the tagged text. Every
    character outside the spans has exactly one partner; positions inside a span or a tag map to
    the other's start, and its end to its end.
    """

    spans: tuple[Span, ...]
    tags: tuple[Span, ...]

    def to_original(self, position: int) -> int:
        """Return where a position of the tagged text lies in the original."""
        return _map(position, self.tags, self.spans)

    def to_tagged(self, position: int) -> int:
        """Return where a position of the original lies in the tagged text."""
        return _map(position, self.spans, self.tags)


def align(spans: Iterable[Span | tuple[str, int, int]], tag_format: str = "[{kind}]") -> Alignment:
    """Return the alignment of a text to its tagged form from the spans kept in the decisions.

    ``tag_format`` is the one the text was tagged with; nothing of the text itself is needed.
    """
    ordered = tuple(Span(*span) for span in sorted(spans, key=lambda span: span[1]))  # type: ignore[arg-type]
    tags: list[Span] = []
    shift = 0
    for kind, start, end in ordered:
        length = len(tag_of(kind, tag_format))
        tags.append(Span(kind, start + shift, start + shift + length))
        shift += length - (end - start)
    return Alignment(ordered, tuple(tags))


def _map(position: int, here: Sequence[Span], there: Sequence[Span]) -> int:
    number = bisect_right(here, position, key=lambda span: span.start) - 1
    if number < 0:
        return position
    if position < here[number].end:
        return there[number].start
    return position - here[number].end + there[number].end

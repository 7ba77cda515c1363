"""Spans, tags and positions: what is kept must be enough to find back to the text as given."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.deidentification.spans import (
    KINDS,
    Span,
    align,
    counts,
    disjoint,
    replace_spans,
    tag_of,
)

TEXTS = st.text("ab1 .🩺氏名\n", max_size=40)
FORMATS = st.sampled_from(["[{kind}]", "<{kind}/>", "{kind}"])


@st.composite
def claims(draw: st.DrawFn) -> tuple[str, list[Span]]:
    """A text and claims on it that may overlap."""
    text = draw(TEXTS.filter(bool))
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 12))
    spans = draw(st.lists(st.tuples(st.sampled_from(KINDS), places), max_size=8))
    return text, [Span(k, start, min(start + n, len(text))) for k, (start, n) in spans]


@given(claims())
def test_every_claimed_letter_stays_claimed_by_the_first_kind_of_its_claims(
    case: tuple[str, list[Span]],
) -> None:
    text, spans = case
    kept = disjoint(spans, text)
    assert all(a.end <= b.start for a, b in pairwise(kept))
    owner = {i: span.kind for span in kept for i in range(span.start, span.end)}
    for i, character in enumerate(text):
        kinds = [span.kind for span in spans if span.start <= i < span.end]
        if kinds and character.isalnum():
            assert owner[i] == min(kinds, key=KINDS.index)
        if not kinds:
            assert i not in owner


@given(claims(), FORMATS)
def test_tagged_text_is_the_original_with_spans_replaced(
    case: tuple[str, list[Span]], tag_format: str
) -> None:
    text, spans = case
    kept = disjoint(spans, text)
    tagged = replace_spans(text, kept, tag_format)
    alignment = align(kept, tag_format)
    for original, tag in zip(alignment.spans, alignment.tags, strict=True):
        assert tagged[tag.start : tag.end] == tag_of(original.kind, tag_format)
    inside = {i for span in kept for i in range(span.start, span.end)}
    outside = [i for i in range(len(text) + 1) if i not in inside]
    for place in outside:
        there = alignment.to_tagged(place)
        assert (
            text[place : place + 1] == tagged[there : there + 1]
            or place in inside
            or any(span.start == place for span in kept)
        )
        assert alignment.to_original(there) == place
    assert alignment.to_tagged(len(text)) == len(tagged)


@given(claims())
def test_positions_inside_a_span_map_to_the_tag_start_and_back(
    case: tuple[str, list[Span]],
) -> None:
    text, spans = case
    alignment = align(disjoint(spans, text))
    for original, tag in zip(alignment.spans, alignment.tags, strict=True):
        for place in range(original.start, original.end):
            assert alignment.to_tagged(place) == tag.start
        for place in range(tag.start, tag.end):
            assert alignment.to_original(place) == original.start
        assert alignment.to_tagged(original.end) == tag.end or original.end in {
            span.start for span in alignment.spans
        }


def test_counts_are_by_kind() -> None:
    spans = [Span("NAME", 0, 1), Span("EMAIL", 2, 3), Span("NAME", 4, 5)]
    assert counts(spans) == {"NAME": 2, "EMAIL": 1}


def test_a_later_kind_keeps_what_stands_on_both_sides() -> None:
    text = "Address: 5 High St 212-555-0123 Boston"
    spans = [Span("ADDRESS", 9, len(text)), Span("TELEPHONE", 19, 31)]
    assert replace_spans(text, disjoint(spans, text)) == "Address: [ADDRESS] [TELEPHONE] [ADDRESS]"

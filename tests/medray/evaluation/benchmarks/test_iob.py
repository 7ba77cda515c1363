from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.benchmarks.iob import entities, spans


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (["B-D", "I-D", "O", "B-D"], (("D", 0, 2), ("D", 3, 4))),
        (["B-D", "B-D"], (("D", 0, 1), ("D", 1, 2))),
        # An I- that goes on from nothing of its kind begins an entity.
        (["I-D", "O", "I-D"], (("D", 0, 1), ("D", 2, 3))),
        (["B-D", "I-C", "I-C"], (("D", 0, 1), ("C", 1, 3))),
        (["O", "O"], ()),
        ([], ()),
    ],
)
def test_spans(tags: list[str], found: tuple[tuple[str, int, int], ...]) -> None:
    assert spans(tags) == found


@pytest.mark.parametrize("tag", ["E-D", "B", "B-", "D", "", "o"])
def test_another_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="is none of O, B-kind, I-kind"):
        spans(["O", tag])


def test_entities_are_strings_in_the_order_of_the_text() -> None:
    tokens, tags = (
        ["No", "ataxia", "-", "x", "after", "NaCl"],
        ["O", "B-D", "I-D", "I-D", "O", "B-C"],
    )
    assert list(entities(tokens, tags)) == ["ataxia - x", "NaCl"]
    assert list(entities(tokens, tags, kinds=True)) == ["D: ataxia - x", "C: NaCl"]
    with pytest.raises(ValueError, match="6 tokens, 5 tags"):
        list(entities(tokens, tags[:5]))


@given(st.lists(st.sampled_from(["O", "B-Disease", "I-Disease", "B-Drug", "I-Drug"])))
def test_spans_are_seqeval_s(tags: list[str]) -> None:
    labeling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    theirs = [(kind, start, end + 1) for kind, start, end in labeling.get_entities(tags)]
    assert list(spans(tags)) == theirs

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.metrics.cutting import cut_answers, cut_words
from medray.evaluation.metrics.pairs import Pairs
from medray.evaluation.metrics.tokens import answer_tokens, metric_tokens
from medray.languages import LANGUAGES
from text_pairs import random_pairs

Cut = Callable[..., Pairs]
One = Callable[[str, str], list[str]]
BOTH = pytest.mark.parametrize(
    ("cut", "one"), [(cut_words, metric_tokens), (cut_answers, answer_tokens)]
)
# Letters that grow when they are folded, half a surrogate pair, signs inside the kana block.
TEXTS = st.text("aB1 .心ガ・゠ßİ\ud800\U0001f600\u3000\n_-", max_size=20) | st.text(max_size=20)
ITEMS = st.lists(
    st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from(sorted(LANGUAGES))),
    max_size=5,
)


def assert_cut_alike(cut: Cut, one: One, items: list[tuple[str, list[str], str]]) -> None:
    """Equal words of an item have equal ids, others other ones; nothing is said across items."""
    pairs = cut([a for a, _, _ in items], [b for _, b, _ in items], [code for _, _, code in items])
    for item, (prediction, references, code) in enumerate(items):
        first, end = pairs.firsts[item], pairs.firsts[item + 1]
        ids = [pairs.predictions.text(item), *map(pairs.references.text, range(first, end))]
        words = [one(text, code) for text in (prediction, *references)]
        assert [len(text) for text in ids] == [len(text) for text in words]
        pairing = {*zip((i for t in ids for i in t), (w for t in words for w in t), strict=True)}
        assert len(pairing) == len({i for i, _ in pairing}) == len({word for _, word in pairing})
        assert all(0 <= number < pairs.vocabulary for number, _ in pairing)


@BOTH
@given(ITEMS)
def test_any_text_is_cut_as_alone(
    cut: Cut, one: One, items: list[tuple[str, list[str], str]]
) -> None:
    assert_cut_alike(cut, one, items)


@BOTH
def test_long_texts_are_cut_as_alone(cut: Cut, one: One) -> None:
    rows = random_pairs(60, seed=5, words=(300, 400), characters=(300, 400))
    assert_cut_alike(cut, one, [(a, [b, a], code) for a, b, code in rows])

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.errors import InputError
from medray.evaluation.metrics.text import MODES, NAMES, Mode, text_scores
from medray.evaluation.metrics.tokens import metric_tokens
from medray.languages import LANGUAGES


def scores(
    prediction: str, *references: str, code: str = "en", mode: Mode = "correct"
) -> dict[str, float]:
    found = text_scores([prediction], [references], [code], mode=mode)
    assert tuple(found) == NAMES
    return {name: values[0] for name, values in found.items()}


def test_equal_texts_score_one_and_strangers_none() -> None:
    assert set(scores("The heart beats on.", "the HEART beats, on").values()) == {1}
    assert set(scores("one two", "three four").values()) == {0}


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        # Precision 3/4, recall 3/5; a shorter prediction pays e^(1 - 5/4). Of its three bigrams
        # one stands in the reference's four. Longest common subsequence "the heart fast": 3.
        (
            "the heart beats fast",
            "the heart is very fast",
            {
                "bleu_1": math.exp(1 - 5 / 4) * 3 / 4,
                "bleu_2": math.exp(1 - 5 / 4) * math.sqrt(3 / 4 * 1 / 3),
                # No trigram of two, no 4-gram of one: half and a quarter of a match.
                "bleu_3": math.exp(1 - 5 / 4) * (3 / 4 * 1 / 3 * 1 / 4) ** (1 / 3),
                "bleu_4": math.exp(1 - 5 / 4) * (3 / 4 * 1 / 3 * 1 / 4 * 1 / 4) ** (1 / 4),
                "rouge_1": 2 * 3 / 9,
                "rouge_2": 2 * 1 / 7,
                "rouge_l": 2 * 3 / 9,
                "token_f1": 2 * 3 / 9,
                "exact_match": 0,
            },
        ),
        # A repeated word counts as often as the reference has it: 2 of 4; the longer one pays none.
        ("no no no no", "no no", {"bleu_1": 2 / 4, "rouge_1": 2 * 2 / 6, "rouge_l": 2 * 2 / 6}),
        # All words, other order: unigrams are whole, the subsequence is "a" or "b" or "c" alone.
        ("c b a", "a b c", {"bleu_1": 1, "rouge_1": 1, "rouge_l": 1 / 3}),
        ("a", "a b", {"bleu_1": math.exp(1 - 2), "bleu_4": math.exp(1 - 2), "rouge_2": 0}),
        ("12.5 mg!", "125 MG", {"exact_match": 1, "token_f1": 1, "rouge_1": 2 * 1 / 5}),
        ("the aspirin", "aspirin", {"exact_match": 0, "token_f1": 2 / 3}),
    ],
)
def test_values_worked_out_by_hand(
    prediction: str, reference: str, expected: dict[str, float]
) -> None:
    found = scores(prediction, reference)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_chinese_and_japanese_are_compared_by_character() -> None:
    # 急性心肌梗死 against 心肌梗死: 4 of 6 characters, all 4 in order.
    found = scores("急性心肌梗死", "心肌梗死", code="zh")
    assert found["bleu_1"] == pytest.approx(4 / 6)
    assert found["rouge_l"] == found["token_f1"] == pytest.approx(8 / 10)
    assert set(scores("急性发热", "急性发热。", code="zh").values()) == {1}
    assert scores("ガン", "ガン、", code="ja")["rouge_2"] == 1


def test_of_several_references_the_best_counts() -> None:
    found = scores("renal failure", "kidney disease", "renal failure", "the renal system")
    assert set(found.values()) == {1}
    # BLEU: each word may match in another reference; the nearest length is 2.
    found = scores("a b", "a x y z", "b q")
    assert found["bleu_1"] == 1
    assert found["rouge_1"] == pytest.approx(2 * 1 / 4)


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_text_without_a_word_scores_nothing_but_against_another(code: str) -> None:
    for prediction, reference in (("", "a"), ("a", ""), ("…", "a")):
        assert set(scores(prediction, reference, code=code).values()) == {0}
    both = scores("", "…", code=code)
    assert {name for name, value in both.items() if value} == {"exact_match", "token_f1"}


def test_no_items_have_no_values() -> None:
    assert text_scores([], [], []) == {name: [] for name in NAMES}


def test_wrong_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="no text metric 'rougel'; did you mean rouge_l"):
        text_scores(["a"], ["a"], ["en"], names=["rougel"])
    with pytest.raises(InputError, match="no mode 'published'; did you mean as-published"):
        text_scores(["a"], ["a"], ["en"], mode="published")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no language 'de'; there are en, zh"):
        text_scores(["a"], ["a"], ["de"])


def test_lists_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="numbers must be equal"):
        text_scores(["a", "b"], ["a"], ["en", "en"])
    with pytest.raises(ValueError, match="item 1 has no reference"):
        text_scores(["a", "b"], [["a"], []], ["en", "en"])


TEXTS = st.text("ab cé1心ガж.,-\n\ud800\U0001f600", max_size=25) | st.text(max_size=25)
ITEMS = st.lists(
    st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from(sorted(LANGUAGES))),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=60)
@given(ITEMS, st.randoms(use_true_random=False))
def test_every_value_is_a_share_of_its_own_item(
    mode: Mode, items: list[tuple[str, list[str], str]], order: random.Random
) -> None:
    found = text_scores(*map(list, zip(*items, strict=True)), mode=mode)  # type: ignore[arg-type]
    assert all(0 <= value <= 1 for values in found.values() for value in values)
    places = list(range(len(items)))
    order.shuffle(places)
    shuffled = [items[place] for place in places]
    again = text_scores(*map(list, zip(*shuffled, strict=True)), mode=mode)  # type: ignore[arg-type]
    for name, values in found.items():
        assert again[name] == [values[place] for place in places]


@given(TEXTS, TEXTS, st.sampled_from(sorted(LANGUAGES)))
def test_rouge_and_token_f1_are_symmetric_and_the_subsequence_holds_no_more_than_the_words(
    prediction: str, reference: str, code: str
) -> None:
    found, turned = (
        scores(prediction, reference, code=code),
        scores(reference, prediction, code=code),
    )
    assert found["rouge_l"] <= found["rouge_1"]
    for name in ("rouge_1", "rouge_2", "rouge_l", "token_f1", "exact_match"):
        assert turned[name] == found[name]


@given(TEXTS, TEXTS, st.sampled_from(sorted(LANGUAGES)))
def test_a_text_is_wholly_like_itself(text: str, other: str, code: str) -> None:
    found = scores(text, other, text, code=code)
    assert (found["exact_match"], found["token_f1"]) == (1, 1)
    words = metric_tokens(text, code)
    assert {found[name] for name in NAMES if name.startswith("bleu")} == {float(len(words) > 0)}
    assert (found["rouge_1"], found["rouge_l"]) == (len(words) > 0,) * 2
    assert found["rouge_2"] == (len(words) > 1)  # one word has no bigram

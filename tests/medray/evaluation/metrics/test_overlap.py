"""The compiled counts against the libraries that they are to equal."""

from __future__ import annotations

import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from medray.evaluation.metrics.text import text_scores
from medray.evaluation.metrics.tokens import metric_tokens
from text_pairs import random_pairs

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=12)


class Tokenizer:
    """rouge_score's tokenizer protocol; its own default drops every letter outside a-z."""

    def __init__(self, code: str) -> None:
        self.code = code

    def tokenize(self, text: str) -> list[str]:
        return metric_tokens(text, self.code)


BLEUS = {n: BLEU(max_ngram_order=n, tokenize="none", effective_order=True) for n in (1, 2, 3, 4)}


def library_scores(prediction: str, references: list[str], code: str) -> dict[str, float]:
    spelled = [" ".join(metric_tokens(text, code)) for text in (prediction, *references)]
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Tokenizer(code))
    rouge = scorer.score_multi(references, prediction)
    return {
        f"bleu_{n}": bleu.sentence_score(spelled[0], spelled[1:]).score / 100
        for n, bleu in BLEUS.items()
    } | {
        "rouge_1": rouge["rouge1"].fmeasure,
        "rouge_2": rouge["rouge2"].fmeasure,
        "rouge_l": rouge["rougeL"].fmeasure,
    }


def assert_equal_to_the_libraries(rows: list[tuple[str, list[str], str]]) -> None:
    predictions, references, languages = map(list, zip(*rows, strict=True))
    found = text_scores(predictions, references, languages)
    for number, row in enumerate(rows):
        for name, value in library_scores(*row).items():
            assert abs(found[name][number] - value) < 1e-9, (name, row)


def test_random_pairs_in_six_languages_score_as_the_libraries_do() -> None:
    assert_equal_to_the_libraries([(a, [b], code) for a, b, code in random_pairs(10_000)])


def test_pairs_of_several_references_score_as_the_libraries_do() -> None:
    rows = random_pairs(600, seed=1)
    several = [
        (prediction, [other for _, other, _ in rows[place : place + 18 : 6]], code)
        for place, (prediction, _, code) in enumerate(rows[:300])
    ]
    assert_equal_to_the_libraries(several)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=4))
def test_few_words_in_any_order_score_as_the_libraries_do(
    prediction: list[str], references: list[list[str]]
) -> None:
    texts = [" ".join(words) for words in references]
    assert_equal_to_the_libraries([(" ".join(prediction), texts, "en")])


@pytest.mark.parametrize("length", [63, 64, 65, 127, 128, 129, 700])
def test_long_texts_cross_the_words_of_the_bits(length: int) -> None:
    reference = " ".join(f"w{i * i % 17}" for i in range(length))
    prediction = " ".join(f"w{i * i * i % 19}" for i in range(length + 5))
    assert_equal_to_the_libraries([(prediction, [reference], "en"), (reference, [reference], "en")])


def squad(text: str) -> str:
    """SQuAD v1.1's and Tk-Instruct's normalize_answer, articles kept."""
    bare = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
    return " ".join(bare.split())


@given(st.lists(st.text("aAbB12. ,-!+", max_size=12), min_size=2, max_size=4))
def test_exact_match_and_token_f1_are_squads(texts: list[str]) -> None:
    prediction, *references = texts
    found = text_scores([prediction], [references], ["en"], names=["exact_match", "token_f1"])
    f1s = []
    for reference in references:
        mine, theirs = squad(prediction).split(), squad(reference).split()
        same = sum((Counter(mine) & Counter(theirs)).values())
        # SQuAD 2.0: two answers without a word are equal.
        f1s.append(2 * same / (len(mine) + len(theirs)) if mine or theirs else 1.0)
    matches = any(squad(prediction) == squad(reference) for reference in references)
    assert found["exact_match"] == [float(matches)]
    assert found["token_f1"] == pytest.approx([max(f1s)], abs=1e-12)

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.evaluation.similarity import NAMES, metric_tokens, similarity
from medray.languages import LANGUAGES


def scores(prediction: str, reference: str, code: str = "en") -> tuple[float, float, float]:
    found = similarity(prediction, reference, code)
    return found["bleu_1"], found["rouge_1"], found["rouge_l"]


def test_equal_texts_score_one_and_strangers_none() -> None:
    assert scores("The heart beats.", "the HEART beats") == pytest.approx((1, 1, 1))
    assert scores("one two", "three four") == (0, 0, 0)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        # Precision 3/4, recall 3/5, no brevity penalty needed for the longer text: e^(1 - 5/4).
        # Longest common subsequence "the heart fast": 3.
        (
            "the heart beats fast",
            "the heart is very fast",
            (math.exp(1 - 5 / 4) * 3 / 4, 2 * 3 / 9, 2 * 3 / 9),
        ),
        # A repeated word counts as often as the reference has it: 2 of 4; the longer one pays none.
        ("no no no no", "no no", (2 / 4, 2 * 2 / 6, 2 * 2 / 6)),
        # All words, other order: unigrams are whole, the subsequence is "a" or "b" or "c" alone.
        ("c b a", "a b c", (1, 1, 1 / 3)),
        ("a", "a b", (math.exp(1 - 2), 2 / 3, 2 / 3)),
    ],
)
def test_values_worked_out_by_hand(
    prediction: str, reference: str, expected: tuple[float, float, float]
) -> None:
    assert scores(prediction, reference) == pytest.approx(expected)


def test_chinese_and_japanese_are_compared_by_character() -> None:
    # 急性心肌梗死 against 心肌梗死: 4 of 6 characters, all 4 in order.
    assert scores("急性心肌梗死", "心肌梗死", "zh") == pytest.approx((4 / 6, 8 / 10, 8 / 10))
    assert scores("发热", "发热。", "zh") == pytest.approx((1, 1, 1))
    assert scores("ガン", "ガン", "ja") == pytest.approx((1, 1, 1))


@pytest.mark.parametrize(
    ("text", "code", "tokens"),
    [
        ("The patient's DNA, 12.5 mg!", "en", ["the", "patient", "s", "dna", "12", "5", "mg"]),
        ("Fièvre élevée", "fr", ["fièvre", "élevée"]),
        ("Острая боль", "ru", ["острая", "боль"]),
        ("¿Qué año?", "es", ["qué", "año"]),
        ("DNA损伤，120例", "zh", ["dna", "损", "伤", "120", "例"]),
        ("βブロッカーの投与", "ja", ["β", "ブ", "ロ", "ッ", "カ", "ー", "の", "投", "与"]),
        (" .,、。 ", "ja", []),
    ],
)
def test_tokens(text: str, code: str, tokens: list[str]) -> None:
    assert metric_tokens(text, code) == tokens


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_text_without_a_word_scores_nothing(code: str) -> None:
    for prediction, reference in (("", "a"), ("a", ""), ("", ""), ("…", "a")):
        assert scores(prediction, reference, code) == (0, 0, 0)


TEXTS = st.text("ab cé1心ガж.,-", max_size=25)


@settings(max_examples=100)
@given(TEXTS, TEXTS, st.sampled_from(sorted(LANGUAGES)))
def test_every_value_is_a_share(prediction: str, reference: str, code: str) -> None:
    found = similarity(prediction, reference, code)
    assert tuple(found) == NAMES
    assert all(0 <= value <= 1 for value in found.values())
    assert found["rouge_l"] <= found["rouge_1"] + 1e-12
    turned = similarity(reference, prediction, code)
    assert turned["rouge_1"] == pytest.approx(found["rouge_1"])
    assert turned["rouge_l"] == pytest.approx(found["rouge_l"])
    if metric_tokens(prediction, code):
        assert scores(prediction, prediction, code) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize(("task", "code"), [("task52", "en"), ("task51", "zh"), ("task54", "ja")])
def test_the_published_rationales_score_as_recomputed(
    real_data: Path, task: str, code: str
) -> None:
    """The reference cuts texts otherwise (at blanks; every character, signs too), so its tokens
    are handed over as made-up words: what is compared is the arithmetic of the three metrics."""
    folder = real_data / "evaluation" / "golden" / "meds_ins_rationale"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    csv.field_size_limit(sys.maxsize)
    with (folder / "rationale_en_zh_ja.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task_id"] == task]
    assert len(rows) == 50
    numbers: dict[str, str] = {}

    def spelled(text: str) -> str:
        tokens = text.split() if code == "en" else [c for c in text if not c.isspace()]
        return " ".join(numbers.setdefault(token, f"w{len(numbers)}") for token in tokens)

    values = [similarity(spelled(row["output"]), spelled(row["GT"]), "en") for row in rows]
    golden = expected["package_free_metrics"]["values"][code]
    for name, published in (("bleu_1", "BLEU-1"), ("rouge_1", "ROUGE-1"), ("rouge_l", "ROUGE-L")):
        found = 100 * sum(value[name] for value in values) / len(values)
        assert found == pytest.approx(golden[published], abs=1e-3)

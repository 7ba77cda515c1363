"""Mode as-published against the packages that the papers' scripts call, and against their rows."""

from __future__ import annotations

import csv
import json
import string
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge import Rouge

from medray.evaluation.metrics.published import DIFFERENCES, PUBLISHED_COLUMNS, left_out
from medray.evaluation.metrics.segmenters import published_tokens
from medray.evaluation.metrics.text import NAMES, text_scores
from medray.languages import LANGUAGES
from text_pairs import random_pairs

METHOD1 = SmoothingFunction().method1


def package_scores(prediction: str, references: list[str], code: str) -> dict[str, float]:
    prediction, *references = (text.strip() for text in (prediction, *references))
    mine, *theirs = (published_tokens(text, code) for text in (prediction, *references))
    found = {f"bleu_{n}": sentence_bleu(theirs, mine, (1 / n,) * n, METHOD1) for n in (1, 2, 3, 4)}
    if not LANGUAGES[code].spaced:
        prediction, references = " ".join(mine), [" ".join(words) for words in theirs]
    each = [_rouge(prediction, reference) for reference in references]
    return found | {name: max(scores[name] for scores in each) for name in each[0]}


def _rouge(prediction: str, reference: str) -> dict[str, float]:
    if not prediction.replace(".", "") or not reference.replace(".", ""):
        return {"rouge_1": 0, "rouge_2": 0, "rouge_l": 0}  # the package raises
    scores = Rouge().get_scores(prediction, reference)[0]
    return {name.replace("-", "_"): score["f"] for name, score in scores.items()}


def assert_equal_to_the_packages(rows: list[tuple[str, list[str], str]]) -> None:
    predictions, references, languages = map(list, zip(*rows, strict=True))
    found = text_scores(predictions, references, languages, mode="as-published")
    for number, row in enumerate(rows):
        for name, value in package_scores(*row).items():
            assert abs(found[name][number] - value) < 1e-9, (name, row)


def test_random_pairs_in_six_languages_score_as_the_packages_do() -> None:
    assert_equal_to_the_packages([(a, [b], code) for a, b, code in random_pairs(10_000, seed=2)])


FEW = st.text("ab .。\n", max_size=14)


@given(FEW, st.lists(FEW, min_size=1, max_size=3), st.sampled_from(["en", "zh"]))
def test_stops_and_blanks_in_any_order_score_as_in_the_packages(
    prediction: str, references: list[str], code: str
) -> None:
    assert_equal_to_the_packages([(prediction, references, code)])


def tk_instruct(text: str) -> list[str]:
    bare = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
    return bare.split()


@given(FEW, FEW, st.sampled_from(sorted(LANGUAGES)))
def test_answers_are_compared_by_tk_instructs_rule(a: str, b: str, code: str) -> None:
    found = text_scores([a], [b], [code], ["exact_match", "token_f1"], "as-published")
    mine, theirs = tk_instruct(a), tk_instruct(b)
    same = sum((Counter(mine) & Counter(theirs)).values())
    assert found["exact_match"] == [float(mine == theirs)]
    assert found["token_f1"] == pytest.approx([2 * same / max(len(mine) + len(theirs), 1)])


def test_every_metric_tells_why_it_differs() -> None:
    assert set(DIFFERENCES) == set(NAMES)
    assert not any("\n" in reason for reason in DIFFERENCES.values())
    assert {name for columns in PUBLISHED_COLUMNS.values() for name in columns.values()} <= {*NAMES}


def test_rows_that_the_script_leaves_out_are_told() -> None:
    assert left_out(["a", " ", ""], ["b", "b", "c"]) == [False, True, True]


Rows = dict[str, list[dict[str, str]]]
LANGUAGE_OF = {"task51": "zh", "task52": "en", "task54": "ja"}
LABELS = {f"{kind}-{n}": f"{kind}_{n}".lower() for kind in ("BLEU", "ROUGE") for n in "124L"}


@pytest.fixture(scope="module")
def rationales(real_data: Path) -> tuple[Rows, dict[str, Any]]:
    """MedS-Ins's published rationales by language, and what is known of them."""
    folder = real_data / "evaluation" / "golden" / "meds_ins_rationale"
    csv.field_size_limit(sys.maxsize)
    with (folder / "rationale_en_zh_ja.csv").open(encoding="utf-8", newline="") as file:
        found: Rows = {code: [] for code in LANGUAGE_OF.values()}
        for row in csv.DictReader(file):
            found[LANGUAGE_OF[row["task_id"]]].append(row)
    assert [len(rows) for rows in found.values()] == [50, 50, 50]
    return found, json.loads((folder / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("code", ["en", "zh", "ja"])
def test_the_papers_rationales_score_as_published(
    rationales: tuple[Rows, dict[str, Any]], code: str
) -> None:
    rows, expected = rationales[0][code], rationales[1]["package_metrics"]["values"][code]
    outputs, references = [row["output"] for row in rows], [row["GT"] for row in rows]
    found = text_scores(outputs, references, [code] * 50, mode="as-published")
    for label in ("BLEU-1", "BLEU-4", "ROUGE-1", "ROUGE-2", "ROUGE-L"):
        assert round(100 * sum(found[LABELS[label]]) / 50, 4) == expected[label]


@pytest.mark.parametrize("code", ["en", "zh", "ja"])
def test_the_papers_rationales_score_as_plain_counts_do(
    rationales: tuple[Rows, dict[str, Any]], code: str
) -> None:
    """The reference cuts texts otherwise (at blanks; every character, signs too), so its tokens
    are handed over as made-up words: what is compared is the arithmetic of the three metrics."""
    rows, expected = rationales[0][code], rationales[1]["package_free_metrics"]["values"][code]
    numbers: dict[str, str] = {}

    def spelled(text: str) -> str:
        tokens = text.split() if code == "en" else [c for c in text if not c.isspace()]
        return " ".join(numbers.setdefault(token, f"w{len(numbers)}") for token in tokens)

    outputs, references = ([spelled(row[key]) for row in rows] for key in ("output", "GT"))
    found = text_scores(outputs, references, ["en"] * 50)
    for label, value in expected.items():
        assert 100 * sum(found[LABELS[label]]) / 50 == pytest.approx(value, abs=1e-4)

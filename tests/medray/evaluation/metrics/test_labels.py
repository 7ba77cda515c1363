from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from sklearn.metrics import hamming_loss as sklearn_hamming_loss
from sklearn.preprocessing import MultiLabelBinarizer

from medray.errors import InputError
from medray.evaluation.metrics.counts import LABEL_STATISTICS, f1, macro
from medray.evaluation.metrics.labels import exact_set, hamming_loss, label_counts

LABELS = ["a", "b", "c", "d"]
SETS = st.lists(st.sampled_from(LABELS), max_size=4)
ITEMS = st.lists(st.tuples(SETS, SETS), min_size=1, max_size=12)


@given(ITEMS)
def test_multi_label_values_are_scikit_learns(items: list[tuple[list[str], list[str]]]) -> None:
    predicted, gold = [a for a, _ in items], [b for _, b in items]
    binarizer = MultiLabelBinarizer(classes=LABELS)
    right, given_ = binarizer.fit_transform(gold), binarizer.fit_transform(predicted)
    sums = label_counts(predicted, gold, LABELS).sum(axis=0)
    for average in ("micro", "macro"):
        expected = precision_recall_fscore_support(right, given_, average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            found = LABEL_STATISTICS[f"{average}_{name}"](sums)
            assert found == pytest.approx(value, abs=1e-12)
    assert np.mean(exact_set(predicted, gold)) == pytest.approx(accuracy_score(right, given_))
    loss = np.mean(hamming_loss(predicted, gold, LABELS))
    assert loss == pytest.approx(sklearn_hamming_loss(right, given_))


@given(st.lists(st.tuples(st.sampled_from([*LABELS, ""]), st.sampled_from(LABELS)), min_size=1))
def test_single_label_values_are_scikit_learns(items: list[tuple[str, str]]) -> None:
    """An unparsed answer, "", is no label."""
    predicted, gold = [a for a, _ in items], [b for _, b in items]
    sums = label_counts([{a} - {""} for a in predicted], [{b} for b in gold], LABELS).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = f1_score(gold, predicted, labels=LABELS, average="macro", zero_division=0)
    assert macro(f1)(sums) == pytest.approx(value)


def test_a_label_that_is_none_counts_for_nothing_and_a_wrong_gold_one_is_refused() -> None:
    assert label_counts([["a", "z"]], [["a"]], ["a"]).tolist() == [[[1, 0, 0]]]
    assert exact_set([["a", "z"]], [["a"]]) == [0]
    with pytest.raises(InputError, match="item 0: no label 'mayb'; did you mean maybe"):
        label_counts([[]], [["mayb"]], ["yes", "maybe"])


@given(ITEMS)
def test_items_in_another_order_have_the_same_sums(
    items: list[tuple[list[str], list[str]]],
) -> None:
    predicted, gold = [a for a, _ in items], [b for _, b in items]
    forward = label_counts(predicted, gold, LABELS)
    assert label_counts(predicted[::-1], gold[::-1], LABELS)[::-1].tolist() == forward.tolist()
    itself = label_counts(gold, gold, LABELS)
    assert exact_set(gold, gold) == [1] * len(gold)
    assert set(hamming_loss(gold, gold, LABELS)) == {0}
    used = {label for labels in gold for label in labels}
    assert macro(f1)(itself.sum(axis=0)) == pytest.approx(len(used) / len(LABELS))


def test_no_items_have_no_counts() -> None:
    assert label_counts([], [], LABELS).shape == (0, 4, 3)
    assert hamming_loss([], [], LABELS) == exact_set([], []) == []


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("majority_yes", None),
        ("reasoning_free_human", "reasoning_free_pred"),
        ("reasoning_required_human", "reasoning_required_pred"),
    ],
)
def test_pubmedqas_humans_score_as_published(real_data: Path, name: str, field: str | None) -> None:
    data = real_data / "evaluation"
    known = json.loads((data / "golden/pubmedqa_human/expected.json").read_text("utf-8"))
    questions = json.loads((data / "raw/pubmedqa/ori_pqal.json").read_text("utf-8"))
    subset = json.loads((data / "raw/pubmedqa/test_ground_truth.json").read_text("utf-8"))
    gold = [{questions[key]["final_decision"]} for key in subset]
    predicted = [{questions[key][field] if field else "yes"} for key in subset]
    assert len(gold) == 500
    expected = known["results"][name]
    assert round(100 * float(np.mean(exact_set(predicted, gold))), 4) == expected["accuracy_pct"]
    sums = label_counts(predicted, gold, ["yes", "no", "maybe"]).sum(axis=0)
    assert round(100 * float(macro(f1)(sums)), 4) == expected["macro_f1_pct"]

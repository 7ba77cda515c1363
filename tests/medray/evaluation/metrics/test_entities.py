from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import (
    accuracy_score,
    f1_score,
    precision_score,
    recall_score,
)
from seqeval.metrics.sequence_labeling import get_entities

from medray.evaluation.metrics.counts import f1, precision, recall, share
from medray.evaluation.metrics.entities import (
    entity_counts,
    entity_key,
    published_entity_counts,
    span_counts,
    spans,
    token_counts,
)


def test_each_texts_entities_are_counted() -> None:
    predicted = [["Aspirin", "ibuprofen"], [], ["heparin", " HEPARIN "], ["x"]]
    gold = [["aspirin", "warfarin"], ["dabigatran"], ["heparin"], []]
    assert entity_counts(predicted, gold).tolist() == [[1, 1, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_entities_may_count_as_often_as_they_are_listed() -> None:
    counted = entity_counts([["a", "A", "b"]], [["a", "b", "b"]], repeated=True)
    assert counted.tolist() == [[2, 1, 1]]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("  Aspirin\u00a0 (ASS) ", "aspirin (ass)"),
        ("ＨＥＲ２", "her2"),
        ("Straße", "strasse"),
        ("β-blocker", "β-blocker"),
        (" \t", ""),
    ],
)
def test_spellings_that_are_one(name: str, key: str) -> None:
    assert entity_key(name) == key


NAMES = st.lists(st.lists(st.text("aA bß.\n", max_size=4), max_size=5), min_size=1, max_size=5)


@given(NAMES, st.booleans())
def test_a_list_is_wholly_like_itself_in_any_order(names: list[list[str]], repeated: bool) -> None:
    turned = [each[::-1] for each in names]
    counted = entity_counts(turned, names, repeated)
    assert counted[:, 1:].sum() == 0
    assert f1(counted.sum(axis=0)) == (counted.sum() > 0)
    assert entity_counts(turned[::-1], names[::-1], repeated).tolist() == counted[::-1].tolist()


@given(NAMES, NAMES)
def test_both_sides_trade_places(first: list[list[str]], second: list[list[str]]) -> None:
    pairs = list(zip(first, second, strict=False))
    mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    counted, turned = entity_counts(mine, theirs), entity_counts(theirs, mine)
    assert counted[:, [0, 2, 1]].tolist() == turned.tolist()


@pytest.mark.parametrize(
    ("output", "gold", "counts"),
    [
        # The last letter of the last entity is cut, and which is last differs.
        ("ibuprofen, aspirin.", "aspirin, ibuprofen.", (0, 2, 2)),
        ("heparins", "heparin", (0, 1, 1)),
        ("heparins", "heparinx", (1, 0, 0)),
        ("a, b.", "a, b.", (2, 0, 0)),
        # Two empty entities are equal.
        ("", "x", (1, 0, 0)),
        ("There is no related enetity.", "There is no related enetity.", (0, 0, 0)),
        ("There is no related entity.", "There is no related enetity.", (0, 1, 0)),
        (None, "aspirin.", (0, 0, 0)),
    ],
)
def test_entities_as_published(output: str | None, gold: str, counts: tuple[int, ...]) -> None:
    assert tuple(published_entity_counts([output], [gold])[0]) == counts


@given(st.text(), st.text())
def test_no_answer_is_too_strange_for_the_published_rule(output: str, gold: str) -> None:
    counted = published_entity_counts([output], [gold])
    assert counted.min() >= 0
    assert published_entity_counts([gold], [gold])[0, 1:].tolist() == [0, 0]


TAGS = st.sampled_from(
    ["O", "B-DI", "I-DI", "E-DI", "S-DI", "B-A", "I-A", "I-a-b", "B", "I", "X-DI", ".", "OO"]
)
SENTENCES = st.lists(
    st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=9), min_size=1, max_size=4
)


@given(st.lists(TAGS, max_size=9))
def test_spans_are_seqevals(tags: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of odd tags
        expected = get_entities(tags)
    assert spans(tags) == set(expected)


@given(SENTENCES)
def test_values_are_seqevals(sentences: list[list[tuple[str, str]]]) -> None:
    # Tags of no scheme leave a trace in seqeval's next sentence; here each text stands alone.
    plain = [
        [pair for pair in each if all(tag[0] in "OBIES" for tag in pair)] for each in sentences
    ]
    plain = [each for each in plain if each] or [[("O", "O")]]
    predicted = [[a for a, _ in each] for each in plain]
    gold = [[b for _, b in each] for each in plain]
    sums = span_counts(predicted, gold).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert f1(sums) == pytest.approx(f1_score(gold, predicted))
        assert precision(sums) == pytest.approx(precision_score(gold, predicted))
        assert recall(sums) == pytest.approx(recall_score(gold, predicted))
    tokens = token_counts(predicted, gold)
    assert share(tokens.sum(axis=0)) == pytest.approx(accuracy_score(gold, predicted))


@given(st.lists(st.text(max_size=4), max_size=6))
def test_no_tag_is_too_strange(tags: list[str]) -> None:
    assert all(0 <= first <= last < len(tags) for _, first, last in spans(tags))
    assert span_counts([tags], [tags])[0, 1:].tolist() == [0, 0]
    assert token_counts([tags], [tags]).tolist() == [[len(tags)] * 2]


def test_tags_for_other_tokens_are_refused() -> None:
    for count in (span_counts, token_counts):
        with pytest.raises(ValueError, match="item 1 has 1 tags for 2 tokens"):
            count([["O"], ["O"]], [["O"], ["O", "O"]])


@pytest.mark.parametrize("system", ["naive", "linear", "bilstm"])
def test_rumedner_systems_score_as_published(real_data: Path, system: str) -> None:
    folder = real_data / "evaluation" / "golden" / "rumedbench"
    known = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["results"]
    expected = next(each for each in known if each["system"] == system)
    lines = (folder / system / "RuMedNER.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == expected["ner_n"]
    predicted, gold = [row["prediction"] for row in rows], [row["ner_tags"] for row in rows]
    sums = span_counts(predicted, gold).sum(axis=0)
    assert sums.tolist() == [expected[f"ner_{name}"] for name in ("tp", "fp", "fn")]
    assert round(100 * float(f1(sums)), 4) == expected["ner_f1"]
    accuracy = share(token_counts(predicted, gold).sum(axis=0))
    assert round(100 * float(accuracy), 4) == expected["ner_token_acc"]


def test_no_texts_have_no_counts() -> None:
    for counted, columns in (
        (entity_counts([], []), 3),
        (published_entity_counts([], []), 3),
        (span_counts([], []), 3),
        (token_counts([], []), 2),
    ):
        assert counted.shape == (0, columns)
        assert counted.dtype == np.int64

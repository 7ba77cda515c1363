from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.benchmarks.item import AnswerForm, Item
from medray.evaluation.scoring.predictions import NO_PREDICTION, Prediction
from medray.evaluation.scoring.reading import Reading, likeliest, read

OPTIONS = {"A": "aspirin", "B": "a much longer name of a drug"}
LABELS = {"yes": "", "no": ""}
ITEMS: dict[AnswerForm, Item] = {
    "choice": Item("1", "en", "What?", ("A",), "choice", OPTIONS),
    "choices": Item("1", "en", "What?", ("A", "B"), "choices", OPTIONS),
    "label": Item("1", "en", "Is it?", ("yes",), "label", LABELS),
    "labels": Item("1", "en", "Which?", ("yes",), "labels", LABELS),
    "entities": Item("1", "en", "Who?", ("aspirin",), "entities"),
    "text": Item("1", "en", "Why?", ("So.",), "text"),
}
NUMBER = Item("1", "ja", "いくつか", ("7.20",), "choices")


@pytest.mark.parametrize(
    ("form", "output", "answers", "rule"),
    [
        ("choice", "The answer is B.", ("B",), "stated"),
        ("choice", "<think>A? No.</think>\nB", ("B",), "bare"),
        ("choice", "perhaps", (), "unparsed"),
        ("choices", "OPTION A,B IS CORRECT.", ("A", "B"), "option"),
        ("label", "Yes, it is.", ("yes",), "begins"),
        ("label", "", (), "unparsed"),
        ("labels", "Yes and no", ("yes", "no"), "named"),
        ("entities", "aspirin, ibuprofen.", ("aspirin", "ibuprofen"), "commas"),
        ("text", " It is so. ", ("It is so.",), "text"),
        ("text", "<think>all of it</think>", (), "unparsed"),
    ],
)
def test_an_output_is_read_by_its_form(
    form: AnswerForm, output: str, answers: tuple[str, ...], rule: str
) -> None:
    found = read(ITEMS[form], Prediction(output))
    assert (found.answers, found.rule) == (answers, rule)


@pytest.mark.parametrize(
    ("output", "answers"),
    [
        ("7.2", ("7.20",)),
        ("７．２０", ("7.20",)),
        ("1 + 6.2 = 7.20", ("7.20",)),
        ("7,2", ("7.20",)),
        ("72", ("72",)),
        ("1.2.3", ("1.2.3",)),
    ],
)
def test_a_number_is_compared_by_its_value(output: str, answers: tuple[str, ...]) -> None:
    found = read(NUMBER, Prediction(output))
    assert (found.answers, found.rule) == (answers, "number")
    assert read(NUMBER, Prediction("分からない")).rule == "unparsed"


def test_no_output_and_tags() -> None:
    assert read(ITEMS["choice"], NO_PREDICTION) == Reading()
    assert read(ITEMS["entities"], Prediction(("O", "B-X"))) == Reading(
        rule="tags", tags=("O", "B-X")
    )


def test_the_likeliest_option_plain_and_by_length() -> None:
    prediction = Prediction(None, {"A": -4.0, "B": -7.0}, "texts")
    assert likeliest(ITEMS["choice"], prediction).answers == ("A",)
    # 7 / 28 bytes is less than 4 / 7.
    assert likeliest(ITEMS["choice"], prediction, normalised=True).answers == ("B",)
    assert likeliest(ITEMS["choice"], NO_PREDICTION) == Reading()
    labels = Prediction(None, {"yes": -3.0, "no": -2.5})
    assert likeliest(ITEMS["label"], labels, normalised=True).answers == ("yes",)


@given(st.text(), st.sampled_from(sorted(ITEMS)))
def test_no_text_is_too_odd_and_nothing_is_read_from_nowhere(text: str, form: AnswerForm) -> None:
    item = ITEMS[form]
    found = read(item, Prediction(text))
    if item.options:
        assert set(found.answers) <= set(item.options)
    assert found.answers or found.rule in ("unparsed", "none", "json", "lines", "commas")
    read(NUMBER, Prediction(text))

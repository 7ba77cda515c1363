from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.extraction.labels import many_labels, one_label

PUBMED = ("yes", "no", "maybe")


@pytest.mark.parametrize(
    ("text", "label", "rule"),
    [
        ("yes", "yes", "begins"),
        ("Yes, it does.", "yes", "begins"),
        ("**No**", "no", "begins"),
        ("The answer is maybe.", "maybe", "stated"),
        ("There is no doubt. Answer: yes", "yes", "stated"),
        ("One may say yes", "yes", "only"),
        ('{"answer": "Maybe"}', "maybe", "json"),
        ("Nothing is known", "", "unparsed"),
        ("Both yes and no", "", "unparsed"),
        ("", "", "unparsed"),
        ("Yesterday", "", "unparsed"),
    ],
)
def test_one_label(text: str, label: str, rule: str) -> None:
    assert one_label(text, PUBMED) == ((label,) if label else (), rule)


@pytest.mark.parametrize(("text", "label"), [("Да.", "да"), ("Ответ: нет", "нет"), ("Нет", "нет")])
def test_russian_labels(text: str, label: str) -> None:
    assert one_label(text, ("да", "нет"))[0] == (label,)


HALLMARKS = ("sustaining proliferative signaling", "avoiding immune destruction", "immune")


def test_many_labels_are_all_that_stand_there() -> None:
    text = "Avoiding Immune  Destruction, and sustaining proliferative signaling."
    assert many_labels(text, HALLMARKS) == (HALLMARKS[:2], "named")
    assert many_labels("immune; avoiding immune destruction", HALLMARKS)[0] == HALLMARKS[1:]
    assert many_labels("None of them", HALLMARKS) == ((), "none")
    assert many_labels("[]", HALLMARKS) == ((), "none")
    assert many_labels("I cannot say", HALLMARKS) == ((), "unparsed")


@given(st.text(), st.lists(st.text(min_size=1, max_size=6), max_size=4, unique=True))
def test_any_text_gives_labels_or_nothing(text: str, labels: list[str]) -> None:
    one, rule = one_label(text, labels)
    assert set(one) <= set(labels)
    assert len(one) <= 1
    assert (rule == "unparsed") == (one == ())
    many, rule = many_labels(text, labels)
    assert set(many) <= set(labels)
    assert (rule == "named") == (many != ())

from __future__ import annotations

from typing import Any

import pytest

from medray.evaluation.benchmarks.declaration import Declaration
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.benchmarks.mapping import as_choices, item_of, with_labels_of_answers

ROW: dict[str, Any] = {
    "file": "ward",
    "row": 3,
    "stem": " Which? ",
    "a": "one",
    "b": "two",
    "key": "b",
    "why": "Because.",
    "checked": True,
    "marks": "1.5",
    "specialty": "surgery",
    "year": None,
    "lang": "fr",
    "own": "",
}


def item(row: dict[str, Any] | None = None, **changes: Any) -> Item:
    columns = {"question": "stem", "options": {"columns": ["a", "b"]}, "answers": "key"}
    split = {"files": "ward.csv", "rationale_where": changes.pop("rationale_where", {})}
    split |= changes.pop("part", {})
    tree = {
        "name": "ward",
        "languages": ["en", "fr"],
        "form": "choice",
        "metrics": ["accuracy"],
        "columns": columns | {"language": "lang"} | changes.pop("columns", {}),
        "splits": {"test": split},
    }
    declaration = Declaration.model_validate(tree | changes)
    test = declaration.splits["test"]
    return item_of(ROW | (row or {}), declaration, test, test.parts[0])


def test_a_row_becomes_an_item() -> None:
    assert item() == Item(
        item_id="ward:3",
        language="fr",
        question="Which?",
        answers=("B",),
        options={"A": "one", "B": "two"},
    )


def test_all_that_a_declaration_may_say_of_a_row() -> None:
    columns = {
        "id": "{specialty}-{row}",
        "rationale": "why",
        "points": "marks",
        "instruction": "own",
        "groups": {"specialty": "specialty", "year": "year"},
    }
    found = item(
        columns=columns, void=["surgery-3"], instruction="Choose.", part={"groups": {"part": "1"}}
    )
    assert found.item_id == "surgery-3"
    assert (found.void, found.points, found.rationale) == (True, 1.5, "Because.")
    assert found.groups == {"specialty": "surgery", "part": "1"}  # a null tells nothing
    assert found.instruction == "Choose."  # the row's own is empty
    assert item(row={"own": "Mark."}, columns=columns, instruction="Choose.").instruction == "Mark."


def test_the_language_is_the_row_s_the_part_s_or_the_only_one() -> None:
    assert item(row={"lang": ""}, part={"language": "fr"}).language == "fr"
    assert item(columns={"language": None}, languages=["ja"]).language == "ja"
    with pytest.raises(ValueError, match="language 'zh' is none of en, fr"):
        item(row={"lang": "zh"})


@pytest.mark.parametrize(
    ("row", "rationale"),
    [({}, "Because."), ({"checked": False}, ""), ({"checked": True}, "Because.")],
)
def test_a_rationale_counts_where_it_was_checked(row: dict[str, Any], rationale: str) -> None:
    where = {"checked": True, "not_there": True}  # without the column it counts
    assert item(row=row, columns={"rationale": "why"}, rationale_where=where).rationale == rationale


def test_further_sets_are_right_as_well() -> None:
    either = {"column": "key", "or_word": " or "}
    found = item(row={"key": "a or b"}, columns={"answers": either})
    assert (found.answers, found.also_right) == (("A",), (("B",),))
    with pytest.raises(ValueError, match="answer C is none of A, B"):
        item(row={"key": "a or c"}, columns={"answers": either})


def test_tags_tell_question_and_answers() -> None:
    columns = {
        "question": "",
        "options": None,
        "answers": None,
        "iob": {"tags": "t", "kinds": True},
    }
    row = {"tokens": ["Is", "ataxia", "."], "t": ["O", "B-D", "O"]}
    found = item(row=row, columns=columns, form="entities", metrics=["span_prf"])
    assert (found.question, found.answers) == ("Is ataxia .", ("D: ataxia",))
    assert (found.tokens, found.tags) == (("Is", "ataxia", "."), ("O", "B-D", "O"))


@pytest.mark.parametrize(
    ("row", "changes", "told"),
    [
        ({"key": "c"}, {}, "answer C is none of A, B"),
        ({"key": ""}, {}, "no answer"),
        ({"key": ["a", "b"]}, {}, "2 answers; form choice has one"),
        ({"stem": "  "}, {}, "the question is empty"),
        ({"marks": "many"}, {"columns": {"points": "marks"}}, "could not convert"),
    ],
)
def test_what_does_not_fit_is_an_error(
    row: dict[str, Any], changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        item(row=row, **changes)


def test_none_is_an_answer_where_labels_or_entities_are_asked_for() -> None:
    labels = {"options": {"fixed": {"x": "", "y": ""}}}
    assert item(row={"key": []}, form="labels", columns=labels).answers == ()
    assert item(row={"key": ["y", "x"]}, form="labels", columns=labels).answers == ("y", "x")
    assert item(row={"key": ""}, form="entities", columns={"options": None}).answers == ()


def label(answer: str, **options: str) -> Item:
    return Item("1", "en", "Which?", (answer,), form="label", options=options)


def test_labels_of_answers_stand_behind_the_declared_ones() -> None:
    found = with_labels_of_answers([label("b", c="see"), label("a", c="see"), label("c", c="see")])
    assert [list(item.options.items()) for item in found] == [
        [("c", "see"), ("a", ""), ("b", "")]
    ] * 3


def test_labels_become_letters() -> None:
    found = as_choices(label("no", yes="", no=""))
    assert (found.form, found.answers) == ("choice", ("B",))
    assert list(found.options.items()) == [("A", "yes"), ("B", "no")]

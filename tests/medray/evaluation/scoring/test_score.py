from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Declaration
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.scoring.measures import guess_chance
from medray.evaluation.scoring.predictions import NO_PREDICTION, Prediction
from medray.evaluation.scoring.score import compare_scores, results_of, rows_of, score

OPTIONS = {letter: f"text {letter}" for letter in "ABCD"}


def declared(form: str, *metrics: str, **fields: Any) -> Declaration:
    return Declaration.model_validate(
        {
            "name": "ward",
            "languages": ["en", "fr"],
            "form": form,
            "metrics": list(metrics),
            "columns": {"question": "q", "answers": "a", "options": "o", "language": "l"},
            "splits": {"test": {"files": "x.jsonl"}},
            **fields,
        }
    )


def exam(*right: str, **fields: Any) -> list[Item]:
    return [
        Item(str(n), "en", f"What is {n}?", tuple(letters), "choices", OPTIONS, **fields)
        for n, letters in enumerate(right)
    ]


def results(items: list[Item], outputs: list[str | None], *metrics: str, **options: Any) -> Any:
    form = options.pop("form", items[0].form)
    predictions = [NO_PREDICTION if o is None else Prediction(o) for o in outputs]
    return results_of(score(declared(form, *metrics), "test", items, predictions, **options))


def test_a_set_is_right_only_whole_and_unread_or_missing_answers_are_wrong_and_counted() -> None:
    items = exam("A", "AC", "B", "C", "D")
    found = results(items, ["A", "A", "B, C", "perhaps", None], "accuracy", "hamming")
    assert found["metrics"]["accuracy"]["value"] == 1 / 5
    assert found["metrics"]["accuracy"]["n"] == 5
    # 1, 1/2, 1/2, 0, 0
    assert found["metrics"]["hamming_score"]["value"] == pytest.approx(2 / 5)
    assert (found["items"], found["missing"], found["unparsed"]) == (5, 1, 1)
    assert found["rules"] == {"bare": 3, "unparsed": 1, "missing": 1}
    assert found["metrics"]["accuracy"]["chance"] == pytest.approx((4 / 4 + 1 / 6) / 5)


def test_only_answered_leaves_out_what_is_missing_and_never_what_is_unread() -> None:
    items = exam("A", "B", "C")
    found = results(items, ["A", "perhaps", None], "accuracy", only_answered=True)
    accuracy = found["metrics"]["accuracy"]
    assert (accuracy["value"], accuracy["n"]) == (1 / 2, 2)
    assert (found["missing"], found["unparsed"]) == (1, 1)


def test_examiners_may_take_several_sets_or_any_answer() -> None:
    [two] = exam("A", also_right=(("B", "C"),))
    [void] = exam("A", void=True)
    rows = [two, two, two, void, void]
    items = [Item(**(vars(item) | {"item_id": str(n)})) for n, item in enumerate(rows)]
    found = results(items, ["A", "B,C", "B", "D", None], "accuracy")
    assert found["metrics"]["accuracy"]["value"] == 4 / 5
    assert guess_chance(two) == 1 / 4 + 1 / 6
    assert guess_chance(void) == 1
    assert guess_chance(Item("n", "ja", "How many?", ("12",), "choices")) == 0


def test_points_weigh_the_questions() -> None:
    items = [*exam("A", points=3.0), *exam("A", points=1.0)]
    items = [Item(**(vars(item) | {"item_id": str(n)})) for n, item in enumerate(items)]
    found = results(items, ["A", "B"], "points")
    assert found["metrics"]["points"]["value"] == 3 / 4
    assert found["metrics"]["points"]["sums"] == [3, 4]


def test_likelihoods_are_scored_beside_the_answers() -> None:
    items = [
        Item("0", "en", "What?", ("B",), "choices", {"A": "x", "B": "x" * 30}),
        *exam("A", "AC")[1:],
    ]
    predictions = [Prediction("A", {"A": -4.0, "B": -5.0}, "texts"), Prediction("A, C")]
    found = results_of(score(declared("choices", "accuracy"), "test", items, predictions))
    # The second item has two right letters, and likelihoods name one.
    assert {name: (cell["value"], cell["n"]) for name, cell in found["metrics"].items()} == {
        "accuracy": (1 / 2, 2),
        "likelihood_accuracy": (0, 1),
        "normalised_likelihood_accuracy": (1, 1),
    }


def test_likelihoods_alone_are_enough() -> None:
    items = exam("B")
    prediction = Prediction(None, {"A": -2.0, "B": -1.0, "C": -3.0, "D": -3.0})
    found = results_of(score(declared("choices", "accuracy"), "test", items, [prediction]))
    assert list(found["metrics"]) == ["likelihood_accuracy"]


def test_languages_groups_and_their_unweighted_mean() -> None:
    items = [
        Item(str(n), language, "What?", ("A",), "choice", OPTIONS, groups={"year": str(n % 2)})
        for n, language in enumerate(("en", "en", "en", "fr"))
    ]
    found = results(items, ["A", "B", "B", "A"], "accuracy")
    assert found["metrics"]["accuracy"]["value"] == 1 / 2
    assert found["macro"]["accuracy"]["value"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["macro"]["accuracy"]["languages"] == 2
    assert found["languages"]["fr"]["metrics"]["accuracy"]["value"] == 1
    assert found["groups"]["year"]["0"] == {
        "items": 2,
        "metrics": {"accuracy": found["groups"]["year"]["0"]["metrics"]["accuracy"]},
    }
    assert found["groups"]["year"]["0"]["metrics"]["accuracy"]["value"] == 1 / 2


def test_rationales_are_compared_where_there_is_one() -> None:
    items = [*exam("A", rationale="It is the heart."), *exam("B")]
    items = [Item(**(vars(item) | {"item_id": str(n)})) for n, item in enumerate(items)]
    outputs: list[str | None] = ["It is the heart.\n###Answer: OPTION A IS CORRECT.", "B"]
    found = results(items, outputs, "accuracy", "text")
    assert found["metrics"]["rouge_l"] | {"low": 0, "high": 0} == {
        "value": 1.0, "n": 1, "low": 0, "high": 0,
    }  # fmt: skip
    assert "exact_match" not in found["metrics"]
    found = results(exam("A"), ["A"], "accuracy", "text")
    assert found["left_out"]["bleu_1"] == "no item has a reference text"


def test_short_answers_are_matched_and_looked_for() -> None:
    items = [
        Item(str(n), "en", "Who?", ("a 62-year-old man", "a man"), "text") for n in range(3)
    ]  # fmt: skip
    outputs: list[str | None] = ["A man.", "It was a 62-year-old man, they say", "a manual"]
    found = results(items, outputs, "exact", "contains")
    assert found["metrics"]["exact_match"]["value"] == pytest.approx(1 / 3)
    assert found["metrics"]["contains"]["value"] == pytest.approx(2 / 3)
    published = results(items, outputs, "contains", mode="as-published")
    assert published["metrics"]["contains"]["value"] == 1  # "a man" stands in "a manual"


def test_entities_by_name_right_and_as_published() -> None:
    items = [
        Item("0", "en", "Aspirin and ibuprofen", ("aspirin", "ibuprofen"), "entities"),
        Item("1", "en", "Nothing", (), "entities"),
    ]
    outputs: list[str | None] = ["Ibuprofen, aspirin.", "There is no related entity."]
    found = results(items, outputs, "micro_prf", "span_prf")
    assert found["metrics"]["micro_f1"]["value"] == 1
    assert found["metrics"]["micro_f1"]["sums"] == [2, 0, 0]
    assert "a tag for each token" in found["left_out"]["entity_f1"]
    published = results(items, outputs, "micro_prf", mode="as-published")
    # The last letter of each list's last entity is cut, so neither is the other's.
    assert published["metrics"]["micro_f1"]["value"] == 0


def test_tags_and_texts_do_not_mix() -> None:
    items = [Item(n, "en", "a", (), "entities", tokens=("a",), tags=("O",)) for n in "12"]
    predictions = [Prediction(("O",)), Prediction("aspirin")]
    with pytest.raises(InputError, match="1 outputs are lists of tags, 1 are texts"):
        score(declared("entities", "span_prf"), "test", items, predictions)


def test_labels_have_macro_and_micro_f1() -> None:
    labels = dict.fromkeys(("growth", "death", "spread"), "")
    right = [("growth", "death"), (), ("spread",)]
    items = [Item(str(n), "en", "Text", a, "labels", labels) for n, a in enumerate(right)]
    found = results(
        items, ["Growth", "none", "Growth, spread"], "accuracy", "macro_prf", "micro_prf"
    )
    # growth 1/1/0, death 0/0/1, spread 1/0/0
    assert found["metrics"]["macro_f1"]["value"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found["metrics"]["micro_f1"]["value"] == pytest.approx(4 / 6)
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(1 / 3)


def test_a_mode_that_nobody_published_is_refused() -> None:
    with pytest.raises(InputError, match="no released script's way to read answers is known"):
        results(exam("A"), ["A"], "accuracy", mode="as-published")


def test_a_judge_s_metric_is_said_to_be_missing() -> None:
    items = [Item("0", "en", "Why?", ("So it is.",), "text")]
    found = results(items, ["So it is."], "judge", "text")
    assert found["left_out"] == {"judge": "told by a judge: medray judge"}
    assert found["metrics"]["token_f1"]["value"] == 1


def test_rows_tell_what_was_read_and_right() -> None:
    items = exam("A", "B")
    predictions = [
        Prediction("perhaps", {"A": -1.0, "B": -2.0, "C": -3.0, "D": -4.0}),
        Prediction("B"),
    ]
    rows = list(rows_of(score(declared("choices", "accuracy"), "test", items, predictions)))
    assert [(r["read"], r["rule"], r["right"]) for r in rows] == [
        ([], "unparsed", False), (["B"], "bare", True),
    ]  # fmt: skip
    assert rows[0]["likeliest"] == "A" and "likeliest" not in rows[1]
    assert rows[1]["metrics"] == {"accuracy": 1.0, "likelihood_accuracy": 0.0}


def test_two_models_are_compared_item_by_item() -> None:
    items = exam(*("A" * 40))
    better, worse = ["A"] * 40, ["A"] * 20 + ["B"] * 20
    first, second = (
        score(declared("choices", "accuracy"), "test", items, [Prediction(o) for o in outputs])
        for outputs in (better, worse)
    )
    found = compare_scores(first, second)["metrics"]["accuracy"]
    assert found["difference"] == 1 / 2 and found["n"] == 40
    assert found["p_value"] < 1e-5 and found["test"] == "McNemar, exact"
    same = compare_scores(first, first)["metrics"]["accuracy"]
    assert (same["difference"], same["p_value"]) == (0, 1)


def test_models_that_answered_different_items_are_compared_over_common_ones() -> None:
    items = [
        Item(**(vars(i) | {"language": "en" if n < 2 else "fr"}))
        for n, i in enumerate(exam(*"AAAA"))
    ]
    first, second = (
        score(
            declared("choices", "accuracy"), "test", items,
            [NO_PREDICTION if o is None else Prediction(o) for o in outputs], only_answered=True,
        )
        for outputs in (["A", "A", "A", None], [None, "B", "A", "A"])
    )  # fmt: skip
    found = compare_scores(first, second)
    assert found["metrics"]["accuracy"]["n"] == 2
    assert found["metrics"]["accuracy"]["difference"] == 1 / 2
    assert found["macro"]["accuracy"]["difference"] == 1 / 2  # en 1, fr 0


outputs_of = st.lists(
    st.sampled_from(["A", "B", "A,C", "OPTION C IS CORRECT", "?", ""]), min_size=3, max_size=12
)


@settings(max_examples=40, deadline=None)
@given(outputs_of, st.randoms())
def test_the_order_of_items_is_nothing_and_values_are_shares(outputs: list[str], draw: Any) -> None:
    items = exam(*("A" if n % 2 else "AC" for n in range(len(outputs))))
    pairs = list(zip(items, outputs, strict=True))
    straight = results(items, list(outputs), "accuracy", "hamming")
    draw.shuffle(pairs)
    mixed = results([i for i, _ in pairs], [o for _, o in pairs], "accuracy", "hamming")
    for name, cell in straight["metrics"].items():
        assert cell["value"] == pytest.approx(mixed["metrics"][name]["value"])
        assert 0 <= cell["low"] <= cell["value"] <= cell["high"] <= 1
    assert straight["rules"] == pytest.approx(mixed["rules"])
    whole = results(items, [", ".join(item.answers) for item in items], "accuracy", "hamming")
    assert all(np.isclose(cell["value"], 1) for cell in whole["metrics"].values())

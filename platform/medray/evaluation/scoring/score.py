"""The score of an answer file: every metric with its interval, by language and by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray.evaluation.benchmarks.declaration import Declaration
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.comparison import with_holm
from medray.evaluation.metrics.bertscore import BertScorer
from medray.evaluation.metrics.published import DIFFERENCES
from medray.evaluation.metrics.text import Mode
from medray.evaluation.scoring.answered import Answered, is_right
from medray.evaluation.scoring.choice_metrics import accuracy
from medray.evaluation.scoring.measures import Measure, compare, compare_macro, macro
from medray.evaluation.scoring.metrics_by_name import measures_of
from medray.evaluation.scoring.predictions import Prediction
from medray.evaluation.scoring.published_reading import read_published
from medray.evaluation.scoring.reading import MISSING, UNPARSED, Reading, likeliest, read
from medray.evaluation.scoring.text_metrics import references_of
from medray.languages import LANGUAGES

# Groups with more values than this (an id, a file a row) tell nothing by value.
MAXIMUM_GROUP_VALUES = 60


@dataclass(frozen=True)
class Score:
    """What an answer file comes to.

    ``readings``: how each item's output was read; of a file without outputs, the likeliest options.
    ``likeliest``: the options that likelihoods name. ``measures``: every metric of the items that
    count.
    """

    declaration: Declaration
    split: str
    mode: Mode
    items: Sequence[Item]
    predictions: Sequence[Prediction]
    readings: Sequence[Reading]
    likeliest: Sequence[Reading]
    measures: Sequence[Measure]
    left_out: dict[str, str]
    only_answered: bool


def score(
    declaration: Declaration,
    split: str,
    items: Sequence[Item],
    predictions: Sequence[Prediction],
    *,
    mode: Mode = "correct",
    only_answered: bool = False,
    scorer: BertScorer | None = None,
) -> Score:
    """Score one prediction an item, in their order.

    An item without a prediction counts as a wrong answer, or with ``only_answered`` not at all.
    Likelihoods name one option: their accuracy, plain and normalised, is over the items with one
    right answer. ``InputError`` where ``mode`` is as-published and nothing published is known.
    """
    outputs = any(prediction.output is not None for prediction in predictions)
    rows = list(zip(items, predictions, strict=True))
    if mode == "as-published":
        readings = read_published(declaration, items, predictions)
    else:
        readings = [read(item, prediction) for item, prediction in rows]
    left_out: dict[str, str] = {}

    def answered(of: Sequence[Reading], single: bool = False) -> Answered:
        chosen = [
            place
            for place, (item, reading) in enumerate(zip(items, of, strict=True))
            if not (only_answered and reading.rule == MISSING)
            and not (single and len(set(item.answers)) != 1)
        ]
        whole = Answered(declaration, mode, items, of, np.arange(len(items)), scorer, left_out)
        return whole.of(chosen)

    measures = measures_of(answered(readings)) if outputs else []
    likely = [likeliest(item, prediction) for item, prediction in rows]
    if not outputs:
        readings = likely
    if any(prediction.likelihoods for prediction in predictions):
        measures.append(accuracy(answered(likely, single=True), "likelihood_accuracy"))
        if any(p.likelihoods and p.scored == "texts" for p in predictions):
            normal = [likeliest(item, prediction, normalised=True) for item, prediction in rows]
            name = "normalised_likelihood_accuracy"
            measures.append(accuracy(answered(normal, single=True), name))
    return Score(
        declaration, split, mode, items, predictions, readings, likely, measures, left_out,
        only_answered,
    )  # fmt: skip


def results_of(score: Score) -> dict[str, Any]:
    """Return a score as a plain dict.

    benchmark, split, mode, as_published (what the published score does otherwise), items,
    outputs (items with one), missing, unparsed, only_answered, rules (rule -> items that it read);
    ``metrics`` name -> {value, n, low, high, chance}; of several languages ``macro``, their
    unweighted mean, and ``languages``, code -> {items, missing, unparsed, metrics}; ``groups``,
    name -> value -> {items, metrics}; ``differences``, metric -> why its published value differs;
    ``left_out``, metric -> why it is not there.
    """
    places = np.arange(len(score.items))
    by_language = _by_language(score)
    found: dict[str, Any] = {
        "benchmark": score.declaration.name,
        "title": score.declaration.title,
        "category": score.declaration.category,
        "split": score.split,
        "mode": score.mode,
        "as_published": score.declaration.as_published,
        "only_answered": score.only_answered,
        **_counts(score, places),
        "rules": dict(Counter(reading.rule for reading in score.readings).most_common()),
        "metrics": {measure.name: measure.estimate() for measure in score.measures},
    }
    if len(by_language) > 1:
        found["macro"] = {
            measure.name: macro([measure.at(chosen) for chosen in by_language.values()])
            for measure in score.measures
        }
        found["languages"] = {
            code: _counts(score, chosen) | _metrics(score, chosen)
            for code, chosen in by_language.items()
        }
    found["groups"] = dict(_groups(score))
    if score.mode == "as-published":
        names = [measure.name for measure in score.measures]
        found["differences"] = {name: DIFFERENCES[name] for name in names if name in DIFFERENCES}
    return found | {"left_out": dict(score.left_out)}


def _counts(score: Score, places: Any) -> dict[str, int]:
    rules = [score.readings[place].rule for place in places]
    return {
        "items": len(places),
        "missing": rules.count(MISSING),
        "unparsed": rules.count(UNPARSED),
    }


def _metrics(score: Score, places: Any) -> dict[str, Any]:
    parts = [measure.at(places) for measure in score.measures]
    return {"metrics": {part.name: part.estimate() for part in parts if len(part.values)}}


def _by_language(score: Score) -> dict[str, Any]:
    codes = np.array([item.language for item in score.items])
    return {code: np.flatnonzero(codes == code) for code in LANGUAGES if code in codes}


def _groups(score: Score) -> Iterator[tuple[str, dict[str, Any]]]:
    names = dict.fromkeys(name for item in score.items for name in item.groups)
    for name in names:
        values = np.array([item.groups.get(name, "") for item in score.items])
        different = [value for value in dict.fromkeys(values.tolist()) if value]
        if 1 < len(different) <= MAXIMUM_GROUP_VALUES:
            yield (
                name,
                {
                    value: {"items": len(chosen)} | _metrics(score, chosen)
                    for value in sorted(different)
                    for chosen in [np.flatnonzero(values == value)]
                },
            )


def rows_of(score: Score) -> Iterator[dict[str, Any]]:
    """Yield each item as a plain dict: what was asked, said, read, right, and worth in a metric."""
    values = {m.name: dict(zip(m.places.tolist(), m.values.tolist(), strict=True))
              for m in score.measures if m.statistic is None}  # fmt: skip
    rows = zip(score.items, score.predictions, score.readings, score.likeliest, strict=True)
    for place, (item, prediction, reading, likely) in enumerate(rows):
        row: dict[str, Any] = {
            "id": item.item_id,
            "language": item.language,
            "groups": dict(item.groups),
            "question": item.question,
            "options": dict(item.options),
            "answers": list(item.answers),
            "references": references_of(item),
            "output": prediction.output,
            "read": list(reading.answers),
            "rule": reading.rule,
        }
        if item.form != "text":
            row["right"] = is_right(item, reading)
        if likely.answers:
            row |= {"likelihoods": dict(prediction.likelihoods), "likeliest": likely.answers[0]}
        yield row | {"metrics": {n: of[place] for n, of in values.items() if place in of}}


def compare_scores(first: Score, second: Score) -> dict[str, Any]:
    """Return metric -> {difference, n, low, high, p_value, test, p_value_holm}, paired by item.

    Over the items that count in both. Of several languages ``macro`` has the same of the
    unweighted mean over them.
    """
    theirs = {measure.name: measure for measure in second.measures}
    pairs = [
        (measure, theirs[measure.name]) for measure in first.measures if measure.name in theirs
    ]
    found: dict[str, Any] = {"metrics": with_holm({a.name: compare(a, b) for a, b in pairs})}
    by_language = _by_language(first)
    if len(by_language) > 1:
        found["macro"] = with_holm(
            {
                a.name: compare_macro(*([m.at(c) for c in by_language.values()] for m in (a, b)))
                for a, b in pairs
            }
        )
    return found

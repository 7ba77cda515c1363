"""Metrics of free text: answers against references, rationales against rationales."""

from __future__ import annotations

from collections.abc import Sequence

from medray.evaluation.benchmarks.item import Item
from medray.evaluation.metrics.published import left_out
from medray.evaluation.metrics.text import NAMES, Mode, text_scores
from medray.evaluation.metrics.tokens import metric_tokens
from medray.evaluation.scoring.answered import Answered
from medray.evaluation.scoring.measures import Measure

# Of "text": how alike two texts are; exact_match belongs to short answers, metric "exact".
TEXT_METRICS = tuple(name for name in NAMES if name != "exact_match")
EXACT_METRICS = ("exact_match", "token_f1")


def text_measures(answered: Answered, names: Sequence[str]) -> list[Measure]:
    """Text metrics of free answers against their references, or of rationales against theirs."""
    compared = _with_references(answered)
    if not compared.items:
        answered.left_out |= dict.fromkeys(names, "no item has a reference text")
        return []
    texts = [reading.text for reading in compared.readings]
    references = [references_of(item) for item in compared.items]
    languages = [item.language for item in compared.items]
    scores = text_scores(texts, references, languages, names, answered.mode)
    found = [compared.measure(name, scores[name]) for name in names]
    if compared.scorer is not None and "bleu_1" in names:
        found += _bert_measures(compared, texts, references)
    return found


def _bert_measures(
    answered: Answered, texts: Sequence[str], references: Sequence[Sequence[str]]
) -> list[Measure]:
    """BERTScore, of the reference whose F1 is the highest."""
    assert answered.scorer is not None
    rows = [(i, text) for i, several in enumerate(references) for text in several]
    scores = answered.scorer.scores([texts[i] for i, _ in rows], [text for _, text in rows])
    if scores.cut_items:
        answered.left_out["bertscore of whole texts"] = (
            f"{scores.cut_items} pairs have a text longer than the encoder takes; their beginnings "
            "were compared"
        )
    best: dict[int, tuple[float, float, float]] = {}
    values = zip(scores.f1, scores.precision, scores.recall, strict=True)
    for (item, _), value in zip(rows, values, strict=True):
        best[item] = max(best.get(item, value), value)
    columns = zip(*(best[item] for item in range(len(texts))), strict=True)
    names = ("bertscore_f1", "bertscore_precision", "bertscore_recall")
    return [answered.measure(n, c) for n, c in zip(names, columns, strict=True)]


def _with_references(answered: Answered) -> Answered:
    chosen = [place for place, item in enumerate(answered.items) if references_of(item)]
    if answered.mode == "as-published":
        # MedS-Ins's and MMedLM's scripts pass over a row of which one side is blank.
        blank = left_out(
            [reading.text for reading in answered.readings],
            ["".join(references_of(item)) for item in answered.items],
        )
        chosen = [place for place in chosen if not blank[place]]
    return answered.of(chosen)


def references_of(item: Item) -> list[str]:
    """Return the texts that an answer is compared with: references, or the rationale."""
    if item.form == "text":
        return list(item.answers)
    return [item.rationale] if item.rationale.strip() else []


def contains(answered: Answered) -> list[Measure]:
    """Whether a reference's words stand in the answer, one after another.

    As published: whether its characters do, quotes and line ends taken out of both.
    """
    values = [
        float(
            any(_holds(reading.text, text, item.language, answered.mode) for text in item.answers)
        )
        for item, reading in zip(answered.items, answered.readings, strict=True)
    ]
    return [answered.measure("contains", values)]


def _holds(answer: str, reference: str, language: str, mode: Mode) -> bool:
    if mode == "as-published":
        bare = [text.replace('"', "").replace("\n", "").lower() for text in (reference, answer)]
        return bare[0] in bare[1]
    mine, theirs = metric_tokens(answer, language), metric_tokens(reference, language)
    size = len(theirs)
    return size > 0 and any(mine[i : i + size] == theirs for i in range(len(mine) - size + 1))

"""Outputs to answers as a benchmark's released script reads them, defects included."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Declaration
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.extraction import extract, published
from medray.evaluation.scoring.predictions import Prediction
from medray.evaluation.scoring.reading import MISSING, UNPARSED, Reading

# Forms whose metrics have a published form of their own, and need no rule to read an answer.
_WHOLE_OUTPUTS = ("text", "entities")


def check_has_published(declaration: Declaration) -> None:
    """Raise InputError for a benchmark of which no released script is known, or none is rebuilt."""
    if declaration.published_reading is None and declaration.form not in _WHOLE_OUTPUTS:
        raise InputError(
            f"--mode as-published: of {declaration.name} no released script's way to read answers "
            "is known; use --mode correct"
        )


def read_published(
    declaration: Declaration, items: Sequence[Item], predictions: Sequence[Prediction]
) -> list[Reading]:
    """Return what the released script makes of all outputs.

    Scripts know no missing answer: one is an empty text to them. ``rule`` is ``missing`` all the
    same. All at once, for MIRAGE's reads an empty output as the one before it.
    """
    check_has_published(declaration)
    if any(isinstance(prediction.output, tuple) for prediction in predictions):
        raise InputError("--mode as-published: outputs that are tags are scored in mode correct")
    outputs = [str(prediction.output or "") for prediction in predictions]
    name = declaration.published_reading
    if declaration.form in _WHOLE_OUTPUTS:
        found = [Reading((text,), "text", text) for text in outputs]
    elif name == "mirage":
        found = [Reading((letter,), name) for letter in published.mirage(outputs)]
    else:
        assert name is not None  # check_has_published
        reader = _READERS[name]
        found = [reader(text, item) for text, item in zip(outputs, items, strict=True)]
    return [
        Reading(reading.answers, MISSING, reading.text, None, reading.right)
        if prediction.output is None
        else reading
        for reading, prediction in zip(found, predictions, strict=True)
    ]


def _igakuqa(output: str, item: Item) -> Reading:
    # The data's letters are small ones; those of an Item are capitals. "A" is wrong to the script.
    said = published.igakuqa(output)
    read = tuple(letter.upper() if letter.islower() else f"({letter})" for letter in said)
    return Reading(read if item.options else said, "igakuqa")


def _mmedlm(output: str, item: Item) -> Reading:
    return Reading(published.mmedlm(output), "mmedlm", extract(output, item.options).rationale)


def _meds_bench_choice(output: str, item: Item) -> Reading:
    if item.form in ("label", "labels"):
        initials = {label[:1].lower(): label for label in item.options if label[:1] in "yn"}
        letter = published.meds_bench_choice(output, "yn")
        return _found(initials.get(letter, ""), "meds_bench_choice")
    return _found(published.meds_bench_choice(output).upper(), "meds_bench_choice")


def _meds_bench_label(output: str, item: Item) -> Reading:
    if item.form == "labels":
        named = [label for label in item.options if published.meds_bench_label(output, label)]
        return Reading(tuple(named), "meds_bench_label")
    right = any(published.meds_bench_label(output, answer) for answer in item.answers)
    return Reading(item.answers if right else (), "meds_bench_label", right=right)


def _meds_bench_first_line(output: str, item: Item) -> Reading:
    return _meds_bench_label(output.split("\n", 1)[0], item)


def _meds_bench_true_false(output: str, item: Item) -> Reading:
    return _found(published.meds_bench_true_false(output), "meds_bench_true_false")


def _found(answer: str, rule: str) -> Reading:
    return Reading((answer,), rule) if answer else Reading((), UNPARSED)


_READERS: dict[str, Callable[[str, Item], Reading]] = {
    "igakuqa": _igakuqa,
    "mmedlm": _mmedlm,
    "meds_bench_choice": _meds_bench_choice,
    "meds_bench_label": _meds_bench_label,
    "meds_bench_first_line": _meds_bench_first_line,
    "meds_bench_true_false": _meds_bench_true_false,
}
